//! Who calls, and who else belongs to the tenant.

use crate::host;
use crate::{Error, Result};

/// Who calls.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Caller {
    /// `None` for anonymous callers and for what the host itself starts.
    pub user: Option<String>,
    pub admin: bool,
    /// How the caller proved who they are: `anonymous`, `password`, `passkey`, … (open list).
    pub assurance: String,
    pub locale: String,
    pub request_id: String,
}

/// What one may know of another person in the tenant.
#[derive(Clone, PartialEq, Eq)]
pub struct Profile {
    pub id: String,
    pub display_name: String,
    pub active: bool,
}

/// Most people that one host call answers.
pub const PROFILES_MAX: usize = 200;

/// Who calls.
pub fn caller() -> Caller {
    host::caller()
}

/// The calling user's id, or `unauthenticated`.
pub fn user() -> Result<String> {
    caller()
        .user
        .ok_or_else(|| Error::unauthenticated("sign in first"))
}

/// Whether the caller holds a permission that plugin.toml declares.
pub fn has_permission(permission: &str) -> bool {
    host::has_permission(permission)
}

/// `forbidden` unless the caller holds the permission.
pub fn require_permission(permission: &str) -> Result<()> {
    if has_permission(permission) {
        Ok(())
    } else {
        Err(Error::forbidden(format!("this needs {permission}")))
    }
}

/// The person with this id in this tenant.
pub fn profile(user: &str) -> Result<Option<Profile>> {
    Ok(profiles(&[user.to_owned()])?.into_iter().next().flatten())
}

/// The people with these ids (at most [`PROFILES_MAX`]), in order.
pub fn profiles(users: &[String]) -> Result<Vec<Option<Profile>>> {
    host::profiles(users)
}

/// The people of the tenant by id, at most [`PROFILES_MAX`] at a time; pass the last id as `after`.
pub fn members(after: Option<&str>, limit: u32) -> Result<Vec<Profile>> {
    host::members(after, limit)
}

impl std::fmt::Debug for Caller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Caller")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Profile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Profile")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
