//! Why a connection could not be made or used. Never carries a credential, a code or a state.

use vaxel_core::{Problem, Reason};
use vaxel_net::EgressError;

use crate::IdentityError;

/// A connection that is not there, or cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectionError {
    /// Nobody connected it, or the plugin has changed what it is.
    #[error("the connection is missing")]
    Missing,
    /// The other side takes it no longer.
    #[error("the connection has ended and must be made anew")]
    Expired,
    /// Each person has their own, and nobody is signed in.
    #[error("the connection belongs to people, and nobody is signed in")]
    NobodysOwn,
    /// An administrator must register a client first.
    #[error("an administrator must give a client identifier first")]
    NoClient,
    /// What was given does not fit the kind of connection.
    #[error("{0}")]
    Unfitting(&'static str),
    /// The state is unknown, used, too old, or another browser's.
    #[error("the request to connect is unknown or too old")]
    UnknownState,
    /// Too many are being made.
    #[error("too many connections are being made at once")]
    TooMany,
    /// The other side said no.
    #[error("the other side refused")]
    Refused,
    /// The other side does not answer, or not as it should.
    #[error("the other side did not answer as it should")]
    Unreachable,
    /// It could not be reached.
    #[error(transparent)]
    Egress(#[from] EgressError),
    /// Storage or a key failed.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

impl ConnectionError {
    /// What it amounts to.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Missing | Self::Expired | Self::NoClient | Self::Unreachable => {
                Reason::Unavailable
            }
            Self::NobodysOwn => Reason::Unauthenticated,
            Self::Unfitting(_) => Reason::Invalid,
            Self::UnknownState => Reason::NotFound,
            Self::TooMany => Reason::LimitReached,
            Self::Refused => Reason::Refused,
            Self::Egress(error) => error.reason(),
            Self::Identity(error) => error.reason(),
        }
    }

    /// What the caller may read of it.
    pub fn problem(&self) -> Problem {
        let code = match self {
            Self::Missing => "connection-missing",
            Self::Expired => "connection-expired",
            Self::NoClient => "connection-without-client",
            Self::Refused => "connection-refused",
            Self::Identity(error) => return error.problem(),
            _ => return Problem::new(self.reason(), self.to_string()),
        };
        Problem::new(self.reason(), self.to_string()).with_code(code)
    }
}
