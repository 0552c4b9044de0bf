//! What an operator may choose about identity; everything else is a named constant beside its use.

use vaxel_crypto::password::Cost;

/// Choices made at start.
#[derive(Clone, Debug)]
pub struct IdentityConfig {
    /// Who issues tokens, as a URL. `{host}` stands for the tenant's first host name and `{slug}` for its slug:
    /// `https://{host}`. Never taken from a request, and without the port that happens to be listened on: every token
    /// ends when its issuer has another name.
    pub issuer_base: String,
    /// What one password hash costs.
    pub password_cost: Cost,
    /// The shortest password that is accepted, in characters.
    pub password_chars_min: usize,
    /// Password hashes computed at once, so that a spray of logins leaves cores to everybody else.
    pub hashes_at_once: usize,
    /// Tokens whose signature need not be checked again; about 300 bytes each.
    pub verified_tokens_max: usize,
}

impl Default for IdentityConfig {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            issuer_base: "https://{host}".to_owned(),
            password_cost: Cost::default(),
            password_chars_min: 10,
            hashes_at_once: (cores / 2).clamp(1, 8),
            verified_tokens_max: 50_000,
        }
    }
}
