//! An echo over the very handshake, options and way to close of our own socket, for WebSocket conformance suites.
//! Only the largest message differs.
//!
//! `cargo run --release -p vaxel-gateway --example ws_echo -- 9001 [--deflate]`

use std::convert::Infallible;

use futures_util::SinkExt as _;
use http::StatusCode;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;
use vaxel_gateway::{accept_socket, part_after, socket_options};
use yawc::{HttpWebSocket, OpCode, UpgradeFut};

/// The suites send messages of 16 MiB; our own socket takes 256 KiB.
const MESSAGE_BYTES_MAX: usize = 32 * 1024 * 1024;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let deflate = arguments.iter().any(|argument| argument == "--deflate");
    let port = arguments
        .iter()
        .find_map(|argument| argument.parse::<u16>().ok())
        .unwrap_or(9001);
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    println!("ready ws://{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(request, deflate));
            let _ = auto::Builder::new(TokioExecutor::new())
                .http1_only()
                .serve_connection_with_upgrades(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    deflate: bool,
) -> Result<Response<axum::body::Body>, Infallible> {
    let (mut parts, _) = request.into_parts();
    match accept_socket(&mut parts, socket_options(MESSAGE_BYTES_MAX, deflate)).await {
        Ok((response, upgrade)) => {
            tokio::spawn(echo(upgrade));
            Ok(response)
        }
        Err(problem) => {
            let mut response = Response::new(axum::body::Body::from(problem.detail));
            *response.status_mut() = StatusCode::BAD_REQUEST;
            Ok(response)
        }
    }
}

async fn echo(upgrade: UpgradeFut) {
    let Ok(mut socket): Result<HttpWebSocket, _> = upgrade.await else {
        return;
    };
    loop {
        match socket.next_frame().await {
            Ok(frame) if matches!(frame.opcode(), OpCode::Text | OpCode::Binary) => {
                if socket.send(frame).await.is_err() {
                    return;
                }
            }
            Ok(_) => {}
            Err(error) => {
                let _ = part_after(&mut socket, &error).await;
                return;
            }
        }
    }
}
