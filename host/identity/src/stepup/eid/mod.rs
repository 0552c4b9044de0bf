//! Electronic identity in step-up: orders that a browser began, collected here every two seconds whether or not the
//! browser looks, and ended by a proof that only that browser can fetch.
//!
//! Orders live in memory: they last minutes, and their secrets have no business on a disk. After a restart people begin
//! again.

mod budget;
mod certificate;
mod order;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use parking_lot::Mutex;
use vaxel_core::{Alarms, OpCx, PluginId, TenantId, UnixMs};
use vaxel_crypto::{Secret, ct_eq, random_bytes};
use vaxel_eid::{
    Asked, BankId, BankIdConfig, Device, EidError, EidProvider, Hint, Message, Person, Progress,
};

use super::proof::{Binding, NewProof};
use crate::{Identity, IdentityError};
pub use budget::EidBudget;
pub use certificate::BankIdState;
use order::{At, Begun};
pub use order::{EidLook, EidView};

/// How often the provider is asked how an order goes: no more often, says BankID.
const COLLECT_EVERY: Duration = Duration::from_secs(2);

/// Questions in a row without an answer before an order is given up.
const SILENT_MAX: u32 = 10;

/// An order lasts three minutes, its end is told for three more.
const ORDER_MS_MAX: u64 = 6 * 60_000;

/// Orders at once, of all organizations; each has a few kilobytes.
const ORDERS_MAX: usize = 5_000;

/// Orders at once of one organization, so that one never takes all.
const ORDERS_PER_TENANT_MAX: usize = 1_000;

/// What an operator set.
#[derive(Clone)]
pub struct EidConfig {
    /// Where BankID is, and whom to trust there; none where it is not configured.
    pub bankid: Option<Arc<BankIdConfig>>,
    /// How much a day.
    pub budget: EidBudget,
    /// Where a certificate's end is told.
    pub alarms: Arc<dyn Alarms>,
}

/// Somebody is about to show who they are, for this.
#[derive(Clone)]
pub struct EidRequest {
    /// Whose purpose.
    pub plugin: PluginId,
    /// Which.
    pub purpose: String,
    /// Where the app is.
    pub device: Device,
    /// What is asked; `return_url` is made here.
    pub asked: Asked,
    /// The origin of our own pages, for the way back from the app.
    pub origin: String,
    /// Where the browser goes on afterwards: a path of ours.
    pub back_to: String,
    /// What is proven buys a ticket and nothing else.
    pub for_ticket: bool,
    /// What people are called is kept, for those who may see it.
    pub named: bool,
}

/// An order that was begun: its name, and what binds it to the browser.
pub struct EidBegun {
    /// Stands in its address. Whoever has only this can do nothing.
    pub id: String,
    /// The browser's cookie.
    pub binding: Secret<String>,
}

/// A proof on its way into a browser.
pub struct TakenProof {
    /// Whose purpose.
    pub plugin: PluginId,
    /// Which.
    pub purpose: String,
    /// What stands for it.
    pub token: Secret<String>,
}

/// What is not the order's own trouble.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StepUpError {
    /// No such provider here, or the organization has no certificate.
    #[error("this organization has no electronic identity to offer")]
    NotOffered,
    /// No such order, or another browser's: the same to whoever asks.
    #[error("there is no such order")]
    NoOrder,
    /// The day's budget is spent, or too many orders are under way.
    #[error("no more orders now")]
    Spent {
        /// When to try again.
        retry_after_ms: u32,
    },
    /// The provider.
    #[error(transparent)]
    Provider(#[from] EidError),
    /// Ourselves.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

/// Electronic identity for all organizations. Clones share everything.
#[derive(Clone)]
pub struct Eids(Arc<Inner>);

struct Inner {
    identity: Identity,
    config: EidConfig,
    /// One for each organization, with TLS sessions and a circuit of its own, by the certificate it was made with.
    providers: Mutex<HashMap<TenantId, MadeWith>>,
    /// By the hash of their names.
    orders: Mutex<HashMap<[u8; 32], Arc<Begun>>>,
}

/// A provider, and what tells the certificate that it was made with from the next one.
type MadeWith = ([u8; 32], Arc<BankId>);

fn hash(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, bytes).as_ref());
    out
}

fn unguessable() -> String {
    BASE64.encode(random_bytes::<32>())
}

impl Eids {
    /// For the people of this identity.
    pub fn new(identity: Identity, config: EidConfig) -> Self {
        Self(Arc::new(Inner {
            identity,
            config,
            providers: Mutex::default(),
            orders: Mutex::default(),
        }))
    }

    fn now(&self) -> UnixMs {
        self.0.identity.now()
    }

