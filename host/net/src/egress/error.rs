//! Why a request did not go out, or what came back could not be taken. Names hosts, never what was sent or answered.

use vaxel_core::Reason;

/// A request to the outside that gave no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EgressError {
    /// The address, the method or a header is not one that may be sent.
    #[error("{0}")]
    Invalid(&'static str),
    /// The host is none of those that were granted.
    #[error("{host} is none of the hosts that were granted")]
    NotGranted {
        /// Which one.
        host: String,
    },
    /// The connection's credential does not belong to this host.
    #[error("the connection is not for {host}")]
    NotForHost {
        /// Which one.
        host: String,
    },
    /// The name leads to an address that is not outside.
    #[error("{host} is at an address that plugins may not reach")]
    Inner {
        /// Which one.
        host: String,
    },
    /// The name leads nowhere.
    #[error("{host} was not found")]
    Unresolved {
        /// Which one.
        host: String,
    },
    /// Nobody answers there, or not in TLS that we trust, or not in HTTP.
    #[error("{host} could not be reached: {why}")]
    Unreachable {
        /// Which one.
        host: String,
        /// In short.
        why: &'static str,
    },
    /// It did not answer in time.
    #[error("no answer in time")]
    Timeout,
    /// What was to be sent, or what was answered, is too large.
    #[error("{what} is larger than {max} bytes")]
    TooLarge {
        /// What.
        what: &'static str,
        /// The maximum.
        max: usize,
    },
    /// Sent on and on.
    #[error("more than {max} redirects")]
    Redirects {
        /// The maximum.
        max: usize,
    },
    /// Too many requests are under way.
    #[error("too many requests to the outside at once")]
    Busy,
}

impl EgressError {
    /// What it amounts to.
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Invalid(_) => Reason::Invalid,
            Self::NotGranted { .. } | Self::NotForHost { .. } | Self::Inner { .. } => {
                Reason::Forbidden
            }
            Self::Unresolved { .. }
            | Self::Unreachable { .. }
            | Self::Timeout
            | Self::Redirects { .. } => Reason::Unavailable,
            Self::TooLarge { .. } => Reason::TooLarge,
            Self::Busy => Reason::LimitReached,
        }
    }
}
