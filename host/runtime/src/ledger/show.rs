//! What administrators and the operator see of it.

use std::collections::BTreeMap;

use vaxel_core::{PluginId, Problem, Reason, TenantId};
use vaxel_storage::Space;

use super::account::Life;
use super::rows::{self, DAYS, DayRow, KEPT_DAYS, METHODS, date_of, day_of};
use super::sums::{Metrics, Sums, add_metric};
use crate::Runtime;
use crate::blobs;
use crate::outcome::storage_problem;

/// What a plugin used on one day in one tenant, over all its versions.
#[derive(Clone, Debug, Default)]
pub struct DayUse {
    /// The day, `2026-11-22` (UTC).
    pub day: String,
    /// Runs, those again after a conflict among them.
    pub calls: u64,
    /// Runs in which it broke.
    pub faults: u64,
    /// Runs that it refused in its own words.
    pub refusals: u64,
    /// Runs that somebody else was faster than.
    pub conflicts: u64,
    /// Processor time, in microseconds.
    pub processor_us: u64,
    /// Time from the first instruction to the last, in microseconds.
    pub wall_us: u64,
    /// The most memory of one run.
    pub memory_bytes_max: u64,
    /// Operations of storage and events.
    pub storage_ops: u64,
    /// What it wrote, in bytes.
    pub written_bytes: u64,
    /// How often it used each capability.
    pub uses: BTreeMap<String, u64>,
    /// Sums of its own.
    pub metrics: Metrics,
    /// Which versions ran.
    pub versions: Vec<String>,
    /// By what it did.
    pub works: Vec<WorkUse>,
}

/// What one method, page, job, … used on one day.
#[derive(Clone, Debug)]
pub struct WorkUse {
    /// `method`, `job`, `event`, …
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Runs.
    pub calls: u64,
    /// Runs in which it broke.
    pub faults: u64,
    /// Processor time, in microseconds.
    pub processor_us: u64,
}

/// How much of its budget a tenant has used up today.
#[derive(Clone, Copy, Debug)]
pub struct BudgetState {
    /// Processor time of its plugins, in milliseconds.
    pub processor_ms: u64,
    /// What it may be.
    pub processor_ms_max: u64,
    /// Requests of its plugins to the outside.
    pub requests: u64,
    /// How many they may be.
    pub requests_max: u64,
    /// What the rows of each plugin may take, in bytes.
    pub stored_bytes_max: u64,
    /// What the files of each plugin may take, in bytes.
    pub file_bytes_max: u64,
}

/// What a plugin has stored in one tenant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// What its rows take, keys and seals included, in bytes.
    pub row_bytes: u64,
    /// What its files take, in bytes.
    pub file_bytes: u64,
}

/// What a plugin used since the start of this process, over all tenants.
#[derive(Clone, Debug)]
pub struct LifeUse {
    /// Which plugin.
    pub plugin: PluginId,
    /// Runs.
    pub calls: u64,
    /// Runs in which it broke.
    pub faults: u64,
    /// Processor time, in microseconds.
    pub processor_us: u64,
    /// The most memory of one run.
    pub memory_bytes_max: u64,
    /// What it wrote, in bytes.
    pub written_bytes: u64,
    /// How often it used each capability.
    pub uses: BTreeMap<&'static str, u64>,
}

impl DayUse {
    fn add(&mut self, version: String, row: &DayRow) {
        let mut sums = self.sums();
        sums.add(&row.sums);
        let Sums {
            calls,
            refusals,
            faults,
            conflicts,
            processor_us,
            wall_us,
            memory_bytes_max,
            storage_ops,
            written_bytes,
        } = sums;
        *self = Self {
            calls,
            refusals,
            faults,
            conflicts,
            processor_us,
            wall_us,
            memory_bytes_max,
            storage_ops,
            written_bytes,
            ..std::mem::take(self)
        };
        for (name, more) in &row.uses {
            *self.uses.entry(name.clone()).or_default() += more;
        }
        for (name, metric) in &row.metrics {
            add_metric(&mut self.metrics, name, *metric);
        }
        self.versions.push(version);
    }

    fn sums(&self) -> Sums {
        Sums {
            calls: self.calls,
            refusals: self.refusals,
            faults: self.faults,
            conflicts: self.conflicts,
            processor_us: self.processor_us,
            wall_us: self.wall_us,
            memory_bytes_max: self.memory_bytes_max,
            storage_ops: self.storage_ops,
            written_bytes: self.written_bytes,
        }
    }
}

