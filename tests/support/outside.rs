//! Another company's server: HTTPS on loopback under names of its own, with an API that shows what it got.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use crate::host::SMALL_LOG;
use crate::oauth::OAuth;
use crate::{HostOptions, patiently};

/// The names that the server has a certificate for.
const NAMES: [&str; 3] = [
    "api.outside.test",
    "inner.outside.test",
    "*.many.outside.test",
];

/// A request as the server got it.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    /// Without the query.
    pub path: String,
    pub query: String,
    /// By name in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

/// What it answers.
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn json(status: u16, body: &Value) -> Self {
        Self {
            status,
            headers: vec![("content-type", "application/json".to_owned())],
            body: body.to_string().into_bytes(),
        }
    }

    pub fn sent_on(status: u16, to: &str) -> Self {
        Self {
            status,
            headers: vec![("location", to.to_owned())],
            body: Vec::new(),
        }
    }
}

/// The server. It ends with the test.
pub struct Outside {
    pub port: u16,
    pub oauth: Arc<OAuth>,
    state: Arc<State>,
    ca: PathBuf,
    folder: TempDir,
}

struct State {
    seen: Mutex<Vec<Seen>>,
    count: watch::Sender<usize>,
    /// Paths that are answered only once they are let go.
    held: watch::Sender<BTreeSet<String>>,
    oauth: Arc<OAuth>,
}

impl Outside {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let ca = folder.path().join("ca.pem");
        let (pem, config) = certificates();
        fs::write(&ca, pem).expect("writing the authority");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let oauth = Arc::new(OAuth::default());
        let state = Arc::new(State {
            seen: Mutex::default(),
            count: watch::Sender::new(0),
            held: watch::Sender::default(),
            oauth: Arc::clone(&oauth),
        });
        let answering = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(acceptor.clone(), socket, Arc::clone(&answering)));
            }
        });
        Self {
            port,
            oauth,
            state,
            ca,
            folder,
        }
    }

    /// A server of ours that may reach this one and nothing else within, and comes with the fixture.
    pub fn known_to_host(&self) -> HostOptions {
        let plugins = self.folder.path().join("plugins");
        self.brings_fixture(&plugins.join("outside"), |manifest| manifest);
        let config = format!(
            "{SMALL_LOG}\n\
             [plugins]\ndir = '{}'\n\
             [egress]\nallow = ['{}']\nca = '{}'\n\
             [egress.names]\n\
             'api.outside.test' = ['127.0.0.1']\n\
             'one.many.outside.test' = ['127.0.0.1']\n\
             'mapped.many.outside.test' = ['::ffff:127.0.0.1']\n\
             'metadata.many.outside.test' = ['169.254.169.254']\n\
             'inner.outside.test' = ['10.11.12.13']\n",
            plugins.display(),
            SocketAddr::from(([127, 0, 0, 1], self.port)),
            self.ca.display()
        );
        HostOptions {
            config,
            ..HostOptions::default()
        }
    }

    /// The fixture, whose manifest names this very server.
    fn brings_fixture(&self, to: &Path, change: impl Fn(String) -> String) {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../stage/fixtures/outside");
        fs::create_dir_all(to).expect("a folder");
        fs::copy(from.join("component.wasm"), to.join("component.wasm")).expect("the fixture");
        let manifest = fs::read_to_string(from.join("plugin.toml")).expect("its manifest");
        let manifest = manifest.replace("https://api.outside.test/", &self.url("/"));
        fs::write(to.join("plugin.toml"), change(manifest)).expect("a manifest");
    }

    /// Brings the fixture along under more names, `relay1` and on, each of which may call the next and the first.
    pub fn brings_relays(&self, count: usize) {
        for n in 1..=count {
            let id = format!("relay{n}");
            let to = self.folder.path().join("plugins").join(&id);
            self.brings_fixture(&to, |manifest| {
                let mut lines: Vec<String> = manifest.lines().map(str::to_owned).collect();
                for line in &mut lines {
                    if line.starts_with("methods = ") {
                        *line = format!("methods = ['relay{}/call', 'outside/call']", n + 1);
                    } else if !line.contains("outside.test") {
                        *line = line.replace("\"outside", &format!("\"{id}"));
                    }
                }
                lines.join("\n")
            });
        }
    }

    /// An address at this server.
    pub fn url(&self, path: &str) -> String {
        self.url_at("api.outside.test", path)
    }

    /// An address at this server under another name.
    pub fn url_at(&self, name: &str, path: &str) -> String {
        format!("https://{name}:{}{path}", self.port)
    }

    /// What was asked at this path.
    pub fn seen(&self, path: &str) -> Vec<Seen> {
        let seen = self.state.seen.lock().expect("what was seen");
        seen.iter()
            .filter(|one| one.path == path)
            .cloned()
            .collect()
    }

    /// Answers nobody at this path until it is let go.
    pub fn holds(&self, path: &str) {
        self.state.held.send_modify(|held| {
            held.insert(path.to_owned());
        });
    }

    pub fn lets_go(&self, path: &str) {
        self.state.held.send_modify(|held| {
            held.remove(path);
        });
    }

    /// Waits until this path was asked for so often.
    pub async fn was_asked(&self, path: &str, times: usize) {
        let mut count = self.state.count.subscribe();
        let waiting = count.wait_for(|_| self.seen(path).len() >= times);
        patiently(path, waiting).await.expect("the server");
    }
}

