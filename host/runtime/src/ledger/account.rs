//! The accounts: one per plugin and tenant, added to by every run, emptied when they are written down.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;
use vaxel_core::{AlarmLevel, Alarms, PluginId, TenantId, UnixMs, UserId};

use super::rows::day_of;
use super::sums::{How, Metric, Metrics, Sums, add_metric};
use crate::manifest::Cap;
use crate::usage::{Act, Usage};
use crate::work::Work;

/// Names of work that one account tells apart; the rest is counted in the plugin's sum alone. A manifest has fewer.
const WORKS_MAX: usize = 512;

/// Rows in the audit for one plugin of a tenant a minute. Uses beyond are in the totals.
const ROWS_PER_MINUTE: u64 = 300;

/// One tenant's accounts, and what its budget has used up today.
pub(crate) struct TenantAccount {
    pub(crate) tenant: TenantId,
    pub(crate) plugins: Mutex<HashMap<PluginId, Arc<Account>>>,
    pub(crate) today: Today,
    /// Requests to the outside. Behind a restart those count too that were refused.
    pub(crate) requests: Today,
    /// Held while its accounts are written down.
    pub(crate) writing: tokio::sync::Mutex<()>,
    /// What was in storage at the start is part of today's sum since then.
    pub(crate) forgot_day: AtomicU64,
}

/// What was used up of something since midnight (UTC).
#[derive(Default)]
pub(crate) struct Today {
    day: AtomicU64,
    sum: AtomicU64,
    was_told: AtomicBool,
}

impl Today {
    pub(crate) fn of(day: u64, sum: u64) -> Self {
        Self {
            day: AtomicU64::new(day),
            sum: AtomicU64::new(sum),
            was_told: AtomicBool::new(false),
        }
    }

    pub(crate) fn add(&self, day: u64, more: u64) -> u64 {
        self.turn(day);
        self.sum
            .fetch_add(more, Ordering::Relaxed)
            .saturating_add(more)
    }

    pub(crate) fn get(&self, day: u64) -> u64 {
        self.turn(day);
        self.sum.load(Ordering::Relaxed)
    }

    /// Whether this is the first time today that somebody has to be told.
    pub(crate) fn is_first(&self) -> bool {
        !self.was_told.swap(true, Ordering::Relaxed)
    }

    fn turn(&self, day: u64) {
        if self.day.load(Ordering::Relaxed) != day && self.day.swap(day, Ordering::Relaxed) != day {
            self.sum.store(0, Ordering::Relaxed);
            self.was_told.store(false, Ordering::Relaxed);
        }
    }
}

/// One plugin's account in one tenant.
pub(crate) struct Account {
    pub(crate) plugin: PluginId,
    pub(crate) tenant: Arc<TenantAccount>,
    pending: Mutex<Pending>,
    /// Since the start of this process.
    life: Mutex<Life>,
    /// How often a commit was refused because it stores as much as it may.
    full: Today,
    /// Rows in the audit this minute, and which minute.
    rows: Mutex<(u64, u64)>,
    /// The hour in which totals were written to the audit.
    pub(crate) totals_hour: AtomicU64,
}

/// What a plugin used since the start of the process.
#[derive(Clone, Debug, Default)]
pub(crate) struct Life {
    pub(crate) sums: Sums,
    pub(crate) uses: BTreeMap<&'static str, u64>,
}

/// What is not written down yet, by day and version: mostly one, two around midnight or an upgrade.
#[derive(Default)]
pub(crate) struct Pending(pub(crate) Vec<Part>);

pub(crate) struct Part {
    pub(crate) day: u64,
    pub(crate) version: String,
    pub(crate) sums: Sums,
    pub(crate) uses: [u64; Cap::COUNT],
    pub(crate) works: HashMap<&'static str, HashMap<String, Sums>>,
    works_count: usize,
    pub(crate) acts: Vec<Noted>,
    pub(crate) metrics: Metrics,
    pub(crate) dropped_metrics: bool,
}

/// A use that the audit names.
#[derive(Clone, Debug)]
pub(crate) struct Noted {
    pub(crate) at: UnixMs,
    pub(crate) user: Option<UserId>,
    pub(crate) work: String,
    pub(crate) act: Act,
    pub(crate) count: u64,
}

impl Part {
    fn new(day: u64, version: &str) -> Self {
        Self {
            day,
            version: version.to_owned(),
            sums: Sums::default(),
            uses: [0; Cap::COUNT],
            works: HashMap::new(),
            works_count: 0,
            acts: Vec::new(),
            metrics: Metrics::new(),
            dropped_metrics: false,
        }
    }

    fn add_work(&mut self, kind: &'static str, name: &str, sums: &Sums) {
        let names = self.works.entry(kind).or_default();
        if let Some(known) = names.get_mut(name) {
            known.add(sums);
        } else if self.works_count < WORKS_MAX && !name.contains('\0') && name.len() <= 256 {
            self.works_count += 1;
            names.insert(name.to_owned(), sums.clone());
        }
    }

    fn add_metric(&mut self, name: &str, metric: Metric) {
        self.dropped_metrics |= !add_metric(&mut self.metrics, name, metric);
    }

