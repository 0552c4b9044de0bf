//! Where a name leads: asked once for each hop, by the host.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;

/// Addresses of a name, or why there are none.
pub type Resolving<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>>;

/// Who knows where a name leads.
pub trait Resolve: Send + Sync + 'static {
    /// The addresses of a host.
    fn resolve<'a>(&'a self, host: &'a str) -> Resolving<'a>;
}

/// The machine's own resolver, with names that the operator fixed before it.
#[derive(Clone, Debug, Default)]
pub struct SystemNames {
    /// Names with fixed addresses. What a policy says of addresses holds for them too.
    pub fixed: BTreeMap<String, Vec<IpAddr>>,
}

impl Resolve for SystemNames {
    fn resolve<'a>(&'a self, host: &'a str) -> Resolving<'a> {
        Box::pin(async move {
            if let Some(fixed) = self.fixed.get(host) {
                return Ok(fixed.clone());
            }
            let found = tokio::net::lookup_host((host, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}
