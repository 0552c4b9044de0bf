//! Real sockets against real material: who gets in, who does not, and what wrong files say.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that meets the unexpected fails"
)]

use std::fs;
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ProtocolVersion, RootCertStore, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use vaxel_core::{Clock, SimClock, SystemClock, UnixMs};
use vaxel_net::{AcceptLimits, TlsError, TlsMaterial, alpn};

const DAY_MS: u64 = 86_400_000;

fn local(dir: &Path, names: &[&str]) -> TlsMaterial {
    TlsMaterial::local_ca(dir, names, Arc::new(SystemClock)).unwrap()
}

/// A listener that echoes one byte after the handshake and tells how the handshake went.
async fn listen(
    material: &TlsMaterial,
    limits: AcceptLimits,
) -> (
    std::net::SocketAddr,
    tokio::sync::mpsc::UnboundedReceiver<Result<Option<Vec<u8>>, TlsError>>,
) {
    let acceptor = material.acceptor(limits).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let (acceptor, tell) = (acceptor.clone(), tell.clone());
            tokio::spawn(async move {
                match acceptor.accept(socket).await {
                    Ok(mut stream) => {
                        let _ = tell.send(Ok(alpn(&stream).map(<[u8]>::to_vec)));
                        let mut byte = [0];
                        if stream.read_exact(&mut byte).await.is_ok() {
                            let _ = stream.write_all(&byte).await;
                            let _ = stream.shutdown().await;
                        }
                    }
                    Err(error) => drop(tell.send(Err(error))),
                }
            });
        }
    });
    (address, told)
}

async fn connect(
    address: std::net::SocketAddr,
    ca_pem: &str,
    name: &str,
    versions: &[&'static SupportedProtocolVersion],
    protocols: &[&str],
) -> io::Result<(ProtocolVersion, Option<Vec<u8>>)> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(ca_pem.as_bytes()).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|p| p.as_bytes().to_vec()).collect();
    let socket = TcpStream::connect(address).await?;
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut stream = TlsConnector::from(Arc::new(config))
        .connect(name, socket)
        .await?;
    stream.write_all(b"x").await?;
    let mut byte = [0];
    stream.read_exact(&mut byte).await?;
    assert_eq!(&byte, b"x");
    let session = stream.get_ref().1;
    Ok((
        session.protocol_version().unwrap(),
        session.alpn_protocol().map(<[u8]>::to_vec),
    ))
}

#[tokio::test]
async fn a_client_that_trusts_the_authority_reaches_every_tenants_name() {
    let dir = tempfile::tempdir().unwrap();
    let material = local(
        dir.path(),
        &["acme.example", "Globex.Example.", "192.0.2.7"],
    );
    let (address, _told) = listen(&material, AcceptLimits::default()).await;
    let ca = material.ca_pem().unwrap();
    let both = rustls::ALL_VERSIONS;
    for name in [
        "acme.example",
        "globex.example",
        "192.0.2.7",
        "localhost",
        "127.0.0.1",
        "::1",
    ] {
        let (version, protocol) = connect(address, ca, name, both, &["h2"]).await.unwrap();
        assert_eq!(version, ProtocolVersion::TLSv1_3, "{name}");
        assert_eq!(protocol.as_deref(), Some(&b"h2"[..]));
    }
    assert!(
        connect(address, ca, "initech.example", both, &[])
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_new_tenants_name_works_from_the_next_handshake_on() {
    let dir = tempfile::tempdir().unwrap();
    let material = local(dir.path(), &["acme.example"]);
    let (address, _told) = listen(&material, AcceptLimits::default()).await;
    let ca = material.ca_pem().unwrap();
    assert!(
        connect(address, ca, "new.example", rustls::ALL_VERSIONS, &[])
            .await
            .is_err()
    );
    assert!(
        !material.set_names(&["ACME.example"]).unwrap(),
        "nothing changed, nothing issued"
    );
    assert!(
        material
            .set_names(&["acme.example", "new.example"])
            .unwrap()
    );
    connect(address, ca, "new.example", rustls::ALL_VERSIONS, &[])
        .await
        .unwrap();
    connect(address, ca, "acme.example", rustls::ALL_VERSIONS, &[])
        .await
        .unwrap();
}

#[tokio::test]
async fn tls_1_2_is_spoken_and_http_1_1_agreed_on() {
    let dir = tempfile::tempdir().unwrap();
    let material = local(dir.path(), &[]);
    let (address, mut told) = listen(&material, AcceptLimits::default()).await;
    let only_12: &[&SupportedProtocolVersion] = &[&rustls::version::TLS12];
    let ca = material.ca_pem().unwrap();
    let (version, protocol) = connect(address, ca, "localhost", only_12, &["http/1.1"])
        .await
        .unwrap();
    assert_eq!(version, ProtocolVersion::TLSv1_2);
    assert_eq!(protocol.as_deref(), Some(&b"http/1.1"[..]));
    assert_eq!(
        told.recv().await.unwrap().unwrap().as_deref(),
        Some(&b"http/1.1"[..])
    );
}

/// A client hello as OpenSSL 1.0 would send it with TLS 1.1 as its newest version.
fn tls_1_1_hello() -> Vec<u8> {
    let mut body = vec![0x03, 0x02];
    body.extend([7; 32]);
    body.push(0);
    body.extend([0x00, 0x04, 0xc0, 0x0a, 0xc0, 0x14, 0x01, 0x00]);
    // Supported groups (P-256) and signature algorithms, so that nothing but the version can be the reason.
    let extensions = [0, 10, 0, 4, 0, 2, 0, 23, 0, 13, 0, 4, 0, 2, 4, 3];
    body.extend(u16::try_from(extensions.len()).unwrap().to_be_bytes());
    body.extend(extensions);
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    let mut handshake = vec![0x01, length[1], length[2], length[3]];
    handshake.extend(body);
    let mut record = vec![0x16, 0x03, 0x01];
    record.extend(u16::try_from(handshake.len()).unwrap().to_be_bytes());
    record.extend(handshake);
    record
}

#[tokio::test]
async fn tls_1_1_is_refused_with_the_alert_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let material = local(dir.path(), &[]);
    let (address, mut told) = listen(&material, AcceptLimits::default()).await;
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(&tls_1_1_hello()).await.unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).await.unwrap();
    // alert record, fatal, protocol_version(70)
    assert_eq!(
        (answer[0], answer[5], answer[6]),
        (0x15, 2, 70),
        "{answer:02x?}"
    );
    assert!(matches!(
        told.recv().await.unwrap(),
        Err(TlsError::Handshake(_))
    ));
}

