//! Who is who: tenants, users, login sessions, tokens, links, throttling, revocation and audit.

mod access;
mod approvals;
mod attempts;
mod audit;
mod audit_chain;
mod audit_check;
mod config;
mod connections;
mod directory;
mod ended;
mod error;
mod groups;
mod identity;
mod keys;
mod links;
mod names;
mod password;
mod refresh;
mod revocation;
mod roles;
mod session;
mod stepup;
mod store;
mod throttle;
mod token;
mod user;

pub use approvals::Approval;
pub use audit::{AuditEntry, AuditPage, Outcome, Used, append_use};
pub use audit_chain::AuditHead;
pub use audit_check::{AuditCheck, AuditFault};
pub use config::IdentityConfig;
pub use connections::{
    Authorization, ConnectionError, ConnectionSpec, ConnectionState, Connections, CredentialKind,
    Given, Ready, erase_clients, erase_credentials,
};
pub use directory::{NewTenant, Tenant};
pub use error::{IdentityError, TokenError};
pub use groups::Group;
pub use identity::Identity;
pub use links::{LinkKind, LinkPreview, OneTimeLink};
pub use names::{check_hosts, check_login, check_name, check_password, check_slug};
pub use revocation::Revoked;
pub use roles::{Holder, Role};
pub use session::SignedIn;
pub use stepup::{
    BROWSER_PROOF_MS, BankIdState, Binding, EidBegun, EidBudget, EidConfig, EidLook, EidRequest,
    EidView, Eids, NAMES_MAX, NewProof, PIN_DIGITS, PROOF_MS, Proof, StepUpError, TakenProof,
    Ticket, TicketGiven, TicketSpending, browser_binding,
};
pub use token::Claims;
pub use user::{NewUser, User, UserPage};
