//! Why an operation did not happen, in words every edge can translate.

use std::borrow::Cow;
use std::fmt;

/// The outcome a caller may act on.
///
/// Each crate keeps its own detailed error and says which reason it amounts to;
/// only the gateway turns a reason into a status code, only the runtime into a WIT error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Reason {
    /// There is no such thing, or none that this caller may know of.
    #[error("not found")]
    NotFound,
    /// The caller may not do this.
    #[error("not allowed")]
    Forbidden,
    /// Nobody is signed in, or no longer.
    #[error("sign in first")]
    Unauthenticated,
    /// A stronger proof of identity is wanted.
    #[error("stronger proof of identity needed")]
    StepUpRequired,
    /// The input is not of the form it must have.
    #[error("malformed")]
    Invalid,
    /// The input is well-formed and cannot be done as things stand.
    #[error("not possible as things stand")]
    Refused,
    /// Somebody else changed the same thing; asking again may work.
    #[error("changed by someone else")]
    Conflict,
    /// The input is larger than its named maximum.
    #[error("too large")]
    TooLarge,
    /// A rate, a quota or a number of things is used up.
    #[error("limit reached")]
    LimitReached,
    /// Cannot be done now; later it may.
    #[error("try again later")]
    Unavailable,
    /// A fault on our side; the log knows more than the caller.
    #[error("internal fault")]
    Internal,
}

impl Reason {
    /// The word for it in `code`, where nothing more exact is known.
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::Forbidden => "forbidden",
            Self::Unauthenticated => "unauthenticated",
            Self::StepUpRequired => "step_up_required",
            Self::Invalid => "invalid",
            Self::Refused => "refused",
            Self::Conflict => "conflict",
            Self::TooLarge => "too_large",
            Self::LimitReached => "limit",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
        }
    }
}

/// What a caller may read of a failure: never a stack, a path or a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What kind of failure it is.
    pub reason: Reason,
    /// A stable word for programs; the list is open.
    pub code: Cow<'static, str>,
    /// A sentence for people.
    pub detail: String,
    /// When it makes sense to try again, in milliseconds.
    pub retry_after_ms: Option<u32>,
}

impl Problem {
    /// A failure of this kind, said in a sentence.
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self {
            reason,
            code: Cow::Borrowed(reason.code()),
            detail: detail.into(),
            retry_after_ms: None,
        }
    }

    /// The same with a more exact word for programs.
    #[must_use]
    pub fn with_code(mut self, code: impl Into<Cow<'static, str>>) -> Self {
        self.code = code.into();
        self
    }

    /// The same with the time after which to try again.
    #[must_use]
    pub const fn retry_after_ms(mut self, ms: u32) -> Self {
        self.retry_after_ms = Some(ms);
        self
    }
}

impl From<Reason> for Problem {
    fn from(reason: Reason) -> Self {
        Self::new(reason, reason.to_string())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.detail)
    }
}

impl std::error::Error for Problem {}
