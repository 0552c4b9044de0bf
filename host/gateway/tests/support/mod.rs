//! A whole house in a temporary directory, and callers that speak to it over real sockets.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails fast"
)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::SinkExt as _;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use vaxel_core::{Clock, Locale, LogAlarms, SimClock, TenantId, UnixMs, UserId};
use vaxel_crypto::password::Cost;
use vaxel_crypto::{Keyring, MasterKey};
use vaxel_gateway::{
    DemoInfo, DemoOrganization, DemoPerson, Gateway, GatewayConfig, GatewayLimits, socket_options,
};
use vaxel_identity::{Identity, IdentityConfig, NewTenant, NewUser, Tenant};
use vaxel_net::{AcceptLimits, TlsMaterial};
use vaxel_ops::Metrics;
use vaxel_runtime::{Runtime, RuntimeConfig};
use vaxel_storage::{ErasureKey, Space, Storage, StorageConfig};
use yawc::{Frame, HttpRequest, OpCode, WebSocket};

pub const PASSWORD: &str = "rätt häst batteri";

/// Where the tests put their own rows and audiences.
pub const SPACE: Space = Space::host(0x4f);

/// What must happen has happened long before this; a test that waits so long has failed.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub struct House {
    pub clock: Arc<SimClock>,
    pub keyring: Arc<Keyring>,
    pub storage: Storage,
    pub identity: Identity,
    pub gateway: Gateway,
    pub acme: Arc<Tenant>,
    pub globex: Arc<Tenant>,
    pub anna: UserId,
    pub bertil: UserId,
    pub greta: UserId,
    pub addr: SocketAddr,
    pub admin: SocketAddr,
    pub dir: tempfile::TempDir,
}

impl House {
    pub async fn new() -> Self {
        Self::with(GatewayLimits::default()).await
    }

