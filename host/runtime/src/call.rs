//! One call: admitted, run in an instance of its own, committed, and run again where somebody else was faster.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::time::Instant;
use vaxel_core::{Actor, AlarmLevel, OpCx, PluginId, Problem, Reason, UserId};
use vaxel_crypto::random_bytes;
use vaxel_identity::Ticket;
use vaxel_storage::{Space, StorageError, Transaction};

use crate::admission::{self, Opened, Origin, PluginGate};
use crate::blobs;
use crate::directory::ShownProof;
use crate::guest::{Context, Guest};
use crate::hooks::Asked;
use crate::idempotency::{self, Remembered, Retry};
use crate::instance::{self, Ran, Run};
use crate::ledger::{self, Account, How};
use crate::life::{self, Shadowing};
use crate::lifecycle;
use crate::outcome::{Failure, Fault, storage_problem};
use crate::outside::{Held, Tape, Within};
use crate::pages::PageCheck;
use crate::registry::{Active, TenantPlugins};
use crate::runtime::Inner;
use crate::usage::Usage;
use crate::work::{Done, Work};

/// How long a re-run waits at least, times the number of the re-run: a commit is on its way to the disk meanwhile.
const RERUN_WAIT_MS: u64 = 2;

/// A call that waited for so long that less than this is left is not begun: it would look like the plugin's fault.
const RUN_MIN: Duration = Duration::from_millis(50);

/// Who calls, as far as plugins are concerned.
#[derive(Clone, Debug, Default)]
pub struct Caller {
    /// The signed-in person.
    pub user: Option<UserId>,
    /// Whether they administer the tenant.
    pub admin: bool,
    /// Permissions beyond those that plugins suggest for members and admins.
    pub permissions: Arc<BTreeSet<String>>,
    /// How they proved who they are (`password`, …).
    pub assurance: String,
    /// A proof of step-up that came with the call.
    pub proof: Option<ShownProof>,
    /// A ticket that came in the place of a proof: never both, as they would tell whose ticket it is.
    pub ticket: Option<Ticket>,
    /// Where somebody calls from who is not signed in.
    pub origin: Option<Origin>,
}

/// A call of a plugin's method.
#[derive(Clone, Debug)]
pub struct PluginCall {
    /// Tenant, time and request.
    pub cx: OpCx,
    /// Who calls.
    pub caller: Caller,
    /// Whose method.
    pub plugin: PluginId,
    /// Which method.
    pub method: String,
    /// Its parameters: JSON that fits the method's schema.
    pub params: Bytes,
    /// Makes a retry safe.
    pub idempotency_key: Option<String>,
}

/// Writes of the host that belong to the same commit as what a guest wrote.
pub(crate) type Alongside =
    Arc<dyn Fn(&mut Transaction, &Done) -> Result<(), StorageError> + Send + Sync>;

/// Something that the host asks of a plugin, other than a method: nobody's permission is asked for.
pub(crate) struct Errand {
    pub(crate) cx: OpCx,
    pub(crate) caller: Caller,
    pub(crate) work: Work,
    pub(crate) alongside: Option<Alongside>,
}

/// How an errand is done otherwise than usually.
#[derive(Clone, Debug, Default)]
pub(crate) struct Manner {
    pub(crate) within: Within,
    /// Whether it brings the plugin's rows to a new form, alone.
    pub(crate) is_migration: bool,
}

/// What one attempt came to.
enum Attempt {
    Done(Done),
    Conflict,
}

/// What stays the same over the attempts of a call.
pub(crate) struct Going {
    inner: Arc<Inner>,
    tenant: Arc<TenantPlugins>,
    gate: Arc<PluginGate>,
    account: Arc<Account>,
    context: Arc<Context>,
    work: Arc<Work>,
    retry: Option<Retry>,
    alongside: Option<Alongside>,
    /// For pages: whether the tree can be drawn.
    pub(crate) check: Option<PageCheck>,
    deadline: Instant,
    /// With less time left than this it is not begun.
    time_min: Duration,
    /// The version that runs beside it, of which nothing is kept.
    shadow: Option<Arc<Shadowing>>,
}

