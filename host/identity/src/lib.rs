//! Who is who: tenants, users, login sessions, tokens, links, throttling, revocation and audit.

mod audit;
mod config;
mod directory;
mod error;
mod groups;
mod identity;
mod keys;
mod links;
mod names;
mod password;
mod refresh;
mod revocation;
mod session;
mod store;
mod throttle;
mod token;
mod user;

pub use audit::{AuditEntry, AuditPage, Outcome};
pub use config::IdentityConfig;
pub use directory::{NewTenant, Tenant};
pub use error::{IdentityError, TokenError};
pub use groups::Group;
pub use identity::Identity;
pub use links::{LinkKind, LinkPreview, OneTimeLink};
pub use revocation::Revoked;
pub use session::SignedIn;
pub use token::Claims;
pub use user::{NewUser, User, UserPage};
