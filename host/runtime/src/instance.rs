//! One run of a guest: a fresh store and instance, within the limits, dropped whatever happens.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::time::error::Elapsed;
use vaxel_core::Problem;
use vaxel_storage::Transaction;
use wasmtime::component::Instance;
use wasmtime::{Engine, Store, Trap};

use crate::blobs::NewBlob;
use crate::capability::bindings::vaxel::types::types::Error;
use crate::guest::{Context, Guest, Stop};
use crate::outcome::{Failure, Fault, refusal};
use crate::pace::Pace;
use crate::package::{Linked, Plugin};
use crate::ready::{self, Made};
use crate::usage::Usage;
use crate::work::{Done, Work};

/// What a guest answered, and what is still to be committed.
pub(crate) struct Ran {
    pub(crate) done: Done,
    pub(crate) tx: Transaction,
    pub(crate) new_subjects: std::collections::BTreeSet<vaxel_crypto::ErasureKey>,
    /// Whether it planned work.
    pub(crate) has_scheduled: bool,
    pub(crate) new_blobs: Vec<NewBlob>,
    pub(crate) gone_blobs: Vec<u128>,
}

/// What a run needs.
pub(crate) struct Run {
    pub(crate) context: Arc<Context>,
    pub(crate) work: Arc<Work>,
    pub(crate) slow: Arc<Semaphore>,
    pub(crate) time_left: Duration,
}

/// Does one piece of work in an instance of its own, and says what that used up, however it ended.
pub(crate) async fn run(
    mut guest: Guest,
    tx: Transaction,
    run: Run,
) -> (Result<Ran, Failure>, Usage) {
    let plugin = &run.context.plugin;
    guest.context = Some(Arc::clone(&run.context));
    guest.tx = Some(tx);
    guest.deadline = Some(tokio::time::Instant::now() + run.time_left);
    let (cpu_ms, _) = run.work.limits_ms(&guest.limits);
    let began = Instant::now();
    let (_running, made) = ready::begin(plugin, &run.context.inner.ready_places);
    let (mut store, pace, made) = match made {
        Some(Made {
            mut store,
            instance,
            ..
        }) => {
            guest.usage.memory_bytes = store.data().usage.memory_bytes;
            *store.data_mut() = guest;
            let pace = primed(&mut store, run.slow, cpu_ms);
            (store, pace, Some(instance))
        }
        None => {
            let (store, pace) = new_store(plugin.pre.engine(), guest, run.slow, cpu_ms);
            (store, pace, None)
        }
    };
    let answered = tokio::time::timeout(run.time_left, async {
        let instance = match made {
            Some(instance) => instance,
            None => plugin.pre.instantiate_async(&mut store).await?,
        };
        let answer = plugin.exports.answer(&mut store, &instance, &run.work);
        answer.await
    })
    .await;
    // From here on the instance is gone, whatever became of it.
    let mut guest = store.into_data();
    let usage = Usage {
        processor: pace.used(),
        wall: began.elapsed(),
        storage_ops: guest.ops,
        written_bytes: guest.tx.as_ref().map_or(0, Transaction::written_bytes),
        ..std::mem::take(&mut guest.usage)
    };
    (ended(guest, answered, &pace), usage)
}

/// Makes an instance for a call to come: there is no tenant and nobody who calls yet.
pub(crate) async fn make(plugin: &Plugin) -> wasmtime::Result<(Store<Guest>, Instance)> {
    let limits = Arc::clone(&plugin.limits);
    let (cpu_ms, time) = (limits.cpu_ms, Duration::from_millis(limits.wall_ms));
    let guest = Guest::new(plugin.manifest.id.clone(), limits);
    let slow = Arc::new(Semaphore::new(1));
    let (mut store, _) = new_store(plugin.pre.engine(), guest, slow, cpu_ms);
    let made = tokio::time::timeout(time, plugin.pre.instantiate_async(&mut store)).await;
    let instance = made.map_err(|_| wasmtime::Error::msg("it took too long"))??;
    Ok((store, instance))
}

