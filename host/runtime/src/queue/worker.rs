//! Who does the work: one task of the node, over all tenants in turns, never with more than a part of the places.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use vaxel_core::{PluginId, TenantId, UnixMs};
use vaxel_crypto::random_bytes;
use vaxel_storage::{StorageError, Transaction};

use super::Whose;
use super::rows::{self, First, Job, JobId, Lane};
use crate::Runtime;
use crate::package::Plugin;
use crate::runtime::Inner;

/// Of the places of the host, a tenant and a plugin, one in so many is for work that nobody waits for: who calls always
/// finds most of them.
const PLACES_PART: usize = 4;

/// How long the worker sleeps at most, so that a clock that is set is noticed.
const SLEEP_MAX: Duration = Duration::from_secs(30);

/// How long a queue is left alone that could not be looked at.
const TROUBLE_MS: u64 = 5_000;

/// One piece of work.
pub(super) enum Piece {
    First(First),
    Job(JobId, Job),
    /// The rows are not of the form that the version knows.
    Rows,
}

/// What names a piece among those of its plugin.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Name {
    Lane(Lane),
    Job(JobId),
    Rows,
}

impl Piece {
    fn name(&self) -> Name {
        match self {
            Self::First(first) => Name::Lane(first.lane),
            Self::Job(id, _) => Name::Job(*id),
            Self::Rows => Name::Rows,
        }
    }
}

/// How a piece ended.
pub(super) enum Ended {
    /// It is done, or noted down for later.
    Noted,
    /// It could not be tried: the plugin rests, say. Nothing of the same plugin is tried before this.
    NotNow { wait_ms: u64 },
}

/// What a look at a plugin's queue found.
struct Look {
    piece: Option<Piece>,
    /// When there is something, if not now.
    next: Option<UnixMs>,
}

/// What the worker knows. All of it can be read from storage again.
#[derive(Default)]
struct Agenda {
    /// Who may have something to do, by tenant.
    ready: BTreeMap<TenantId, BTreeSet<PluginId>>,
    /// Whose turn it was last.
    last: Option<TenantId>,
    later: BTreeMap<Whose, UnixMs>,
    held: HashMap<Whose, UnixMs>,
    running: HashMap<Whose, HashSet<Name>>,
    /// For which version of a plugin its repeated work was planned.
    planned: HashMap<Whose, Arc<Plugin>>,
}

impl Agenda {
    fn mark(&mut self, (tenant, plugin): Whose) {
        self.ready.entry(tenant).or_default().insert(plugin);
    }

    /// What has become due in the meantime is ready.
    fn turn_the_clock(&mut self, now: UnixMs) {
        self.held.retain(|_, until| *until > now);
        let due: Vec<Whose> = self
            .later
            .iter()
            .filter(|(_, at)| **at <= now)
            .map(|(whose, _)| whose.clone())
            .collect();
        for whose in due {
            self.later.remove(&whose);
            self.mark(whose);
        }
    }

    /// The next in turn: another tenant than the last, if there is one.
    fn next(&mut self) -> Option<Whose> {
        let behind = self.last.map_or(Bound::Unbounded, Bound::Excluded);
        let tenant = *self
            .ready
            .range((behind, Bound::Unbounded))
            .next()
            .or_else(|| self.ready.iter().next())?
            .0;
        self.last = Some(tenant);
        let plugins = self.ready.get_mut(&tenant)?;
        let plugin = plugins.pop_first()?;
        if plugins.is_empty() {
            self.ready.remove(&tenant);
        }
        Some((tenant, plugin))
    }

    fn is_at(&mut self, whose: &Whose, at: UnixMs) {
        let later = self.later.entry(whose.clone()).or_insert(at);
        *later = at.min(*later);
    }

    fn running_of(&self, tenant: TenantId) -> usize {
        let of_tenant = self.running.iter().filter(|((t, _), _)| *t == tenant);
        of_tenant.map(|(_, running)| running.len()).sum()
    }
}

