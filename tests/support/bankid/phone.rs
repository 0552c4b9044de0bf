//! The phone as a page: read a code or open an address, see what is asked, agree or not. For people who try things out,
//! and for programs of others that drive the stand-in.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};

use super::{BankId, Someone, respond};
use crate::outside::parsed;

const PAGE: &str = include_str!("phone.html");

/// The longest request: a picture of a code.
const REQUEST_BYTES_MAX: usize = 4 * 1024 * 1024;

impl BankId {
    /// Serves the phone's page on loopback, in the clear. Answers its port.
    pub async fn shows_phone(&self, port: u16) -> u16 {
        let listener = TcpListener::bind(("127.0.0.1", port))
            .await
            .expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let bankid = self.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(bankid.clone().phone(socket));
            }
        });
        port
    }

    async fn phone(self, mut socket: TcpStream) {
        let mut read = Vec::new();
        let seen = loop {
            let mut some = [0; 64 * 1024];
            match socket.read(&mut some).await {
                Ok(0) | Err(_) => return,
                Ok(n) => read.extend_from_slice(&some[..n]),
            }
            if read.len() > REQUEST_BYTES_MAX {
                return;
            }
            if let Some(seen) = parsed(&read) {
                break seen;
            }
        };
        if seen.method == "GET" {
            respond(
                &mut socket,
                200,
                "text/html; charset=utf-8",
                PAGE.as_bytes(),
            )
            .await;
            return;
        }
        let asked: Value = serde_json::from_str(&seen.body).unwrap_or_default();
        let answer = self.presses(&seen.path, &asked);
        let (status, told) = match answer {
            Ok(told) => (200, told),
            Err(why) => (400, json!({ "error": why })),
        };
        respond(
            &mut socket,
            status,
            "application/json",
            told.to_string().as_bytes(),
        )
        .await;
    }

    fn presses(&self, path: &str, asked: &Value) -> Result<Value, &'static str> {
        let text = |name: &str| asked[name].as_str().unwrap_or_default();
        let opened = |order: Result<String, _>| match order {
            Ok(order) => {
                let reads = self.reads(&order);
                let back = self.asked(&order)["returnUrl"].clone();
                Ok(json!({"order": order, "text": reads, "returnUrl": back}))
            }
            Err(super::NoOrder::Unknown) => Err("no such order"),
            Err(super::NoOrder::BadCode) => Err("the code is too old"),
        };
        match path {
            "/scan" => opened(self.scans(text("code"))),
            "/photo" => match seen(asked) {
                Some(code) => opened(self.scans(&code)),
                None => Err("no code to be seen"),
            },
            "/pick_up" => opened(self.picks_up(text("order"))),
            "/waiting" => Ok(json!({"items": self.waiting().iter().map(|order| {
                json!({"order": order, "text": self.reads(order)})
            }).collect::<Vec<_>>()})),
            "/open" => opened(self.opens_here(text("address"))),
            "/approve" => {
                let someone = match text("person") {
                    "bo" => Someone::bo(),
                    _ => Someone::asa(),
                };
                self.pressed(text("order"), |order| self.approves(order, &someone))
            }
            "/cancel" => self.pressed(text("order"), |order| self.fails(order, "userCancel")),
            "/fail" => self.pressed(text("order"), |order| self.fails(order, text("hint"))),
            _ => Err("no such button"),
        }
    }

    fn pressed(&self, order: &str, act: impl Fn(&str)) -> Result<Value, &'static str> {
        if !self.state.orders.lock().unwrap().contains_key(order) {
            return Err("no such order");
        }
        act(order);
        Ok(json!({}))
    }
}

/// The code on a picture: `width`, and a byte of grey for each pixel.
fn seen(asked: &Value) -> Option<String> {
    let width = usize::try_from(asked["width"].as_u64()?).ok()?;
    let grey = BASE64.decode(asked["grey"].as_str()?).ok()?;
    let height = grey.len().checked_div(width)?;
    let mut image =
        rqrr::PreparedImage::prepare_from_greyscale(width, height, |x, y| grey[y * width + x]);
    let grids = image.detect_grids();
    Some(grids.first()?.decode().ok()?.1)
}

/// What was sent to be shown, as text.
pub(super) fn text(base64: &str) -> String {
    let bytes = BASE64.decode(base64).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}
