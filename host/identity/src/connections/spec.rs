//! What a plugin's manifest says of a connection, as far as whoever holds the credential must know it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use vaxel_core::{PluginId, UserId};

/// How a credential is obtained and sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialKind {
    /// OAuth 2 authorization code with PKCE (RFC 7636).
    Oauth2,
    /// OAuth 2 client credentials (RFC 6749 section 4.4).
    ClientCredentials,
    /// A key in a header.
    ApiKey,
    /// A name and a password (RFC 7617).
    Basic,
}

/// A connection of a plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionSpec {
    /// Whose it is.
    pub plugin: PluginId,
    /// Its name there.
    pub name: String,
    /// How it is obtained and sent.
    pub kind: CredentialKind,
    /// Whether each person has their own.
    pub per_user: bool,
    /// Where the credential is ever sent.
    pub hosts: BTreeSet<String>,
    /// Where people agree.
    pub authorize_url: Option<String>,
    /// Where tokens are had.
    pub token_url: Option<String>,
    /// Where tokens are given back.
    pub revoke_url: Option<String>,
    /// What is asked for.
    pub scopes: Vec<String>,
    /// The header of an API key.
    pub header: Option<String>,
}

impl ConnectionSpec {
    /// What was agreed to: a version of the plugin that says otherwise must be agreed to anew, or it could have the
    /// credential sent somewhere else.
    pub(super) fn agreed(&self) -> [u8; 32] {
        let text = serde_json::to_vec(self).unwrap_or_default();
        Sha256::digest(text).into()
    }

    /// Where the credential lies: the organization's, or a person's own.
    pub(super) fn key(&self, owner: Option<UserId>) -> Vec<u8> {
        let owner = owner.map_or([0; 16], UserId::to_bytes);
        [
            self.plugin.as_str().as_bytes(),
            b"\0",
            self.name.as_bytes(),
            b"\0",
            &owner,
        ]
        .concat()
    }
}
