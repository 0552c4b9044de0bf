//! Certificates by ACME: Let's Encrypt's test directory issues them to a running server, for each organization's name.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails fast"
)]

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use http::Request;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::either::Either;
use vaxel_client::Wire;
use vaxel_tests::{
    Client, ClientError, Endpoint, HostOptions, RequestOptions, SMALL_LOG, TestHost, patiently,
};

/// Between two looks at something that takes a moment.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// Certificates of the test directory live for five years: now less than a third of that is left.
const FOUR_YEARS: Duration = Duration::from_secs(4 * 365 * 86_400);

/// A program that ends with the test.
struct Program(Child);

impl Program {
    fn start(command: &mut Command, log: &Path) -> Self {
        let log = fs::File::create(log).expect("a log");
        let errors = log.try_clone().expect("a log");
        let command = command.stdin(Stdio::null()).stdout(log).stderr(errors);
        Self(command.spawn().expect("Debian's package `pebble`"))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A directory that is not started yet: its address, its own certificate, and what it will call.
struct Directory {
    folder: TempDir,
    port: u16,
    management: u16,
    ca_pem: String,
}

/// The directory while it runs, with the name server that it asks.
struct Running {
    _directory: Program,
    _names: Program,
    /// Where the name server is told what to answer.
    names_port: u16,
    /// The root of what it issues.
    root_pem: String,
}

impl Directory {
    fn prepare() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ca_key = KeyPair::generate().unwrap();
        let mut ca = CertificateParams::default();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca_pem = ca.self_signed(&ca_key).unwrap().pem();
        let key = KeyPair::generate().unwrap();
        let own = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let own = own.signed_by(&key, &Issuer::new(ca, ca_key)).unwrap();
        fs::write(folder.path().join("ca.pem"), &ca_pem).unwrap();
        fs::write(folder.path().join("own.pem"), own.pem()).unwrap();
        fs::write(folder.path().join("own.key"), key.serialize_pem()).unwrap();
        Self {
            folder,
            port: free_port(),
            management: free_port(),
            ca_pem,
        }
    }

    /// What an operator writes to switch it on.
    fn config(&self) -> String {
        format!(
            "{SMALL_LOG}\n[tls.acme]\nterms_agreed = true\ncontact = 'ops@alfa.test'\n\
             directory = 'https://localhost:{}/dir'\nca = '{}'\n",
            self.port,
            self.path("ca.pem").display()
        )
    }

    /// Starts it: every name leads to this machine, where `https_port` is what port 443 would be.
    async fn start(&self, https_port: u16) -> Running {
        let (dns, names_port) = (free_port(), free_port());
        let mut names = Command::new("pebble-challtestsrv");
        names
            .args(["-http01", "", "-https01", "", "-tlsalpn01", ""])
            .args(["-defaultIPv4", "127.0.0.1", "-defaultIPv6", ""])
            .args(["-dns01", &format!("127.0.0.1:{dns}")])
            .args(["-management", &format!("127.0.0.1:{names_port}")]);
        let names = Program::start(&mut names, &self.path("names.log"));
        let config = json!({"pebble": {
            "listenAddress": format!("127.0.0.1:{}", self.port),
            "managementListenAddress": format!("127.0.0.1:{}", self.management),
            "certificate": self.path("own.pem"),
            "privateKey": self.path("own.key"),
            "httpPort": free_port(),
            "tlsPort": https_port,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": false,
        }});
        fs::write(self.path("pebble.json"), config.to_string()).unwrap();
        let mut directory = Command::new("pebble");
        directory
            .arg("-config")
            .arg(self.path("pebble.json"))
            .args(["-dnsserver", &format!("127.0.0.1:{dns}")])
            // No waiting, no chance: it validates at once, every time, and takes every nonce.
            .env("PEBBLE_VA_NOSLEEP", "1")
            .env("PEBBLE_AUTHZREUSE", "0")
            .env("PEBBLE_WFE_NONCEREJECT", "0");
        let directory = Program::start(&mut directory, &self.path("pebble.log"));
        let root = Endpoint::parse(&format!("https://localhost:{}", self.management))
            .unwrap()
            .trusting(&self.ca_pem)
            .unwrap();
        let root = patiently("the directory's root", async {
            loop {
                if let Ok(answer) = Client::new(root.clone()).get("/roots/0").await {
                    return answer.into_body();
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        })
        .await;
        Running {
            _directory: directory,
            _names: names,
            names_port,
            root_pem: String::from_utf8(root.to_vec()).unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Running {
    /// From now on nobody finds this name.
    async fn loses(&self, name: &str) {
        let at = Endpoint::parse(&format!("http://127.0.0.1:{}", self.names_port)).unwrap();
        let body = json!({"host": format!("{name}.")}).to_string();
        let request = Request::builder().method("POST").uri("/set-servfail");
        let answer = Client::new(at)
            .send(request, body.into(), &RequestOptions::default())
            .await
            .unwrap();
        assert!(answer.status().is_success());
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn https_port(host: &TestHost) -> u16 {
    let authority = host.endpoint("localhost").authority();
    authority.rsplit(':').next().unwrap().parse().unwrap()
}

/// A name at this server, for somebody who trusts `root` and nobody else.
fn endpoint(host: &TestHost, name: &str, root: &str) -> Endpoint {
    let port = https_port(host);
    Endpoint::parse(&format!("https://{name}:{port}"))
        .and_then(|endpoint| endpoint.trusting(root))
        .unwrap()
        .at(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port))
}

async fn slug_at(host: &TestHost, name: &str, root: &str) -> Result<Value, ClientError> {
    let client = Client::new(endpoint(host, name, root));
    let info = client.get_json("/api/v1/public/info").await?;
    Ok(info["tenant"]["slug"].clone())
}

/// Waits until `name` is reached by somebody who trusts `root` only, and is the tenant it belongs to.
async fn reached(host: &TestHost, name: &str, slug: &str, root: &str) {
    let told = patiently("a certificate that the directory issued", async {
        loop {
            match slug_at(host, name, root).await {
                Ok(slug) => return slug,
                Err(ClientError::Connect(_)) => tokio::time::sleep(LOOK_AGAIN).await,
                Err(error) => panic!("{name}: {error:?}"),
            }
        }
    });
    tokio::select! {
        told = told => assert_eq!(told, slug),
        // Shown instead of a bare time-out.
        () = tokio::time::sleep(Duration::from_secs(25)) => panic!("{name}\n{}", host.log_tail()),
    }
}

fn add_tenant(host: &TestHost, slug: &str) -> String {
    let name = format!("chat.{slug}.test");
    host.command(&["tenant", "add", slug, "--name", slug, "--host", &name]);
    name
}

/// The certificate that a connection was opened with.
fn certificate_of(wire: &Wire) -> Vec<u8> {
    let Either::Right(tls) = wire else {
        panic!("a connection without TLS");
    };
    tls.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

/// One request over a connection that stays open.
async fn asks(wire: &mut Wire, name: &str) {
    let request = format!("GET /health/live HTTP/1.1\r\nhost: {name}\r\n\r\n");
    wire.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let mut part = [0; 4_096];
    while !answer.windows(4).any(|end| end == b"\r\n\r\n") {
        let read = wire.read(&mut part).await.unwrap();
        assert_ne!(read, 0, "the connection was closed");
        answer.extend_from_slice(&part[..read]);
    }
    assert!(answer.starts_with(b"HTTP/1.1 "));
}

async fn alarms(host: &TestHost) -> bool {
    let metrics = host.admin_client().get("/metrics").await.unwrap();
    let text = String::from_utf8(metrics.into_body().to_vec()).unwrap();
    text.contains(r#"code="tls.renewal""#)
}

#[tokio::test]
async fn an_operator_switches_acme_on_and_every_tenants_name_is_trusted() {
    let host = TestHost::start().await;
    let alfa = add_tenant(&host, "alfa");
    let directory = Directory::prepare();
    let running = directory.start(https_port(&host)).await;
    assert!(slug_at(&host, &alfa, &running.root_pem).await.is_err());

    host.configures(&directory.config());
    host.restart();
    reached(&host, &alfa, "alfa", &running.root_pem).await;
    // A new organization needs no restart.
    let beta = add_tenant(&host, "beta");
    reached(&host, &beta, "beta", &running.root_pem).await;

    // Each name shows itself alone, and nobody's name shows nothing.
    let root = &running.root_pem;
    let wire = endpoint(&host, &alfa, root).open().await.unwrap();
    let certificate = certificate_of(&wire);
    assert!(contains(&certificate, alfa.as_bytes()));
    assert!(!contains(&certificate, beta.as_bytes()));
    let nobodys = endpoint(&host, "chat.nobody.test", root);
    assert!(matches!(nobodys.open().await, Err(ClientError::Connect(_))));
    // This machine's own names stay with the local authority: health checks, and people who were here before.
    host.sign_in("acme", "anna").await;

    // What was issued is for the owner only, and is shown after a restart without the directory.
    let keys = files_below(&host.data().join("tls/acme"));
    assert_eq!(keys.len(), 3, "{keys:?}");
    for key in &keys {
        let mode = fs::metadata(key).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", key.display());
    }
    assert!(!alarms(&host).await, "{}", host.log_tail());

    // The account stays the same one when the operator's address changes, and learns the new one.
    let account = keys.iter().find(|key| key.ends_with("account.json"));
    let account = || fs::read_to_string(account.unwrap()).unwrap();
    let before: Value = serde_json::from_str(&account()).unwrap();
    assert_eq!(before["contact"], "ops@alfa.test");
    let moved = directory.config().replace("ops@", "it@");
    host.configures(&moved);
    host.restart();
    let gamma = add_tenant(&host, "gamma");
    reached(&host, &gamma, "gamma", root).await;
    let after: Value = serde_json::from_str(&account()).unwrap();
    assert_eq!(after["contact"], "it@alfa.test");
    assert_eq!(after["credentials"], before["credentials"]);

    let root_pem = running.root_pem.clone();
    drop(running);
    host.restart();
    assert_eq!(slug_at(&host, &alfa, &root_pem).await.unwrap(), "alfa");
    let again = endpoint(&host, &alfa, &root_pem).open().await.unwrap();
    assert_eq!(certificate_of(&again), certificate);
    assert!(!alarms(&host).await, "nothing was due");
}

#[tokio::test]
async fn a_renewal_replaces_the_certificate_and_open_connections_go_on() {
    let host = TestHost::start_with(HostOptions::with_own_clock()).await;
    let alfa = add_tenant(&host, "alfa");
    let directory = Directory::prepare();
    let running = directory.start(https_port(&host)).await;
    let root = &running.root_pem;
    host.configures(&directory.config());
    host.restart();
    reached(&host, &alfa, "alfa", root).await;
    let at = endpoint(&host, &alfa, root);
    let mut old = at.open().await.unwrap();
    let certificate = certificate_of(&old);
    asks(&mut old, &alfa).await;

    host.moves_clock(FOUR_YEARS).await;
    // The server looks once a minute, and whenever a name is added.
    let beta = add_tenant(&host, "beta");
    patiently("another certificate", async {
        loop {
            asks(&mut old, &alfa).await;
            let new = at.open().await.unwrap();
            if certificate_of(&new) != certificate {
                return;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    })
    .await;
    asks(&mut old, &alfa).await;
    reached(&host, &beta, "beta", root).await;
    assert!(!alarms(&host).await, "{}", host.log_tail());
}

#[tokio::test]
async fn a_directory_that_is_down_keeps_nobody_out_and_raises_an_alarm() {
    let host = TestHost::start().await;
    let alfa = add_tenant(&host, "alfa");
    let directory = Directory::prepare();
    host.configures(&directory.config());
    host.restart();
    // The local authority stands in.
    let local = host.certificate();
    assert_eq!(slug_at(&host, &alfa, local).await.unwrap(), "alfa");
    host.sign_in("acme", "anna").await;
    patiently("the alarm", async {
        while !alarms(&host).await {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    })
    .await;
    assert!(host.log().contains("tls.renewal"));

    // It comes back, and somebody adds a name: both get what is due without a restart.
    let running = directory.start(https_port(&host)).await;
    let beta = add_tenant(&host, "beta");
    reached(&host, &beta, "beta", &running.root_pem).await;
    reached(&host, &alfa, "alfa", &running.root_pem).await;

    // A directory that was set up anew knows our account no more; the server makes another.
    drop(running);
    let running = directory.start(https_port(&host)).await;
    let gamma = add_tenant(&host, "gamma");
    reached(&host, &gamma, "gamma", &running.root_pem).await;
}

#[tokio::test]
async fn a_name_that_nobody_finds_is_told_and_holds_up_no_other() {
    let host = TestHost::start().await;
    // Ordered first, by the alphabet.
    let alfa = add_tenant(&host, "alfa");
    let beta = add_tenant(&host, "beta");
    let directory = Directory::prepare();
    let running = directory.start(https_port(&host)).await;
    running.loses(&alfa).await;
    host.configures(&directory.config());
    host.restart();
    reached(&host, &beta, "beta", &running.root_pem).await;
    patiently("the alarm", async {
        while !alarms(&host).await {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    })
    .await;
    let log = host.log();
    let told = log.lines().find(|line| line.contains("tls.renewal"));
    let told = told.expect("a line");
    assert!(told.contains(&alfa), "{told}");
    // In the directory's own words.
    assert!(told.contains("Could not resolve"), "{told}");
    let stand_in = slug_at(&host, &alfa, host.certificate()).await.unwrap();
    assert_eq!(stand_in, "alfa");
}

#[tokio::test]
async fn without_the_operators_yes_to_the_terms_nothing_starts() {
    let host = TestHost::start().await;
    host.stop();
    host.configures("[tls.acme]\ncontact = 'ops@alfa.test'\n");
    let refused = host.try_command(&["serve", "--https-port", "0", "--admin-port", "0"], "");
    assert!(!refused.ok);
    assert!(
        refused.stderr.contains("terms_agreed"),
        "{}",
        refused.stderr
    );
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files_below(&path));
        } else {
            found.push(path);
        }
    }
    found
}