impl Inner {
    pub(crate) async fn call(self: &Arc<Self>, call: PluginCall) -> Result<Bytes, Problem> {
        self.call_within(call, Within::default()).await
    }

    /// A call that is made within others.
    pub(crate) async fn call_within(
        self: &Arc<Self>,
        call: PluginCall,
        within: Within,
    ) -> Result<Bytes, Problem> {
        let tenant = self
            .registry
            .tenant(call.cx.tenant)
            .map_err(|error| storage_problem(&error))?;
        let active = tenant.active.get(&call.plugin);
        let method = active.and_then(|active| active.plugin.by_name.get(&call.method));
        let (Some(active), Some(method)) = (active, method) else {
            let detail = "There is no such method.";
            return Err(Problem::new(Reason::NotFound, detail).with_code("unknown_method"));
        };
        if !active.plugin.permits(&call.caller, &method.permission) {
            return Err(if call.caller.user.is_none() {
                Reason::Unauthenticated.into()
            } else {
                Problem::new(
                    Reason::Forbidden,
                    format!("This needs {}.", method.permission),
                )
            });
        }
        if call.params.len() > self.limits.params_bytes {
            return Err(Problem::new(
                Reason::TooLarge,
                "The parameters are too large.",
            ));
        }
        let retry = call.idempotency_key.as_ref().map(|key| {
            let method = format!("{}/{}", call.plugin, call.method);
            let (keyring, now) = (&self.keyring, self.clock.now());
            let (tenant, user) = (call.cx.tenant, call.caller.user);
            Retry::new(keyring, tenant, user, &method, key, &call.params, now)
        });
        let retry = retry
            .transpose()
            .map_err(|_| Problem::from(Reason::Internal))?;
        let hooked = tenant.taking_part.in_method(&call.plugin, &call.method);
        let params = match hooked.filter(|_| !within.is_hook) {
            Some(hooked) => {
                let hooked = self
                    .ask_before(&tenant, hooked, method, &call, &within, retry.as_ref())
                    .await?;
                match hooked {
                    Asked::Params(params) => params,
                    Asked::Answered(reply) => return Ok(reply),
                }
            }
            None => call.params,
        };
        let errand = Errand {
            cx: call.cx,
            caller: call.caller,
            work: Work::Method {
                name: call.method,
                params,
            },
            alongside: None,
        };
        let manner = Manner {
            within,
            ..Manner::default()
        };
        let going = self.going(&tenant, active, errand, manner, retry)?;
        match going.drive().await.map_err(Failure::problem)? {
            Done::Json(reply) => Ok(reply),
            _ => Err(Reason::Internal.into()),
        }
    }

    /// Does something with a plugin that a tenant has, or is about to have.
    pub(crate) async fn errand(
        self: &Arc<Self>,
        tenant: &Arc<TenantPlugins>,
        active: &Active,
        errand: Errand,
    ) -> Result<Done, Problem> {
        let done = self.errand_as(tenant, active, errand, Manner::default());
        done.await.map_err(Failure::problem)
    }

    /// As [`Self::errand`], in another manner, and for whoever makes a difference between ways to fail.
    pub(crate) async fn errand_as(
        self: &Arc<Self>,
        tenant: &Arc<TenantPlugins>,
        active: &Active,
        errand: Errand,
        manner: Manner,
    ) -> Result<Done, Failure> {
        self.going(tenant, active, errand, manner, None)?
            .drive()
            .await
    }

