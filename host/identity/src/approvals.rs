//! Four eyes: where an organization wants it, what counts most waits until a second administrator approves it.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use vaxel_core::{Actor, ApprovalId, OpCx, TenantId, UnixMs, UserId};
use vaxel_crypto::ErasureKey;
use vaxel_storage::Space;

use crate::IdentityError;
use crate::audit::{AuditEntry, Outcome};
use crate::identity::Identity;
use crate::store::{APPROVALS, FOUR_EYES, Row, Tx, decode};
use crate::user::{User, others_administer};

/// What waits in one tenant: shown as one list.
const WAITING_MAX: usize = 100;
/// How long an act waits, in ms: a week has a working day for everybody.
const WAITS_MS: u64 = 7 * 24 * 3_600 * 1_000;

/// An act that waits for a second administrator.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Its id.
    pub id: ApprovalId,
    /// What is to be called: `plugins/grant`.
    pub method: String,
    /// With these parameters.
    pub params: Value,
    /// Who asked.
    pub asked_by: UserId,
    /// When they asked.
    pub asked_at: UnixMs,
    /// When it no longer waits.
    pub expires_at: UnixMs,
}

impl std::fmt::Debug for Approval {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Parameters may name people.
        f.debug_struct("Approval")
            .field("id", &self.id)
            .field("method", &self.method)
            .finish_non_exhaustive()
    }
}

impl Row for Approval {
    const SPACE: Space = APPROVALS;
    const WHAT: &'static str = "approval";
}

#[derive(Serialize, Deserialize)]
struct FourEyes {
    required: bool,
}

impl Row for FourEyes {
    const SPACE: Space = FOUR_EYES;
    const WHAT: &'static str = "rule of four eyes";
}

impl Identity {
    /// Whether some acts take two administrators here.
    pub fn requires_four_eyes(&self, tenant: TenantId) -> Result<bool, IdentityError> {
        self.inner.store.look(tenant, |tx| {
            Ok(tx.get::<FourEyes>(b"")?.is_some_and(|rule| rule.required))
        })
    }

    /// Says whether they do. Administrators only; there have to be two of them.
    pub async fn require_four_eyes(&self, cx: &OpCx, required: bool) -> Result<(), IdentityError> {
        let action = if required {
            "approvals.require"
        } else {
            "approvals.waive"
        };
        let change = |tx: &mut Tx| {
            if let Some(refusal) = self.refuse_non_admin(tx, cx, action, "")? {
                return Ok(Err(refusal));
            }
            if let (true, Actor::User(user)) = (required, &cx.actor)
                && !others_administer(tx, *user)?
            {
                return Ok(Err(IdentityError::OneAdmin));
            }
            tx.put(b"", &FourEyes { required }, ErasureKey::TENANT)?;
            tx.append(&AuditEntry::of(cx, action, Outcome::Done))?;
            Ok(Ok(()))
        };
        self.inner.store.change(cx.tenant, change).await?
    }

    /// Lets an act wait. Asking for the same once more, as a retry does, is the same act.
    pub async fn ask_for_approval(
        &self,
        cx: &OpCx,
        method: &str,
        params: &Value,
    ) -> Result<Approval, IdentityError> {
        let now = self.now();
        let Actor::User(asked_by) = cx.actor else {
            return Err(IdentityError::NotAdmin);
        };
        let fresh = Approval {
            id: ApprovalId::new(now),
            method: method.to_owned(),
            params: params.clone(),
            asked_by,
            asked_at: now,
            expires_at: now.plus_ms(WAITS_MS),
        };
        let change = |tx: &mut Tx| {
            if let Some(refusal) = self.refuse_non_admin(tx, cx, "approvals.ask", method)? {
                return Ok(Err(refusal));
            }
            let mut waiting = all(tx)?;
            for old in waiting.extract_if(.., |one| one.expires_at <= now) {
                tx.delete(APPROVALS, &old.id.to_bytes())?;
            }
            let is_same = |one: &Approval| {
                (&one.method, &one.params, one.asked_by)
                    == (&fresh.method, &fresh.params, fresh.asked_by)
            };
            if let Some(same) = waiting.iter().find(|one| is_same(one)) {
                return Ok(Ok(same.clone()));
            }
            if waiting.len() >= WAITING_MAX {
                return Ok(Err(IdentityError::TooMany {
                    what: "acts that wait for approval",
                    max: WAITING_MAX,
                }));
            }
            tx.put(&fresh.id.to_bytes(), &fresh, ErasureKey::TENANT)?;
            tx.append(&entry(cx, "approvals.ask", &fresh))?;
            Ok(Ok(fresh.clone()))
        };
        self.inner.store.change(cx.tenant, change).await?
    }

    /// What waits, oldest first.
    pub fn approvals(&self, tenant: TenantId) -> Result<Vec<Approval>, IdentityError> {
        let now = self.now();
        let mut waiting = self.inner.store.look(tenant, all)?;
        waiting.retain(|one| one.expires_at > now);
        Ok(waiting)
    }

    /// Takes an act off the list, to be carried out now, and once. Whoever asked cannot approve it, and must still be
    /// an administrator.
    pub async fn approve(&self, cx: &OpCx, id: ApprovalId) -> Result<Approval, IdentityError> {
        let change = |tx: &mut Tx| {
            if let Some(refusal) = self.refuse_non_admin(tx, cx, "approvals.approve", id)? {
                return Ok(Err(refusal));
            }
            let one = self.waiting(tx, id)?;
            if cx.actor == Actor::User(one.asked_by) {
                tx.append(&AuditEntry::of(cx, "approvals.approve", Outcome::Refused).about(id))?;
                return Ok(Err(IdentityError::SamePerson));
            }
            let asker = tx.get::<User>(&one.asked_by.to_bytes())?;
            if !asker.is_some_and(|user| user.active && user.admin) {
                return Ok(Err(IdentityError::Unknown { what: "approval" }));
            }
            tx.delete(APPROVALS, &id.to_bytes())?;
            tx.append(&entry(cx, "approvals.approve", &one))?;
            Ok(Ok(one))
        };
        self.inner.store.change(cx.tenant, change).await?
    }

    /// Takes an act off the list for good: another administrator says no, or who asked thinks better of it.
    pub async fn refuse_approval(&self, cx: &OpCx, id: ApprovalId) -> Result<(), IdentityError> {
        let change = |tx: &mut Tx| {
            if let Some(refusal) = self.refuse_non_admin(tx, cx, "approvals.refuse", id)? {
                return Ok(Err(refusal));
            }
            let one = self.waiting(tx, id)?;
            tx.delete(APPROVALS, &id.to_bytes())?;
            tx.append(&entry(cx, "approvals.refuse", &one))?;
            Ok(Ok(()))
        };
        self.inner.store.change(cx.tenant, change).await?
    }

    fn waiting(&self, tx: &mut Tx, id: ApprovalId) -> Result<Approval, IdentityError> {
        tx.get::<Approval>(&id.to_bytes())?
            .filter(|one| one.expires_at > self.now())
            .ok_or(IdentityError::Unknown { what: "approval" })
    }
}

fn all(tx: &mut Tx) -> Result<Vec<Approval>, IdentityError> {
    let rows = tx.all(APPROVALS, b"")?;
    rows.iter()
        .map(|(_, bytes)| decode(bytes, Approval::WHAT))
        .collect()
}

fn entry(cx: &OpCx, action: &str, one: &Approval) -> AuditEntry {
    AuditEntry::of(cx, action, Outcome::Done).about(format!("{} {}", one.id, one.method))
}