#[tokio::test]
async fn bytes_that_are_no_tls_end_as_a_failed_handshake() {
    let dir = tempfile::tempdir().unwrap();
    let material = local(dir.path(), &[]);
    let (address, mut told) = listen(&material, AcceptLimits::default()).await;
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket
        .write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await
        .unwrap();
    assert!(matches!(
        told.recv().await.unwrap(),
        Err(TlsError::Handshake(_))
    ));
}

#[tokio::test]
async fn a_peer_that_says_nothing_is_let_go() {
    let dir = tempfile::tempdir().unwrap();
    let material = local(dir.path(), &[]);
    let limits = AcceptLimits {
        handshake_timeout_ms: 20,
        ..AcceptLimits::default()
    };
    let (address, mut told) = listen(&material, limits).await;
    let _silent = TcpStream::connect(address).await.unwrap();
    assert!(matches!(told.recv().await.unwrap(), Err(TlsError::Timeout)));
}

#[tokio::test]
async fn peers_beyond_the_number_at_once_wait_for_their_turn() {
    let dir = tempfile::tempdir().unwrap();
    let material = local(dir.path(), &[]);
    let limits = AcceptLimits {
        handshakes_max: 1,
        waiting_max: 8,
        handshake_timeout_ms: 60_000,
    };
    let (address, mut told) = listen(&material, limits).await;
    let silent = TcpStream::connect(address).await.unwrap();
    let ca = material.ca_pem().unwrap().to_owned();
    let next = tokio::spawn(async move {
        connect(address, &ca, "localhost", rustls::ALL_VERSIONS, &[])
            .await
            .map(|_| ())
    });
    drop(silent);
    next.await.unwrap().unwrap();
    let mut outcomes = [told.recv().await.unwrap(), told.recv().await.unwrap()];
    outcomes.sort_by_key(Result::is_ok);
    assert!(matches!(outcomes[0], Err(TlsError::Handshake(_))));
    assert!(outcomes[1].is_ok());
}

#[tokio::test]
async fn more_waiting_peers_than_the_maximum_are_told_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let material = local(dir.path(), &[]);
    let limits = AcceptLimits {
        handshakes_max: 1,
        waiting_max: 0,
        handshake_timeout_ms: 60_000,
    };
    let (address, mut told) = listen(&material, limits).await;
    let _socket = TcpStream::connect(address).await.unwrap();
    let outcome = told.recv().await.unwrap();
    assert!(
        matches!(outcome, Err(TlsError::Busy)),
        "no place to wait at all"
    );
}

#[test]
fn the_authority_is_made_once_and_its_key_is_for_the_owner_only() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("tls");
    let first = local(&home, &["acme.example"]).ca_pem().unwrap().to_owned();
    let mode = fs::metadata(home.join("ca.key"))
        .unwrap()
        .permissions()
        .mode()
        & 0o777;
    assert_eq!(mode, 0o600);
    let second = local(&home, &["globex.example"]);
    assert_eq!(second.ca_pem(), Some(first.as_str()));
}

#[test]
fn an_authority_key_that_others_may_read_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(local(dir.path(), &[]));
    let key = dir.path().join("ca.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
    let refused = TlsMaterial::local_ca::<&str>(dir.path(), &[], Arc::new(SystemClock));
    assert!(matches!(
        refused,
        Err(TlsError::ExposedKey { mode: 0o640, .. })
    ));
}