    pub(crate) fn going(
        self: &Arc<Self>,
        tenant: &Arc<TenantPlugins>,
        active: &Active,
        errand: Errand,
        manner: Manner,
        retry: Option<Retry>,
    ) -> Result<Going, Problem> {
        let Manner {
            within,
            is_migration,
        } = manner;
        let Errand {
            cx,
            caller,
            work,
            alongside,
        } = errand;
        let (_, wall_ms) = work.limits_ms(&active.plugin.limits);
        let id = &active.plugin.manifest.id;
        let account = self.ledger.account(cx.tenant, id, self.clock.now());
        let own = Instant::now() + Duration::from_millis(wall_ms);
        let deadline = within.until.map_or(own, |until| until.min(own));
        Ok(Going {
            inner: Arc::clone(self),
            tenant: Arc::clone(tenant),
            gate: Arc::clone(&active.gate),
            account: account.map_err(|error| storage_problem(&error))?,
            context: Arc::new(Context {
                cx,
                caller,
                plugin: Arc::clone(&active.plugin),
                grants: Arc::clone(&active.grants),
                is_rehearsal: false,
                is_migration,
                chance: active.shadow.as_ref().map(|_| life::shared()),
                spent: Mutex::default(),
                keyring: Arc::clone(&self.keyring),
                directory: Arc::clone(&self.directory),
                inner: Arc::clone(self),
                gate: Arc::clone(&tenant.gate),
                tape: Tape::default(),
                within,
            }),
            work: Arc::new(work),
            retry,
            alongside,
            check: None,
            deadline,
            time_min: RUN_MIN.min(deadline.saturating_duration_since(Instant::now()) / 2),
            shadow: active.shadow.clone(),
        })
    }
}

impl Going {
    pub(crate) async fn drive(&self) -> Result<Done, Failure> {
        for rerun in 0..=self.inner.limits.reruns {
            if rerun > 0 {
                tokio::time::sleep(rerun_wait(rerun)).await;
            }
            match self.attempt().await? {
                Attempt::Done(done) => return Ok(done),
                Attempt::Conflict => {}
            }
        }
        Err(Failure::Conflict)
    }

    async fn attempt(&self) -> Result<Attempt, Failure> {
        let inner = &self.inner;
        if !self.work.is_a_turn() {
            let budget = &inner.ledger.budget;
            budget.admit(&self.account, inner.clock.now(), inner.alarms.as_ref())?;
        }
        self.tenant.gate.take_token()?;
        self.gate
            .breaker
            .lock()
            .admit(self.context.suspect(), inner.clock.now())?;
        let watched = Watched {
            inner: Arc::clone(inner),
            context: Arc::clone(&self.context),
            work: Arc::clone(&self.work),
            gate: Arc::clone(&self.gate),
            account: Arc::clone(&self.account),
            is_over: false,
        };
        let is_anonymous = self.context.cx.actor == Actor::Anonymous;
        let waited = async {
            let of_all = if is_anonymous {
                Some(admission::anonymous_place(&self.tenant.gate, &self.gate).await?)
            } else {
                None
            };
            let caller = self.context.caller.user;
            let place =
                admission::place(&self.tenant.gate, caller, &self.gate, &inner.slots).await?;
            Ok::<_, Problem>((place, of_all))
        };
        let (place, of_all) = tokio::time::timeout_at(self.deadline, waited)
            .await
            .map_err(|_| busy())??;
        let time_left = self.deadline.saturating_duration_since(Instant::now());
        if time_left < self.time_min {
            return Err(busy().into());
        }
        // Until the commit: a migration waits for all of them.
        let _going = if self.context.is_migration {
            None
        } else {
            let going = Arc::clone(&self.gate.going).try_read_owned();
            Some(going.map_err(|_| lifecycle::migrating())?)
        };
        if !self.context.is_migration && self.work.needs_its_rows() {
            inner.check_rows(&self.context, &self.gate)?;
        }
        let mut tx = inner.storage.begin(self.context.tenant());
        let own = Space::plugin(&self.context.plugin.manifest.id);
        tx.limit(own, inner.limits.plugin_stored_bytes);
        if let Some(retry) = &self.retry {
            match retry.look(&mut tx) {
                Ok(Ok(Remembered::Nothing)) => {}
                Ok(Ok(Remembered::Answer(reply))) => return Ok(Attempt::Done(Done::Json(reply))),
                Ok(Err(problem)) => return Err(problem.into()),
                Err(error) if error.is_conflict() => return Ok(Attempt::Conflict),
                Err(error) => return Err(storage_problem(&error).into()),
            }
        }
        let beside = self.shadow.as_ref().and_then(|shadow| {
            let same = inner.storage.begin(self.context.tenant());
            shadow.begin(inner, &self.tenant, &self.context, &self.work, same)
        });
        let run = Run {
            context: Arc::clone(&self.context),
            work: Arc::clone(&self.work),
            slow: Arc::clone(&self.tenant.gate.slow),
            time_left,
        };
        let plugin = &self.context.plugin;
        let mut guest = Guest::new(plugin.manifest.id.clone(), Arc::clone(&plugin.limits));
        guest.erased = self.gate.erased();
        // It goes with the instance, before the commit is waited for.
        guest.held = Some(Held {
            place,
            tenant: Arc::clone(&self.tenant.gate),
            plugin: Arc::clone(&self.gate),
            caller: self.context.caller.user,
        });
        let workers = inner
            .workers
            .handle()
            .ok_or_else(|| Problem::from(Reason::Unavailable))?;
        let running = workers.spawn(async move {
            let (ran, usage) = instance::run(guest, tx, run).await;
            // Here and not by who waits: a caller who goes away has caused what it caused.
            watched.ended(&ran, &usage);
            // Also while it waited for the outside: whoever is not signed in holds no more calls than these.
            drop(of_all);
            (ran, usage)
        });
        let (ran, usage) = match running.await {
            Ok(ended) => ended,
            // A panic of a host function: ours, and logged by its hook.
            Err(_) => (
                Err(Failure::Host(Reason::Internal.into())),
                Usage::default(),
            ),
        };
        if let Some(beside) = beside {
            beside.compare(&ran, &usage).await;
        }
        if usage.was_refused {
            // That the organization did not grant something is written down whatever the plugin made of it.
            let written = inner.ledger.write(&self.account, inner.clock.now(), false);
            written.await.map_err(|error| storage_problem(&error))?;
        }
        match ran {
            Ok(ran) => Ok(self.commit(ran).await?),
            Err(Failure::Conflict) => Ok(Attempt::Conflict),
            Err(failure) => Err(failure),
        }
    }

