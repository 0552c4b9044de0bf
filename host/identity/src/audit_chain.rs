//! The chain over the audit: each entry's commitment is hashed onto all before it, and the head is signed.
//!
//! The chain holds commitments, not entries, so that it stays whole when an entry is erased. Entries are linked a while
//! after they were written (the log's own chain covers them until then), by whoever asks for a head: hourly. A head that
//! was kept outside proves later that nothing before it was rewritten, inserted or cut off.

use std::collections::{BTreeMap, VecDeque};

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use vaxel_core::{TenantId, UnixMs};
use vaxel_crypto::{ErasureKey, Purpose, Secret, random_bytes};
use vaxel_storage::{Order, Space};

use crate::IdentityError;
use crate::identity::Identity;
use crate::store::{
    AUDIT, AUDIT_HEADS, AUDIT_KEY, AUDIT_LINKS, AUDIT_TIP, PAGE, Row, Store, decode,
};

/// Entries that one transaction links.
const LINKED_AT_ONCE: usize = 200;

/// So many faults say enough.
const FAULTS_MAX: usize = 1_000;

/// A SHA-256 hash or an Ed25519 key, in hexadecimal digits.
type Hex = String;

/// One entry in the chain; stored under the entry's own key.
#[derive(Serialize, Deserialize)]
struct Link {
    /// SHA-256 of the entry as stored. An entry carries salt, so this tells nothing about one that was erased.
    commitment: Hex,
    /// SHA-256 over the chain before, the entry's key and its commitment.
    chain: Hex,
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

/// What a check of the audit came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditCheck {
    /// Entries that the chain holds.
    pub linked: u64,
    /// Entries that no head covers yet.
    pub pending: u64,
    /// Heads that were compared.
    pub heads: u64,
    /// What is wrong; empty when the audit is whole.
    pub faults: Vec<AuditFault>,
}

/// What can be wrong with an audit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuditFault {
    /// An entry is not what was linked.
    #[error("entry {entry} was rewritten")]
    Rewritten {
        /// The number of the entry in the chain, from 1.
        entry: u64,
    },
    /// An entry is gone.
    #[error("entry {entry} was removed")]
    Removed {
        /// The number of the entry in the chain, from 1.
        entry: u64,
    },
    /// An entry that was never linked stands among those that were.
    #[error("an entry was inserted behind entry {after}")]
    Inserted {
        /// The number of the entry before it, from 1; 0 for the beginning.
        after: u64,
    },
    /// A link does not follow from the one before.
    #[error("the chain is broken at entry {entry}")]
    Broken {
        /// The number of the entry in the chain, from 1.
        entry: u64,
    },
    /// A head knows of more entries than there are.
    #[error("{missing} entries at the end were cut off")]
    Truncated {
        /// How many.
        missing: u64,
    },
    /// A head does not fit the chain that is here.
    #[error("the chain up to entry {count} is not the one that was signed")]
    OtherChain {
        /// Entries that the head covers.
        count: u64,
    },
    /// A head was not signed by this installation.
    #[error("the signature of the head over {count} entries is wrong")]
    Signature {
        /// Entries that the head covers.
        count: u64,
    },
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
fn genesis(tenant: TenantId) -> Hex {
    let mut hash = Sha256::new();
    hash.update(b"vaxel.v1.audit-chain");
    hash.update(tenant.to_bytes());
    hex(hash.finalize())
}

fn commitment(entry: &[u8]) -> Hex {
    hex(Sha256::digest(entry))
}

