//! The WebSocket at `/api/v1/socket`: events out, calls in, one token that is asked about at every step.

pub(crate) mod accept;
pub(crate) mod close;
pub(crate) mod frame;
pub(crate) mod outbox;
pub(crate) mod session;
pub(crate) mod sweeper;
pub(crate) mod writer;