    /// Whether an organization can ask for it.
    pub fn is_offered(&self, tenant: TenantId) -> bool {
        self.provider(tenant).is_ok()
    }

    fn provider(&self, tenant: TenantId) -> Result<Arc<BankId>, StepUpError> {
        let config = self.0.config.bankid.as_ref();
        let config = config.ok_or(StepUpError::NotOffered)?;
        let (mark, identity) = self.identity_of(tenant)?.ok_or(StepUpError::NotOffered)?;
        let mut providers = self.0.providers.lock();
        if let Some((made_with, provider)) = providers.get(&tenant)
            && *made_with == mark
        {
            return Ok(Arc::clone(provider));
        }
        let provider = BankId::new(Arc::clone(config), &identity).map_err(|error| {
            tracing::warn!(tenant.id = %tenant, %error, "BankID cannot be used");
            StepUpError::NotOffered
        })?;
        let provider = Arc::new(provider);
        providers.insert(tenant, (mark, Arc::clone(&provider)));
        Ok(provider)
    }

    /// Begins an order for a browser. What binds it is made anew each time: nobody can have planted it.
    pub async fn begin(&self, cx: &OpCx, request: EidRequest) -> Result<EidBegun, StepUpError> {
        let tenant = cx.tenant;
        let provider = self.provider(tenant)?;
        super::check_name(&request.purpose)?;
        self.check_room(tenant)?;
        self.spend(tenant, request.asked.address).await?;
        let (id, binding, nonce) = (unguessable(), unguessable(), unguessable());
        let EidRequest {
            plugin,
            purpose,
            device,
            mut asked,
            origin,
            back_to,
            for_ticket,
            named,
        } = request;
        if matches!(device, Device::Same { .. }) {
            asked.return_url = Some(format!("{origin}/stepup/{id}/back?nonce={nonce}"));
        }
        // What is signed unseen ties the signature to this very order.
        asked.hidden = hash(id.as_bytes()).to_vec();
        let order = provider.start(asked.clone()).await?;
        let begun = Arc::new(Begun {
            tenant,
            cx: cx.clone(),
            plugin,
            purpose,
            device,
            asked,
            order,
            back_to,
            for_ticket,
            named,
            binding: hash(binding.as_bytes()),
            nonce: hash(nonce.as_bytes()),
            at: Mutex::new(At::Pending(Hint::new("outstandingTransaction"))),
            returned: Mutex::new(false),
        });
        self.0
            .orders
            .lock()
            .insert(hash(id.as_bytes()), Arc::clone(&begun));
        tokio::spawn(self.clone().collect(provider, begun));
        Ok(EidBegun {
            id,
            binding: Secret::new(binding),
        })
    }

    fn check_room(&self, tenant: TenantId) -> Result<(), StepUpError> {
        let now = self.now();
        let mut orders = self.0.orders.lock();
        orders.retain(|_, begun| now.since(begun.order.at) < ORDER_MS_MAX);
        let own = orders.values().filter(|begun| begun.tenant == tenant);
        if orders.len() < ORDERS_MAX && own.count() < ORDERS_PER_TENANT_MAX {
            Ok(())
        } else {
            Err(StepUpError::Spent {
                retry_after_ms: 60_000,
            })
        }
    }

