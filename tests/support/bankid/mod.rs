//! A stand-in for BankID: the Relying Party API, version 6, over mutual TLS, and the phones of a few people.

pub mod demo;
mod der;
mod issue;
mod phone;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use aws_lc_rs::hmac;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use crate::outside::{Seen, parsed};
use issue::Signing;
pub use issue::{Authorities, Forgery, Pem, Someone};

/// Below the server's address.
const API: &str = "/rp/v6.0/";

/// The stand-in. Clones are the same one.
#[derive(Clone)]
pub struct BankId {
    pub port: u16,
    state: Arc<State>,
}

struct State {
    authorities: Authorities,
    orders: Mutex<BTreeMap<String, Order>>,
    health: watch::Sender<Health>,
    forgery: Mutex<Option<Forgery>>,
    calls: Mutex<Vec<(String, Value)>>,
    count: watch::Sender<usize>,
}

/// How the API does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Health {
    #[default]
    Well,
    /// 503, as in maintenance.
    Down,
    /// Takes calls and never answers.
    Slow,
}

struct Order {
    asked: Value,
    function: Function,
    started: Instant,
    auto_start_token: String,
    qr_start_token: String,
    qr_start_secret: String,
    at: At,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Function {
    Auth,
    Sign,
    Phone,
}

#[derive(Clone)]
enum At {
    Pending(String),
    Failed(String),
    /// Approved; what is answered when it is collected.
    Complete(Box<Value>),
    /// Told already, or called off by the relying party.
    Gone,
}

/// What a phone could not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoOrder {
    /// Nothing of BankID's, or of an order that is over.
    Unknown,
    /// A code of another second, or one that was made up.
    BadCode,
}

impl BankId {
    pub async fn start() -> Self {
        Self::start_at(0).await
    }

