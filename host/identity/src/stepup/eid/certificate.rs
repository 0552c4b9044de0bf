//! The certificate by which BankID knows an organization: sealed beside what else is secret, shown to nobody, and watched
//! so that its end surprises nobody.

use serde::{Deserialize, Serialize};
use vaxel_core::{AlarmLevel, OpCx, TenantId, UnixMs};
use vaxel_crypto::{ErasureKey, Purpose, Secret};
use vaxel_net::ClientIdentity;

use super::{Eids, hash};
use crate::IdentityError;
use crate::audit::{AuditEntry, Outcome};
use crate::store::{STEP_UP, Tx};

/// Where it lies among the rows of step-up.
const KEY: &[u8] = b"bankid/certificate";

/// So that nothing else that is sealed passes for it.
const WHAT: &[u8] = b"vaxel.v1.bankid-certificate";

/// An alarm is due when this little is left: ordering a new one from a bank takes days.
const WARN_BEFORE_MS: u64 = 30 * 24 * 3_600_000;

#[derive(Serialize, Deserialize)]
struct Pems {
    certificate: String,
    key: String,
}

/// What may be shown of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BankIdState {
    /// The common name in it.
    pub name: String,
    /// When it ends.
    pub ends_at: UnixMs,
}

impl From<&ClientIdentity> for BankIdState {
    fn from(identity: &ClientIdentity) -> Self {
        Self {
            name: identity.name().to_owned(),
            ends_at: identity.ends_at(),
        }
    }
}

impl Eids {
    /// Whether the operator configured BankID at all.
    pub fn is_configured(&self) -> bool {
        self.0.config.bankid.is_some()
    }

    /// Keeps an organization's certificate, in the place of the one before.
    pub async fn set_certificate(
        &self,
        cx: &OpCx,
        certificate: String,
        key: Secret<String>,
    ) -> Result<BankIdState, IdentityError> {
        let identity = ClientIdentity::from_pem(certificate.as_bytes(), key.expose().as_bytes())
            .map_err(|_| IdentityError::BadCertificate)?;
        let state = BankIdState::from(&identity);
        if state.ends_at <= self.now() {
            return Err(IdentityError::BadCertificate);
        }
        let pems = Pems {
            certificate,
            key: key.expose().clone(),
        };
        let json = serde_json::to_vec(&pems).map(Secret::new);
        let json = json.map_err(|_| IdentityError::Damaged { what: WHAT_IT_IS })?;
        let sealed = self.0.identity.inner.keyring.seal(
            cx.tenant,
            ErasureKey::TENANT,
            Purpose::Secrets,
            &[WHAT],
            json.expose(),
        )?;
        self.0
            .identity
            .inner
            .store
            .change(cx.tenant, |tx| {
                tx.put_raw(STEP_UP, KEY, sealed.clone(), ErasureKey::TENANT)?;
                tx.append(&AuditEntry::of(cx, "stepup.set_bankid", Outcome::Done))
            })
            .await?;
        Ok(state)
    }

    /// Forgets an organization's certificate.
    pub async fn remove_certificate(&self, cx: &OpCx) -> Result<(), IdentityError> {
        let removed = self.0.identity.inner.store.change(cx.tenant, |tx| {
            tx.delete(STEP_UP, KEY)?;
            tx.append(&AuditEntry::of(cx, "stepup.remove_bankid", Outcome::Done))
        });
        removed.await?;
        self.0.providers.lock().remove(&cx.tenant);
        Ok(())
    }

    /// What may be shown of an organization's certificate.
    pub fn certificate(&self, tenant: TenantId) -> Result<Option<BankIdState>, IdentityError> {
        let identity = self.identity_of(tenant)?;
        Ok(identity.map(|(_, identity)| BankIdState::from(&identity)))
    }

    /// The certificate, and what tells it from the one before.
    pub(super) fn identity_of(
        &self,
        tenant: TenantId,
    ) -> Result<Option<([u8; 32], ClientIdentity)>, IdentityError> {
        let identity = &self.0.identity;
        let read = |tx: &mut Tx| tx.get_raw(STEP_UP, KEY);
        let Some(sealed) = identity.inner.store.look(tenant, read)? else {
            return Ok(None);
        };
        let json = Secret::new(identity.inner.keyring.open_sealed(
            tenant,
            Purpose::Secrets,
            &[WHAT],
            &sealed,
        )?);
        let damaged = IdentityError::Damaged { what: WHAT_IT_IS };
        let Ok(pems) = serde_json::from_slice::<Pems>(json.expose()) else {
            return Err(damaged);
        };
        let key = Secret::new(pems.key);
        let read = ClientIdentity::from_pem(pems.certificate.as_bytes(), key.expose().as_bytes());
        Ok(Some((hash(&sealed), read.map_err(|_| damaged)?)))
    }

    /// Raises an alarm for each certificate that ends soon. Call it daily or more often.
    pub fn watch_certificates(&self) {
        let now = self.now();
        for tenant in self.0.identity.tenants() {
            let Ok(Some(state)) = self.certificate(tenant.id) else {
                continue;
            };
            if state.ends_at.since(now) >= WARN_BEFORE_MS {
                continue;
            }
            let days = state.ends_at.since(now) / (24 * 3_600_000);
            let level = if days == 0 {
                AlarmLevel::Critical
            } else {
                AlarmLevel::Warning
            };
            let detail = format!(
                "the BankID certificate of {} ends in {days} days",
                tenant.slug
            );
            self.0
                .config
                .alarms
                .raise(level, "eid.certificate", &detail);
        }
    }
}

const WHAT_IT_IS: &str = "certificate";