    fn merge(&mut self, other: Self) {
        self.sums.add(&other.sums);
        for (sum, more) in self.uses.iter_mut().zip(other.uses) {
            *sum = sum.saturating_add(more);
        }
        for (kind, names) in other.works {
            for (name, sums) in names {
                self.add_work(kind, &name, &sums);
            }
        }
        self.acts.extend(other.acts);
        for (name, metric) in other.metrics {
            self.add_metric(&name, metric);
        }
    }
}

impl Pending {
    fn part(&mut self, day: u64, version: &str) -> Option<&mut Part> {
        let is_it = |part: &Part| part.day == day && part.version == version;
        let at = match self.0.iter().position(is_it) {
            Some(at) => at,
            None => {
                self.0.push(Part::new(day, version));
                self.0.len() - 1
            }
        };
        self.0.get_mut(at)
    }
}

/// A run that has ended.
pub(crate) struct Run<'a> {
    pub(crate) now: UnixMs,
    pub(crate) version: &'a str,
    pub(crate) user: Option<UserId>,
    pub(crate) work: &'a Work,
    pub(crate) how: How,
    pub(crate) usage: &'a Usage,
}

impl Account {
    pub(crate) fn new(plugin: PluginId, tenant: Arc<TenantAccount>) -> Self {
        Self {
            plugin,
            tenant,
            pending: Mutex::default(),
            life: Mutex::default(),
            full: Today::default(),
            rows: Mutex::default(),
            totals_hour: AtomicU64::new(0),
        }
    }

    /// Notes a run. What every call pays for: one lock that hardly anybody else wants, and no allocation where the
    /// same was done before.
    pub(crate) fn note(&self, run: &Run<'_>) {
        let Run {
            now, work, usage, ..
        } = *run;
        let day = day_of(now);
        let sums = Sums::of(run.how, usage);
        self.tenant.today.add(day, sums.processor_us);
        let mut pending = self.pending.lock();
        let Some(part) = pending.part(day, run.version) else {
            return;
        };
        part.sums.add(&sums);
        for (sum, uses) in part.uses.iter_mut().zip(usage.uses) {
            *sum = sum.saturating_add(u64::from(uses));
        }
        part.add_work(work.kind(), work.name(), &sums);
        for (name, metric) in &usage.metrics {
            part.add_metric(name, *metric);
        }
        if !usage.acts.is_empty() {
            self.note_acts(part, run);
        }
    }

    fn note_acts(&self, part: &mut Part, run: &Run<'_>) {
        let mut counted: BTreeMap<&Act, u64> = BTreeMap::new();
        for act in &run.usage.acts {
            *counted.entry(act).or_default() += 1;
        }
        let minute = run.now.0 / 60_000;
        for (act, count) in counted {
            {
                let mut rows = self.rows.lock();
                if rows.0 != minute {
                    *rows = (minute, 0);
                }
                if rows.1 >= ROWS_PER_MINUTE {
                    return;
                }
                rows.1 += 1;
            }
            part.acts.push(Noted {
                at: run.now,
                user: run.user,
                work: format!("{} {}", run.work.kind(), run.work.name()),
                act: act.clone(),
                count,
            });
        }
    }

    /// A run whose commit met somebody faster.
    pub(crate) fn note_conflict(&self, now: UnixMs, version: &str) {
        if let Some(part) = self.pending.lock().part(day_of(now), version) {
            part.sums.conflicts = part.sums.conflicts.saturating_add(1);
        }
    }

    /// A commit was refused because the plugin stores as much as it may. The operator is told once a day.
    pub(crate) fn note_full(&self, now: UnixMs, alarms: &dyn Alarms) {
        if self.full.add(day_of(now), 1) == 1 {
            let (plugin, tenant) = (&self.plugin, self.tenant.tenant);
            let detail = format!("{plugin} stores as much as it may in {tenant}");
            alarms.raise(AlarmLevel::Warning, "plugin.storage", &detail);
        }
    }

    /// Whether there is something to write down.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.pending.lock().0.is_empty()
    }

    /// Takes what is to be written down.
    pub(crate) fn take(&self) -> Vec<Part> {
        std::mem::take(&mut self.pending.lock().0)
    }

    /// Notes that it was written down.
    pub(crate) fn was_written(&self, parts: &[Part]) {
        let mut life = self.life.lock();
        for part in parts {
            life.add(part);
        }
    }

    /// Puts back what could not be written down.
    pub(crate) fn put_back(&self, parts: Vec<Part>) {
        let mut pending = self.pending.lock();
        for part in parts {
            if let Some(there) = pending.part(part.day, &part.version) {
                there.merge(part);
            }
        }
    }

    /// Since the start of this process.
    pub(crate) fn life(&self) -> Life {
        // In this order, or what is just being written down would be counted twice; now it may be missing for a moment.
        let pending = self.pending.lock();
        let mut life = self.life.lock().clone();
        for part in &pending.0 {
            life.add(part);
        }
        life
    }
}

impl Life {
    fn add(&mut self, part: &Part) {
        self.sums.add(&part.sums);
        for (cap, more) in Cap::ALL.into_iter().zip(part.uses) {
            let sum = self.uses.entry(cap.name()).or_default();
            *sum = sum.saturating_add(more);
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.sums.add(&other.sums);
        for (name, more) in &other.uses {
            let sum = self.uses.entry(name).or_default();
            *sum = sum.saturating_add(*more);
        }
    }
}
