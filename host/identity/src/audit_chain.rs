//! The chain over the audit: each entry's commitment is hashed onto all before it, and the head is signed.
//!
//! The chain holds commitments, not entries, so that it stays whole when an entry is erased. Entries are linked a while
//! after they were written (the log's own chain covers them until then), by whoever asks for a head: hourly. A head that
//! was kept outside proves later that nothing before it was rewritten, inserted or cut off.

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use vaxel_core::{TenantId, UnixMs};
use vaxel_crypto::{ErasureKey, Purpose, Secret, random_bytes};
use vaxel_storage::{Order, Space};

use crate::IdentityError;
use crate::identity::Identity;
use crate::store::{AUDIT, AUDIT_HEADS, AUDIT_KEY, AUDIT_LINKS, AUDIT_TIP, Row};

/// Entries that one transaction links.
const LINKED_AT_ONCE: usize = 200;

/// A SHA-256 hash or an Ed25519 key, in hexadecimal digits.
pub(crate) type Hex = String;

/// One entry in the chain; stored under the entry's own key.
#[derive(Serialize, Deserialize)]
pub(crate) struct Link {
    /// SHA-256 of the entry as stored. An entry carries salt, so this tells nothing about one that was erased.
    pub(crate) commitment: Hex,
    /// SHA-256 over the chain before, the entry's key and its commitment.
    pub(crate) chain: Hex,
}

impl Row for Link {
    const SPACE: Space = AUDIT_LINKS;
    const WHAT: &'static str = "audit link";
}

/// How far the chain has come.
#[derive(Serialize, Deserialize)]
struct Tip {
    count: u64,
    last: Vec<u8>,
    chain: Hex,
}

impl Row for Tip {
    const SPACE: Space = AUDIT_TIP;
    const WHAT: &'static str = "end of the audit chain";
}

const TIP_KEY: &[u8] = b"tip";
const SIGNING_KEY: &[u8] = b"key";

/// The end of a tenant's chain at a time, signed. Kept outside, it is the witness against this server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditHead {
    /// Whose audit.
    pub tenant: TenantId,
    /// Entries linked so far.
    pub count: u64,
    /// SHA-256 of the chain, hexadecimal.
    pub chain: String,
    /// When it was signed.
    pub at: UnixMs,
    /// Ed25519 (RFC 8032) over the fields above, hexadecimal.
    pub signature: String,
}

impl Row for AuditHead {
    const SPACE: Space = AUDIT_HEADS;
    const WHAT: &'static str = "audit head";
}

fn hex(bytes: impl AsRef<[u8]>) -> Hex {
    use std::fmt::Write as _;
    bytes.as_ref().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |b: &u8| {
        char::from(*b)
            .to_digit(16)
            .and_then(|d| u8::try_from(d).ok())
    };
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| match pair {
            [a, b] => Some(digit(a)? << 4 | digit(b)?),
            _ => None,
        })
        .collect()
}

/// Where a tenant's chain begins.
pub(crate) fn genesis(tenant: TenantId) -> Hex {
    let mut hash = Sha256::new();
    hash.update(b"vaxel.v1.audit-chain");
    hash.update(tenant.to_bytes());
    hex(hash.finalize())
}

pub(crate) fn commitment(entry: &[u8]) -> Hex {
    hex(Sha256::digest(entry))
}

pub(crate) fn follow(chain: &str, key: &[u8], commitment: &str) -> Hex {
    let mut hash = Sha256::new();
    for part in [chain.as_bytes(), key, commitment.as_bytes()] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hex(hash.finalize())
}

impl AuditHead {
    fn signed_bytes(&self) -> Vec<u8> {
        [
            b"vaxel.v1.audit-head".as_slice(),
            &self.tenant.to_bytes(),
            &self.count.to_be_bytes(),
            &self.at.0.to_be_bytes(),
            self.chain.as_bytes(),
        ]
        .concat()
    }

    pub(crate) fn is_signed_by(&self, public_key: &[u8]) -> bool {
        let Some(signature) = unhex(&self.signature) else {
            return false;
        };
        UnparsedPublicKey::new(&ED25519, public_key)
            .verify(&self.signed_bytes(), &signature)
            .is_ok()
    }
}

