//! Instances that are ready before their call: made from nothing but the component, of nobody's data, each for one call.
//!
//! A plugin that any tenant has on has a floor of them, guaranteed while there are places; more follow how many of its
//! calls ran at one time, and go again when the load does. Making one takes its time behind a call and not in it.

mod level;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use vaxel_core::PluginId;
use wasmtime::Store;
use wasmtime::component::Instance;

use crate::guest::Guest;
use crate::package::Plugin;
use crate::runtime::Inner;
use crate::{Limits, Runtime, instance};
use level::Level;

/// Instances that are ready, over all plugins: places in the pool beside those of calls. Half of them are kept for
/// floors.
pub(crate) const PLACES: u32 = 128;

/// How soon what the load does not need any more goes.
const PERIOD: Duration = Duration::from_secs(1);

/// One that waits for its call.
pub(crate) struct Made {
    pub(crate) store: Store<Guest>,
    pub(crate) instance: Instance,
    _place: OwnedSemaphorePermit,
}

/// What is ready of one version of a plugin.
pub(crate) struct Ready {
    level: Mutex<Level>,
    made: Mutex<Vec<Made>>,
    is_filling: AtomicBool,
}

/// What is ready of a plugin, for whoever watches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadyState {
    /// Which plugin.
    pub plugin: PluginId,
    /// Its version.
    pub version: String,
    /// Instances that wait for a call.
    pub ready: usize,
    /// How many there are to be now.
    pub wanted: usize,
}

impl Ready {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            level: Mutex::new(Level::new(limits.ready_min, limits.ready_max)),
            made: Mutex::default(),
            is_filling: AtomicBool::new(false),
        }
    }

    fn lacks(&self, places: &Semaphore) -> bool {
        let (wanted, floor) = {
            let level = self.level.lock();
            (level.wanted(), level.floor())
        };
        let made = self.made.lock().len();
        let has_room = places.available_permits() > PLACES as usize / 2;
        made < wanted && (made < floor || has_room)
    }

    /// A period is over.
    fn turn(&self, is_on: bool) {
        let wanted = {
            let mut level = self.level.lock();
            level.turn(is_on);
            level.wanted()
        };
        let mut made = self.made.lock();
        let kept = wanted.min(made.len());
        let gone = made.split_off(kept);
        drop(made);
        // Clearing memory takes its time: not while others want the lock.
        drop(gone);
    }
}

/// A run, counted until it is dropped.
pub(crate) struct Running(Arc<Plugin>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.ready.level.lock().ended();
    }
}

/// A run of the plugin begins: with an instance that was ready, if there was one. The next is made behind it.
pub(crate) fn begin(plugin: &Arc<Plugin>, places: &Arc<Semaphore>) -> (Running, Option<Made>) {
    plugin.ready.level.lock().began();
    let made = plugin.ready.made.lock().pop();
    fill(plugin, places);
    (Running(Arc::clone(plugin)), made)
}

/// Makes what is lacking, one after the other, on this thread's runtime.
fn fill(plugin: &Arc<Plugin>, places: &Arc<Semaphore>) {
    let ready = &plugin.ready;
    if !ready.lacks(places) || ready.is_filling.swap(true, Ordering::Acquire) {
        return;
    }
    let filling = Filling(Arc::clone(plugin));
    let places = Arc::clone(places);
    tokio::spawn(async move {
        let plugin = &filling.0;
        while plugin.ready.lacks(&places) {
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                return;
            };
            match instance::make(plugin).await {
                Ok((store, instance)) => plugin.ready.made.lock().push(Made {
                    store,
                    instance,
                    _place: place,
                }),
                Err(error) => {
                    // The call that meets the same says so.
                    let id = &plugin.manifest.id;
                    tracing::debug!(plugin.id = %id, "none could be made ready: {error:#}");
                    return;
                }
            }
            tokio::task::yield_now().await;
        }
    });
}

/// One at a time fills.
struct Filling(Arc<Plugin>);

impl Drop for Filling {
    fn drop(&mut self) {
        self.0.ready.is_filling.store(false, Ordering::Release);
    }
}

/// Keeps every plugin that is on at its level, until the runtime is gone.
pub(crate) async fn keep_ready(inner: Weak<Inner>) {
    let mut kept: Vec<Weak<Plugin>> = Vec::new();
    loop {
        let Some(there) = inner.upgrade() else {
            return;
        };
        let on = there.registry.all_on();
        for gone in kept.iter().filter_map(Weak::upgrade) {
            if !on.iter().any(|plugin| Arc::ptr_eq(plugin, &gone)) {
                gone.ready.turn(false);
            }
        }
        for plugin in &on {
            plugin.ready.turn(true);
            fill(plugin, &there.ready_places);
        }
        kept = on.iter().map(Arc::downgrade).collect();
        drop((on, there));
        tokio::time::sleep(PERIOD).await;
    }
}

impl Runtime {
    /// What is ready of each plugin that any tenant has on.
    pub fn ready(&self) -> Vec<ReadyState> {
        let on = self.inner.registry.all_on();
        let states = on.iter().map(|plugin| ReadyState {
            plugin: plugin.manifest.id.clone(),
            version: plugin.manifest.version.clone(),
            ready: plugin.ready.made.lock().len(),
            wanted: plugin.ready.level.lock().wanted(),
        });
        states.collect()
    }
}