fn follow(chain: &str, key: &[u8], commitment: &str) -> Hex {
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

    fn is_signed_by(&self, public_key: &[u8]) -> bool {
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

    /// Whether a tenant's audit is what was linked, and what was signed here and in the `outside` heads.
    pub async fn verify_audit(
        &self,
        tenant: TenantId,
        outside: &[AuditHead],
    ) -> Result<AuditCheck, IdentityError> {
        let public_key = self.audit_key().await?.public_key().as_ref().to_vec();
        let mut heads = Vec::new();
        let mut stored = Rows::new(&self.inner.store, tenant, AUDIT_HEADS);
        while let Some((_, row)) = stored.next()? {
            heads.push(decode(&row, AuditHead::WHAT)?);
        }
        let of_tenant = outside.iter().filter(|head| head.tenant == tenant);
        heads.extend(of_tenant.cloned());
        check(&self.inner.store, tenant, &heads, &public_key)
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
    async fn audit_key(&self) -> Result<Ed25519KeyPair, IdentityError> {
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

type KeyAndRow = (Vec<u8>, Vec<u8>);

/// All rows of a collection in their order, a page at a time: an audit is longer than what one transaction may read,
/// and what stands in it does not change any more.
struct Rows<'a> {
    store: &'a Store,
    tenant: TenantId,
    space: Space,
    page: VecDeque<KeyAndRow>,
    /// Behind which row the next page begins; at first none.
    after: Option<Vec<u8>>,
    is_last_page: bool,
}

impl<'a> Rows<'a> {
    const fn new(store: &'a Store, tenant: TenantId, space: Space) -> Self {
        Self {
            store,
            tenant,
            space,
            page: VecDeque::new(),
            after: None,
            is_last_page: false,
        }
    }

    fn peek(&mut self) -> Result<Option<&[u8]>, IdentityError> {
        if self.page.is_empty() && !self.is_last_page {
            let (rows, next) = self.store.look(self.tenant, |tx| {
                let after = self.after.as_deref();
                tx.page(self.space, b"", after, PAGE, Order::Ascending)
            })?;
            self.page = rows.into();
            self.is_last_page = next.is_none();
            self.after = next;
        }
        Ok(self.page.front().map(|(key, _)| key.as_slice()))
    }

    fn next(&mut self) -> Result<Option<KeyAndRow>, IdentityError> {
        self.peek()?;
        Ok(self.page.pop_front())
    }
}

fn check(
    store: &Store,
    tenant: TenantId,
    heads: &[AuditHead],
    public_key: &[u8],
) -> Result<AuditCheck, IdentityError> {
    let mut found = AuditCheck::default();
    let mut entries = Rows::new(store, tenant, AUDIT);
    let mut links = Rows::new(store, tenant, AUDIT_LINKS);
    let mut chain = genesis(tenant);
    // The chain behind every entry that some head covers.
    let mut signed: BTreeMap<u64, Hex> = heads
        .iter()
        .map(|head| (head.count, String::new()))
        .collect();
    while let Some((key, link)) = links.next()? {
        let Link {
            commitment: committed,
            chain: linked,
        } = decode(&link, Link::WHAT)?;
        while entries.peek()?.is_some_and(|at| at < key.as_slice()) {
            let after = found.linked;
            found.faults.push(AuditFault::Inserted { after });
            entries.next()?;
        }
        found.linked += 1;
        let entry = found.linked;
        if entries.peek()? != Some(key.as_slice()) {
            found.faults.push(AuditFault::Removed { entry });
        } else if entries
            .next()?
            .is_none_or(|(_, stored)| commitment(&stored) != committed)
        {
            found.faults.push(AuditFault::Rewritten { entry });
        }
        chain = follow(&chain, &key, &committed);
        if chain != linked {
            found.faults.push(AuditFault::Broken { entry });
            // Each break is told once.
            chain = linked;
        }
        if let Some(at) = signed.get_mut(&entry) {
            at.clone_from(&chain);
        }
        if found.faults.len() > FAULTS_MAX {
            return Ok(found);
        }
    }
    while entries.next()?.is_some() {
        found.pending += 1;
    }
    for head in heads {
        found.heads += 1;
        let count = head.count;
        if !head.is_signed_by(public_key) {
            found.faults.push(AuditFault::Signature { count });
        } else if count > found.linked {
            let missing = count - found.linked;
            found.faults.push(AuditFault::Truncated { missing });
        } else if signed.get(&count) != Some(&head.chain) {
            found.faults.push(AuditFault::OtherChain { count });
        }
    }
    Ok(found)
}

/// What makes an entry's commitment tell nothing about it.
pub(crate) fn salt() -> Hex {
    hex(random_bytes::<16>())
}
