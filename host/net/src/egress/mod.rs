//! The only way out for what others wrote: HTTPS to granted names at outside addresses, bounded in every way.

mod address;
mod error;
mod exchange;
mod headers;
mod resolve;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, LOCATION};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsConnector;
use url::{Host, Url};
use vaxel_core::{Clock, TenantId};

use crate::{TlsError, material, trust};
pub use error::EgressError;
use exchange::{Answer, Hop};
pub use resolve::{Resolve, Resolving, SystemNames};

/// What may be sent, and what may be answered: a page of an API, not a file.
pub(crate) const BODY_BYTES_MAX: usize = 1 << 20;

/// The longest that a request may take, redirects and all. Somebody waits for it.
const TIMEOUT_MAX: Duration = Duration::from_secs(10);

/// No name of a host is longer.
const HOST_BYTES_MAX: usize = 253;

/// An address of more characters carries data that belongs into a body.
const URL_BYTES_MAX: usize = 8 * 1024;

/// How often a request is sent on.
const REDIRECTS_MAX: usize = 5;

/// Requests under way for all tenants: each holds a socket and up to a body.
const UNDER_WAY_MAX: usize = 256;

/// Requests under way for one tenant, so that one never takes all.
const UNDER_WAY_PER_TENANT_MAX: usize = 32;

/// Where HTTPS is. Only an address of the exceptions may be spoken to elsewhere.
const HTTPS_PORT: u16 = 443;

/// What an operator may set.
#[derive(Clone, Debug, Default)]
pub struct EgressConfig {
    /// Authorities in PEM that are trusted beside the machine's.
    pub ca: Option<PathBuf>,
    /// Inner addresses with ports that may be reached all the same: for tests and development.
    pub allow: Vec<SocketAddr>,
}

/// A request as somebody wants it sent.
#[derive(Clone)]
pub struct Outgoing {
    /// `GET`, `POST`, …
    pub method: String,
    /// `https://…`
    pub url: String,
    /// Without credentials.
    pub headers: Vec<(String, String)>,
    /// At most 1 MiB.
    pub body: Bytes,
    /// How long all of it may take; at most ten seconds.
    pub timeout: Duration,
    /// Hosts that may be reached, `api.example.com` or `*.example.com`; redirects are held to them too.
    pub hosts: Arc<BTreeSet<String>>,
    /// What the host adds. It leaves only towards the first host.
    pub credential: Option<Credential>,
}

/// A header that proves who asks. It has no Debug: nobody prints it.
#[derive(Clone)]
pub struct Credential {
    /// Its name.
    pub header: String,
    /// Its value.
    pub value: String,
    /// Hosts that it may be sent to.
    pub hosts: BTreeSet<String>,
}

/// What came back.
#[derive(Clone, PartialEq, Eq)]
pub struct Incoming {
    /// The status.
    pub status: u16,
    /// Without cookies and what belongs to one hop.
    pub headers: Vec<(String, String)>,
    /// At most 1 MiB.
    pub body: Bytes,
}

/// The way out. Clones share its limits.
#[derive(Clone)]
pub struct Egress(Arc<Inner>);

struct Inner {
    connector: TlsConnector,
    names: Arc<dyn Resolve>,
    allow: Vec<SocketAddr>,
    under_way: Arc<Semaphore>,
    under_way_of: Mutex<HashMap<TenantId, Arc<Semaphore>>>,
}

impl Egress {
    /// Trusts what the machine trusts, and the operator's authority.
    pub fn new(
        config: EgressConfig,
        names: Arc<dyn Resolve>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, TlsError> {
        let EgressConfig { ca, allow } = config;
        for address in &allow {
            tracing::warn!(%address, "plugins may reach this inner address: the configuration says so");
        }
        let mut tls = trust::client_config(material::provider(), ca.as_deref(), clock)?;
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(Arc::new(Inner {
            connector: TlsConnector::from(Arc::new(tls)),
            names,
            allow,
            under_way: Arc::new(Semaphore::new(UNDER_WAY_MAX)),
            under_way_of: Mutex::default(),
        })))
    }

    /// Sends a request for a tenant and follows where it is sent on to.
    pub async fn fetch(
        &self,
        tenant: TenantId,
        request: Outgoing,
    ) -> Result<Incoming, EgressError> {
        let timeout = request.timeout.min(TIMEOUT_MAX);
        let fetching = async {
            let _permits = self.permits(tenant).await?;
            self.follow(request).await
        };
        // Boxed: the handshake's state is large.
        match tokio::time::timeout(timeout, Box::pin(fetching)).await {
            Ok(answer) => answer,
            Err(_) => Err(EgressError::Timeout),
        }
    }

    async fn permits(&self, tenant: TenantId) -> Result<[OwnedSemaphorePermit; 2], EgressError> {
        let of_tenant = {
            let mut all = self
                .0
                .under_way_of
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            // Who has nothing under way needs no entry.
            all.retain(|_, of| Arc::strong_count(of) > 1);
            let fresh = || Arc::new(Semaphore::new(UNDER_WAY_PER_TENANT_MAX));
            Arc::clone(all.entry(tenant).or_insert_with(fresh))
        };
        // The tenant's first: who waits there must not hold what another tenant could use.
        let own = of_tenant.acquire_owned().await;
        let any = Arc::clone(&self.0.under_way).acquire_owned().await;
        match (own, any) {
            (Ok(own), Ok(any)) => Ok([own, any]),
            _ => Err(EgressError::Busy),
        }
    }

