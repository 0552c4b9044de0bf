//! One run of a guest: a fresh store and instance, within the limits, dropped whatever happens.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::de::IgnoredAny;
use tokio::sync::Semaphore;
use vaxel_core::Problem;
use vaxel_storage::Transaction;
use wasmtime::{Engine, Store, Trap};

use crate::capability::bindings::PluginPre;
use crate::guest::{Context, Guest, Stop};
use crate::outcome::{Failure, Fault, refusal};
use crate::pace::Pace;

/// What a guest answered, and what is still to be committed.
pub(crate) struct Ran {
    pub(crate) reply: Bytes,
    pub(crate) tx: Transaction,
    pub(crate) new_subjects: std::collections::BTreeSet<vaxel_crypto::ErasureKey>,
}

/// What a run needs.
pub(crate) struct Run {
    pub(crate) context: Arc<Context>,
    pub(crate) slow: Arc<Semaphore>,
    pub(crate) time_left: Duration,
}

/// Runs a method in an instance of its own.
pub(crate) async fn run(
    pre: &PluginPre<Guest>,
    mut guest: Guest,
    tx: Transaction,
    run: Run,
) -> Result<Ran, Failure> {
    guest.context = Some(Arc::clone(&run.context));
    guest.tx = Some(tx);
    let reply_max = guest.limits.reply_bytes;
    let call = &run.context.call;
    let (mut store, pace) = store(pre.engine(), guest, run.slow);
    let answered = tokio::time::timeout(run.time_left, async {
        let instance = pre.instantiate_async(&mut store).await?;
        let rpc = instance.vaxel_rpc_rpc();
        rpc.call_handle(&mut store, &call.method, &call.params)
            .await
    })
    .await;
    // From here on the instance is gone, whatever became of it.
    let guest = store.into_data();
    let reply = match answered {
        Err(_) => return Err(Failure::Fault(Fault::Time)),
        Ok(Err(error)) => return Err(failure(guest, &pace, &error)),
        Ok(Ok(Err(error))) => {
            return Err(refused(
                &guest,
                &error.code,
                &error.message,
                error.retry_after_ms,
            ));
        }
        Ok(Ok(Ok(reply))) => Bytes::from(reply),
    };
    if reply.len() > reply_max {
        return Err(Failure::Fault(Fault::ReplyTooLarge));
    }
    if serde_json::from_slice::<IgnoredAny>(&reply).is_err() {
        return Err(Failure::Fault(Fault::Reply));
    }
    let Guest {
        tx: Some(tx),
        new_subjects,
        ..
    } = guest
    else {
        return Err(Failure::Host(vaxel_core::Reason::Internal.into()));
    };
    Ok(Ran {
        reply,
        tx,
        new_subjects,
    })
}

/// Asks a component what it offers; it has no tenant and no storage then.
pub(crate) async fn describe(
    pre: &PluginPre<Guest>,
    guest: Guest,
    time: Duration,
) -> Result<Vec<u8>, Failure> {
    let (mut store, pace) = store(pre.engine(), guest, Arc::new(Semaphore::new(1)));
    let answered = tokio::time::timeout(time, async {
        let instance = pre.instantiate_async(&mut store).await?;
        instance
            .vaxel_lifecycle_description()
            .call_describe(&mut store)
            .await
    })
    .await;
    match answered {
        Err(_) => Err(Failure::Fault(Fault::Time)),
        Ok(Err(error)) => Err(failure(store.into_data(), &pace, &error)),
        Ok(Ok(description)) => Ok(description),
    }
}

fn store(engine: &Engine, guest: Guest, slow: Arc<Semaphore>) -> (Store<Guest>, Arc<Pace>) {
    let budget = Duration::from_millis(guest.limits.cpu_ms);
    let hostcall_bytes = guest.limits.hostcall_bytes;
    let mut store = Store::new(engine, guest);
    store.limiter(|guest| guest);
    store.set_hostcall_fuel(hostcall_bytes);
    let pace = Pace::start(slow, budget);
    {
        let pace = Arc::clone(&pace);
        store.epoch_deadline_callback(move |_| Ok(pace.tick()));
    }
    // Two, because the tick that runs now is already partly over.
    store.set_epoch_deadline(2);
    (store, pace)
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