    /// At a port of one's own choice.
    pub async fn start_at(port: u16) -> Self {
        let authorities = Authorities::new();
        let acceptor = acceptor(&authorities);
        let listener = TcpListener::bind(("127.0.0.1", port))
            .await
            .expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let state = Arc::new(State {
            authorities,
            orders: Mutex::default(),
            health: watch::Sender::default(),
            forgery: Mutex::default(),
            calls: Mutex::default(),
            count: watch::Sender::default(),
        });
        let bankid = Self { port, state };
        let serving = bankid.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (acceptor, bankid) = (acceptor.clone(), serving.clone());
                tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(socket).await {
                        Box::pin(bankid.serve(stream)).await;
                    }
                });
            }
        });
        bankid
    }

    /// Where the API is.
    pub fn url(&self) -> String {
        format!(
            "https://localhost:{}{}",
            self.port,
            API.trim_end_matches('/')
        )
    }

    pub fn authorities(&self) -> &Authorities {
        &self.state.authorities
    }

    /// From now on.
    pub fn is(&self, health: Health) {
        self.state.health.send_replace(health);
    }

    /// From now on phones make what does not hold.
    pub fn forges(&self, forgery: Option<Forgery>) {
        *self.state.forgery.lock().unwrap() = forgery;
    }

    /// All that was called, without what is below the API's address, and what was sent.
    pub fn calls(&self) -> Vec<(String, Value)> {
        self.state.calls.lock().unwrap().clone()
    }

    /// Waits until something was called so often.
    pub async fn was_called(&self, path: &str, times: usize) {
        let mut count = self.state.count.subscribe();
        let enough = |_: &usize| {
            let calls = self.state.calls.lock().unwrap();
            calls.iter().filter(|(called, _)| called == path).count() >= times
        };
        let waiting = count.wait_for(enough);
        crate::patiently(path, waiting).await.expect("the stand-in");
    }

    /// What was asked when an order was started.
    pub fn asked(&self, order: &str) -> Value {
        self.state.orders.lock().unwrap()[order].asked.clone()
    }

    async fn serve(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin) {
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
        let mut health = self.state.health.subscribe();
        let is_slow = *health.borrow() == Health::Slow;
        if is_slow
            && health
                .wait_for(|health| *health != Health::Slow)
                .await
                .is_err()
        {
            return;
        }
        let (status, body) = if *health.borrow() == Health::Down {
            (503, error("maintenance"))
        } else {
            self.answer(&seen)
        };
        respond(
            &mut stream,
            status,
            "application/json",
            body.to_string().as_bytes(),
        )
        .await;
    }

    fn answer(&self, seen: &Seen) -> (u16, Value) {
        let Some(path) = seen.path.strip_prefix(API) else {
            return (404, error("notFound"));
        };
        if seen.method != "POST" {
            return (405, error("methodNotAllowed"));
        }
        if seen.headers.get("content-type").map(String::as_str) != Some("application/json") {
            return (415, error("unsupportedMediaType"));
        }
        let Ok(asked) = serde_json::from_str::<Value>(&seen.body) else {
            return (400, error("invalidParameters"));
        };
        self.state
            .calls
            .lock()
            .unwrap()
            .push((path.to_owned(), asked.clone()));
        let answer = match path {
            "auth" => self.begin(Function::Auth, asked),
            "sign" => self.begin(Function::Sign, asked),
            "phone/auth" | "phone/sign" => self.begin(Function::Phone, asked),
            "collect" => self.collect(&asked),
            "cancel" => self.cancel(&asked),
            _ => (404, error("notFound")),
        };
        self.state.count.send_modify(|count| *count += 1);
        answer
    }

    fn begin(&self, function: Function, asked: Value) -> (u16, Value) {
        let is = |name: &str| asked[name].as_str().is_some_and(|text| !text.is_empty());
        let fits = match function {
            Function::Auth => is("endUserIp"),
            Function::Sign => is("endUserIp") && is("userVisibleData"),
            Function::Phone => is("personalNumber") && is("callInitiator"),
        };
        // Gone since version 6.
        let is_old = [
            "personalNumber",
            "autoStartTokenRequired",
            "allowFingerprint",
        ]
        .iter()
        .any(|name| function != Function::Phone && !asked[*name].is_null());
        if !fits || is_old {
            return (400, error("invalidParameters"));
        }
        let reference = unguessable();
        let order = Order {
            asked,
            function,
            started: Instant::now(),
            auto_start_token: unguessable(),
            qr_start_token: unguessable(),
            qr_start_secret: unguessable(),
            at: At::Pending(
                if function == Function::Phone {
                    "userCallConfirm"
                } else {
                    "outstandingTransaction"
                }
                .to_owned(),
            ),
        };
        let told = match function {
            Function::Phone => json!({"orderRef": reference}),
            _ => json!({
                "orderRef": reference, "autoStartToken": order.auto_start_token,
                "qrStartToken": order.qr_start_token, "qrStartSecret": order.qr_start_secret,
                "someNewField": {"of": "a later version"},
            }),
        };
        self.state.orders.lock().unwrap().insert(reference, order);
        (200, told)
    }

    fn collect(&self, asked: &Value) -> (u16, Value) {
        let reference = asked["orderRef"].as_str().unwrap_or_default();
        let mut orders = self.state.orders.lock().unwrap();
        let Some(order) = orders.get_mut(reference) else {
            return (400, error("invalidParameters"));
        };
        match order.at.clone() {
            At::Pending(hint) => (
                200,
                json!({"orderRef": reference, "status": "pending", "hintCode": hint}),
            ),
            At::Failed(hint) => (
                200,
                json!({"orderRef": reference, "status": "failed", "hintCode": hint}),
            ),
            // Told once.
            At::Complete(told) => {
                order.at = At::Gone;
                (200, *told)
            }
            At::Gone => (400, error("invalidParameters")),
        }
    }

    fn cancel(&self, asked: &Value) -> (u16, Value) {
        let reference = asked["orderRef"].as_str().unwrap_or_default();
        let mut orders = self.state.orders.lock().unwrap();
        match orders.get_mut(reference) {
            Some(order) if !matches!(order.at, At::Gone) => {
                order.at = At::Gone;
                (200, json!({}))
            }
            _ => (400, error("invalidParameters")),
        }
    }

    /// What a phone's camera sees: opens the order whose code of about now this is.
    pub fn scans(&self, code: &str) -> Result<String, NoOrder> {
        let mut parts = code.split('.');
        let (Some("bankid"), Some(token), Some(second), Some(tag), None) = (
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
        ) else {
            return Err(NoOrder::Unknown);
        };
        self.opens(|order| {
            if order.qr_start_token != token {
                return None;
            }
            let key = hmac::Key::new(hmac::HMAC_SHA256, order.qr_start_secret.as_bytes());
            let expected: String = hmac::sign(&key, second.as_bytes())
                .as_ref()
                .iter()
                .map(|b| format!("{b:02x}"))
                .collect();
            let second: u64 = second.parse().unwrap_or(u64::MAX);
            let age = order.started.elapsed().as_secs();
            // A machine under load draws late; a code of half a minute ago is a photograph.
            let is_fresh = second <= age + 2 && age <= second.saturating_add(30);
            Some(expected == tag && is_fresh)
        })
    }

    /// What a click on the same device does: opens the order of a start address.
    pub fn opens_here(&self, address: &str) -> Result<String, NoOrder> {
        let token = address
            .split(['?', '&'])
            .find_map(|part| part.strip_prefix("autostarttoken="))
            .unwrap_or_default()
            .to_owned();
        self.opens(|order| (order.auto_start_token == token).then_some(true))
    }

    fn opens(&self, mine: impl Fn(&Order) -> Option<bool>) -> Result<String, NoOrder> {
        let mut orders = self.state.orders.lock().unwrap();
        for (reference, order) in orders.iter_mut() {
            match (mine(order), &order.at) {
                (Some(true), At::Pending(_)) => {
                    order.at = At::Pending("userSign".to_owned());
                    return Ok(reference.clone());
                }
                (Some(false), _) => return Err(NoOrder::BadCode),
                _ => {}
            }
        }
        Err(NoOrder::Unknown)
    }

    /// Orders that wait for a phone, oldest first.
    pub fn waiting(&self) -> Vec<String> {
        let orders = self.state.orders.lock().unwrap();
        let mut waiting: Vec<_> = orders
            .iter()
            .filter(|(_, order)| matches!(order.at, At::Pending(_)))
            .map(|(reference, order)| (order.started, reference.clone()))
            .collect();
        waiting.sort();
        waiting
            .into_iter()
            .map(|(_, reference)| reference)
            .collect()
    }

    /// Opens an order as if its code had been scanned: a phone on the same desk as the screen, for people who try things.
    fn picks_up(&self, order: &str) -> Result<String, NoOrder> {
        let mut orders = self.state.orders.lock().unwrap();
        match orders.get_mut(order) {
            Some(one) if matches!(one.at, At::Pending(_)) => {
                one.at = At::Pending("userSign".to_owned());
                Ok(order.to_owned())
            }
            _ => Err(NoOrder::Unknown),
        }
    }

    /// What a person reads on their phone before they agree.
    pub fn reads(&self, order: &str) -> String {
        let orders = self.state.orders.lock().unwrap();
        phone::text(
            orders[order].asked["userVisibleData"]
                .as_str()
                .unwrap_or_default(),
        )
    }

    /// A person agrees with their security code.
    pub fn approves(&self, order: &str, someone: &Someone) {
        let forgery = *self.state.forgery.lock().unwrap();
        let mut orders = self.state.orders.lock().unwrap();
        let one = orders.get_mut(order).expect("an order");
        if !matches!(one.at, At::Pending(_)) {
            return;
        }
        let (signature, ocsp) = self.state.authorities.signs(&Signing {
            someone,
            sign: one.function == Function::Sign,
            visible: one.asked["userVisibleData"].as_str().unwrap_or_default(),
            hidden: one.asked["userNonVisibleData"].as_str(),
            forgery,
        });
        one.at = At::Complete(Box::new(json!({
            "orderRef": order,
            "status": "complete",
            "completionData": {
                "user": {
                    "personalNumber": someone.personal_number,
                    "name": format!("{} {}", someone.given_name, someone.surname),
                    "givenName": someone.given_name,
                    "surname": someone.surname,
                },
                "device": {"ipAddress": "192.0.2.1", "uhi": "OZvYM9VvyiAmG7NA5jU5zqGcVpo="},
                "bankIdIssueDate": "2026-01-01",
                "stepUp": {"mrtd": false},
                "signature": signature,
                "ocspResponse": ocsp,
                "risk": "low",
            },
        })));
    }

    /// It ends badly, with this hint.
    pub fn fails(&self, order: &str, hint: &str) {
        self.becomes(order, At::Failed(hint.to_owned()));
    }

    /// It goes on, with this hint.
    pub fn hints(&self, order: &str, hint: &str) {
        self.becomes(order, At::Pending(hint.to_owned()));
    }

    fn becomes(&self, order: &str, at: At) {
        let mut orders = self.state.orders.lock().unwrap();
        orders.get_mut(order).expect("an order").at = at;
    }

    /// Whether the relying party called an order off, or was told its end.
    pub fn is_over(&self, order: &str) -> bool {
        matches!(self.state.orders.lock().unwrap()[order].at, At::Gone)
    }
}

