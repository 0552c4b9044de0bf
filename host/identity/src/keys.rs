//! The keys that sign access tokens: one in use, one to come, and the one before while its tokens live.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use jsonwebtoken::jwk::{Jwk, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use serde::{Deserialize, Serialize};
use vaxel_core::{TenantId, UnixMs};
use vaxel_crypto::{ErasureKey, Keyring, Purpose, random_bytes};
use vaxel_storage::Space;

use crate::IdentityError;
use crate::identity::Identity;
use crate::store::{Row, SIGNING_KEYS, Store, Tx, decode};
use crate::token::{ACCESS_TTL_MS, SKEW_MS};

/// How long a key signs: then the next one, which everybody has seen in the JWKS all the while, takes its place.
const SIGNS_MS: u64 = 90 * 86_400_000;
/// How long a key that signs no more stays known: until its last token has expired.
const RETIRED_KNOWN_MS: u64 = ACCESS_TTL_MS + SKEW_MS;

/// A key as stored; the private part sealed once more, for host use only.
#[derive(Clone, Serialize, Deserialize)]
struct KeyRow {
    sealed: Vec<u8>,
    created_at: UnixMs,
    /// From when on it signs; the newest of those in use signs.
    used_from: Option<UnixMs>,
    /// When it stopped signing.
    retired_at: Option<UnixMs>,
}

impl Row for KeyRow {
    const SPACE: Space = SIGNING_KEYS;
    const WHAT: &'static str = "signing key";
}

/// One key, ready for use.
pub(crate) struct SigningKey {
    pub(crate) kid: String,
    pub(crate) encoding: EncodingKey,
    pub(crate) decoding: DecodingKey,
    jwk: Jwk,
    used_from: Option<UnixMs>,
    retired_at: Option<UnixMs>,
}

impl SigningKey {
    /// `pkcs8` is version 1: jsonwebtoken makes a JWK of no other form of Ed25519 keys.
    fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, IdentityError> {
        let damaged = || IdentityError::Damaged {
            what: "signing key",
        };
        let pair = Ed25519KeyPair::from_pkcs8(pkcs8).map_err(|_| damaged())?;
        let encoding = EncodingKey::from_ed_der(pkcs8);
        let mut jwk = Jwk::from_encoding_key(&encoding, Algorithm::EdDSA).map_err(|_| damaged())?;
        let kid = jwk
            .thumbprint(ThumbprintHash::SHA256)
            .map_err(|_| damaged())?;
        jwk.common.key_id = Some(kid.clone());
        jwk.common.public_key_use = Some(PublicKeyUse::Signature);
        let decoding = DecodingKey::from_ed_der(pair.public_key().as_ref());
        Ok(Self {
            kid,
            encoding,
            decoding,
            jwk,
            used_from: None,
            retired_at: None,
        })
    }

    fn is_known(&self, now: UnixMs) -> bool {
        self.retired_at
            .is_none_or(|at| now < at.plus_ms(RETIRED_KNOWN_MS))
    }
}

/// All keys that are known now.
pub(crate) struct SigningKeys(Vec<SigningKey>);

impl SigningKeys {
    pub(crate) async fn open(
        store: &Store,
        keyring: &Keyring,
        now: UnixMs,
    ) -> Result<Self, IdentityError> {
        if store
            .look(TenantId::SYSTEM, |tx| tx.all(SIGNING_KEYS, b""))?
            .is_empty()
        {
            let rows = [
                new_row(keyring, now, Some(now))?,
                new_row(keyring, now, None)?,
            ];
            store
                .change(TenantId::SYSTEM, |tx| {
                    rows.iter()
                        .try_for_each(|(id, row)| tx.put(id, row, ErasureKey::TENANT))
                })
                .await?;
        }
        Self::load(store, keyring)
    }

    fn load(store: &Store, keyring: &Keyring) -> Result<Self, IdentityError> {
        let mut keys = Vec::new();
        for (id, bytes) in store.look(TenantId::SYSTEM, |tx| tx.all(SIGNING_KEYS, b""))? {
            let row: KeyRow = decode(&bytes, KeyRow::WHAT)?;
            let aad: [&[u8]; 2] = [b"signing-key", &id];
            let pkcs8 =
                keyring.open_sealed(TenantId::SYSTEM, Purpose::Secrets, &aad, &row.sealed)?;
            let pkcs8 = vaxel_crypto::Secret::new(pkcs8);
            let mut key = SigningKey::from_pkcs8(pkcs8.expose())?;
            (key.used_from, key.retired_at) = (row.used_from, row.retired_at);
            keys.push(key);
        }
        Ok(Self(keys))
    }