    async fn follow(&self, request: Outgoing) -> Result<Incoming, EgressError> {
        let Outgoing {
            method,
            url,
            headers,
            mut body,
            hosts,
            mut credential,
            ..
        } = request;
        if url.len() > URL_BYTES_MAX || body.len() > BODY_BYTES_MAX {
            return Err(EgressError::TooLarge {
                what: "the request",
                max: BODY_BYTES_MAX,
            });
        }
        let mut method = checked_method(&method)?;
        let mut wanted = headers::sent(&headers)?;
        let mut url =
            Url::parse(&url).map_err(|_| EgressError::Invalid("not an address to send to"))?;
        for redirects in 0.. {
            let (host, port) = judged(&url, &hosts)?;
            let mut headers = wanted.clone();
            if let Some(credential) = &credential {
                add(credential, &host, &mut headers)?;
            }
            let addresses = self.addresses(&host, port).await?;
            let hop = Hop {
                url: &url,
                host: &host,
                port,
                method: &method,
                headers,
                body: body.clone(),
            };
            let Answer {
                status,
                headers,
                body: answered,
            } = exchange::ask(&self.0.connector, &addresses, hop).await?;
            let Some(next) = sent_on(status, &url, headers.get(LOCATION))? else {
                return Ok(Incoming {
                    status: status.as_u16(),
                    headers: headers::received(&headers)?,
                    body: answered,
                });
            };
            if redirects >= REDIRECTS_MAX {
                return Err(EgressError::Redirects { max: REDIRECTS_MAX });
            }
            if next.origin() != url.origin() {
                // What was meant for one host is nothing for another.
                credential = None;
            }
            let becomes_get = match status {
                StatusCode::SEE_OTHER => method != Method::HEAD,
                StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => method == Method::POST,
                _ => false,
            };
            if becomes_get {
                method = Method::GET;
                body = Bytes::new();
                wanted.remove(CONTENT_TYPE);
            }
            url = next;
        }
        Err(EgressError::Redirects { max: REDIRECTS_MAX })
    }

    /// Where a host is. One address that is not outside spoils them all: an honest name has no such.
    async fn addresses(&self, host: &str, port: u16) -> Result<Vec<IpAddr>, EgressError> {
        let found = self.0.names.resolve(host).await.unwrap_or_default();
        if found.is_empty() {
            return Err(EgressError::Unresolved {
                host: host.to_owned(),
            });
        }
        let may_reach = |ip: &IpAddr| {
            let is_excepted = self.0.allow.contains(&SocketAddr::new(*ip, port));
            is_excepted || (port == HTTPS_PORT && address::is_outside(*ip))
        };
        if !found.iter().all(may_reach) {
            return Err(EgressError::Inner {
                host: host.to_owned(),
            });
        }
        Ok(found)
    }
}

impl std::fmt::Debug for Egress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Egress")
            .field("allow", &self.0.allow)
            .finish_non_exhaustive()
    }
}

/// Whether a host is one of these; `*` stands for one whole label in front.
pub fn reaches(hosts: &BTreeSet<String>, host: &str) -> bool {
    hosts.contains(host)
        || host
            .split_once('.')
            .is_some_and(|(label, rest)| !label.is_empty() && hosts.contains(&format!("*.{rest}")))
}

/// The host of an address, as an account of what was asked for names it.
pub fn host_of(url: &str) -> Option<String> {
    if url.len() > URL_BYTES_MAX {
        return None;
    }
    let host = Url::parse(url).ok()?.host_str()?.to_owned();
    (host.len() <= HOST_BYTES_MAX).then_some(host)
}

/// The host of an address that may be sent to, and its port.
fn judged(url: &Url, hosts: &BTreeSet<String>) -> Result<(String, u16), EgressError> {
    if url.scheme() != "https" {
        return Err(EgressError::Invalid("only https leaves this server"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(EgressError::Invalid("an address carries no credentials"));
    }
    let host = match url.host() {
        Some(Host::Domain(host)) => host.to_owned(),
        Some(Host::Ipv4(_) | Host::Ipv6(_)) => {
            return Err(EgressError::Inner {
                host: url.host_str().unwrap_or_default().to_owned(),
            });
        }
        None => return Err(EgressError::Invalid("an address has a host")),
    };
    if !reaches(hosts, &host) {
        return Err(EgressError::NotGranted { host });
    }
    Ok((host, url.port_or_known_default().unwrap_or(HTTPS_PORT)))
}

fn checked_method(method: &str) -> Result<Method, EgressError> {
    match method {
        "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS" | "PROPFIND"
        | "REPORT" => Method::from_bytes(method.as_bytes()).ok(),
        _ => None,
    }
    .ok_or(EgressError::Invalid("not a method to send"))
}

fn add(
    credential: &Credential,
    host: &str,
    headers: &mut http::HeaderMap,
) -> Result<(), EgressError> {
    if !reaches(&credential.hosts, host) {
        return Err(EgressError::NotForHost {
            host: host.to_owned(),
        });
    }
    let unusable = || EgressError::Invalid("the connection's credential is no header");
    let name = HeaderName::from_bytes(credential.header.as_bytes()).map_err(|_| unusable())?;
    let mut value = HeaderValue::from_str(&credential.value).map_err(|_| unusable())?;
    value.set_sensitive(true);
    headers.insert(name, value);
    Ok(())
}

/// Where an answer sends the asker on to, if it does.
fn sent_on(
    status: StatusCode,
    from: &Url,
    location: Option<&HeaderValue>,
) -> Result<Option<Url>, EgressError> {
    let (301 | 302 | 303 | 307 | 308, Some(location)) = (status.as_u16(), location) else {
        return Ok(None);
    };
    let next = location.to_str().ok().and_then(|to| from.join(to).ok());
    match next {
        Some(next) if next.as_str().len() <= URL_BYTES_MAX => Ok(Some(next)),
        _ => Err(EgressError::Invalid("a redirect to nowhere")),
    }
}
