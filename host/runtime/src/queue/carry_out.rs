//! One piece of work: run, and taken off the queue with what it wrote; or noted for later, or as a dead letter.

use std::borrow::Cow;
use std::sync::Arc;

use vaxel_core::{AlarmLevel, PluginId, Problem, Reason, TenantId};
use vaxel_storage::{AudienceId, Stamp, StorageError, Transaction};

use super::rows::{self, Dead, First, Happened, Job, JobId, Was};
use super::worker::{Ended, Piece};
use super::{ATTEMPTS_MAX, Whose, pause_ms, plan};
use crate::Caller;
use crate::call::{Alongside, Errand, Manner};
use crate::capability::bindings::exports::vaxel::{events_in::events_in, hooks::after, jobs::jobs};
use crate::outcome::{Failure, storage_problem};
use crate::outside::Within;
use crate::runtime::Inner;
use crate::work::{Done, Work};

/// How long work waits that the host could not begin.
const NOT_NOW_MS: u64 = 1_000;

/// How long work waits that was overtaken again and again.
const OVERTAKEN_MS: u32 = 100;

/// Work that is ready to run.
struct Ready {
    work: Work,
    depth: u8,
    /// How often it failed before.
    failed: u32,
}

impl Inner {
    pub(super) async fn carry_out(self: &Arc<Self>, whose: &Whose, piece: Piece) -> Ended {
        let tried = match piece {
            Piece::First(first) => self.tell_first(whose, first).await,
            Piece::Job(id, job) => self.run_job(whose, id, job).await,
            Piece::Rows => self.see_to_rows(whose).await,
        };
        tried.unwrap_or_else(|problem| {
            tracing::warn!(tenant.id = %whose.0, plugin.id = %whose.1, "queued work waits: {problem}");
            not_now(&problem)
        })
    }

    async fn tell_first(self: &Arc<Self>, whose: &Whose, first: First) -> Result<Ended, Problem> {
        let (tenant, plugin) = whose;
        let First {
            lane,
            stamp,
            happened,
            tries,
        } = first;
        let failed = tries.map_or(0, |tries| tries.failed);
        let ready = self
            .ready(*tenant, plugin, stamp, &happened, failed)
            .map_err(|error| storage_problem(&error))?;
        let Some(ready) = ready else {
            // Erased, swept, or no longer granted: there is nobody to tell it to.
            let owner = plugin.clone();
            return self
                .note_down(*tenant, move |tx| rows::pop(tx, &owner, lane, stamp))
                .await;
        };
        let done_with = {
            let plugin = plugin.clone();
            move |tx: &mut Transaction, _: &Done| rows::pop(tx, &plugin, lane, stamp)
        };
        match self.run(whose, &ready, Arc::new(done_with)).await {
            Ok(()) => Ok(Ended::Noted),
            Err(NotDone::Later(problem)) => Ok(not_now(&problem)),
            Err(NotDone::Failed(error)) => {
                let failed = ready.failed.saturating_add(1);
                let now = self.clock.now();
                let owner = plugin.clone();
                if failed < ATTEMPTS_MAX {
                    let next = now.plus_ms(pause_ms(failed));
                    return self
                        .note_down(*tenant, move |tx| {
                            rows::note_tries(tx, &owner, lane, stamp, failed, next)
                        })
                        .await;
                }
                let happened = with_its_commit(&happened, stamp);
                let dead = self.dead(whose, &ready.work, error, Was::Happened(lane, happened));
                self.note_down(*tenant, move |tx| {
                    rows::pop(tx, &owner, lane, stamp)?;
                    rows::bury(tx, &owner, &dead)
                })
                .await
            }
        }
    }

    /// Brings rows to the form that the version that is on knows, or puts back what another had begun.
    async fn see_to_rows(self: &Arc<Self>, (tenant, plugin): &Whose) -> Result<Ended, Problem> {
        let plugins = self.registry.tenant(*tenant);
        let plugins = plugins.map_err(|error| storage_problem(&error))?;
        if let Some(active) = plugins.active.get(plugin) {
            let cx = self.on_behalf_of(*tenant, plugin);
            self.migrate(&cx, &plugins, active).await?;
        }
        Ok(Ended::Noted)
    }

