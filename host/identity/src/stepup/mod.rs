//! Step-up: showing once more who one is, for one purpose. A PIN or an eID is checked by the host, on its own pages;
//! what a plugin gets is a proof to spend.

mod eid;
mod people;
mod pin;
mod proof;
mod purpose;
mod ticket;

pub use eid::{
    BankIdState, EidBegun, EidBudget, EidConfig, EidLook, EidRequest, EidView, Eids, StepUpError,
    TakenProof, browser_binding,
};
pub use people::NAMES_MAX;
pub use pin::PIN_DIGITS;
pub use proof::{BROWSER_PROOF_MS, Binding, NewProof, PROOF_MS, Proof};
pub use ticket::{Ticket, TicketGiven, TicketSpending};

/// The longest name of a purpose or a scope: a kind and an id.
const NAME_LEN_MAX: usize = 128;

/// Whether a plugin's name for a purpose or a scope is one.
fn check_name(name: &str) -> Result<(), crate::IdentityError> {
    let fits = !name.is_empty()
        && name.len() <= NAME_LEN_MAX
        && name.bytes().all(|b| b.is_ascii_graphic());
    if fits {
        Ok(())
    } else {
        Err(crate::IdentityError::Malformed {
            what: "purpose",
            must: "has 1 to 128 visible ASCII characters",
        })
    }
}