    pub async fn with(limits: GatewayLimits) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(SimClock::at(UnixMs(1_800_000_000_000)));
        let shared: Arc<dyn Clock> = Arc::clone(&clock) as Arc<dyn Clock>;
        let keyring =
            Arc::new(Keyring::open(&dir.path().join("keys"), MasterKey::generate()).unwrap());
        let mut config = StorageConfig::new(dir.path().join("store"));
        config.segment_bytes = 4 << 20;
        config.free_bytes_min = 0;
        config.cache_bytes = 8 << 20;
        let storage = Storage::open(
            config,
            Arc::clone(&keyring),
            Arc::clone(&shared),
            Arc::new(LogAlarms),
        )
        .unwrap();
        let identity = Identity::open(
            storage.clone(),
            Arc::clone(&keyring),
            Arc::clone(&shared),
            IdentityConfig {
                password_cost: Cost::CHEAP,
                ..IdentityConfig::default()
            },
        )
        .await
        .unwrap();
        let runtime = Runtime::new(
            RuntimeConfig {
                pool_slots: 4,
                ..RuntimeConfig::new(dir.path().join("cache"))
            },
            storage.clone(),
            identity.clone(),
            Arc::clone(&keyring),
            Arc::clone(&shared),
            Arc::new(LogAlarms),
        )
        .unwrap();
        let acme = tenant(&identity, "acme").await;
        let globex = tenant(&identity, "globex").await;
        let anna = user(&identity, acme.id, "anna", true).await;
        let bertil = user(&identity, acme.id, "bertil", false).await;
        let greta = user(&identity, globex.id, "greta", true).await;
        let person = DemoPerson {
            id: bertil,
            display_name: "Bertil".into(),
            admin: false,
            title: "Ekonomi".into(),
        };
        let demo = DemoInfo {
            organizations: vec![DemoOrganization {
                slug: "acme".into(),
                name: "Acme".into(),
                url: "http://acme.localhost".into(),
                people: vec![person],
                links: Vec::new(),
            }],
        };
        let gateway = Gateway::new(
            GatewayConfig {
                limits,
                demo: Some(demo),
                clock: shared,
                ..GatewayConfig::default()
            },
            storage.clone(),
            identity.clone(),
            runtime,
            Metrics::new(),
        )
        .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let admin_listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (addr, admin) = (
            listener.local_addr().unwrap(),
            admin_listener.local_addr().unwrap(),
        );
        gateway.serve_http(listener);
        gateway.serve_admin(admin_listener);
        Self {
            clock,
            keyring,
            storage,
            identity,
            gateway,
            acme,
            globex,
            anna,
            bertil,
            greta,
            addr,
            admin,
            dir,
        }
    }

    pub fn origin(&self, host: &str) -> String {
        format!("http://{host}:{}", self.addr.port())
    }

    /// A request to one host name of this server.
    pub async fn ask(
        &self,
        host: &str,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        ask_at(
            self.addr,
            &format!("{host}:{}", self.addr.port()),
            method,
            path,
            headers,
            body.into(),
        )
        .await
    }

    pub async fn get(&self, host: &str, path: &str) -> Answer {
        self.ask(host, Method::GET, path, &[], "").await
    }

    /// A call with a token.
    pub async fn call(&self, host: &str, token: &str, method: &str, params: Value) -> Answer {
        self.call_with(host, token, method, params, &[]).await
    }

    pub async fn call_with(
        &self,
        host: &str,
        token: &str,
        method: &str,
        params: Value,
        extra: &[(&str, &str)],
    ) -> Answer {
        let bearer = format!("Bearer {token}");
        let mut headers = vec![
            ("content-type", "application/json"),
            ("authorization", &*bearer),
        ];
        headers.extend_from_slice(extra);
        let path = format!("/api/v1/{method}");
        self.ask(host, Method::POST, &path, &headers, params.to_string())
            .await
    }

    /// A call from our own page, with its cookies.
    pub async fn page_asks(&self, host: &str, method: &str, params: Value, cookie: &str) -> Answer {
        self.origin_asks(host, &self.origin(host), method, params, cookie)
            .await
    }

    pub async fn origin_asks(
        &self,
        host: &str,
        origin: &str,
        method: &str,
        params: Value,
        cookie: &str,
    ) -> Answer {
        let headers = [
            ("content-type", "application/json"),
            ("origin", origin),
            ("cookie", cookie),
        ];
        let path = format!("/api/v1/{method}");
        self.ask(host, Method::POST, &path, &headers, params.to_string())
            .await
    }

    pub async fn token(&self, tenant: TenantId, user: UserId) -> String {
        self.identity
            .sign_in_as(tenant, user)
            .await
            .unwrap()
            .access_token
    }

    /// Somebody else at acme.
    pub async fn person(&self, login: &str) -> UserId {
        user(&self.identity, self.acme.id, login, false).await
    }

    pub async fn annas_token(&self) -> String {
        self.token(self.acme.id, self.anna).await
    }

    pub async fn bertils_token(&self) -> String {
        self.token(self.acme.id, self.bertil).await
    }

    pub async fn socket(&self, host: &str) -> Socket {
        self.try_socket(host, &[("sec-websocket-protocol", "vaxel.v1")])
            .await
            .unwrap()
    }

    pub async fn try_socket(
        &self,
        host: &str,
        headers: &[(&str, &str)],
    ) -> Result<Socket, yawc::WebSocketError> {
        let stream = TcpStream::connect(self.addr).await.unwrap();
        let authority = format!("{host}:{}", self.addr.port());
        let mut request = HttpRequest::builder().header("host", &authority);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let url = format!("ws://{authority}/api/v1/socket").parse().unwrap();
        let options = socket_options(4 << 20, false);
        Ok(Socket(
            WebSocket::handshake_with_request(url, stream, options, request).await?,
        ))
    }

    /// A socket of a signed-in user, and the cursor it is ready at.
    pub async fn live(&self, tenant: &Tenant, user: UserId) -> (Socket, String) {
        let mut socket = self.socket(&tenant.hosts[0]).await;
        let token = self.token(tenant.id, user).await;
        socket.say(json!({"type": "auth", "token": token})).await;
        let ready = socket.next().await;
        assert_eq!(ready["type"], "ready", "{ready}");
        assert_eq!(ready["user"], user.to_string());
        let cursor = ready["cursor"].as_str().unwrap().to_owned();
        (socket, cursor)
    }

    /// Serves HTTPS as well; answers its address and how a client connects that trusts it.
    pub async fn secure(&self) -> (SocketAddr, tokio_rustls::TlsConnector) {
        let names = self.identity.host_names();
        let clock: Arc<dyn Clock> = Arc::new(vaxel_core::SystemClock);
        let tls = TlsMaterial::local_ca(&self.dir.path().join("tls"), &names, clock).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        self.gateway
            .serve_https(listener, tls.acceptor(AcceptLimits::default()).unwrap());
        let ca = CertificateDer::from_pem_slice(tls.ca_pem().unwrap().as_bytes()).unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(ca).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec()];
        (addr, tokio_rustls::TlsConnector::from(Arc::new(config)))
    }

    /// Makes members of an audience.
    pub async fn join(&self, tenant: TenantId, audience: &str, users: &[UserId]) {
        let mut tx = self.storage.begin(tenant);
        for user in users {
            tx.join(SPACE, audience, *user).unwrap();
        }
        self.storage.commit(tx).await.unwrap();
    }

    /// Publishes a stored event.
    pub async fn publish(&self, tenant: TenantId, audience: &str, data: Value) {
        let mut tx = self.storage.begin(tenant);
        tx.publish(
            SPACE,
            audience,
            "test.happened",
            data.to_string().into_bytes(),
            ErasureKey::TENANT,
        )
        .unwrap();
        self.storage.commit(tx).await.unwrap();
    }
}