    /// Asks until it has ended. It goes on while the browser sleeps behind the app.
    async fn collect(self, provider: Arc<BankId>, begun: Arc<Begun>) {
        let mut tick = tokio::time::interval(COLLECT_EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        tick.tick().await;
        let mut silent = 0;
        while self.now().since(begun.order.at) < ORDER_MS_MAX {
            tick.tick().await;
            if !begun.is_pending() {
                return;
            }
            let progress = provider.collect(&begun.order, &begun.asked).await;
            match progress {
                Ok(Progress::Pending(hint)) => {
                    silent = 0;
                    begun.becomes(At::Pending(hint));
                }
                Ok(Progress::Failed(hint)) => {
                    begun.becomes(At::Failed(hint.failed(begun.device)));
                    return;
                }
                Ok(Progress::Complete(done)) => {
                    begun.becomes(match self.proven(&begun, &done.person).await {
                        Ok(at) => at,
                        Err(error) => {
                            tracing::warn!(tenant.id = %begun.tenant, %error, "a proof cannot be made");
                            At::Failed(Message::Rfa22)
                        }
                    });
                    return;
                }
                // Down or asked too often: the order may well be going on.
                Err(EidError::Unavailable { .. } | EidError::Busy) if silent < SILENT_MAX => {
                    silent += 1;
                    begun.becomes(At::Silent);
                }
                Err(error) => {
                    self.failed(&begun, &error).await;
                    return;
                }
            }
        }
        begun.becomes(At::Failed(Message::Rfa8));
    }

    /// Somebody showed who they are: who that is under this purpose, if they may go on. The number goes no further.
    async fn proven(&self, begun: &Begun, person: &Person) -> Result<At, IdentityError> {
        let identity = &self.0.identity;
        let (tenant, plugin, purpose) = (begun.tenant, &begun.plugin, begun.purpose.as_str());
        let number = &person.personal_number;
        if !identity.is_let_in(tenant, plugin, purpose, number).await? {
            return Ok(At::NotListed);
        }
        let pseudonym = identity.pseudonym(tenant, plugin, purpose, number).await?;
        if begun.named {
            identity
                .keep_name(tenant, plugin, purpose, &pseudonym, person)
                .await?;
        }
        Ok(At::Proven { pseudonym })
    }

    async fn failed(&self, begun: &Begun, error: &EidError) {
        tracing::warn!(tenant.id = %begun.tenant, plugin.id = %begun.plugin, %error, "an order failed");
        if let EidError::Forged(_) = error {
            let (cx, plugin) = (&begun.cx, begun.plugin.as_str());
            let identity = &self.0.identity;
            let written = identity.record_refusal(cx, "stepup.eid", plugin).await;
            if let Err(error) = written {
                tracing::error!(tenant.id = %begun.tenant, %error, "the audit could not be written");
            }
        }
        begun.becomes(At::Failed(match error {
            EidError::Unavailable { .. } | EidError::Busy => Message::Rfa5,
            EidError::AlreadyInProgress => Message::Rfa4,
            _ => Message::Rfa22,
        }));
    }

    fn order(&self, tenant: TenantId, id: &str, binding: &str) -> Result<Arc<Begun>, StepUpError> {
        let begun = self.0.orders.lock().get(&hash(id.as_bytes())).cloned();
        let fits = |begun: &Arc<Begun>| {
            begun.tenant == tenant
                && ct_eq(&begun.binding, &hash(binding.as_bytes()))
                && self.now().since(begun.order.at) < ORDER_MS_MAX
        };
        begun.filter(fits).ok_or(StepUpError::NoOrder)
    }

    /// How an order goes, for the browser that began it.
    pub fn look(&self, tenant: TenantId, id: &str, binding: &str) -> Result<EidView, StepUpError> {
        let begun = self.order(tenant, id, binding)?;
        Ok(begun.view(self.now()))
    }

    /// The browser came back from the app of the same device, with what only that app was told.
    pub fn returned(
        &self,
        tenant: TenantId,
        id: &str,
        binding: &str,
        nonce: &str,
    ) -> Result<(), StepUpError> {
        let begun = self.order(tenant, id, binding)?;
        if !ct_eq(&begun.nonce, &hash(nonce.as_bytes())) {
            return Err(StepUpError::NoOrder);
        }
        *begun.returned.lock() = true;
        Ok(())
    }

    /// Takes the proof of an order that ended well, once; `None` while it has not.
    pub async fn take_proof(
        &self,
        tenant: TenantId,
        id: &str,
        binding: &str,
    ) -> Result<Option<TakenProof>, StepUpError> {
        let begun = self.order(tenant, id, binding)?;
        let Some(pseudonym) = begun.take() else {
            return Ok(None);
        };
        self.0.orders.lock().remove(&hash(id.as_bytes()));
        let proof = NewProof {
            plugin: &begun.plugin,
            purpose: &begun.purpose,
            method: "bankid",
            pseudonym: Some(pseudonym),
            binding: Binding::Browser(hash(binding.as_bytes())),
            for_ticket: begun.for_ticket,
        };
        let token = self.0.identity.issue_proof(tenant, proof).await?;
        Ok(Some(TakenProof {
            plugin: begun.plugin.clone(),
            purpose: begun.purpose.clone(),
            token,
        }))
    }

    /// The browser no longer wants it. Answers where it goes on.
    pub async fn cancel(
        &self,
        tenant: TenantId,
        id: &str,
        binding: &str,
    ) -> Result<String, StepUpError> {
        let begun = self.order(tenant, id, binding)?;
        let was_pending = begun.is_pending();
        begun.becomes(At::Failed(Message::Rfa6));
        self.0.orders.lock().remove(&hash(id.as_bytes()));
        if was_pending && let Ok(provider) = self.provider(tenant) {
            // It expires by itself if this does not reach the provider.
            if let Err(error) = provider.cancel(&begun.order).await {
                tracing::info!(tenant.id = %tenant, %error, "an order could not be called off");
            }
        }
        Ok(begun.back_to.clone())
    }
}

/// Where a browser may spend a proof: by what its cookie holds.
pub fn browser_binding(cookie: &str) -> Binding {
    Binding::Browser(hash(cookie.as_bytes()))
}

impl std::fmt::Debug for Eids {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Eids(…)")
    }
}
