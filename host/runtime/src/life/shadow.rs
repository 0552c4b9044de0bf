//! Shadow runs: an organization's calls run on the new version too, nothing of it is kept, and the answers are compared.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use vaxel_storage::Transaction;

use super::differences;
use crate::guest::Context;
use crate::instance::Ran;
use crate::manifest::Grants;
use crate::outcome::Failure;
use crate::package::Plugin;
use crate::registry::TenantPlugins;
use crate::rehearsal::{Rehearsal, Rehearsed};
use crate::runtime::Inner;
use crate::usage::Usage;
use crate::work::{Done, Work};

/// Shadow runs of one plugin at a time: the calls that people wait for come first.
const AT_ONCE: usize = 2;

/// How long a call waits for its shadow at least, once it has its own answer. A shadow must see what the call saw, so
/// the call's commit comes after it.
const PATIENCE: Duration = Duration::from_secs(1);

/// Most places that a report names.
const PLACES_MAX: usize = 64;

/// What runs beside the calls of one tenant.
pub(crate) struct Shadowing {
    pub(crate) plugin: Arc<Plugin>,
    pub(crate) grants: Arc<Grants>,
    pub(crate) report: Arc<Report>,
}

/// What came of it so far, in all tenants.
pub(crate) struct Report {
    pub(super) counts: Mutex<Counts>,
    slots: Arc<Semaphore>,
}

/// The numbers of a report.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    pub(super) compared: u64,
    pub(super) differing: u64,
    pub(super) faults: u64,
    /// Too many at once, too slow, or something changed in between.
    pub(super) skipped: u64,
    pub(super) real: Duration,
    pub(super) shadow: Duration,
    pub(super) places: BTreeMap<String, u64>,
}

impl Default for Report {
    fn default() -> Self {
        Self {
            counts: Mutex::default(),
            slots: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }
}

/// A shadow run that is under way.
pub(crate) struct Beside {
    report: Arc<Report>,
    began: Instant,
    running: JoinHandle<Option<Rehearsed>>,
}

impl Shadowing {
    /// Runs a method's call on the new version as well, from the same state of the tenant's data.
    pub(crate) fn begin(
        &self,
        inner: &Arc<Inner>,
        tenant: &Arc<TenantPlugins>,
        real: &Context,
        work: &Work,
        tx: Transaction,
    ) -> Option<Beside> {
        if !matches!(work, Work::Method { .. }) {
            return None;
        }
        let Ok(slot) = Arc::clone(&self.report.slots).try_acquire_owned() else {
            self.report.counts.lock().skipped += 1;
            return None;
        };
        let rehearsal = Rehearsal {
            plugin: Arc::clone(&self.plugin),
            grants: Arc::clone(&self.grants),
            cx: real.cx.clone(),
            caller: real.caller.clone(),
            work: work.clone(),
            chance: real.chance.clone(),
            tx,
        };
        let (inner, tenant) = (Arc::clone(inner), Arc::clone(tenant));
        let running = tokio::spawn(async move {
            let rehearsed = inner.rehearse_alike(&tenant, rehearsal).await.ok();
            drop(slot);
            rehearsed
        });
        Some(Beside {
            report: Arc::clone(&self.report),
            began: Instant::now(),
            running,
        })
    }
}

impl Beside {
    /// Waits for the shadow, though not for long, and compares. Before the call's own commit.
    pub(crate) async fn compare(self, ran: &Result<Ran, Failure>, usage: &Usage) {
        let patience = PATIENCE.max(self.began.elapsed() * 2);
        let finished = tokio::time::timeout(patience, self.running).await;
        let mut counts = self.report.counts.lock();
        match finished {
            Ok(Ok(Some(shadow))) => counts.take(ran, usage, &shadow),
            _ => counts.skipped += 1,
        }
    }
}

impl Counts {
    fn take(&mut self, ran: &Result<Ran, Failure>, usage: &Usage, shadow: &Rehearsed) {
        let is_unsettled = matches!(ran, Err(Failure::Conflict | Failure::Host(_)))
            || matches!(shadow.done, Err(Failure::Conflict | Failure::Host(_)));
        let saw_others = match (ran, shadow.as_of) {
            (Ok(ran), Some(as_of)) => ran.tx.as_of() != as_of,
            _ => false,
        };
        if is_unsettled || saw_others {
            self.skipped += 1;
            return;
        }
        self.compared += 1;
        self.real += usage.processor;
        self.shadow += shadow.usage.processor;
        let places = match (ran, &shadow.done) {
            (_, Err(Failure::Fault(_))) => {
                self.faults += 1;
                ["a fault".to_owned()].into()
            }
            (Ok(ran), Ok(done)) => match (&ran.done, done) {
                (Done::Json(a), Done::Json(b)) => match (parsed(a), parsed(b)) {
                    (Some(a), Some(b)) => differences::between(&a, &b),
                    _ => ["$".to_owned()].into(),
                },
                _ => return,
            },
            (Err(Failure::Refused(a)), Err(Failure::Refused(b))) if a.code == b.code => return,
            _ => ["whether it refuses, and how".to_owned()].into(),
        };
        if places.is_empty() {
            return;
        }
        self.differing += 1;
        for place in places {
            if self.places.contains_key(&place) || self.places.len() < PLACES_MAX {
                *self.places.entry(place).or_default() += 1;
            }
        }
    }
}

fn parsed(json: &[u8]) -> Option<Value> {
    serde_json::from_slice(json).ok()
}
