//! What plugins use: noted at the end of every run, added up in memory, written down every ten seconds and at the end.
//!
//! A row per plugin, version and day says what was used; in the same transactions the audit gets a row for each use that
//! matters and, every hour, the totals of all others. So uses are always rows plus totals plus what is not audited yet,
//! also after a kill -9, which loses what was noted since the last time.

mod account;
mod budget;
mod rows;
mod show;
mod sums;
mod would_touch;
mod writing;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use vaxel_core::{PluginId, TenantId, UnixMs};
use vaxel_storage::{Storage, StorageError};

use account::{TenantAccount, Today};
use rows::{DAYS, DayRow, day_of};

pub(crate) use account::{Account, Run};
pub use budget::Budget;
pub use show::{BudgetState, DayUse, LifeUse, Stored, WorkUse};
pub(crate) use sums::How;
pub use sums::Metric;
pub use would_touch::{WouldTouch, WouldUse};
pub(crate) use writing::keep_writing;

use crate::capability::bindings::vaxel::types::types::Error;
use crate::guest::guest_error;
use crate::manifest::Cap;
use crate::runtime::Inner;

impl Inner {
    /// Takes a request to the outside off what the tenant's plugins may send today.
    pub(crate) fn takes_request(&self, tenant: TenantId) -> Result<(), Error> {
        let (now, alarms) = (self.clock.now(), self.alarms.as_ref());
        let Ok(account) = self.ledger.tenant(tenant, now) else {
            return Err(guest_error("unavailable", "its account cannot be read"));
        };
        let taken = self.ledger.budget.take_request(&account, now, alarms);
        taken.map_err(|wait_ms| Error {
            retry_after_ms: Some(wait_ms),
            ..guest_error(
                "limit",
                "the organization's plugins have sent as many requests as they may today",
            )
        })
    }
}

/// All accounts of this process.
pub(crate) struct Ledger {
    storage: Storage,
    pub(crate) budget: Budget,
    tenants: ArcSwap<HashMap<TenantId, Arc<TenantAccount>>>,
    /// Held while a tenant is added.
    adding: Mutex<()>,
    /// One replay at a time: it is nobody's hurry.
    pub(crate) replaying: Semaphore,
}

impl Ledger {
    pub(crate) fn new(storage: Storage, budget: Budget) -> Self {
        Self {
            storage,
            budget,
            tenants: ArcSwap::default(),
            adding: Mutex::new(()),
            replaying: Semaphore::new(1),
        }
    }

    /// The account of a plugin in a tenant.
    pub(crate) fn account(
        &self,
        tenant: TenantId,
        plugin: &PluginId,
        now: UnixMs,
    ) -> Result<Arc<Account>, StorageError> {
        let tenant = self.tenant(tenant, now)?;
        let mut plugins = tenant.plugins.lock();
        if let Some(known) = plugins.get(plugin) {
            return Ok(Arc::clone(known));
        }
        let account = Arc::new(Account::new(plugin.clone(), Arc::clone(&tenant)));
        plugins.insert(plugin.clone(), Arc::clone(&account));
        Ok(account)
    }

    /// A tenant's accounts; what its budget used up today is read from storage when it is asked for the first time.
    fn tenant(&self, tenant: TenantId, now: UnixMs) -> Result<Arc<TenantAccount>, StorageError> {
        if let Some(known) = self.tenants.load().get(&tenant) {
            return Ok(Arc::clone(known));
        }
        let _adding = self.adding.lock();
        if let Some(known) = self.tenants.load().get(&tenant) {
            return Ok(Arc::clone(known));
        }
        let today = day_of(now);
        let mut tx = self.storage.begin(tenant);
        let rows = rows::since::<DayRow>(&mut tx, DAYS, today)?;
        let used = rows.iter().map(|(_, row)| row.sums.processor_us).sum();
        let http = Cap::Http.name();
        let sent = rows.iter().filter_map(|(_, row)| row.uses.get(http)).sum();
        let account = Arc::new(TenantAccount {
            tenant,
            plugins: Mutex::default(),
            today: Today::of(today, used),
            requests: Today::of(today, sent),
            writing: tokio::sync::Mutex::new(()),
            forgot_day: AtomicU64::new(0),
        });
        let mut tenants = HashMap::clone(&self.tenants.load());
        tenants.insert(tenant, Arc::clone(&account));
        self.tenants.store(Arc::new(tenants));
        Ok(account)
    }

    fn tenants(&self) -> Vec<Arc<TenantAccount>> {
        self.tenants.load().values().cloned().collect()
    }
}

impl TenantAccount {
    fn accounts(&self) -> Vec<Arc<Account>> {
        self.plugins.lock().values().cloned().collect()
    }
}
