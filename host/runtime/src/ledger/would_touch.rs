//! What a plugin would have used: the tenant's last days, replayed in rehearsals of which nothing is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;
use vaxel_core::{OpCx, PluginId, Problem, Reason, TenantId};

use super::rows::{MS_PER_DAY, day_of};
use crate::capability::bindings::exports::vaxel::{events_in::events_in, jobs::jobs};
use crate::manifest::{Cap, Grants, When};
use crate::outcome::{Failure, storage_problem};
use crate::package::Plugin;
use crate::registry::TenantPlugins;
use crate::usage::Usage;
use crate::work::Work;
use crate::{Caller, Runtime, RuntimeError};

/// The tail keeps events for so long.
const DAYS_MAX: u64 = 7;

/// Events that are replayed: the newest.
const EVENTS_MAX: usize = 1_000;

/// How long a replay may take; what it has seen until then is the answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Problems and details that are told: an admin reads them.
const TOLD_MAX: usize = 32;

/// What a plugin would have used.
#[derive(Clone, Debug, Default, Serialize)]
pub struct WouldTouch {
    /// How many days were looked at.
    pub days: u64,
    /// Events that it was shown.
    pub events_replayed: u64,
    /// Calls that its hooks would have seen.
    pub calls_seen: u64,
    /// Each thing that it asks for.
    pub items: Vec<WouldUse>,
    /// What it asks for and did not use once.
    pub unused: Vec<String>,
    /// What could not be tried, and what went wrong.
    pub problems: Vec<String>,
}

/// One thing that it asks for.
#[derive(Clone, Debug, Serialize)]
pub struct WouldUse {
    /// The ask's id.
    pub ask: String,
    /// How often.
    pub uses: u64,
    /// With what.
    pub details: Vec<String>,
}

/// What is found out on the way.
#[derive(Default)]
struct Found {
    uses: BTreeMap<String, u64>,
    details: BTreeMap<String, BTreeSet<String>>,
    problems: BTreeSet<String>,
}

impl Found {
    fn add(&mut self, ask: &str, uses: u64) {
        if uses > 0 {
            *self.uses.entry(ask.to_owned()).or_default() += uses;
        }
    }

    fn tell(&mut self, ask: &str, detail: String) {
        let details = self.details.entry(ask.to_owned()).or_default();
        if details.len() < TOLD_MAX {
            details.insert(detail);
        }
    }

    fn problem(&mut self, problem: String) {
        if self.problems.len() < TOLD_MAX {
            self.problems.insert(problem);
        }
    }

    fn add_usage(&mut self, usage: &Usage) {
        for (cap, uses) in Cap::ALL.into_iter().zip(usage.uses) {
            self.add(cap.name(), u64::from(uses));
        }
        for act in usage.acts.iter().filter(|act| !act.what.is_empty()) {
            self.tell(act.cap.name(), act.what.clone());
        }
    }
}

