//! Where the server is: its name, the address behind it, and whom to trust there.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;
use url::Url;

use crate::ClientError;

/// A byte stream to the server, with or without TLS.
pub type Wire = Either<TcpStream, TlsStream<TcpStream>>;

/// A tenant's address, for example `https://acme.example.org:8443`.
#[derive(Clone)]
pub struct Endpoint {
    url: Url,
    host: String,
    port: u16,
    address: Option<SocketAddr>,
    tls: Option<Arc<ClientConfig>>,
}

impl Endpoint {
    /// Reads an `http` or `https` URL; names under `localhost` are the loopback address.
    pub fn parse(url: &str) -> Result<Self, ClientError> {
        let bad = |why: &str| ClientError::Address(format!("{url}: {why}"));
        let parsed = Url::parse(url).map_err(|_| bad("not a URL"))?;
        let secure = match parsed.scheme() {
            "http" => false,
            "https" => true,
            _ => return Err(bad("neither http nor https")),
        };
        let host = parsed.host_str().ok_or_else(|| bad("no host"))?.to_owned();
        let port = parsed
            .port_or_known_default()
            .ok_or_else(|| bad("no port"))?;
        let tls = if secure {
            Some(tls_config(RootCertStore::empty())?)
        } else {
            None
        };
        let loopback = host == "localhost" || host.ends_with(".localhost");
        let address = match host.parse::<IpAddr>() {
            Ok(ip) => Some(SocketAddr::new(ip, port)),
            Err(_) if loopback => Some(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port)),
            Err(_) => None,
        };
        Ok(Self {
            url: parsed,
            host,
            port,
            address,
            tls,
        })
    }

    /// Connects to `address`, whatever the name would resolve to.
    #[must_use]
    pub fn at(mut self, address: SocketAddr) -> Self {
        self.address = Some(address);
        self
    }

    /// Trusts the certificates in `pem`, and nobody else.
    pub fn trusting(mut self, pem: &str) -> Result<Self, ClientError> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            let certificate = certificate.map_err(|error| ClientError::Tls(error.to_string()))?;
            roots
                .add(certificate)
                .map_err(|error| ClientError::Tls(error.to_string()))?;
        }
        if roots.is_empty() {
            return Err(ClientError::Tls(
                "no certificate in the PEM text".to_owned(),
            ));
        }
        self.tls = Some(tls_config(roots)?);
        Ok(self)
    }

    /// Scheme, host and port as a browser states them in `Origin`.
    #[must_use]
    pub fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }

    /// Host and port as they stand in the `Host` header.
    #[must_use]
    pub fn authority(&self) -> String {
        match self.url.port() {
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.clone(),
        }
    }

    pub(crate) fn url(&self, path: &str) -> Result<Url, ClientError> {
        self.url
            .join(path)
            .map_err(|error| ClientError::Address(error.to_string()))
    }

    /// Opens a connection; TLS is done when it returns.
    pub async fn open(&self) -> Result<Wire, ClientError> {
        let tcp = match self.address {
            Some(address) => TcpStream::connect(address).await,
            None => TcpStream::connect((self.host.as_str(), self.port)).await,
        }
        .map_err(ClientError::Connect)?;
        tcp.set_nodelay(true).map_err(ClientError::Connect)?;
        let Some(config) = &self.tls else {
            return Ok(Either::Left(tcp));
        };
        let name = ServerName::try_from(self.host.clone())
            .map_err(|error| ClientError::Tls(error.to_string()))?;
        let tls = TlsConnector::from(Arc::clone(config))
            .connect(name, tcp)
            .await
            .map_err(ClientError::Connect)?;
        Ok(Either::Right(tls))
    }
}

fn tls_config(roots: RootCertStore) -> Result<Arc<ClientConfig>, ClientError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| ClientError::Tls(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let endpoint = Endpoint::parse("http://acme.localhost:8080/chat?x=1").unwrap();
        assert_eq!(endpoint.origin(), "http://acme.localhost:8080");
        assert_eq!(endpoint.authority(), "acme.localhost:8080");
        assert_eq!(
            endpoint.address,
            Some(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 8080))
        );
    }

    #[test]
    fn a_default_port_is_not_part_of_the_origin() {
        let endpoint = Endpoint::parse("https://acme.example.org").unwrap();
        assert_eq!(endpoint.origin(), "https://acme.example.org");
        assert_eq!(endpoint.authority(), "acme.example.org");
    }

    #[test]
    fn other_schemes_are_refused() {
        assert!(Endpoint::parse("ftp://acme.example.org").is_err());
    }
}