    async fn commit(&self, ran: Ran) -> Result<Attempt, Problem> {
        let inner = &self.inner;
        let Ran {
            done,
            mut tx,
            new_subjects,
            has_scheduled,
            new_blobs,
            gone_blobs,
        } = ran;
        let tenant = self.context.tenant();
        if let (Some(check), Done::Json(tree)) = (&self.check, &done) {
            check(tree)?;
        }
        if let (Some(retry), Done::Json(reply)) = (&self.retry, &done) {
            retry
                .keep(&mut tx, reply)
                .map_err(|error| storage_problem(&error))??;
        }
        if let Some(alongside) = &self.alongside {
            match alongside(&mut tx, &done) {
                Ok(()) => {}
                Err(error) if error.is_conflict() => return Ok(Attempt::Conflict),
                Err(error) => return Err(storage_problem(&error)),
            }
        }
        let taking = &self.tenant.taking_part;
        let mut told = match inner.tell(taking, &self.context, &self.work, &done, &mut tx) {
            Ok(told) => told,
            Err(error) if error.is_conflict() => return Ok(Attempt::Conflict),
            Err(error) => return Err(storage_problem(&error)),
        };
        match inner.note_traces(&self.context, &new_subjects, &mut tx) {
            Ok(()) => {}
            Err(error) if error.is_conflict() => return Ok(Attempt::Conflict),
            Err(error) => return Err(storage_problem(&error)),
        }
        if has_scheduled {
            told.add(self.context.plugin.manifest.id.clone());
        }
        if !new_subjects.is_empty() {
            // Durable before anything is sealed under them.
            let keyring = Arc::clone(&inner.keyring);
            let made = tokio::task::spawn_blocking(move || {
                new_subjects
                    .into_iter()
                    .try_for_each(|key| keyring.create_key(tenant, key))
            });
            match made.await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return Err(Reason::Internal.into()),
            }
        }
        if !new_blobs.is_empty() {
            blobs::write_new(&inner.storage, tenant, new_blobs).await?;
        }
        match inner.storage.commit(tx).await {
            Ok(_) => {
                for plugin in told.into_plugins() {
                    inner.queue.mark(tenant, plugin);
                }
                blobs::remove_gone(&inner.storage, tenant, gone_blobs);
                self.sweep_daily();
                Ok(Attempt::Done(done))
            }
            Err(error) if error.is_conflict() => {
                let version = &self.context.plugin.manifest.version;
                self.account.note_conflict(inner.clock.now(), version);
                Ok(Attempt::Conflict)
            }
            Err(error) => {
                if matches!(error, StorageError::Full) {
                    let (now, alarms) = (inner.clock.now(), inner.alarms.as_ref());
                    self.account.note_full(now, alarms);
                }
                Err(storage_problem(&error))
            }
        }
    }

    // Whoever needs a retry's memory also clears it, once a day.
    fn sweep_daily(&self) {
        if self.retry.is_none() {
            return;
        }
        let now = self.inner.clock.now();
        let today = idempotency::day_of(now);
        if self.tenant.swept_day.swap(today, Ordering::Relaxed) != today {
            let (storage, tenant) = (self.inner.storage.clone(), self.context.tenant());
            tokio::spawn(async move {
                if let Err(error) = idempotency::sweep(&storage, tenant, now).await {
                    tracing::warn!(error = %error, "sweeping idempotency keys");
                }
            });
        }
    }
}

