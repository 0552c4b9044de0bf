//! The floor under a call over HTTP: hyper in a process of its own that reads the same request and answers as much,
//! and knows neither who asks nor what for.

use std::convert::Infallible;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, header};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// The scenario that is this floor's server.
pub(crate) const SERVE: &str = "bare-http";

/// Serves until it is killed, and says its port.
pub(crate) async fn serve() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    println!("{}", listener.local_addr().expect("an address").port());
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        stream.set_nodelay(true).expect("no delay");
        // A connection that its client ends is no failure of the floor.
        tokio::spawn(
            http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer)),
        );
    }
}

/// As large as what chat answers to a message that was sent.
async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = request.into_body().collect().await.expect("a body");
    let sent: Value = serde_json::from_slice(&body.to_bytes()).expect("JSON");
    let answer = json!({
        "id": "0199d2c5-7f0e-7c52-9b9c-0d9d3a6f7f52",
        "conversation": sent["conversation"],
        "local_id": sent["local_id"],
        "text": sent["text"],
        "seq": 1,
    });
    let mut response = Response::new(Full::new(Bytes::from(answer.to_string())));
    let json = header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    Ok(response)
}

/// That server, running, ended with this value.
pub(crate) struct BareHttp {
    server: Child,
    port: u16,
}

impl BareHttp {
    pub(crate) fn start() -> Self {
        let mut server = Command::new(std::env::current_exe().expect("this program"))
            .args([SERVE, "-"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the floor's server");
        let mut line = String::new();
        BufReader::new(server.stdout.take().expect("its output"))
            .read_line(&mut line)
            .expect("its port");
        let port = line.trim().parse().expect("a port");
        Self { server, port }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.server.id()
    }

    pub(crate) fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for BareHttp {
    fn drop(&mut self) {
        self.server.kill().expect("ending the floor's server");
        self.server.wait().expect("its end");
    }
}