impl Identity {
    /// Links what the audit got since the last time and signs the end of the chain. Answers nothing where nothing was
    /// added.
    pub async fn sign_audit(&self, tenant: TenantId) -> Result<Option<AuditHead>, IdentityError> {
        while self.link_some(tenant).await? == LINKED_AT_ONCE {}
        let key = self.audit_key().await?;
        let now = self.now();
        self.inner
            .store
            .change(tenant, |tx| {
                let Some(tip) = tx.get::<Tip>(TIP_KEY)? else {
                    return Ok(None);
                };
                let number = tip.count.to_be_bytes();
                if tx.get::<AuditHead>(&number)?.is_some() {
                    return Ok(None);
                }
                let mut head = AuditHead {
                    tenant,
                    count: tip.count,
                    chain: tip.chain,
                    at: now,
                    signature: String::new(),
                };
                head.signature = hex(key.sign(&head.signed_bytes()));
                tx.put(&number, &head, ErasureKey::TENANT)?;
                Ok(Some(head))
            })
            .await
    }

    /// The key that a head's signature is checked with: Ed25519, 32 bytes in hexadecimal digits.
    pub async fn audit_public_key(&self) -> Result<String, IdentityError> {
        Ok(hex(self.audit_key().await?.public_key()))
    }

    /// Links the next entries; answers how many.
    async fn link_some(&self, tenant: TenantId) -> Result<usize, IdentityError> {
        self.inner
            .store
            .change(tenant, |tx| {
                let mut tip = tx.get::<Tip>(TIP_KEY)?.unwrap_or_else(|| Tip {
                    count: 0,
                    last: Vec::new(),
                    chain: genesis(tenant),
                });
                let after = Some(tip.last.as_slice()).filter(|last| !last.is_empty());
                let (entries, _) = tx.page(AUDIT, b"", after, LINKED_AT_ONCE, Order::Ascending)?;
                for (key, entry) in &entries {
                    let commitment = commitment(entry);
                    tip.chain = follow(&tip.chain, key, &commitment);
                    tip.count += 1;
                    tip.last.clone_from(key);
                    let chain = tip.chain.clone();
                    tx.put(key, &Link { commitment, chain }, ErasureKey::TENANT)?;
                }
                if !entries.is_empty() {
                    tx.put(TIP_KEY, &tip, ErasureKey::TENANT)?;
                }
                Ok(entries.len())
            })
            .await
    }

    /// The key that signs heads: made at first use and kept for good, so that old heads can be checked.
    pub(crate) async fn audit_key(&self) -> Result<Ed25519KeyPair, IdentityError> {
        let damaged = || IdentityError::Damaged {
            what: "audit signing key",
        };
        let keyring = &self.inner.keyring;
        let aad: [&[u8]; 1] = [b"audit-signing-key"];
        let fresh = Secret::new(random_bytes::<32>());
        let fresh = keyring.seal(
            TenantId::SYSTEM,
            ErasureKey::TENANT,
            Purpose::Secrets,
            &aad,
            fresh.expose(),
        )?;
        let sealed = self
            .inner
            .store
            .change(TenantId::SYSTEM, |tx| {
                match tx.get_raw(AUDIT_KEY, SIGNING_KEY)? {
                    Some(sealed) => Ok(sealed),
                    None => {
                        let key = fresh.clone();
                        tx.put_raw(AUDIT_KEY, SIGNING_KEY, key, ErasureKey::TENANT)?;
                        Ok(fresh.clone())
                    }
                }
            })
            .await?;
        let seed = keyring.open_sealed(TenantId::SYSTEM, Purpose::Secrets, &aad, &sealed)?;
        let seed = Secret::new(seed);
        Ed25519KeyPair::from_seed_unchecked(seed.expose()).map_err(|_| damaged())
    }
}

/// What makes an entry's commitment tell nothing about it.
pub(crate) fn salt() -> Hex {
    hex(random_bytes::<16>())
}
