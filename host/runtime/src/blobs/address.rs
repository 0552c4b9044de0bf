//! Addresses of blobs: sealed, so that nobody can make or change one, for one deed with one blob by one person, and soon
//! over.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use serde::{Deserialize, Serialize};
use vaxel_core::{PluginId, TenantId, UnixMs, UserId};
use vaxel_crypto::{CryptoError, ErasureKey, Keyring, Purpose};

/// How long an address holds at most.
pub(crate) const ADDRESS_MS_MAX: u64 = 300_000;

/// What is sealed together with an address.
const BOUND: &[&[u8]] = &[b"blob-address"];

/// What may be done at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Deed {
    Upload,
    Download,
}

/// What an address says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Address {
    pub(crate) deed: Deed,
    pub(crate) plugin: PluginId,
    pub(crate) id: u128,
    /// Nobody, where a public page has it.
    pub(crate) user: Option<UserId>,
    pub(crate) until: UnixMs,
}

impl Address {
    /// The path at the tenant's host.
    pub(crate) fn path(&self, keyring: &Keyring, tenant: TenantId) -> Result<String, CryptoError> {
        let json = serde_json::to_vec(self).map_err(|_| CryptoError::Unsealable)?;
        let sealed = keyring.seal(tenant, ErasureKey::TENANT, Purpose::Tokens, BOUND, &json)?;
        Ok(format!("/api/v1/blobs/{}", BASE64.encode(sealed)))
    }

    /// What the last part of such a path says, if this host wrote it for this tenant.
    pub(crate) fn read(keyring: &Keyring, tenant: TenantId, text: &str) -> Option<Self> {
        let sealed = BASE64.decode(text).ok()?;
        let json = keyring
            .open_sealed(tenant, Purpose::Tokens, BOUND, &sealed)
            .ok()?;
        serde_json::from_slice(&json).ok()
    }
}