    /// The one that signs.
    pub(crate) fn current(&self) -> Result<&SigningKey, IdentityError> {
        self.0
            .iter()
            .filter(|key| key.retired_at.is_none() && key.used_from.is_some())
            .max_by_key(|key| key.used_from)
            .ok_or(IdentityError::Fault {
                what: "finding a signing key",
            })
    }

    pub(crate) fn find(&self, kid: &str, now: UnixMs) -> Option<&SigningKey> {
        self.0
            .iter()
            .find(|key| key.kid == kid && key.is_known(now))
    }

    fn jwks(&self, now: UnixMs) -> serde_json::Value {
        let keys: Vec<&Jwk> = self
            .0
            .iter()
            .filter(|key| key.is_known(now))
            .map(|key| &key.jwk)
            .collect();
        serde_json::json!({ "keys": keys })
    }

    #[cfg(test)]
    pub(crate) fn generate(now: UnixMs) -> Self {
        let pair = Ed25519KeyPair::generate().unwrap();
        let mut key = SigningKey::from_pkcs8(pair.to_pkcs8v1().unwrap().as_ref()).unwrap();
        key.used_from = Some(now);
        Self(vec![key])
    }

    #[cfg(test)]
    pub(crate) fn public_bytes(&self) -> Vec<u8> {
        self.0[0].decoding.try_get_as_bytes().unwrap().to_vec()
    }
}

/// Time first, so that keys are read in the order they were made.
fn new_row(
    keyring: &Keyring,
    now: UnixMs,
    used_from: Option<UnixMs>,
) -> Result<(Vec<u8>, KeyRow), IdentityError> {
    let fault = |_| IdentityError::Fault {
        what: "making a signing key",
    };
    let pkcs8 = Ed25519KeyPair::generate()
        .and_then(|pair| pair.to_pkcs8v1())
        .map_err(fault)?;
    let id = [now.0.to_be_bytes(), random_bytes::<8>()].concat();
    let aad: [&[u8]; 2] = [b"signing-key", &id];
    let sealed = keyring.seal(
        TenantId::SYSTEM,
        ErasureKey::TENANT,
        Purpose::Secrets,
        &aad,
        pkcs8.as_ref(),
    )?;
    Ok((
        id,
        KeyRow {
            sealed,
            created_at: now,
            used_from,
            retired_at: None,
        },
    ))
}

impl Identity {
    /// The public keys, as `/.well-known/jwks.json` shows them: the one in use, the next, and the one before while
    /// its tokens live.
    pub fn jwks(&self) -> serde_json::Value {
        self.inner.keys.load().jwks(self.now())
    }

    /// The next key signs from now on, and another stands ready. Tokens of the one before stay good until they expire.
    pub async fn rotate_signing_key(&self) -> Result<(), IdentityError> {
        self.rotate_signing_key_if(|_, _| true).await.map(|_| ())
    }

    /// Rotates a key that has signed for long enough; answers whether it did.
    pub(crate) async fn rotate_old_signing_key(&self) -> Result<bool, IdentityError> {
        self.rotate_signing_key_if(|used_from, now| now.since(used_from) >= SIGNS_MS)
            .await
    }

    async fn rotate_signing_key_if(
        &self,
        is_due: impl FnOnce(UnixMs, UnixMs) -> bool + Send + 'static,
    ) -> Result<bool, IdentityError> {
        let me = self.clone();
        self.detached(async move {
            let _turn = me.inner.changing.lock().await;
            let now = me.now();
            let used_from = me.inner.keys.load().current()?.used_from;
            if !is_due(used_from.unwrap_or_default(), now) {
                return Ok(false);
            }
            let (id, next) = new_row(&me.inner.keyring, now, None)?;
            me.inner
                .store
                .change(TenantId::SYSTEM, |tx| {
                    rotate(tx, now)?;
                    tx.put(&id, &next, ErasureKey::TENANT)
                })
                .await?;
            let keys = SigningKeys::load(&me.inner.store, &me.inner.keyring)?;
            me.inner.keys.store(std::sync::Arc::new(keys));
            Ok(true)
        })
        .await
    }
}

fn rotate(tx: &mut Tx, now: UnixMs) -> Result<(), IdentityError> {
    for (id, bytes) in tx.all(SIGNING_KEYS, b"")? {
        let mut row: KeyRow = decode(&bytes, KeyRow::WHAT)?;
        match (row.used_from, row.retired_at) {
            (_, Some(at)) if now >= at.plus_ms(RETIRED_KNOWN_MS) => {
                tx.delete(SIGNING_KEYS, &id)?;
                continue;
            }
            (_, Some(_)) => continue,
            (Some(_), None) => row.retired_at = Some(now),
            (None, None) => row.used_from = Some(now),
        }
        tx.put(&id, &row, ErasureKey::TENANT)?;
    }
    Ok(())
}
