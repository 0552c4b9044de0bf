//! Why somebody is not let in or something about people was not done, and what each tells a caller.

use vaxel_core::{Problem, Reason};
use vaxel_crypto::CryptoError;
use vaxel_storage::StorageError;

/// A refusal or a fault. Never carries a login, a name, a token or a password.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// Unknown login, wrong password, deactivated: all the same to whoever asks.
    #[error("login or password is wrong")]
    BadCredentials,
    /// Too many attempts.
    #[error("too many attempts")]
    Throttled {
        /// When the next attempt counts again.
        retry_after_ms: u32,
    },
    /// Not the PIN, or there is none: the same to whoever asks.
    #[error("the PIN is wrong; {left} more guesses before a pause")]
    WrongPin {
        /// Guesses that are left before a pause.
        left: u32,
    },
    /// Guessed at too often; only a new PIN helps.
    #[error("the PIN was guessed at too often and needs to be replaced")]
    PinLocked,
    /// More passwords wait to be checked than is sensible.
    #[error("too many logins at once")]
    Busy,
    /// The login session has ended, or never was.
    #[error("the login session has ended")]
    SessionGone,
    /// A refresh token was used twice; its whole login session has been ended.
    #[error("the refresh token was used before; the login session has been ended")]
    RefreshReused,
    /// The link was used, replaced or has run out.
    #[error("the link was used or has run out")]
    LinkGone,
    /// Only an administrator of the organization may do this.
    #[error("only an administrator may do this")]
    NotAdmin,
    /// Nobody would be left to administer the organization.
    #[error("the last active administrator cannot be deactivated")]
    LastAdmin,
    /// Not a certificate to show to a provider, or not with its own key.
    #[error(
        "a chain in PEM that has not ended is expected, with its own key in PEM, without a passphrase"
    )]
    BadCertificate,
    /// Who asked for something cannot be the one who approves it.
    #[error("another administrator has to approve it")]
    SamePerson,
    /// Two people cannot look at something where there is one.
    #[error("there has to be a second active administrator")]
    OneAdmin,
    /// Another person of the organization has this login.
    #[error("this login is taken")]
    LoginTaken,
    /// Another group of the organization has this name.
    #[error("another group has this name")]
    GroupNameTaken,
    /// A name belongs to one role only.
    #[error("this name belongs to another role")]
    RoleNameTaken,
    /// A host name belongs to one tenant only.
    #[error("this host name belongs to another organization")]
    HostTaken,
    /// A slug belongs to one tenant only.
    #[error("this short name is taken")]
    SlugTaken,
    /// Not of the form it must have.
    #[error("{what}: {must}")]
    Malformed {
        /// Which field.
        what: &'static str,
        /// What it must be.
        must: &'static str,
    },
    /// A password that is refused.
    #[error("the password {why}")]
    WeakPassword {
        /// In words that a person can act on.
        why: String,
    },
    /// No such thing in this tenant.
    #[error("no such {what}")]
    Unknown {
        /// What kind of thing.
        what: &'static str,
    },
    /// A number of things is used up.
    #[error("at most {max} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there may be.
        max: usize,
    },
    /// A stored value that does not read as it was written.
    #[error("stored {what} is damaged or of an unknown format")]
    Damaged {
        /// What was read.
        what: &'static str,
    },
    /// Storage refused or failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A key is missing or a sealed value does not open.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
    /// Signing a token failed, or a task died.
    #[error("internal fault: {what}")]
    Fault {
        /// What was being done.
        what: &'static str,
    },
}

impl IdentityError {
    /// What it amounts to.
    pub fn reason(&self) -> Reason {
        match self {
            Self::BadCredentials | Self::SessionGone | Self::RefreshReused => {
                Reason::Unauthenticated
            }
            Self::WrongPin { .. }
            | Self::PinLocked
            | Self::BadCertificate
            | Self::SamePerson
            | Self::OneAdmin => Reason::Refused,
            Self::Throttled { .. } | Self::TooMany { .. } => Reason::LimitReached,
            Self::Busy => Reason::Unavailable,
            Self::LinkGone | Self::Unknown { .. } => Reason::NotFound,
            Self::NotAdmin | Self::LastAdmin => Reason::Forbidden,
            Self::LoginTaken
            | Self::GroupNameTaken
            | Self::RoleNameTaken
            | Self::HostTaken
            | Self::SlugTaken => Reason::Conflict,
            Self::Malformed { .. } | Self::WeakPassword { .. } => Reason::Invalid,
            Self::Storage(error) => error.reason(),
            Self::Damaged { .. } | Self::Crypto(_) | Self::Fault { .. } => Reason::Internal,
        }
    }

