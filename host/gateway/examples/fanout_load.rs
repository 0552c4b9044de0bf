//! Measures the fan-out alone: stored events to many TLS sockets, and what an idle socket weighs.
//!
//! `cargo run --release -p vaxel-gateway --example fanout_load -- SOCKETS EVENTS SENDERS`
//! Prints `name value unit` lines. The clients run in a child process, so that CPU and memory are the server's own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a measurement fails fast"
)]

use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::SinkExt as _;
use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject as _;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use vaxel_core::{Clock, Locale, LogAlarms, SystemClock};
use vaxel_crypto::password::Cost;
use vaxel_crypto::{Keyring, MasterKey};
use vaxel_gateway::{Gateway, GatewayConfig, GatewayLimits, socket_options};
use vaxel_identity::{Identity, IdentityConfig, NewTenant, NewUser};
use vaxel_net::{AcceptLimits, TlsMaterial};
use vaxel_ops::Metrics;
use vaxel_runtime::{Runtime, RuntimeConfig};
use vaxel_storage::{ErasureKey, Space, Storage, StorageConfig};
use yawc::{Frame, HttpRequest, OpCode, WebSocket};

const HOST: &str = "acme.localhost";
const SPACE: Space = Space::host(0x4f);

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    if arguments.first().is_some_and(|first| first == "clients") {
        runtime.block_on(clients(&arguments));
    } else {
        let number = |n: usize, or: usize| {
            arguments
                .get(n)
                .and_then(|text| text.parse().ok())
                .unwrap_or(or)
        };
        runtime.block_on(server(number(0, 1_000), number(1, 500), number(2, 4)));
    }
}

