//! A run of which nothing is kept: what would a plugin do, and what would it touch.

use std::sync::Arc;
use std::time::Duration;

use vaxel_core::{OpCx, Problem, Reason};
use vaxel_storage::Transaction;

use crate::Caller;
use crate::admission;
use crate::guest::{Context, Guest};
use crate::instance::{self, Run};
use crate::life::Chance;
use crate::manifest::Grants;
use crate::outcome::Failure;
use crate::outside::{Tape, Within};
use crate::package::Plugin;
use crate::registry::TenantPlugins;
use crate::runtime::Inner;
use crate::usage::Usage;
use crate::work::{Done, Work};

/// What a rehearsal came to.
pub(crate) struct Rehearsed {
    pub(crate) done: Result<Done, Failure>,
    pub(crate) usage: Usage,
    /// Whether it would have written anything.
    pub(crate) would_write: bool,
    /// The commit that everything it read is as of, if it came to an end.
    pub(crate) as_of: Option<u64>,
}

/// A run of which nothing is kept.
pub(crate) struct Rehearsal {
    pub(crate) plugin: Arc<Plugin>,
    pub(crate) grants: Arc<Grants>,
    pub(crate) cx: OpCx,
    pub(crate) caller: Caller,
    pub(crate) work: Work,
    /// Chance that it shares with the call that it is compared with.
    pub(crate) chance: Option<Arc<Chance>>,
    /// Where it reads, and where what it writes ends.
    pub(crate) tx: Transaction,
}

impl Inner {
    /// Runs a plugin that may or may not be on, with these grants, and drops everything that it wrote. It waits for
    /// its place like a call of nobody in particular, and never opens a breaker.
    pub(crate) async fn rehearse(
        self: &Arc<Self>,
        tenant: &Arc<TenantPlugins>,
        plugin: &Arc<Plugin>,
        grants: &Arc<Grants>,
        cx: OpCx,
        caller: Caller,
        work: Work,
    ) -> Result<Rehearsed, Problem> {
        let rehearsal = Rehearsal {
            plugin: Arc::clone(plugin),
            grants: Arc::clone(grants),
            tx: self.storage.begin(cx.tenant),
            cx,
            caller,
            work,
            chance: None,
        };
        self.rehearse_alike(tenant, rehearsal).await
    }

    /// The same, and it may be a second run of a call, with the chance that the call has.
    pub(crate) async fn rehearse_alike(
        self: &Arc<Self>,
        tenant: &Arc<TenantPlugins>,
        rehearsal: Rehearsal,
    ) -> Result<Rehearsed, Problem> {
        let Rehearsal {
            plugin,
            grants,
            cx,
            caller,
            work,
            chance,
            tx,
        } = rehearsal;
        // A gate of its own: a rehearsal takes no place from the plugin's real calls.
        let gate = admission::PluginGate::new(&self.limits);
        let place = admission::place(&tenant.gate, None, &gate, &self.slots).await?;
        let (_, wall_ms) = work.limits_ms(&plugin.limits);
        let run = Run {
            context: Arc::new(Context {
                cx,
                caller,
                plugin: Arc::clone(&plugin),
                grants,
                is_rehearsal: true,
                is_migration: false,
                chance,
                spent: parking_lot::Mutex::default(),
                keyring: Arc::clone(&self.keyring),
                directory: Arc::clone(&self.directory),
                inner: Arc::clone(self),
                gate: Arc::clone(&tenant.gate),
                tape: Tape::default(),
                within: Within::default(),
            }),
            work: Arc::new(work),
            slow: Arc::clone(&tenant.gate.slow),
            time_left: Duration::from_millis(wall_ms),
        };
        let guest = Guest::new(plugin.manifest.id.clone(), Arc::clone(&plugin.limits));
        let workers = self
            .workers
            .handle()
            .ok_or_else(|| Problem::from(Reason::Unavailable))?;
        let running = workers.spawn(async move {
            let ran = instance::run(guest, tx, run).await;
            drop(place);
            ran
        });
        let (ran, usage) = running.await.map_err(|_| Problem::from(Reason::Internal))?;
        let would_write = ran.as_ref().is_ok_and(|ran| !ran.tx.is_read_only());
        let as_of = ran.as_ref().ok().map(|ran| ran.tx.as_of());
        Ok(Rehearsed {
            done: ran.map(|ran| ran.done),
            usage,
            would_write,
            as_of,
        })
    }
}
