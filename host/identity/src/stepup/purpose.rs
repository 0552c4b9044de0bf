//! A person under one purpose: the same each time for that purpose, nobody's for any other, and nobody's at all once the
//! purpose is closed and its key destroyed.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde::{Deserialize, Serialize};
use vaxel_core::{OpCx, PluginId, TenantId};
use vaxel_crypto::{CryptoError, ErasureKey, Keyring, random_bytes};
use vaxel_eid::PersonalNumber;
use vaxel_storage::Space;

use super::check_name;
use crate::IdentityError;
use crate::audit::{AuditEntry, Outcome};
use crate::identity::{Identity, blocking};
use crate::store::{Row, STEP_UP};

/// In front of a purpose's key among the rows of step-up.
const KEY: &[u8] = b"purpose/";

/// What pseudonyms of one purpose are made with; under an erasure key of its own.
#[derive(Serialize, Deserialize)]
struct PurposeRow {
    secret: [u8; 32],
}

impl Row for PurposeRow {
    const SPACE: Space = STEP_UP;
    const WHAT: &'static str = "purpose";
}

/// Where a purpose's secret lies and which key erases it.
pub(super) struct Place {
    name: [u8; 32],
    pub(super) erasure: ErasureKey,
}

impl Place {
    pub(super) fn of(
        keyring: &Keyring,
        tenant: TenantId,
        plugin: &PluginId,
        purpose: &str,
    ) -> Result<Self, IdentityError> {
        check_name(purpose)?;
        let name = [plugin.as_str().as_bytes(), b"\0", purpose.as_bytes()].concat();
        let place = keyring.blind(tenant, "purpose", &name)?;
        let id = keyring.blind(tenant, "purpose-erasure", &name)?;
        let (id, _) = id.split_first_chunk::<16>().ok_or(IdentityError::Fault {
            what: "naming a purpose's key",
        })?;
        Ok(Self {
            name: place,
            erasure: ErasureKey::named(u128::from_be_bytes(*id)),
        })
    }

    /// Where a row about the purpose lies.
    pub(super) fn key_of(&self, kind: &[u8]) -> Vec<u8> {
        [kind, &self.name].concat()
    }
}

impl Identity {
    /// The person's name under this purpose: 43 characters that say nothing. `Unknown` once the purpose was closed.
    pub(crate) async fn pseudonym(
        &self,
        tenant: TenantId,
        plugin: &PluginId,
        purpose: &str,
        person: &PersonalNumber,
    ) -> Result<String, IdentityError> {
        let place = Place::of(&self.inner.keyring, tenant, plugin, purpose)?;
        let secret = self.secret_of(tenant, &place).await?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
        Ok(BASE64.encode(hmac::sign(&key, person.expose().as_bytes())))
    }

    /// What only this purpose is hashed with; made when it is first asked for.
    pub(super) async fn secret_of(
        &self,
        tenant: TenantId,
        place: &Place,
    ) -> Result<[u8; 32], IdentityError> {
        let key = place.key_of(KEY);
        let look = |tx: &mut crate::store::Tx| tx.get::<PurposeRow>(&key);
        match self.inner.store.look(tenant, look)? {
            Some(row) => Ok(row.secret),
            None => self.begin_purpose(tenant, place).await,
        }
    }

    async fn begin_purpose(
        &self,
        tenant: TenantId,
        place: &Place,
    ) -> Result<[u8; 32], IdentityError> {
        self.make_erasure_key(tenant, place.erasure).await?;
        let key = place.key_of(KEY);
        self.inner
            .store
            .change(tenant, |tx| {
                if let Some(row) = tx.get::<PurposeRow>(&key)? {
                    return Ok(row.secret);
                }
                let row = PurposeRow {
                    secret: random_bytes(),
                };
                tx.put(&key, &row, place.erasure)?;
                Ok(row.secret)
            })
            .await
    }

    /// `Unknown` where the purpose was closed: its key is not made twice.
    pub(super) async fn make_erasure_key(
        &self,
        tenant: TenantId,
        erasure: ErasureKey,
    ) -> Result<(), IdentityError> {
        let keyring = std::sync::Arc::clone(&self.inner.keyring);
        let made = blocking(move || Ok(keyring.create_key(tenant, erasure))).await?;
        made.map_err(|error| match error {
            CryptoError::KeyMissing => IdentityError::Unknown { what: "purpose" },
            error => error.into(),
        })
    }

    /// Closes a purpose for ever: no pseudonym of it can be made or compared again, in no backup either.
    pub async fn close_purpose(
        &self,
        cx: &OpCx,
        plugin: &PluginId,
        purpose: &str,
    ) -> Result<(), IdentityError> {
        let tenant = cx.tenant;
        let place = Place::of(&self.inner.keyring, tenant, plugin, purpose)?;
        // Made first, if nobody came: so that nobody comes later.
        let (keyring, erasure) = (std::sync::Arc::clone(&self.inner.keyring), place.erasure);
        blocking(move || {
            match keyring.create_key(tenant, erasure) {
                Ok(()) => keyring.destroy_key(tenant, erasure)?,
                // Closed before.
                Err(CryptoError::KeyMissing) => {}
                Err(error) => return Err(error.into()),
            }
            Ok(())
        })
        .await?;
        self.inner
            .store
            .change(tenant, |tx| {
                tx.delete(STEP_UP, &place.key_of(KEY))?;
                super::ticket::forget_key(tx, &place)?;
                let entry = AuditEntry::of(cx, "stepup.close", Outcome::Done);
                tx.append(&entry.about(plugin.as_str()))
            })
            .await
    }
}
