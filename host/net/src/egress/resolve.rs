//! Where a name leads: asked once for each hop, by the host.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, ToSocketAddrs as _};
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::Semaphore;

/// Names that are looked up at once. The system's resolver cannot be interrupted, so one that nobody waits for any more
/// still holds a thread and counts.
const LOOKUPS_MAX: usize = 64;

/// Addresses of a name, or why there are none.
pub type Resolving<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>>;

/// Who knows where a name leads.
pub trait Resolve: Send + Sync + 'static {
    /// The addresses of a host.
    fn resolve<'a>(&'a self, host: &'a str) -> Resolving<'a>;
}

/// The machine's own resolver, with names that the operator fixed before it.
#[derive(Clone, Debug)]
pub struct SystemNames {
    fixed: BTreeMap<String, Vec<IpAddr>>,
    lookups: Arc<Semaphore>,
}

impl SystemNames {
    /// With fixed addresses for these names. What a policy says of addresses holds for them too.
    pub fn new(fixed: BTreeMap<String, Vec<IpAddr>>) -> Self {
        Self {
            fixed,
            lookups: Arc::new(Semaphore::new(LOOKUPS_MAX)),
        }
    }
}

impl Resolve for SystemNames {
    fn resolve<'a>(&'a self, host: &'a str) -> Resolving<'a> {
        Box::pin(async move {
            if let Some(fixed) = self.fixed.get(host) {
                return Ok(fixed.clone());
            }
            let permit = Arc::clone(&self.lookups).acquire_owned().await;
            let permit = permit.map_err(io::Error::other)?;
            let host = host.to_owned();
            let looking = tokio::task::spawn_blocking(move || {
                let _permit = permit;
                let found = (host.as_str(), 0).to_socket_addrs()?;
                Ok(found.map(|address| address.ip()).collect())
            });
            looking.await.map_err(io::Error::other)?
        })
    }
}