async fn server(sockets: usize, events: usize, senders: usize) {
    let dir = tempfile::tempdir().unwrap();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let keyring = Arc::new(Keyring::open(&dir.path().join("keys"), MasterKey::generate()).unwrap());
    let storage = Storage::open(
        StorageConfig::new(dir.path().join("store")),
        Arc::clone(&keyring),
        Arc::clone(&clock),
        Arc::new(LogAlarms),
    )
    .unwrap();
    let identity = Identity::open(
        storage.clone(),
        Arc::clone(&keyring),
        Arc::clone(&clock),
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
        keyring,
        Arc::clone(&clock),
        Arc::new(LogAlarms),
    )
    .unwrap();
    let new = NewTenant {
        slug: "acme".into(),
        name: "Acme".into(),
        hosts: vec![HOST.into()],
        locale: Locale::Sv,
    };
    let tenant = identity.create_tenant(new).await.unwrap();
    let anna = NewUser {
        login: "anna".into(),
        display_name: "Anna".into(),
        email: None,
        password: None,
        admin: false,
        locale: Locale::Sv,
    };
    let anna = identity.create_user(tenant.id, anna).await.unwrap().id;
    let mut tx = storage.begin(tenant.id);
    tx.join(SPACE, "c/1", anna).unwrap();
    storage.commit(tx).await.unwrap();
    let tls = TlsMaterial::local_ca(&dir.path().join("tls"), &[HOST], Arc::clone(&clock)).unwrap();
    let gateway = Gateway::new(
        GatewayConfig {
            limits: GatewayLimits::default(),
            ..GatewayConfig::default()
        },
        storage.clone(),
        identity.clone(),
        runtime,
        Metrics::new(),
    )
    .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    gateway.serve_https(listener, tls.acceptor(AcceptLimits::default()).unwrap());
    let token = identity
        .sign_in_as(tenant.id, anna)
        .await
        .unwrap()
        .access_token;
    let ca = dir.path().join("ca.pem");
    std::fs::write(&ca, tls.ca_pem().unwrap()).unwrap();

    let before_kib = resident_kib();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "clients",
            &addr.to_string(),
            &sockets.to_string(),
            &events.to_string(),
            &token,
        ])
        .arg(&ca)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let stdout = tokio::process::ChildStdout::from_std(child.stdout.take().unwrap()).unwrap();
    let mut said = BufReader::new(stdout).lines();
    assert_eq!(
        said.next_line().await.unwrap().as_deref(),
        Some("connected")
    );
    // Presence is told, buffers are given back.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let idle_kib = resident_kib().saturating_sub(before_kib);
    println!(
        "idle_tls_socket {:.1} KiB",
        idle_kib as f64 / sockets as f64
    );

    let payload = serde_json::json!({"message": {"text": "x".repeat(300)}})
        .to_string()
        .into_bytes();
    let (cpu, begun) = (cpu_seconds(), Instant::now());
    let mut tasks = Vec::new();
    for _ in 0..senders {
        let (storage, payload, tenant) = (storage.clone(), payload.clone(), tenant.id);
        tasks.push(tokio::spawn(async move {
            for _ in 0..events / senders {
                let mut tx = storage.begin(tenant);
                tx.publish(
                    SPACE,
                    "c/1",
                    "test.happened",
                    payload.clone(),
                    ErasureKey::TENANT,
                )
                .unwrap();
                storage.commit(tx).await.unwrap();
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let total = said.next_line().await.unwrap().unwrap();
    let (cpu, took) = (cpu_seconds() - cpu, begun.elapsed().as_secs_f64());
    let deliveries: f64 = total.parse().unwrap();
    println!("deliveries {deliveries} frames");
    println!("deliveries_per_cpu_second {:.0} 1/s", deliveries / cpu);
    println!("deliveries_per_second {:.0} 1/s", deliveries / took);
    child.wait().unwrap();
    // Nothing is worth closing in a directory that goes away.
    std::process::exit(0);
}

async fn clients(arguments: &[String]) {
    let addr: SocketAddr = arguments[1].parse().unwrap();
    let sockets: usize = arguments[2].parse().unwrap();
    let events: usize = arguments[3].parse().unwrap();
    let token = arguments[4].clone();
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(rustls::pki_types::CertificateDer::from_pem_file(&arguments[5]).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let mut open = Vec::new();
    for _ in 0..sockets {
        let stream = TcpStream::connect(addr).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let name = ServerName::try_from(HOST).unwrap();
        let stream = connector.connect(name, stream).await.unwrap();
        let authority = format!("{HOST}:{}", addr.port());
        let request = HttpRequest::builder()
            .header("host", &authority)
            .header("sec-websocket-protocol", "vaxel.v1");
        let url = format!("wss://{authority}/api/v1/socket").parse().unwrap();
        let options = socket_options(1 << 20, false);
        let mut socket = WebSocket::handshake_with_request(url, stream, options, request)
            .await
            .unwrap();
        let auth = serde_json::json!({"type": "auth", "token": token}).to_string();
        socket.send(Frame::text(auth)).await.unwrap();
        let ready = socket.next_frame().await.unwrap();
        assert!(ready.as_str().contains("ready"), "{}", ready.as_str());
        open.push(socket);
    }
    let mut stdout = tokio::io::stdout();
    stdout.write_all(b"connected\n").await.unwrap();
    stdout.flush().await.unwrap();
    let readers = open.into_iter().map(|mut socket| {
        tokio::spawn(async move {
            let mut got = 0;
            while got < events {
                let frame = socket.next_frame().await.unwrap();
                match frame.opcode() {
                    OpCode::Text if frame.as_str().contains("test.happened") => got += 1,
                    OpCode::Text if frame.as_str().contains("\"bye\"") => {
                        panic!("{}", frame.as_str())
                    }
                    _ => {}
                }
            }
            got
        })
    });
    let mut total = 0;
    for reader in readers.collect::<Vec<_>>() {
        total += reader.await.unwrap();
    }
    stdout
        .write_all(format!("{total}\n").as_bytes())
        .await
        .unwrap();
    stdout.flush().await.unwrap();
}

/// User and system time of this process.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<_> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    ticks / 100.0
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
