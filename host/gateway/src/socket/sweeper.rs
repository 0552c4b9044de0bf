//! One task that looks after all sockets: silence, stuck writes, tokens that end. None has a timer of its own.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::broadcast::error::RecvError;
use vaxel_identity::Revoked;

use super::frame::Bye;
use super::outbox::{Outbox, Pushed};
use super::session::check_token;
use crate::Gateway;

/// How often everybody is looked at. A token that ends while its socket is idle is noticed this late at most.
const SWEEP_EVERY: Duration = Duration::from_secs(1);
/// Sockets looked at before others get a turn.
const SWEEP_SLICE: usize = 1_024;

/// All open sockets, signed in or not.
#[derive(Default)]
pub(crate) struct Sockets(Mutex<HashMap<u64, Arc<Outbox>>>);

impl Sockets {
    pub(crate) fn insert(&self, outbox: &Arc<Outbox>) {
        self.0.lock().insert(outbox.id(), Arc::clone(outbox));
    }

    /// Forgets a socket, and says whether it was known.
    pub(crate) fn remove(&self, outbox: &Outbox) -> bool {
        self.0.lock().remove(&outbox.id()).is_some()
    }

    pub(crate) fn all(&self) -> Vec<Arc<Outbox>> {
        self.0.lock().values().cloned().collect()
    }
}

/// Looks after all sockets until the gateway ends.
pub(crate) async fn sweep(gateway: Gateway) {
    let mut tick = tokio::time::interval(SWEEP_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut revocations = gateway.identity().revocations();
    loop {
        tokio::select! {
            () = gateway.ending().cancelled() => return,
            _ = tick.tick() => {
                for slice in gateway.sockets().all().chunks(SWEEP_SLICE) {
                    for outbox in slice {
                        look_after(&gateway, outbox);
                    }
                    tokio::task::yield_now().await;
                }
                gateway.fanout().announce_presence();
            }
            revoked = revocations.recv() => match revoked {
                Ok(revoked) => cut_revoked(&gateway, &revoked),
                // Some were missed; each frame asks anyway, and now the idle ones are asked too.
                Err(RecvError::Lagged(_)) => {
                    for outbox in gateway.sockets().all() {
                        look_after(&gateway, &outbox);
                    }
                }
                Err(RecvError::Closed) => return,
            },
        }
    }
}

fn cut_revoked(gateway: &Gateway, revoked: &Revoked) {
    for outbox in gateway.fanout().sockets(revoked.tenant, revoked.user) {
        if let Some(claims) = outbox.claims()
            && let Err(bye) = check_token(gateway, &claims)
        {
            end(gateway, &outbox, bye);
        }
    }
}

fn look_after(gateway: &Gateway, outbox: &Arc<Outbox>) {
    let now_ms = gateway.up_ms();
    let limits = gateway.limits();
    let Some(claims) = outbox.claims() else {
        if now_ms.saturating_sub(outbox.opened_ms) > limits.auth_timeout_ms {
            end(gateway, outbox, Bye::Refused);
        }
        return;
    };
    if let Err(bye) = check_token(gateway, &claims) {
        return end(gateway, outbox, bye);
    }
    let stuck_since_ms = outbox.stuck_since_ms.load(Ordering::Relaxed);
    if stuck_since_ms > 0 && now_ms.saturating_sub(stuck_since_ms) > limits.ping_after_ms {
        return end(gateway, outbox, Bye::Slow);
    }
    let silent_ms = now_ms.saturating_sub(outbox.heard_ms.load(Ordering::Relaxed));
    if silent_ms > limits.silence_max_ms {
        return end(gateway, outbox, Bye::Slow);
    }
    if silent_ms > limits.ping_after_ms
        && !outbox.pinged.swap(true, Ordering::Relaxed)
        && outbox.push_ping() == Pushed::Wake
    {
        gateway.fanout().awake().wake(outbox);
    }
}

pub(crate) fn end(gateway: &Gateway, outbox: &Arc<Outbox>, bye: Bye) {
    outbox.say_bye(bye);
    gateway.fanout().awake().wake(outbox);
}
