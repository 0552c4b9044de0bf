//! The one error of plugins: what a method returns and what every capability fails with.

use std::borrow::Cow;
use std::fmt;

/// The result of a method or a capability.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What the caller gets to read. `code` is from an open list; the host maps the known ones to an HTTP status and
/// treats every other as 422.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    pub code: Cow<'static, str>,
    pub message: String,
    pub retry_after_ms: Option<u32>,
}

impl Error {
    /// An error with a code of the plugin's own (`unsupported`, `conversation-full`, …): kebab-case.
    pub fn new(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
            retry_after_ms: None,
        }
    }

    /// 404: it is not there, or the caller may not know that it is.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new("not-found", message)
    }

    /// 403: the caller may not do this.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new("forbidden", message)
    }

    /// 401: the method needs a signed-in user.
    pub fn unauthenticated(message: impl Into<String>) -> Self {
        Self::new("unauthenticated", message)
    }

    /// 422: the parameters make no sense.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new("invalid", message)
    }

    /// 409: the state does not allow it.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new("conflict", message)
    }

    /// 429: a maximum is reached.
    pub fn limit(message: impl Into<String>) -> Self {
        Self::new("limit", message)
    }

    /// 500: a fault of the plugin, such as a stored value it cannot read.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new("internal", message)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for Error {}
