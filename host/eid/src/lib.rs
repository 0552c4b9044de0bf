//! Electronic identity: asking a provider who somebody is or to have something signed, and judging what it answers.
//! Nothing here is stored, and nothing here knows a browser.

mod bankid;
mod circuit;
mod evidence;
mod messages;
mod personal_number;
mod provider;
mod qr;

pub use bankid::{BankId, BankIdConfig};
pub use evidence::{EvidenceError, Judge, Shown, Signed};
pub use messages::{Device, Hint, Message};
pub use personal_number::PersonalNumber;
pub use provider::{
    Answering, Asked, CallInitiator, Completion, EidError, EidProvider, Evidence, Order, Person,
    Progress,
};
pub use qr::qr_code;