#[test]
fn an_authority_that_lost_its_key_is_a_typed_error_and_is_not_replaced() {
    let dir = tempfile::tempdir().unwrap();
    drop(local(dir.path(), &[]));
    fs::remove_file(dir.path().join("ca.key")).unwrap();
    let refused = TlsMaterial::local_ca::<&str>(dir.path(), &[], Arc::new(SystemClock));
    assert!(matches!(refused, Err(TlsError::File { .. })));
}

#[test]
fn names_that_no_certificate_can_carry_are_a_typed_error_and_change_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let material = local(dir.path(), &["acme.example"]);
    let before = material.expires_at();
    assert!(matches!(
        material.set_names(&["räksmörgås"]),
        Err(TlsError::Name)
    ));
    let many: Vec<String> = (0..300).map(|n| format!("t{n}.example")).collect();
    assert!(matches!(
        material.set_names(&many),
        Err(TlsError::TooManyNames { .. })
    ));
    assert_eq!(material.expires_at(), before);
}

#[test]
fn the_leaf_is_renewed_a_month_before_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(SimClock::at(UnixMs(1_800_000_000_000)));
    let shared: Arc<dyn Clock> = Arc::clone(&clock) as Arc<dyn Clock>;
    let material = TlsMaterial::local_ca::<&str>(dir.path(), &[], shared).unwrap();
    assert_eq!(material.days_left(), 90);
    assert!(!material.refresh().unwrap());
    clock.advance_ms(61 * DAY_MS);
    assert_eq!(material.days_left(), 29);
    assert!(material.refresh().unwrap());
    assert_eq!(material.days_left(), 90);
    clock.advance_ms(3_650 * DAY_MS);
    assert_eq!(material.days_left(), 0);
}

/// A self-signed pair in files as an operator would put them.
fn pair(dir: &Path, name: &str, days: u64, now: UnixMs) -> (PathBuf, PathBuf) {
    let home = dir.join(name);
    let clock = Arc::new(SimClock::at(now.minus_ms((90 - days) * DAY_MS)));
    drop(TlsMaterial::local_ca::<&str>(&home, &[], clock).unwrap());
    (home.join("ca.pem"), home.join("ca.key"))
}

fn copy(from: &(PathBuf, PathBuf), to: &(PathBuf, PathBuf)) {
    fs::copy(&from.0, &to.0).unwrap();
    let _ = fs::remove_file(&to.1);
    let bytes = fs::read(&from.1).unwrap();
    let mut options = fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&to.1)
        .unwrap();
    io::Write::write_all(&mut file, &bytes).unwrap();
}

#[test]
fn files_are_taken_into_use_when_they_change_and_kept_out_when_they_are_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let now = UnixMs(1_800_000_000_000);
    let clock: Arc<dyn Clock> = Arc::new(SimClock::at(now));
    let old = pair(dir.path(), "old", 40, now);
    let new = pair(dir.path(), "new", 80, now);
    let used = (
        dir.path().join("fullchain.pem"),
        dir.path().join("privkey.pem"),
    );
    copy(&old, &used);
    let material = TlsMaterial::from_files(&used.0, &used.1, clock).unwrap();
    let first = material.expires_at();
    assert!(!material.refresh().unwrap());

    fs::copy(&new.0, &used.0).unwrap();
    assert!(
        matches!(material.refresh(), Err(TlsError::Mismatch { .. })),
        "only half is there yet"
    );
    assert_eq!(material.expires_at(), first);

    copy(&new, &used);
    assert!(material.refresh().unwrap());
    assert!(material.expires_at() > first);
}

#[test]
fn wrong_files_each_have_their_own_error() {
    let dir = tempfile::tempdir().unwrap();
    let now = UnixMs(1_800_000_000_000);
    let clock: Arc<dyn Clock> = Arc::new(SimClock::at(now));
    let (certificate, key) = pair(dir.path(), "one", 90, now);
    let (_, other_key) = pair(dir.path(), "two", 90, now);
    let open = |c: &Path, k: &Path| TlsMaterial::from_files(c, k, Arc::clone(&clock)).unwrap_err();

    let missing = dir.path().join("missing.pem");
    assert!(matches!(open(&missing, &key), TlsError::File { .. }));
    assert!(matches!(
        open(&certificate, &missing),
        TlsError::File { .. }
    ));
    assert!(matches!(
        open(&certificate, &other_key),
        TlsError::Mismatch { .. }
    ));
    assert!(matches!(
        open(&key, &key),
        TlsError::Unusable {
            wanted: "certificate chain",
            ..
        }
    ));

    let garbage = dir.path().join("garbage.pem");
    fs::write(
        &garbage,
        "-----BEGIN PRIVATE KEY-----\n!!\n-----END PRIVATE KEY-----\n",
    )
    .unwrap();
    fs::set_permissions(&garbage, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(matches!(
        open(&certificate, &garbage),
        TlsError::Unusable {
            wanted: "private key",
            ..
        }
    ));

    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(
        open(&certificate, &key),
        TlsError::ExposedKey { .. }
    ));
}