impl Runtime {
    /// What a tenant's plugins, or one of them, used on the last days, today included.
    pub async fn used(
        &self,
        tenant: TenantId,
        plugin: Option<&PluginId>,
        days: u64,
    ) -> Result<Vec<(PluginId, DayUse)>, Problem> {
        let (ledger, now) = (&self.inner.ledger, self.inner.clock.now());
        let account = ledger
            .tenant(tenant, now)
            .map_err(|e| storage_problem(&e))?;
        ledger.write_tenant(&account, now, false).await;
        let first = day_of(now).saturating_sub(days.clamp(1, KEPT_DAYS) - 1);
        let mut tx = self.inner.storage.begin(tenant);
        let read = |tx: &mut _| -> Result<_, vaxel_storage::StorageError> {
            let of_days = rows::since::<DayRow>(tx, DAYS, first)?;
            let of_works = rows::since::<Sums>(tx, METHODS, first)?;
            Ok((of_days, of_works))
        };
        let (of_days, of_works) = read(&mut tx).map_err(|error| storage_problem(&error))?;
        let is_asked = |id: &PluginId| plugin.is_none_or(|plugin| plugin == id);
        let mut found: BTreeMap<(u64, PluginId), DayUse> = BTreeMap::new();
        for (key, row) in of_days.into_iter().filter(|(key, _)| is_asked(&key.plugin)) {
            let of_day = found
                .entry((key.day, key.plugin))
                .or_insert_with(|| DayUse {
                    day: date_of(key.day),
                    ..DayUse::default()
                });
            of_day.add(key.version, &row);
        }
        for (key, row) in of_works {
            let (Some((kind, name)), Some(of_day)) =
                (key.work, found.get_mut(&(key.day, key.plugin)))
            else {
                continue;
            };
            let is_it = |work: &&mut WorkUse| work.kind == kind && work.name == name;
            match of_day.works.iter_mut().find(is_it) {
                Some(work) => {
                    work.calls += row.calls;
                    work.faults += row.faults;
                    work.processor_us += row.processor_us;
                }
                None => of_day.works.push(WorkUse {
                    kind,
                    name,
                    calls: row.calls,
                    faults: row.faults,
                    processor_us: row.processor_us,
                }),
            }
        }
        // The newest day first.
        let newest_first = found.into_iter().rev();
        Ok(newest_first.map(|((_, id), used)| (id, used)).collect())
    }

    /// How much of its budget a tenant has used up today.
    pub fn budget(&self, tenant: TenantId) -> Result<BudgetState, Problem> {
        let (ledger, now) = (&self.inner.ledger, self.inner.clock.now());
        let account = ledger
            .tenant(tenant, now)
            .map_err(|e| storage_problem(&e))?;
        Ok(BudgetState {
            processor_ms: account.today.get(day_of(now)) / 1_000,
            processor_ms_max: ledger.budget.processor_ms_per_day,
            // Refused ones are counted and were not sent.
            requests: account
                .requests
                .get(day_of(now))
                .min(ledger.budget.requests_per_day),
            requests_max: ledger.budget.requests_per_day,
            stored_bytes_max: self.inner.limits.plugin_stored_bytes,
            file_bytes_max: self.inner.limits.plugin_blob_bytes,
        })
    }

    /// What a plugin has stored in a tenant, whether or not it is on.
    pub async fn stored(&self, tenant: TenantId, plugin: &PluginId) -> Result<Stored, Problem> {
        let (storage, plugin) = (self.inner.storage.clone(), plugin.clone());
        // Where nobody has begun to count, rows are walked.
        let found = tokio::task::spawn_blocking(move || {
            Ok::<_, vaxel_storage::StorageError>(Stored {
                row_bytes: storage.usage_of(tenant, Space::plugin(&plugin))?,
                file_bytes: blobs::sum(&mut storage.begin(tenant), Some(&plugin))?,
            })
        });
        let found = found.await.map_err(|_| Problem::from(Reason::Internal))?;
        found.map_err(|error| storage_problem(&error))
    }

    /// What each plugin used since the start, over all tenants.
    pub fn used_in_life(&self) -> Vec<LifeUse> {
        let mut lives: BTreeMap<PluginId, Life> = BTreeMap::new();
        for account in self
            .inner
            .ledger
            .tenants()
            .iter()
            .flat_map(|t| t.accounts())
        {
            let life = lives.entry(account.plugin.clone()).or_default();
            life.merge(&account.life());
        }
        let used = lives
            .into_iter()
            .map(|(plugin, Life { sums, uses })| LifeUse {
                plugin,
                calls: sums.calls,
                faults: sums.faults,
                processor_us: sums.processor_us,
                memory_bytes_max: sums.memory_bytes_max,
                written_bytes: sums.written_bytes,
                uses,
            });
        used.collect()
    }

    /// Writes down what is noted, totals for the audit too: the last thing before an orderly stop.
    pub async fn close_books(&self) {
        self.keep_measured().await;
        let now = self.inner.clock.now();
        self.inner.ledger.write_all(now, true).await;
    }
}
