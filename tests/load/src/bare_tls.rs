//! The floor under an idle TLS socket: rustls on tokio in a process of its own, holding as many connections.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::measure::status_kib;

/// The scenario that is this floor's server.
pub(crate) const SERVE: &str = "bare-tls";

/// As for the server that it is compared with.
const WARM_UP: usize = 200;

/// Serves until it is killed. Writes its certificate to `file`, says its port, echoes one byte.
pub(crate) async fn serve(file: PathBuf) {
    let made =
        rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())
        .expect("a configuration");
    std::fs::write(file, made.cert.der()).expect("writing the certificate");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    println!("{}", listener.local_addr().expect("an address").port());
    let acceptor = TlsAcceptor::from(Arc::new(config));
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            let mut stream = acceptor.accept(stream).await.expect("a handshake");
            let mut byte = [0];
            while stream.read_exact(&mut byte).await.is_ok() {
                stream.write_all(&byte).await.expect("an answer");
            }
        });
    }
}

/// Resident memory of that server per connection.
pub(crate) async fn kib_per_connection(connections: usize, at_once: usize) -> f64 {
    let folder = std::env::temp_dir().join(format!("vaxel-bare-tls-{}", std::process::id()));
    let mut server = Command::new(std::env::current_exe().expect("this program"))
        .args([SERVE.as_ref(), folder.as_os_str()])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the floor's server");
    let port = port_of(&mut server);
    let certificate = CertificateDer::from(std::fs::read(&folder).expect("its certificate"));
    std::fs::remove_file(&folder).expect("removing the certificate");
    let mut roots = RootCertStore::empty();
    roots.add(certificate).expect("a root");
    let config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = TlsConnector::from(Arc::new(config));
    let connect = async |count: usize| {
        stream::iter(0..count)
            .map(|_| connected(&connector, port))
            .buffer_unordered(at_once)
            .collect::<Vec<_>>()
            .await
    };
    let warm = connect(WARM_UP).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let before = status_kib(server.id(), "VmRSS");
    let open = connect(connections).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let after = status_kib(server.id(), "VmRSS");
    drop((warm, open));
    server.kill().expect("ending the floor's server");
    server.wait().expect("its end");
    (after - before) / connections as f64
}

fn port_of(server: &mut Child) -> u16 {
    let mut line = String::new();
    BufReader::new(server.stdout.take().expect("its output"))
        .read_line(&mut line)
        .expect("its port");
    line.trim().parse().expect("a port")
}

async fn connected(
    connector: &TlsConnector,
    port: u16,
) -> tokio_rustls::client::TlsStream<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", port))
        .await
        .expect("a connection");
    let name = ServerName::try_from("localhost").expect("a name");
    let mut stream = connector.connect(name, stream).await.expect("a handshake");
    // One round: the handshake's last messages are through, as on a socket that was greeted.
    stream.write_all(b"x").await.expect("a byte");
    stream.read_exact(&mut [0]).await.expect("an answer");
    stream
}
