//! Requests to the outside, to hosts that plugin.toml names; the host adds credentials that the plugin never sees.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::method::{read, write};
use crate::{Result, host};

/// Most requests of one [`send_all`].
pub const AT_ONCE_MAX: usize = 8;

/// A request: `http::post("https://api.example.com/notes").connection("notes").json(&note)?.send()?`.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    pub method: String,
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: Option<Vec<u8>>,
    pub connection: Option<String>,
    pub timeout_ms: Option<u32>,
}

/// What came back, whatever its status.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    /// At most 1 MiB.
    pub body: Vec<u8>,
}

/// Whether the host has a credential for a connection of plugin.toml.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionState {
    Missing,
    Connected,
    Expired,
}

/// A request with any method.
pub fn request(method: &str, url: &str) -> Request {
    Request {
        method: method.to_owned(),
        url: url.to_owned(),
        headers: Vec::new(),
        body: None,
        connection: None,
        timeout_ms: None,
    }
}

/// A GET.
pub fn get(url: &str) -> Request {
    request("GET", url)
}

/// A POST.
pub fn post(url: &str) -> Request {
    request("POST", url)
}

/// A PUT.
pub fn put(url: &str) -> Request {
    request("PUT", url)
}

/// A PATCH.
pub fn patch(url: &str) -> Request {
    request("PATCH", url)
}

/// A DELETE.
pub fn delete(url: &str) -> Request {
    request("DELETE", url)
}

/// Sends up to [`AT_ONCE_MAX`] requests at once; the answers come in their order.
pub fn send_all(requests: &[Request]) -> Vec<Result<Response>> {
    host::fetch_all(requests)
}

/// Whether a connection is there to be used.
pub fn connection(name: &str) -> ConnectionState {
    host::state_of(name)
}

impl Request {
    /// Adds a header. Credentials are connections, and such headers are refused.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Has the host add the credential of a connection of plugin.toml.
    pub fn connection(mut self, name: &str) -> Self {
        self.connection = Some(name.to_owned());
        self
    }

    /// Waits no longer than this; at most ten seconds, which is also what holds if it is not said.
    pub fn timeout_ms(mut self, timeout_ms: u32) -> Self {
        self.timeout_ms = Some(timeout_ms);
        self
    }

    /// Sends bytes.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// Sends JSON.
    pub fn json<T: Serialize + ?Sized>(self, body: &T) -> Result<Self> {
        let body = write(body, "the body")?;
        Ok(self.header("content-type", "application/json").body(body))
    }

    /// Sends it. A re-run of the call gets the recorded answer.
    pub fn send(&self) -> Result<Response> {
        host::fetch(self)
    }
}

impl Response {
    /// An answer with a text, for the export `http` and for tests.
    pub fn text(status: u16, body: &str) -> Self {
        Self {
            status,
            headers: vec![(
                "content-type".to_owned(),
                "text/plain; charset=utf-8".to_owned(),
            )],
            body: body.as_bytes().to_vec(),
        }
    }

    /// An answer with JSON, for the export `http` and for tests.
    pub fn of_json<T: Serialize + ?Sized>(status: u16, body: &T) -> Result<Self> {
        Ok(Self {
            status,
            headers: vec![("content-type".to_owned(), "application/json".to_owned())],
            body: write(body, "the answer")?,
        })
    }

    /// Whether the status is 200 to 299.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// A header, whatever the case of its name.
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// The body as JSON.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        read(&self.body, "the answer")
    }
}

/// What the export `http` gets: a request to `/hooks/<plugin>/` from anybody.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Incoming {
    pub method: String,
    /// Behind `/hooks/<plugin>/`.
    pub path: String,
    pub query: String,
    pub headers: Vec<(String, String)>,
    /// At most 1 MiB.
    pub body: Vec<u8>,
}

impl Incoming {
    /// A header, whatever the case of its name.
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// The body as JSON.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        read(&self.body, "the body")
    }
}

fn find<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers
        .iter()
        .find(|(header, _)| header.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_str())
}

// Addresses, headers and bodies are people's or secrets.
impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("connection", &self.connection)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Response {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Incoming {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Incoming")
            .field("method", &self.method)
            .finish_non_exhaustive()
    }
}
