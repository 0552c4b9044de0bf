//! Pages as data: the host's renderer draws them, in the app and at `/p/`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::Result;

/// What the export `pages` gets with the page's name.
#[derive(Clone, PartialEq, Default)]
pub struct Request {
    /// Behind the page's own address, without a slash before it.
    pub path: String,
    pub query: Vec<(String, String)>,
    /// What was sent; `None` when the page is only looked at.
    pub sent: Option<Sent>,
}

/// A form that somebody sent.
#[derive(Clone, PartialEq, Default, Deserialize)]
pub struct Sent {
    /// Which of the page's actions.
    pub action: String,
    /// By the names of the inputs.
    #[serde(default)]
    pub inputs: Map<String, Value>,
}

impl Request {
    /// A part of the query.
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

impl Sent {
    /// The text of an input, or nothing.
    pub fn text(&self, name: &str) -> &str {
        self.inputs
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }
}

/// What the export takes, for the compiler to say so where something else stands.
#[doc(hidden)]
pub fn fits<P: Serialize>(_show: fn(&str, Request) -> Result<P>) {}

// What people wrote into a form stays out of logs.
impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request")
            .field("sent", &self.sent)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Sent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sent")
            .field("action", &self.action)
            .finish_non_exhaustive()
    }
}
