//! What a call reaches outside of its transaction: other servers and other plugins. It waits there without a place, and
//! what it heard is kept over its re-runs.

pub(crate) mod connections;
pub(crate) mod http;
mod place;
pub(crate) mod tape;

use tokio::runtime::Handle;
use vaxel_identity::Connections;
use vaxel_net::Egress;

pub(crate) use place::Held;
pub(crate) use tape::Tape;

/// The host's ways out.
pub(crate) struct Outside {
    /// None where this server has no way out.
    pub(crate) egress: Option<Egress>,
    /// Who holds the credentials of plugins.
    pub(crate) connections: Option<Connections>,
    /// Where sockets are: plugin workers never touch one.
    pub(crate) io: Option<Handle>,
}

impl Outside {
    pub(crate) fn new(egress: Option<Egress>, connections: Option<Connections>) -> Self {
        Self {
            egress,
            connections,
            io: Handle::try_current().ok(),
        }
    }
}
