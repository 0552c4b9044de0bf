//! What a call reaches outside of its transaction: other servers and other plugins. It waits there without a place, and
//! what it heard is kept over its re-runs.

pub(crate) mod http;
mod place;
pub(crate) mod tape;

use tokio::runtime::Handle;
use vaxel_net::Egress;

pub(crate) use place::Held;
pub(crate) use tape::Tape;

/// The host's ways out.
pub(crate) struct Outside {
    /// None where this server has no way out.
    pub(crate) egress: Option<Egress>,
    /// Where sockets are: plugin workers never touch one.
    pub(crate) io: Option<Handle>,
}

impl Outside {
    pub(crate) fn new(egress: Option<Egress>) -> Self {
        Self {
            egress,
            io: Handle::try_current().ok(),
        }
    }
}