impl Inner {
    /// Does what is due. Ends when nothing is, unless it is to wait for more.
    async fn work(self: &Arc<Self>, forever: bool) {
        let part = |places: usize| (places / PLACES_PART).max(1);
        let host_max = part(self.pool_slots);
        let tenant_max = part(self.limits.tenant_concurrent);
        let plugin_max = part(self.limits.plugin_concurrent);
        let mut agenda = Agenda::default();
        let mut tasks: JoinSet<(Whose, Name, Ended)> = JoinSet::new();
        self.resume_erasing().await;
        self.mark_all();
        loop {
            for whose in self.queue.take_marked() {
                agenda.mark(whose);
            }
            let now = self.clock.now();
            agenda.turn_the_clock(now);
            while tasks.len() < host_max
                && let Some(whose) = agenda.next()
            {
                if let Some(until) = agenda.held.get(&whose).copied() {
                    agenda.is_at(&whose, until);
                    continue;
                }
                let running = agenda.running.get(&whose).map_or(0, HashSet::len);
                // Looked at again when something of theirs has ended.
                if running >= plugin_max || agenda.running_of(whose.0) >= tenant_max {
                    continue;
                }
                if let Err(error) = self.plan_where_new(&mut agenda.planned, &whose).await {
                    tracing::warn!(error = %error, "planning repeated work");
                    agenda.is_at(&whose, now.plus_ms(TROUBLE_MS));
                }
                let none = HashSet::new();
                let running = agenda.running.get(&whose).unwrap_or(&none);
                let look = match self.look(&whose, running, now) {
                    Ok(look) => look,
                    Err(error) => {
                        tracing::warn!(error = %error, "looking at queued work");
                        agenda.is_at(&whose, now.plus_ms(TROUBLE_MS));
                        continue;
                    }
                };
                if let Some(at) = look.next {
                    agenda.is_at(&whose, at);
                }
                if let Some(piece) = look.piece {
                    let name = piece.name();
                    agenda
                        .running
                        .entry(whose.clone())
                        .or_default()
                        .insert(name);
                    agenda.mark(whose.clone());
                    let inner = Arc::clone(self);
                    tasks.spawn(async move {
                        let ended = inner.carry_out(&whose, piece).await;
                        (whose, name, ended)
                    });
                }
            }
            if !forever && tasks.is_empty() {
                agenda.turn_the_clock(self.clock.now());
                if agenda.ready.is_empty() && self.queue.has_no_mark() {
                    return;
                }
                continue;
            }
            let sleep = self.sleep(&agenda);
            tokio::select! {
                Some(ended) = tasks.join_next() => {
                    let Ok((whose, name, ended)) = ended else {
                        // A panic of ours, logged by its hook: what ran is not known, so everybody is looked at.
                        agenda.running.clear();
                        tasks.abort_all();
                        self.mark_all();
                        continue;
                    };
                    if let Some(running) = agenda.running.get_mut(&whose) {
                        running.remove(&name);
                        if running.is_empty() {
                            agenda.running.remove(&whose);
                        }
                    }
                    if let Ended::NotNow { wait_ms } = ended {
                        agenda.held.insert(whose.clone(), self.clock.now().plus_ms(wait_ms));
                    }
                    // Others of the tenant may have waited for its place.
                    for other in self.of_tenant(whose.0) {
                        agenda.mark((whose.0, other));
                    }
                }
                () = self.queue.bell.notified() => {}
                () = self.registry.changed.notified() => self.mark_all(),
                () = tokio::time::sleep(sleep), if forever => {}
            }
        }
    }

    fn sleep(&self, agenda: &Agenda) -> Duration {
        let first = agenda.later.values().min();
        let now = self.clock.now();
        first.map_or(SLEEP_MAX, |at| {
            // Never busy: a moment that has passed was marked already.
            Duration::from_millis(at.since(now).max(1)).min(SLEEP_MAX)
        })
    }