impl Runtime {
    /// What a plugin would have used in a tenant on the last days, at most seven, had everything been granted that it
    /// asks for. It is shown the events that it wants, and runs its jobs once; of calls that it hooks into only the
    /// number is known; where it is on, what it really used is added. Nothing of it is kept. One at a time.
    pub async fn would_touch(
        &self,
        tenant: TenantId,
        plugin: &PluginId,
        version: Option<&str>,
        days: u64,
    ) -> Result<WouldTouch, Problem> {
        let inner = &self.inner;
        let Ok(_alone) = inner.ledger.replaying.try_acquire() else {
            let detail = "Another replay is under way.";
            return Err(Problem::new(Reason::LimitReached, detail).retry_after_ms(5_000));
        };
        let days = days.clamp(1, DAYS_MAX);
        let now = inner.clock.now();
        let deadline = Instant::now() + PATIENCE;
        let plugins = inner
            .registry
            .tenant(tenant)
            .map_err(|e| storage_problem(&e))?;
        let it = self.version_for(&plugins, plugin, version)?;
        let grants = Arc::new(Grants::all(&it.asks));
        let mut found = Found::default();

        let mut works = Vec::new();
        let wanted: BTreeSet<&str> = it
            .manifest
            .subscriptions
            .iter()
            .map(|s| s.topic.as_str())
            .collect();
        if !wanted.is_empty() {
            let since = now.minus_ms(days * MS_PER_DAY);
            let (storage, topics) = (
                inner.storage.clone(),
                wanted
                    .iter()
                    .map(|&topic| topic.to_owned())
                    .collect::<BTreeSet<_>>(),
            );
            let read = tokio::task::spawn_blocking(move || {
                storage.past_events(tenant, since, &|topic| topics.contains(topic), EVENTS_MAX)
            });
            let events = read.await.map_err(|_| Problem::from(Reason::Internal))?;
            for (event, at) in events.map_err(|error| storage_problem(&error))? {
                works.push(Work::Event(events_in::Event {
                    id: event.stamp.to_string(),
                    topic: event.topic.to_string(),
                    at_ms: at.0,
                    attempt: 1,
                    payload: event.payload.to_vec(),
                }));
            }
        }
        works.extend(it.manifest.jobs.iter().map(|job| {
            Work::Job(jobs::Job {
                name: job.name.clone(),
                key: String::new(),
                attempt: 1,
                payload: Vec::new(),
                cursor: None,
            })
        }));

        let mut events_replayed = 0;
        for work in works {
            if Instant::now() >= deadline {
                found.problem("time ran out before everything was replayed".to_owned());
                break;
            }
            let (kind, name) = (work.kind(), work.name().to_owned());
            if let Work::Event(_) = &work {
                events_replayed += 1;
                found.add(&format!("events:{name}"), 1);
            }
            let cx = OpCx::system(tenant, now);
            let caller = Caller::default();
            let ran = inner
                .rehearse(&plugins, &it, &grants, cx, caller, work)
                .await?;
            found.add_usage(&ran.usage);
            match ran.done {
                Ok(_) | Err(Failure::Conflict) => {}
                Err(Failure::Refused(problem) | Failure::Host(problem)) => {
                    found.problem(format!("{kind} {name}: {}", problem.detail));
                }
                Err(Failure::Fault(fault)) => {
                    found.problem(format!("{kind} {name}: {}", fault.as_str()));
                }
            }
            if ran.would_write {
                found.tell("storage", format!("{kind} {name} would write"));
            }
            // Whoever else has something to do goes first.
            tokio::task::yield_now().await;
        }

        let first = day_of(now).saturating_sub(days - 1);
        let calls_seen = self
            .add_from_ledger(tenant, &it.manifest, first, &mut found)
            .await?;
        let items = it.asks.iter().map(|ask| WouldUse {
            uses: found.uses.get(&ask.id).copied().unwrap_or(0),
            details: found
                .details
                .remove(&ask.id)
                .into_iter()
                .flatten()
                .collect(),
            ask: ask.id.clone(),
        });
        let items: Vec<WouldUse> = items.collect();
        let unused = items.iter().filter(|item| item.uses == 0);
        Ok(WouldTouch {
            days,
            events_replayed,
            calls_seen,
            unused: unused.map(|item| item.ask.clone()).collect(),
            items,
            problems: found.problems.into_iter().collect(),
        })
    }

    /// The version that is meant: the one that is said, or else the tenant's, or else the one that it would get.
    fn version_for(
        &self,
        plugins: &TenantPlugins,
        plugin: &PluginId,
        version: Option<&str>,
    ) -> Result<Arc<Plugin>, Problem> {
        let Some(family) = self.inner.registry.family(plugin) else {
            let plugin = plugin.clone();
            return Err(RuntimeError::Unknown { plugin }.problem());
        };
        let active = plugins.active.get(plugin);
        let on = active.map(|active| active.plugin.manifest.version.as_str());
        let wanted = version.or(on).or_else(|| family.offered(plugins.stage));
        let wanted = wanted.unwrap_or(&family.current);
        family.plugin(wanted).cloned().ok_or_else(|| {
            let detail = format!("Version {wanted} is not installed, or cannot be used.");
            Problem::new(Reason::NotFound, detail).with_code("unknown_version")
        })
    }

    /// What hooks would have seen, and what the plugin really used where it is on.
    async fn add_from_ledger(
        &self,
        tenant: TenantId,
        manifest: &crate::Manifest,
        first: u64,
        found: &mut Found,
    ) -> Result<u64, Problem> {
        let days = day_of(self.inner.clock.now()).saturating_sub(first) + 1;
        let mut calls_seen = 0;
        for (id, used) in self.used(tenant, None, days).await? {
            if id == manifest.id {
                for (cap, uses) in &used.uses {
                    found.add(cap, *uses);
                }
                let of_kind = |kind: &str| {
                    let works = used.works.iter().filter(|work| work.kind == kind);
                    works.map(|work| work.calls).sum::<u64>()
                };
                found.add("http-in", of_kind("http-in"));
                for work in used.works.iter().filter(|work| work.kind == "event") {
                    found.add(&format!("events:{}", work.name), work.calls);
                }
            }
            for work in used.works.iter().filter(|work| work.kind == "method") {
                let method = format!("{id}/{}", work.name);
                for hook in manifest.hooks.iter().filter(|hook| hook.on == method) {
                    let word = match hook.when {
                        When::Before => "before",
                        When::After => "after",
                    };
                    calls_seen += work.calls;
                    found.add(&format!("{word}:{method}"), work.calls);
                }
            }
        }
        if !manifest.hooks.is_empty() {
            found.problem("hooks were counted and not run: what is called is not kept".to_owned());
        }
        Ok(calls_seen)
    }
}