async fn tenant(identity: &Identity, slug: &str) -> Arc<Tenant> {
    let new = NewTenant {
        slug: slug.to_owned(),
        name: format!("{slug} AB"),
        hosts: vec![format!("{slug}.localhost"), format!("{slug}.example")],
        locale: Locale::Sv,
    };
    identity.create_tenant(new).await.unwrap()
}

async fn user(identity: &Identity, tenant: TenantId, login: &str, admin: bool) -> UserId {
    let new = NewUser {
        login: login.to_owned(),
        display_name: login.to_owned(),
        email: None,
        password: Some(PASSWORD.to_owned().into()),
        admin,
        locale: Locale::Sv,
    };
    identity.create_user(tenant, new).await.unwrap().id
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| panic!("{}: {}", self.status, String::from_utf8_lossy(&self.body)))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// Checks that it is a problem of this status and word, and gives it.
    pub fn problem(&self, status: u16, code: &str) -> Value {
        let problem = self.json();
        assert_eq!(self.status.as_u16(), status, "{problem}");
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(problem["status"], status);
        for field in ["type", "title", "detail", "request_id"] {
            assert!(problem[field].is_string(), "{field} of {problem}");
        }
        assert_eq!(
            self.header("x-request-id"),
            problem["request_id"].as_str().unwrap()
        );
        problem
    }

    /// The refresh cookie it sets, as a browser would send it back.
    pub fn cookie(&self) -> String {
        let set = self.header("set-cookie");
        set.split(';').next().unwrap().to_owned()
    }
}

pub async fn ask_at(
    addr: SocketAddr,
    host: &str,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: Bytes,
) -> Answer {
    let stream = TcpStream::connect(addr).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    let mut request = Request::builder().method(method).uri(path);
    if !host.is_empty() {
        request = request.header("host", host);
    }
    for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(body)).unwrap();
    let (parts, body) = sender.send_request(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer {
        status: parts.status,
        headers: parts.headers,
        body,
    }
}

pub struct Socket(pub WebSocket<TcpStream>);

impl Socket {
    pub async fn say(&mut self, frame: Value) {
        self.0.send(Frame::text(frame.to_string())).await.unwrap();
    }

    /// The next text frame.
    pub async fn next(&mut self) -> Value {
        self.maybe_next().await.expect("the socket ended")
    }

    /// The next text frame, or nothing when the socket ends.
    pub async fn maybe_next(&mut self) -> Option<Value> {
        loop {
            let frame = tokio::time::timeout(PATIENCE, self.0.next_frame())
                .await
                .expect("nothing came in time")
                .ok()?;
            match frame.opcode() {
                OpCode::Text => return Some(serde_json::from_slice(frame.payload()).unwrap()),
                OpCode::Close => return None,
                _ => {}
            }
        }
    }

    /// The code that the socket is closed with, past whatever else is told; nothing when it broke off.
    pub async fn close_code(&mut self) -> Option<u16> {
        loop {
            let frame = tokio::time::timeout(PATIENCE, self.0.next_frame())
                .await
                .expect("nothing came in time")
                .ok()?;
            if frame.opcode() == OpCode::Close {
                let code = frame.payload().first_chunk::<2>()?;
                return Some(u16::from_be_bytes(*code));
            }
        }
    }

    /// The next event of the tests, past whatever else is told.
    pub async fn next_event(&mut self) -> Value {
        loop {
            let frame = self.next().await;
            if frame["topic"] == "test.happened" {
                return frame;
            }
            assert!(
                frame["topic"]
                    .as_str()
                    .is_some_and(|topic| topic.starts_with("presence.")),
                "{frame}"
            );
        }
    }

    /// The next frame that is no event.
    pub async fn next_word(&mut self) -> Value {
        loop {
            let frame = self.next().await;
            if frame["type"] != "event" {
                return frame;
            }
        }
    }

    pub async fn call(&mut self, id: u64, method: &str, params: Value) -> Value {
        self.say(json!({"type": "call", "id": id, "method": method, "params": params}))
            .await;
        self.next_word().await
    }
}
