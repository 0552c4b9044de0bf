//! Work that nobody waits for: jobs, events and hooks afterwards lie in storage until a plugin has done them.
//!
//! A row is written with the commit that causes it and goes with the commit of what its handler wrote, so each takes
//! effect once, whatever is killed in between.

mod carry_out;
mod dead;
mod every;
mod plan;
mod rows;
mod tell;
mod worker;

use std::collections::{BTreeSet, HashMap};

use parking_lot::Mutex;
use tokio::sync::Notify;
use vaxel_core::{PluginId, TenantId, UnixMs};
use vaxel_crypto::random_bytes;

pub use dead::DeadLetter;
pub(crate) use every::Every;
pub(crate) use plan::{cancel, schedulable, schedule};
pub(crate) use rows::erase_some;
pub(crate) use tell::{BeforeHook, Hooked, TakingPart};

/// How often something is tried before it is a dead letter: with the pauses between, a little over two minutes.
const ATTEMPTS_MAX: u32 = 8;

/// The pause behind the first attempt; each following is twice as long.
const PAUSE_FIRST_MS: u64 = 1_000;

/// What may wait for one plugin in one tenant: more than that is a plugin that no longer keeps up.
const WAITING_MAX: u64 = 10_000;

/// An event that a handler published for an event that a handler published: longer chains are plugins that answer each
/// other without end.
const DEPTH_MAX: u8 = 8;

/// How often an alarm about the same queue is raised at most.
const COMPLAINT_EVERY_MS: u64 = 60_000;

/// A plugin in a tenant.
pub(crate) type Whose = (TenantId, PluginId);

/// What the parts of the queue share in memory. Nothing is lost with it.
#[derive(Default)]
pub(crate) struct Queue {
    /// Where there may be something new.
    marked: Mutex<BTreeSet<Whose>>,
    bell: Notify,
    complaints: Mutex<HashMap<Whose, UnixMs>>,
}

impl Queue {
    /// Says that there may be something to do.
    pub(crate) fn mark(&self, tenant: TenantId, plugin: PluginId) {
        self.marked.lock().insert((tenant, plugin));
        self.bell.notify_one();
    }

    fn take_marked(&self) -> BTreeSet<Whose> {
        std::mem::take(&mut *self.marked.lock())
    }

    fn has_no_mark(&self) -> bool {
        self.marked.lock().is_empty()
    }

    fn may_complain(&self, tenant: TenantId, plugin: &PluginId, now: UnixMs) -> bool {
        let mut complaints = self.complaints.lock();
        complaints.retain(|_, last| now.since(*last) < COMPLAINT_EVERY_MS);
        let whose = (tenant, plugin.clone());
        complaints.insert(whose, now).is_none()
    }
}

/// How long to wait after a failure: up to a quarter longer than the pause, so that what failed together is not tried
/// together.
fn pause_ms(failed: u32) -> u64 {
    let [byte] = random_bytes::<1>();
    let pause = PAUSE_FIRST_MS << failed.saturating_sub(1).min(16);
    pause + pause * u64::from(byte) / 1_024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pause_is_longer_than_the_one_before() {
        let pauses: Vec<u64> = (1..ATTEMPTS_MAX).map(pause_ms).collect();
        assert!(pauses.windows(2).all(|two| two[0] < two[1]), "{pauses:?}");
        assert!((1_000..=1_250).contains(&pauses[0]));
    }

    #[test]
    fn a_full_queue_is_said_once_a_minute() {
        let queue = Queue::default();
        let (tenant, plugin) = (TenantId::from_u128(1), "chat".parse().unwrap());
        let start = UnixMs(1_000_000);
        assert!(queue.may_complain(tenant, &plugin, start));
        assert!(!queue.may_complain(tenant, &plugin, start.plus_ms(59_000)));
        assert!(queue.may_complain(tenant, &plugin, start.plus_ms(200_000)));
    }
}