/// Tells the breaker and the ledger how a call ended, also one that never got to run.
struct Watched {
    inner: Arc<Inner>,
    context: Arc<Context>,
    work: Arc<Work>,
    gate: Arc<PluginGate>,
    account: Arc<Account>,
    is_over: bool,
}

impl Watched {
    fn ended(mut self, ran: &Result<Ran, Failure>, usage: &Usage) {
        self.account.note(&ledger::Run {
            now: self.inner.clock.now(),
            version: &self.context.plugin.manifest.version,
            user: self.context.caller.user,
            work: &self.work,
            how: How::from(ran),
            usage,
        });
        let measured = &self.context.plugin.measured;
        measured.note(&self.work, ran, usage, self.inner.clock.now());
        match ran {
            Err(Failure::Fault(fault)) => self.note_fault(*fault),
            Ok(_) | Err(Failure::Refused(_) | Failure::Conflict) => {
                self.gate.breaker.lock().succeeded(self.inner.clock.now());
            }
            // Ours: it says nothing about the plugin.
            Err(Failure::Host(_)) => return,
        }
        self.is_over = true;
    }

    fn note_fault(&self, fault: Fault) {
        let Context { cx, plugin, .. } = &*self.context;
        let plugin = &plugin.manifest.id;
        tracing::warn!(
            plugin.id = %plugin, plugin.work = self.work.kind(), plugin.method = self.work.name(), tenant.id = %cx.tenant, request.id = %cx.request,
            fault = fault.as_str(), "a plugin failed"
        );
        let opened = self
            .gate
            .breaker
            .lock()
            .failed(self.context.suspect(), self.inner.clock.now());
        match opened {
            None => {}
            Some(Opened::Rest) => self.inner.alarms.raise(
                AlarmLevel::Info,
                "plugin.resting",
                &format!(
                    "{plugin} failed for several callers in {} and rests",
                    cx.tenant
                ),
            ),
            Some(Opened::Suspended) => self.inner.alarms.raise(
                AlarmLevel::Warning,
                "plugin.suspended",
                &format!(
                    "{plugin} failed again and again in {} and is suspended",
                    cx.tenant
                ),
            ),
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if !self.is_over {
            self.gate.breaker.lock().gave_up(self.inner.clock.now());
        }
    }
}

fn busy() -> Problem {
    Problem::new(Reason::LimitReached, "Too many calls are waiting.").retry_after_ms(1_000)
}

fn rerun_wait(rerun: u32) -> Duration {
    let [byte] = random_bytes::<1>();
    let least = RERUN_WAIT_MS << rerun.min(6);
    Duration::from_millis(least + least * u64::from(byte) / 128)
}
