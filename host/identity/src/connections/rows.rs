//! What lies on disk of connections: sealed once for secrets and once more by storage, under the organization's key or a
//! person's.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use vaxel_core::{SessionId, TenantId, UnixMs, UserId};
use vaxel_crypto::{ErasureKey, Keyring, Purpose};
use vaxel_storage::Space;

use super::ConnectionSpec;
use crate::IdentityError;
use crate::store::{Tx, erasure_of};

/// Credentials, by plugin, connection and owner.
pub(super) const HELD: Space = Space::host(0x29);
/// OAuth clients that administrators registered, by plugin and connection.
pub(super) const CLIENTS: Space = Space::host(0x2a);
/// What is being connected, by the hash of its state.
pub(super) const PENDING: Space = Space::host(0x2b);

/// Tokens that are to be given back, by plugin and chance.
pub(super) const BACK: Space = Space::host(0x2c);

/// A credential.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Held {
    /// What was agreed to.
    pub(super) agreed: [u8; 32],
    /// The other side takes it no longer.
    pub(super) expired: bool,
    pub(super) what: What,
}

#[derive(Clone, Serialize, Deserialize)]
pub(super) enum What {
    ApiKey {
        key: String,
    },
    Basic {
        name: String,
        password: String,
    },
    Token {
        access: Token,
        refresh: Option<String>,
    },
}

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Token {
    pub(super) value: String,
    /// As the other side said; none if it did not.
    pub(super) ends_at: Option<UnixMs>,
}

/// An OAuth client.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Client {
    pub(super) agreed: [u8; 32],
    pub(super) id: String,
    pub(super) secret: Option<String>,
}

/// Somebody is on their way to agree.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Pending {
    pub(super) spec: ConnectionSpec,
    pub(super) user: UserId,
    pub(super) session: SessionId,
    pub(super) verifier: String,
    pub(super) redirect_uri: String,
    /// The hash of what only their browser has.
    pub(super) binding: [u8; 32],
    pub(super) ends_at: UnixMs,
}

/// A token that is to be given back to where it was had.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Back {
    pub(super) spec: ConnectionSpec,
    pub(super) client: Client,
    pub(super) token: String,
    /// What kind of token it is (RFC 7009 section 2.1).
    pub(super) hint: String,
    /// How often it was tried.
    pub(super) tries: u32,
    /// When it is tried next.
    pub(super) next: UnixMs,
}

/// One space of one tenant, sealed.
#[derive(Clone, Copy)]
pub(super) struct Sealed<'a> {
    pub(super) keyring: &'a Keyring,
    pub(super) tenant: TenantId,
}

impl Sealed<'_> {
    pub(super) fn get<T: DeserializeOwned>(
        self,
        tx: &mut Tx,
        space: Space,
        key: &[u8],
    ) -> Result<Option<T>, IdentityError> {
        let Some(sealed) = tx.get_raw(space, key)? else {
            return Ok(None);
        };
        self.opened(key, &sealed).map(Some)
    }

    pub(super) fn opened<T: DeserializeOwned>(
        self,
        key: &[u8],
        sealed: &[u8],
    ) -> Result<T, IdentityError> {
        let aad = [WHAT, key];
        let purpose = Purpose::Secrets;
        let json = self
            .keyring
            .open_sealed(self.tenant, purpose, &aad, sealed)?;
        serde_json::from_slice(&json).map_err(|_| IdentityError::Damaged { what: "connection" })
    }

    pub(super) fn put<T: Serialize>(
        self,
        tx: &mut Tx,
        space: Space,
        key: &[u8],
        row: &T,
        owner: Option<UserId>,
    ) -> Result<(), IdentityError> {
        let erasure = owner.map_or(ErasureKey::TENANT, erasure_of);
        let json =
            serde_json::to_vec(row).map_err(|_| IdentityError::Damaged { what: "connection" })?;
        let aad = [WHAT, key];
        let sealed = self
            .keyring
            .seal(self.tenant, erasure, Purpose::Secrets, &aad, &json)?;
        tx.put_raw(space, key, sealed, erasure)
    }
}

/// So that nothing else that is sealed for secrets passes for a row.
const WHAT: &[u8] = b"vaxel.v1.connection";