async fn respond(stream: &mut (impl AsyncWrite + Unpin), status: u16, kind: &str, body: &[u8]) {
    let head = format!(
        "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let _ = stream.write_all(head.as_bytes()).await;
    let _ = stream.write_all(body).await;
    let _ = stream.shutdown().await;
}

fn error(code: &str) -> Value {
    json!({"errorCode": code, "details": "as the stand-in says"})
}

/// Of the form of a UUID, as BankID's are.
fn unguessable() -> String {
    let bytes = aws_lc_rs::rand::generate::<[u8; 16]>(&aws_lc_rs::rand::SystemRandom::new())
        .expect("random bytes")
        .expose();
    let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
    [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ]
    .join("-")
}

fn acceptor(authorities: &Authorities) -> TlsAcceptor {
    let mut roots = RootCertStore::empty();
    let parties = CertificateDer::from(authorities.parties_der());
    roots.add(parties).expect("an authority");
    let verifier = WebPkiClientVerifier::builder(Arc::new(roots))
        .build()
        .expect("a verifier");
    let (certificate, key) = authorities.server();
    let key = PrivateKeyDer::try_from(key).expect("a key");
    let config = ServerConfig::builder()
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![CertificateDer::from(certificate)], key)
        .expect("a TLS configuration");
    TlsAcceptor::from(Arc::new(config))
}