fn ended(
    guest: Guest,
    answered: Result<wasmtime::Result<Result<Done, Error>>, Elapsed>,
    pace: &Pace,
) -> Result<Ran, Failure> {
    let done = match answered {
        Err(_) => return Err(Failure::Fault(Fault::Time)),
        Ok(Err(error)) => return Err(failure(guest, pace, &error)),
        Ok(Ok(Err(error))) => {
            return Err(refused(
                &guest,
                &error.code,
                &error.message,
                error.retry_after_ms,
            ));
        }
        Ok(Ok(Ok(done))) => done,
    };
    done.check(&guest.limits).map_err(Failure::Fault)?;
    let Guest {
        tx: Some(tx),
        new_subjects,
        has_scheduled,
        new_blobs,
        gone_blobs,
        ..
    } = guest
    else {
        return Err(Failure::Host(vaxel_core::Reason::Internal.into()));
    };
    Ok(Ran {
        done,
        tx,
        new_subjects,
        has_scheduled,
        new_blobs,
        gone_blobs,
    })
}

/// Asks a component what it offers; it has no tenant and no storage then.
pub(crate) async fn describe(
    linked: &Linked,
    guest: Guest,
    time: Duration,
) -> Result<Vec<u8>, Failure> {
    let Linked { pre, exports, .. } = linked;
    let slow = Arc::new(Semaphore::new(1));
    let cpu_ms = guest.limits.work_cpu_ms;
    let (mut store, pace) = new_store(pre.engine(), guest, slow, cpu_ms);
    let answered = tokio::time::timeout(time, async {
        let instance = pre.instantiate_async(&mut store).await?;
        exports.describe(&mut store, &instance).await
    })
    .await;
    match answered {
        Err(_) => Err(Failure::Fault(Fault::Time)),
        Ok(Err(error)) => Err(failure(store.into_data(), &pace, &error)),
        Ok(Ok(description)) => Ok(description),
    }
}

fn new_store(
    engine: &Engine,
    guest: Guest,
    slow: Arc<Semaphore>,
    cpu_ms: u64,
) -> (Store<Guest>, Arc<Pace>) {
    let mut store = Store::new(engine, guest);
    store.limiter(|guest| guest);
    let pace = primed(&mut store, slow, cpu_ms);
    (store, pace)
}

/// Gives a store all of the time and the fuel that a call has.
fn primed(store: &mut Store<Guest>, slow: Arc<Semaphore>, cpu_ms: u64) -> Arc<Pace> {
    let pace = Pace::start(slow, Duration::from_millis(cpu_ms));
    store.data_mut().pace = Some(Arc::clone(&pace));
    let hostcall_bytes = store.data().limits.hostcall_bytes;
    store.set_hostcall_fuel(hostcall_bytes);
    {
        let pace = Arc::clone(&pace);
        store.epoch_deadline_callback(move |_| Ok(pace.tick()));
    }
    // Two, because the tick that runs now is already partly over.
    store.set_epoch_deadline(2);
    pace
}

fn failure(guest: Guest, pace: &Pace, error: &wasmtime::Error) -> Failure {
    match guest.stop {
        Some(Stop::Conflict) => return Failure::Conflict,
        Some(Stop::Host(problem)) => return Failure::Host(problem),
        None => {}
    }
    let fault = match error.downcast_ref::<Trap>() {
        _ if guest.was_refused_memory => Fault::Memory,
        Some(Trap::Interrupt) if pace.is_over() => Fault::Processor,
        _ => Fault::Trap,
    };
    // The backtrace has names of functions, no data of people.
    tracing::warn!(plugin.id = %guest.plugin, fault = fault.as_str(), "{error:#}");
    Failure::Fault(fault)
}

fn refused(guest: &Guest, code: &str, message: &str, retry_after_ms: Option<u32>) -> Failure {
    let problem: Problem = refusal(code, message, retry_after_ms);
    if problem.reason == vaxel_core::Reason::Internal {
        tracing::error!(plugin.id = %guest.plugin, "the plugin failed: {message:?}");
    }
    Failure::Refused(problem)
}
