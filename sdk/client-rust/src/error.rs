//! What can go wrong between a caller and the server.

use serde::Deserialize;
use thiserror::Error;

/// An RFC 9457 problem, as the server states it.
#[derive(Debug, Clone, Deserialize, Error)]
#[error("{status} {code}: {detail}")]
#[serde(default)]
pub struct Problem {
    #[serde(rename = "type")]
    pub kind: String,
    pub title: String,
    pub status: u16,
    pub detail: String,
    pub code: String,
    pub request_id: String,
    pub retry_after_ms: Option<u64>,
}

impl Default for Problem {
    fn default() -> Self {
        Self {
            kind: "about:blank".to_owned(),
            title: String::new(),
            status: 0,
            detail: String::new(),
            code: String::new(),
            request_id: String::new(),
            retry_after_ms: None,
        }
    }
}

/// Why a call gave no result.
#[derive(Debug, Error)]
pub enum ClientError {
    #[error("the server answered with a problem")]
    Problem(#[source] Box<Problem>),
    #[error("reaching the server")]
    Connect(#[source] std::io::Error),
    #[error("speaking HTTP")]
    Http(#[source] hyper::Error),
    #[error("building the request")]
    Request(#[source] http::Error),
    #[error("speaking WebSocket")]
    WebSocket(#[source] Box<yawc::WebSocketError>),
    #[error("reading JSON from the server")]
    Json(#[source] serde_json::Error),
    #[error("reading the address: {0}")]
    Address(String),
    #[error("setting up TLS: {0}")]
    Tls(String),
    #[error("the server broke the protocol: {0}")]
    Protocol(String),
    #[error("the server said goodbye: {0}")]
    Bye(String),
    #[error("the socket is closed")]
    Closed,
}

impl ClientError {
    /// The problem's code, or "" where the failure was not the server's answer.
    #[must_use]
    pub fn code(&self) -> &str {
        self.problem().map_or("", |problem| problem.code.as_str())
    }

    /// The problem's HTTP status, or 0 where the failure was not the server's answer.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.problem().map_or(0, |problem| problem.status)
    }

    #[must_use]
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Problem(problem) => Some(problem),
            _ => None,
        }
    }
}

impl From<Problem> for ClientError {
    fn from(problem: Problem) -> Self {
        Self::Problem(Box::new(problem))
    }
}

impl From<yawc::WebSocketError> for ClientError {
    fn from(source: yawc::WebSocketError) -> Self {
        Self::WebSocket(Box::new(source))
    }
}

impl From<serde_json::Error> for ClientError {
    fn from(source: serde_json::Error) -> Self {
        Self::Json(source)
    }
}

impl From<hyper::Error> for ClientError {
    fn from(source: hyper::Error) -> Self {
        Self::Http(source)
    }
}

impl From<http::Error> for ClientError {
    fn from(source: http::Error) -> Self {
        Self::Request(source)
    }
}