    async fn run_job(
        self: &Arc<Self>,
        whose: &Whose,
        id: JobId,
        job: Job,
    ) -> Result<Ended, Problem> {
        let (tenant, plugin) = whose;
        let ready = Ready {
            work: Work::Job(jobs::Job {
                name: job.name.clone(),
                key: job.key.clone(),
                attempt: job.failed.saturating_add(1),
                payload: job.payload.clone(),
                cursor: job.cursor.clone(),
            }),
            depth: job.depth,
            failed: job.failed,
        };
        let got_on = {
            let (plugin, job, clock) = (plugin.clone(), job.clone(), Arc::clone(&self.clock));
            move |tx: &mut Transaction, done: &Done| {
                // The run may have planned itself anew, which holds; somebody else's plan comes first.
                if rows::stored_job(tx, &plugin, &id)?.as_ref() != Some(&job) {
                    return Err(StorageError::Conflict);
                }
                if rows::job(tx, &plugin, &id)?.as_ref() != Some(&job) {
                    return Ok(());
                }
                let next = match done {
                    Done::More(Some(cursor)) => Some(Job {
                        cursor: Some(cursor.clone()),
                        due: clock.now(),
                        failed: 0,
                        ..job.clone()
                    }),
                    _ => plan::again(&job, clock.now()),
                };
                match next {
                    Some(next) => rows::put_job(tx, &plugin, &id, &next),
                    None => rows::remove_job(tx, &plugin, &id),
                }
            }
        };
        match self.run(whose, &ready, Arc::new(got_on)).await {
            Ok(()) => Ok(Ended::Noted),
            Err(NotDone::Later(problem)) => Ok(not_now(&problem)),
            Err(NotDone::Failed(error)) => {
                let failed = job.failed.saturating_add(1);
                let now = self.clock.now();
                let owner = plugin.clone();
                if failed < ATTEMPTS_MAX {
                    let due = now.plus_ms(pause_ms(failed));
                    let later = Job {
                        failed,
                        due,
                        ..job.clone()
                    };
                    return self
                        .note_down(*tenant, move |tx| {
                            if rows::job(tx, &owner, &id)?.as_ref() != Some(&job) {
                                return Ok(());
                            }
                            rows::put_job(tx, &owner, &id, &later)
                        })
                        .await;
                }
                let again = plan::again(&job, now);
                let buried = Job {
                    every: None,
                    failed: 0,
                    ..job.clone()
                };
                let dead = self.dead(whose, &ready.work, error, Was::Job(buried));
                self.note_down(*tenant, move |tx| {
                    if rows::job(tx, &owner, &id)?.as_ref() != Some(&job) {
                        return Ok(());
                    }
                    match &again {
                        Some(again) => rows::put_job(tx, &owner, &id, again)?,
                        None => rows::remove_job(tx, &owner, &id)?,
                    }
                    rows::bury(tx, &owner, &dead)
                })
                .await
            }
        }
    }

    /// What is to be told, if it is still there and the tenant still lets the plugin know of it.
    fn ready(
        &self,
        tenant: TenantId,
        plugin: &PluginId,
        stamp: Stamp,
        happened: &Happened,
        failed: u32,
    ) -> Result<Option<Ready>, StorageError> {
        let plugins = self.registry.tenant(tenant)?;
        let Some(active) = plugins.active.get(plugin) else {
            return Ok(None);
        };
        let attempt = failed.saturating_add(1);
        let (ask, work, depth) = match happened {
            Happened::Event {
                seq,
                ordinal,
                audience,
                depth,
            } => {
                let stamp = Stamp {
                    seq: seq.unwrap_or(stamp.seq),
                    ordinal: *ordinal,
                };
                let Some((event, at)) = self.storage.event(tenant, AudienceId(*audience), stamp)?
                else {
                    return Ok(None);
                };
                let work = Work::Event(events_in::Event {
                    id: stamp.to_string(),
                    topic: event.topic.to_string(),
                    at_ms: at.0,
                    attempt,
                    payload: event.payload.to_vec(),
                });
                (format!("events:{}", event.topic), work, *depth)
            }
            Happened::After {
                id,
                plugin,
                method,
                user,
                at,
                depth,
                params,
                answer,
            } => {
                let work = Work::After(after::Happening {
                    id: id.clone(),
                    plugin: plugin.to_string(),
                    method: method.clone(),
                    user: user.map(|user| user.to_string()),
                    at_ms: at.0,
                    attempt,
                    params: params.clone(),
                    answer: answer.clone(),
                });
                (format!("after:{plugin}/{method}"), work, *depth)
            }
        };
        let may_know = active.grants.has(&ask) && active.plugin.exports.can(&work);
        Ok(may_know.then_some(Ready {
            work,
            depth,
            failed,
        }))
    }

