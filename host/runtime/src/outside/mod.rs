//! What a call reaches outside of its transaction: other servers and other plugins. It waits there without a place, and
//! what it heard is kept over its re-runs.

pub(crate) mod connections;
pub(crate) mod http;
pub(crate) mod interop;
mod place;
pub(crate) mod tape;

use std::sync::{Arc, OnceLock};

use tokio::runtime::Handle;
use vaxel_identity::Connections;
use vaxel_net::Egress;

pub use interop::Schemas;
pub(crate) use interop::Within;
pub(crate) use place::Held;
pub(crate) use tape::Tape;

/// The host's ways out.
pub(crate) struct Outside {
    /// None where this server has no way out.
    pub(crate) egress: Option<Egress>,
    /// Who holds the credentials of plugins.
    pub(crate) connections: Option<Connections>,
    /// Who validates what plugins say to each other; the API's door, once it is there.
    pub(crate) schemas: OnceLock<Arc<dyn Schemas>>,
    /// Where sockets are: plugin workers never touch one.
    pub(crate) io: Option<Handle>,
}

impl Outside {
    pub(crate) fn new(egress: Option<Egress>, connections: Option<Connections>) -> Self {
        Self {
            egress,
            connections,
            schemas: OnceLock::new(),
            io: Handle::try_current().ok(),
        }
    }
}
