//! The gateway over real sockets.

mod crowd;
mod doors;
mod framing;
mod secure;
mod sessions;
mod slow;
mod sockets;
mod support;
