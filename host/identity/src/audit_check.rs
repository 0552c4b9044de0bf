//! Checking the audit: entries, links and heads side by side, and what is wrong named by its place.

use std::collections::{BTreeMap, VecDeque};

use aws_lc_rs::signature::KeyPair as _;
use vaxel_core::TenantId;
use vaxel_storage::{Order, Space};

use crate::IdentityError;
use crate::audit_chain::{AuditHead, Hex, Link, commitment, follow, genesis};
use crate::identity::Identity;
use crate::store::{AUDIT, AUDIT_HEADS, AUDIT_LINKS, PAGE, Row as _, Store, decode};

/// So many faults say enough.
const FAULTS_MAX: usize = 1_000;

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

impl Identity {
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