    /// What the caller may read of it.
    pub fn problem(&self) -> Problem {
        let reason = self.reason();
        let code = match self {
            Self::BadCredentials => "bad_credentials",
            Self::Throttled { .. } => "throttled",
            Self::WrongPin { .. } => "wrong_pin",
            Self::PinLocked => "pin_locked",
            Self::BadCertificate => "bad_certificate",
            Self::SamePerson => "same_person",
            Self::OneAdmin => "one_administrator",
            Self::SessionGone => "session_ended",
            Self::RefreshReused => "refresh_reused",
            Self::LinkGone => "link_gone",
            Self::LastAdmin => "last_admin",
            Self::LoginTaken => "login_taken",
            Self::GroupNameTaken => "group_name_taken",
            Self::RoleNameTaken => "role_name_taken",
            Self::HostTaken => "host_taken",
            Self::SlugTaken => "slug_taken",
            Self::WeakPassword { .. } => "weak_password",
            _ => reason.code(),
        };
        let problem = match self {
            // What storage, keys and tasks say is for the log.
            Self::Storage(_) | Self::Crypto(_) | Self::Damaged { .. } | Self::Fault { .. } => {
                Problem::from(reason)
            }
            _ => Problem::new(reason, self.to_string()),
        }
        .with_code(code);
        match self {
            Self::Throttled { retry_after_ms } => problem.retry_after_ms(*retry_after_ms),
            Self::Busy => problem.retry_after_ms(1_000),
            _ => problem,
        }
    }

    pub(crate) fn is_conflict(&self) -> bool {
        matches!(self, Self::Storage(error) if error.is_conflict())
    }
}

/// Why an access token does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// Not a token of ours at all.
    #[error("not an access token")]
    Malformed,
    /// Signed with anything but the one algorithm we use.
    #[error("signed with another algorithm")]
    WrongAlgorithm,
    /// A token for something else, an ID token for example.
    #[error("not of the type at+jwt")]
    WrongType,
    /// Header fields that could make us fetch or trust a key.
    #[error("header fields that are not accepted")]
    ForbiddenHeader,
    /// A key that we do not have, or no longer.
    #[error("signed with an unknown key")]
    UnknownKey,
    /// The signature does not fit.
    #[error("the signature does not fit")]
    BadSignature,
    /// Issued by somebody else.
    #[error("issued by somebody else")]
    WrongIssuer,
    /// Meant for somebody else.
    #[error("meant for another audience")]
    WrongAudience,
    /// Its time is over.
    #[error("the access token has expired")]
    Expired,
    /// Its time has not come.
    #[error("the access token is not valid yet")]
    NotYet,
    /// Its login session was ended.
    #[error("the login session has been ended")]
    Revoked,
    /// A good token of another tenant.
    #[error("the access token belongs to another organization")]
    WrongTenant,
}

impl TokenError {
    /// What it amounts to.
    pub const fn reason(self) -> Reason {
        match self {
            Self::WrongTenant => Reason::Forbidden,
            _ => Reason::Unauthenticated,
        }
    }

    /// What the caller may read of it. How a forged token failed is not among it.
    pub fn problem(self) -> Problem {
        let problem = |code: &'static str, detail: String| {
            Problem::new(self.reason(), detail).with_code(code)
        };
        match self {
            Self::Expired => problem("token_expired", self.to_string()),
            Self::Revoked => problem("token_revoked", self.to_string()),
            Self::WrongTenant => problem("wrong_tenant", self.to_string()),
            _ => problem("token_invalid", "the access token is not valid".to_owned()),
        }
    }
}