async fn serve(acceptor: TlsAcceptor, socket: TcpStream, state: Arc<State>) {
    let Ok(mut stream) = acceptor.accept(socket).await else {
        return;
    };
    let mut read = Vec::new();
    let seen = loop {
        let mut some = [0; 16 * 1024];
        match stream.read(&mut some).await {
            Ok(0) | Err(_) => return,
            Ok(n) => read.extend_from_slice(&some[..n]),
        }
        if let Some(seen) = parsed(&read) {
            break seen;
        }
    };
    state.seen.lock().expect("what was seen").push(seen.clone());
    state.count.send_modify(|count| *count += 1);
    let mut held = state.held.subscribe();
    let free = held.wait_for(|held| !held.contains(&seen.path));
    if free.await.is_err() {
        return;
    }
    let reply = answer(&state, &seen);
    let mut head = format!("HTTP/1.1 {} X\r\nconnection: close\r\n", reply.status);
    head.push_str(&format!("content-length: {}\r\n", reply.body.len()));
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    let _ = stream.write_all(head.as_bytes()).await;
    let _ = stream.write_all(&reply.body).await;
    let _ = stream.shutdown().await;
}

/// A whole request, if it is there.
pub(crate) fn parsed(read: &[u8]) -> Option<Seen> {
    let end = read.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&read[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let (method, target) = (first.next()?, first.next()?);
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers
        .get("content-length")
        .map_or(0, |l| l.parse().unwrap_or(0));
    let body = read.get(end + 4..end + 4 + length)?;
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    Some(Seen {
        method: method.to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        body: String::from_utf8_lossy(body).into_owned(),
        headers,
    })
}

fn answer(state: &State, seen: &Seen) -> Reply {
    match seen.path.as_str() {
        "/to" => Reply::sent_on(302, &seen.query),
        "/large" => Reply {
            status: 200,
            headers: Vec::new(),
            body: vec![b'x'; 2 << 20],
        },
        "/authorize" => Reply {
            status: 200,
            headers: vec![("content-type", "text/html; charset=utf-8".to_owned())],
            body: state.oauth.asks(&seen.query).into_bytes(),
        },
        "/token" | "/revoke" => state.oauth.answer(seen),
        "/needs-token" => state.oauth.guards(seen),
        // Shows everything, as a careless server does.
        _ => {
            let told = json!({
                "method": seen.method, "path": seen.path, "query": seen.query,
                "headers": seen.headers, "body": seen.body,
            });
            let mut reply = Reply::json(200, &told);
            reply.headers.push(("set-cookie", "who=you".to_owned()));
            let echoed = ["authorization", "x-api-key"];
            let echoed = echoed.iter().find_map(|name| seen.headers.get(*name));
            if let Some(credential) = echoed {
                reply.headers.push(("x-echo", credential.clone()));
            }
            reply
        }
    }
}

fn certificates() -> (String, ServerConfig) {
    let mut authority = CertificateParams::new(Vec::new()).expect("parameters");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let pem = authority.self_signed(&key).expect("an authority").pem();
    let issuer = Issuer::new(authority, key);
    let leaf_key = KeyPair::generate().expect("a key");
    let names: Vec<String> = NAMES.map(str::to_owned).into();
    let leaf = CertificateParams::new(names)
        .and_then(|leaf| leaf.signed_by(&leaf_key, &issuer))
        .expect("a certificate");
    let key = PrivateKeyDer::try_from(leaf_key.serialize_der()).expect("a key");
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)
        .expect("a TLS configuration");
    (pem, config)
}