    async fn run(
        self: &Arc<Self>,
        (tenant, plugin): &Whose,
        ready: &Ready,
        alongside: Alongside,
    ) -> Result<(), NotDone> {
        let unavailable = || NotDone::Later(Reason::Unavailable.into());
        let plugins = self.registry.tenant(*tenant).map_err(|_| unavailable())?;
        let active = plugins.active.get(plugin).ok_or_else(unavailable)?;
        let errand = Errand {
            cx: self.on_behalf_of(*tenant, plugin),
            caller: Caller::default(),
            work: ready.work.clone(),
            alongside: Some(alongside),
        };
        let manner = Manner {
            within: Within {
                depth: ready.depth,
                is_hook: matches!(ready.work, Work::After(_)),
                ..Within::default()
            },
            ..Manner::default()
        };
        match self.errand_as(&plugins, active, errand, manner).await {
            Ok(_) => Ok(()),
            Err(Failure::Host(problem)) => Err(NotDone::Later(problem)),
            Err(Failure::Conflict) => {
                let overtaken = Problem::from(Reason::Conflict);
                Err(NotDone::Later(overtaken.retry_after_ms(OVERTAKEN_MS)))
            }
            // Its words may tell of what it keeps; a code is a word of its author's.
            Err(Failure::Refused(problem)) => Err(NotDone::Failed(problem.code)),
            Err(Failure::Fault(fault)) => Err(NotDone::Failed(Cow::Borrowed(fault.as_str()))),
        }
    }

    fn dead(&self, (tenant, plugin): &Whose, work: &Work, error: Cow<'_, str>, was: Was) -> Dead {
        let (kind, name) = (work.kind(), work.name().to_owned());
        let detail = format!("{plugin} in {tenant} failed {ATTEMPTS_MAX} times at {kind} {name}");
        self.alarms
            .raise(AlarmLevel::Warning, "plugin.dead_letter", &detail);
        Dead {
            kind: Cow::Borrowed(kind),
            name,
            attempts: ATTEMPTS_MAX,
            error: error.into_owned(),
            at: self.clock.now(),
            was,
        }
    }

    /// Writes something of the queue's own down.
    async fn note_down(
        &self,
        tenant: TenantId,
        write: impl Fn(&mut Transaction) -> Result<(), StorageError>,
    ) -> Result<Ended, Problem> {
        let mut tx = self.storage.begin(tenant);
        let written = match write(&mut tx) {
            Ok(()) => self.storage.commit(tx).await.map(|_| ()),
            Err(error) => Err(error),
        };
        match written {
            Ok(()) => Ok(Ended::Noted),
            Err(error) if error.is_conflict() => Ok(Ended::NotNow { wait_ms: 0 }),
            Err(error) => Err(storage_problem(&error)),
        }
    }
}

/// Why a piece is still there.
enum NotDone {
    Later(Problem),
    Failed(Cow<'static, str>),
}

fn not_now(problem: &Problem) -> Ended {
    Ended::NotNow {
        wait_ms: problem.retry_after_ms.map_or(NOT_NOW_MS, u64::from),
    }
}

/// What names an event wherever the row that points to it lies.
fn with_its_commit(happened: &Happened, stamp: Stamp) -> Happened {
    match happened.clone() {
        Happened::Event {
            seq,
            ordinal,
            audience,
            depth,
        } => Happened::Event {
            seq: seq.or(Some(stamp.seq)),
            ordinal,
            audience,
            depth,
        },
        after @ Happened::After { .. } => after,
    }
}