    /// Another version may repeat other work.
    async fn plan_where_new(
        &self,
        planned: &mut HashMap<Whose, Arc<Plugin>>,
        whose: &Whose,
    ) -> Result<(), StorageError> {
        let (tenant, plugin) = whose;
        let plugins = self.registry.tenant(*tenant)?;
        let Some(active) = plugins.active.get(plugin) else {
            planned.remove(whose);
            return Ok(());
        };
        let is_planned = planned.get(whose);
        if is_planned.is_some_and(|version| Arc::ptr_eq(version, &active.plugin)) {
            return Ok(());
        }
        let manifest = &active.plugin.manifest;
        self.plan_repeated(*tenant, manifest, false).await?;
        planned.insert(whose.clone(), Arc::clone(&active.plugin));
        Ok(())
    }

    /// Everybody is looked at once.
    fn mark_all(&self) {
        for tenant in self.storage.tenants() {
            for plugin in self.of_tenant(tenant) {
                self.queue.mark(tenant, plugin);
            }
        }
    }

    fn of_tenant(&self, tenant: TenantId) -> Vec<PluginId> {
        let plugins = self.registry.tenant(tenant);
        plugins.map_or_else(|_| Vec::new(), |on| on.active.keys().cloned().collect())
    }

    /// One piece that is due and does not run yet, or when there will be one.
    fn look(
        &self,
        whose: &Whose,
        running: &HashSet<Name>,
        now: UnixMs,
    ) -> Result<Look, StorageError> {
        let (tenant, plugin) = whose;
        let mut look = Look {
            piece: None,
            next: None,
        };
        // One that is off keeps what waits for it.
        let plugins = self.registry.tenant(*tenant)?;
        let Some(active) = plugins.active.get(plugin) else {
            return Ok(look);
        };
        if running.contains(&Name::Rows) {
            return Ok(look);
        }
        if self.must_migrate(whose, active)? {
            look.piece = Some(Piece::Rows);
            return Ok(look);
        }
        let mut tx = self.storage.begin(*tenant);
        // By lot, so that no kind of work waits for the end of another kind.
        let mut kinds = [Some(Lane::Events), Some(Lane::After), None];
        let [lot] = random_bytes::<1>();
        kinds.rotate_left(usize::from(lot % 3));
        for kind in kinds {
            let found = match kind {
                Some(lane) if running.contains(&Name::Lane(lane)) => None,
                Some(lane) => first_of_lane(&mut tx, plugin, lane)?,
                None => first_job(&mut tx, plugin, running)?,
            };
            match found {
                Some((at, piece)) if at <= now => {
                    look.piece = Some(piece);
                    return Ok(look);
                }
                Some((at, _)) => look.next = Some(look.next.map_or(at, |next| next.min(at))),
                None => {}
            }
        }
        Ok(look)
    }
}

fn first_of_lane(
    tx: &mut Transaction,
    plugin: &PluginId,
    lane: Lane,
) -> Result<Option<(UnixMs, Piece)>, StorageError> {
    let first = rows::first(tx, plugin, lane)?;
    Ok(first.map(|first| {
        let at = first.tries.map_or(UnixMs(0), |tries| tries.next);
        (at, Piece::First(first))
    }))
}

fn first_job(
    tx: &mut Transaction,
    plugin: &PluginId,
    running: &HashSet<Name>,
) -> Result<Option<(UnixMs, Piece)>, StorageError> {
    for (due, id) in rows::first_due(tx, plugin, running.len() + 1)? {
        if running.contains(&Name::Job(id)) {
            continue;
        }
        let job = rows::job(tx, plugin, &id)?;
        return Ok(job.map(|job| (due, Piece::Job(id, job))));
    }
    Ok(None)
}

impl Runtime {
    /// Does the work that nobody waits for, as it becomes due. Runs until it is dropped.
    pub async fn work(&self) {
        self.inner.work(true).await;
    }

    /// Does what is due now, and what that leads to, and ends.
    pub async fn work_until_idle(&self) {
        self.inner.work(false).await;
    }
}
