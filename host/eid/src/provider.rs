//! What a provider of electronic identity does, whichever it is: starts, is asked how it goes, and can be called off.

use std::fmt;
use std::net::IpAddr;
use std::pin::Pin;

use vaxel_core::{Reason, UnixMs};
use vaxel_crypto::Secret;

use crate::{Hint, PersonalNumber};

/// What a provider answers, some time.
pub type Answering<'a, T> = Pin<Box<dyn Future<Output = Result<T, EidError>> + Send + 'a>>;

/// Who called whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallInitiator {
    /// They called us.
    User,
    /// We called them.
    RelyingParty,
}

/// What is asked of somebody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// The address that they come from, as this server sees it.
    pub address: Option<IpAddr>,
    /// What they read before they agree.
    pub visible: String,
    /// What is signed with it unseen: a hash, a name of an order.
    pub hidden: Vec<u8>,
    /// Whether it is to be signed, and not only shown while somebody says who they are.
    pub sign: bool,
    /// Where the app sends the browser of the same device afterwards.
    pub return_url: Option<String>,
    /// The host that the person sees in their browser.
    pub host: String,
    /// The browser, as it names itself.
    pub browser: String,
    /// Nobody but this person.
    pub only: Option<PersonalNumber>,
}

/// An order under way. It has no Debug that shows anything: whoever has the secret can draw codes.
#[derive(Clone)]
pub struct Order {
    /// The provider's name for it.
    pub reference: String,
    /// Starts the app on the same device.
    pub auto_start_token: String,
    /// Stands in the code that is scanned.
    pub qr_start_token: String,
    /// Makes the code; it stays on this server.
    pub qr_start_secret: Secret<String>,
    /// When it was started.
    pub at: UnixMs,
}

impl fmt::Debug for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Order")
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

/// Somebody who showed who they are. Nothing of it is printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Person {
    /// Twelve digits.
    pub personal_number: PersonalNumber,
    /// As the provider writes it.
    pub name: String,
}

impl fmt::Debug for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Person(…)")
    }
}

/// What proves it to somebody else: the signature and that the certificate was good, as they came (Base64).
#[derive(Clone, PartialEq, Eq)]
pub struct Evidence {
    /// The XML signature.
    pub signature: String,
    /// The OCSP response.
    pub ocsp: String,
}

impl fmt::Debug for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Evidence(…)")
    }
}

/// How it ended well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// Who.
    pub person: Person,
    /// The proof, already judged.
    pub evidence: Evidence,
}

/// How an order goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Not ended.
    Pending(Hint),
    /// Ended, and nobody showed who they are.
    Failed(Hint),
    /// Ended well.
    Complete(Box<Completion>),
}

/// Why a provider could not be asked, or what it answered cannot be taken. Never says who.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EidError {
    /// It is down, slow or in maintenance, or was so a moment ago.
    #[error("the provider does not answer")]
    Unavailable {
        /// When to ask again.
        retry_after_ms: u32,
    },
    /// It wants fewer questions.
    #[error("the provider was asked too often")]
    Busy,
    /// Another order is open for the same person.
    #[error("another order is open for the same person")]
    AlreadyInProgress,
    /// It does not know the order, or takes the question for wrong.
    #[error("the provider refused: {code}")]
    Refused {
        /// Its own word, at most some letters.
        code: String,
    },
    /// It does not take our certificate.
    #[error("the provider does not take our certificate")]
    Unauthorized,
    /// What it answered is not what this version knows.
    #[error("the provider's answer cannot be read")]
    Unreadable,
    /// It says complete, and the proof does not hold.
    #[error("the proof does not hold: {0}")]
    Forged(#[from] crate::EvidenceError),
    /// What was to be shown is too long or empty.
    #[error("what is shown has 1 to {max} bytes")]
    Unshowable {
        /// The longest.
        max: usize,
    },
}

impl EidError {
    /// What it amounts to.
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Unavailable { .. } | Self::Busy => Reason::Unavailable,
            Self::AlreadyInProgress => Reason::Conflict,
            Self::Refused { .. } => Reason::Refused,
            Self::Unauthorized | Self::Unreadable => Reason::Internal,
            Self::Forged(_) => Reason::Forbidden,
            Self::Unshowable { .. } => Reason::Invalid,
        }
    }
}

/// A provider, as one organization is known to it.
pub trait EidProvider: Send + Sync + 'static {
    /// `bankid`: what proofs and the audit call it.
    fn name(&self) -> &'static str;

    /// Starts an order.
    fn start(&self, asked: Asked) -> Answering<'_, Order>;

    /// Starts an order with somebody on the phone.
    fn start_call(
        &self,
        asked: Asked,
        person: PersonalNumber,
        initiator: CallInitiator,
    ) -> Answering<'_, Order>;

    /// How an order goes. What was asked is needed to judge the end of it. An end is told once.
    fn collect<'a>(&'a self, order: &'a Order, asked: &'a Asked) -> Answering<'a, Progress>;

    /// Calls an order off. One that has ended already is no error.
    fn cancel<'a>(&'a self, order: &'a Order) -> Answering<'a, ()>;
}
