//! Who may run now: breaker, token bucket, then places of the plugin, the tenant and the host, with bounded waiting in
//! turns.

mod breaker;
mod bucket;
mod places;
mod suspect;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, RwLock, Semaphore};
use vaxel_core::{Problem, Reason};

use crate::Limits;
use crate::capability::bindings::vaxel::types::types::Error;
use crate::guest::guest_error;
pub use breaker::Health;
pub(crate) use breaker::{Breaker, Opened};
use bucket::Bucket;
pub(crate) use places::Caller;
use places::{Permit, Places};
pub use suspect::Origin;
pub(crate) use suspect::Suspect;

/// When a caller should come back that found all places taken.
const RETRY_AFTER_MS: u32 = 250;

/// The places of one tenant.
pub(crate) struct TenantGate {
    places: Places,
    /// Half of them: what callers who are not signed in may hold together.
    anonymous: Places,
    /// For calls that outlast a tick.
    pub(crate) slow: Arc<Semaphore>,
    waiting: AtomicUsize,
    waiting_max: usize,
    bucket: Mutex<Bucket>,
    /// For calls that wait for the outside.
    pub(crate) outside: Arc<Semaphore>,
    requests: Mutex<Bucket>,
}

/// The places of one plugin in one tenant, and whether it works.
pub(crate) struct PluginGate {
    places: Places,
    anonymous: Places,
    pub(crate) breaker: Mutex<Breaker>,
    /// What is known of the form of the plugin's rows, and how often they were erased; 0 for nothing.
    pub(crate) standing: AtomicU64,
    /// Held by each call until its commit, and by a migration alone.
    pub(crate) going: Arc<RwLock<()>>,
}

/// A place to run. Given back when it is dropped.
pub(crate) struct Place {
    _plugin: Permit,
    _tenant: Permit,
    host: OwnedSemaphorePermit,
}

impl TenantGate {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            places: Places::new(limits.tenant_concurrent),
            anonymous: Places::new((limits.tenant_concurrent / 2).max(1)),
            slow: Arc::new(Semaphore::new(1)),
            waiting: AtomicUsize::new(0),
            waiting_max: limits.tenant_waiting,
            bucket: Mutex::new(Bucket::new(
                limits.tenant_calls_per_second,
                limits.tenant_calls_burst,
            )),
            outside: Arc::new(Semaphore::new(limits.tenant_outside)),
            requests: Mutex::new(Bucket::new(
                limits.tenant_requests_per_second,
                limits.tenant_requests_burst,
            )),
        }
    }

    /// Takes one request to the outside off the tenant's rate.
    pub(crate) fn takes_request(&self) -> Result<(), Error> {
        self.requests.lock().take().map_err(|wait_ms| Error {
            retry_after_ms: Some(wait_ms),
            ..guest_error("limit", "the organization sends more requests than it may")
        })
    }

    /// Takes one call off the tenant's rate.
    pub(crate) fn take_token(&self) -> Result<(), Problem> {
        match self.bucket.lock().take() {
            Ok(()) => Ok(()),
            Err(wait_ms) => Err(Problem::new(
                Reason::LimitReached,
                "The organization makes more calls than it may.",
            )
            .retry_after_ms(wait_ms)),
        }
    }
}

impl PluginGate {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            places: Places::new(limits.plugin_concurrent),
            anonymous: Places::new((limits.plugin_concurrent / 2).max(1)),
            breaker: Mutex::new(Breaker::default()),
            standing: AtomicU64::new(0),
            going: Arc::default(),
        }
    }
}

/// One of the places that callers who are not signed in share. Given back when it is dropped.
pub(crate) struct AnonymousPlace {
    _plugin: Permit,
    _tenant: Permit,
}

/// Waits until callers who are not signed in hold less than half of the places, before any other place is asked for:
/// however many they are, who is signed in finds the other half.
pub(crate) async fn anonymous_place(
    tenant: &TenantGate,
    plugin: &PluginGate,
) -> Result<AnonymousPlace, Problem> {
    let of_plugin = match plugin.anonymous.try_take() {
        Some(place) => place,
        None => {
            let _counted = Counted::new(tenant)?;
            plugin.anonymous.take(None).await
        }
    };
    let of_tenant = match tenant.anonymous.try_take() {
        Some(place) => place,
        None => {
            let _counted = Counted::new(tenant)?;
            tenant.anonymous.take(None).await
        }
    };
    Ok(AnonymousPlace {
        _plugin: of_plugin,
        _tenant: of_tenant,
    })
}

/// Waits for a place, behind at most a bounded number of others of the tenant.
pub(crate) async fn place(
    tenant: &TenantGate,
    caller: Caller,
    plugin: &PluginGate,
    host: &Arc<Semaphore>,
) -> Result<Place, Problem> {
    let (of_plugin, of_tenant) = own_places(tenant, caller, plugin).await?;
    let of_host = match Arc::clone(host).try_acquire_owned() {
        Ok(place) => place,
        Err(_) => {
            let _counted = Counted::new(tenant)?;
            let closed = |_| Problem::from(Reason::Unavailable);
            Arc::clone(host).acquire_owned().await.map_err(closed)?
        }
    };
    Ok(Place {
        _plugin: of_plugin,
        _tenant: of_tenant,
        host: of_host,
    })
}

async fn own_places(
    tenant: &TenantGate,
    caller: Caller,
    plugin: &PluginGate,
) -> Result<(Permit, Permit), Problem> {
    // The plugin's first: who waits there must not hold a place that another plugin could use.
    let of_plugin = match plugin.places.try_take() {
        Some(place) => place,
        None => {
            let _counted = Counted::new(tenant)?;
            plugin.places.take(caller).await
        }
    };
    let of_tenant = match tenant.places.try_take() {
        Some(place) => place,
        None => {
            let _counted = Counted::new(tenant)?;
            tenant.places.take(caller).await
        }
    };
    Ok((of_plugin, of_tenant))
}

/// A call that let others have its place, and keeps its instance.
pub(crate) struct Aside {
    host: OwnedSemaphorePermit,
}

impl Place {
    /// Gives the tenant's and the plugin's place to others.
    pub(crate) fn step_aside(self) -> Aside {
        Aside { host: self.host }
    }
}

/// Waits for a place again, in turn.
pub(crate) async fn come_back(
    aside: Aside,
    tenant: &TenantGate,
    caller: Caller,
    plugin: &PluginGate,
) -> Result<Place, Problem> {
    let (of_plugin, of_tenant) = own_places(tenant, caller, plugin).await?;
    Ok(Place {
        _plugin: of_plugin,
        _tenant: of_tenant,
        host: aside.host,
    })
}

/// One that waits; uncounted also when its caller goes away.
struct Counted<'a>(&'a TenantGate);

impl<'a> Counted<'a> {
    fn new(gate: &'a TenantGate) -> Result<Self, Problem> {
        let before = gate.waiting.fetch_add(1, Ordering::Relaxed);
        let counted = Self(gate);
        if before < gate.waiting_max {
            return Ok(counted);
        }
        let refused = Problem::new(Reason::LimitReached, "Too many calls are waiting.");
        Err(refused.retry_after_ms(RETRY_AFTER_MS))
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        Limits {
            plugin_concurrent: 1,
            tenant_concurrent: 2,
            tenant_waiting: 2,
            ..Limits::default()
        }
    }

    #[tokio::test]
    async fn callers_wait_for_a_place_and_get_it() {
        let (tenant, plugin) = (TenantGate::new(&limits()), PluginGate::new(&limits()));
        let host = Arc::new(Semaphore::new(1));
        let first = place(&tenant, None, &plugin, &host).await.unwrap();
        let (second, ()) =
            tokio::join!(place(&tenant, None, &plugin, &host), async { drop(first) });
        assert!(second.is_ok());
        assert_eq!(tenant.waiting.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn beyond_the_queue_callers_are_told_to_come_back() {
        let (tenant, plugin) = (TenantGate::new(&limits()), PluginGate::new(&limits()));
        let host = Arc::new(Semaphore::new(1));
        let held = place(&tenant, None, &plugin, &host).await.unwrap();
        // Each gives its place back as soon as it has it, for the other waits for the same.
        let passing = async || place(&tenant, None, &plugin, &host).await.map(drop);
        let (first, second, refused) = tokio::join!(passing(), passing(), async {
            let refused = place(&tenant, None, &plugin, &host).await.err().unwrap();
            drop(held);
            refused
        });
        first.unwrap();
        second.unwrap();
        assert_eq!(refused.reason, Reason::LimitReached);
        assert!(refused.retry_after_ms.is_some());
    }

    #[tokio::test]
    async fn callers_who_are_not_signed_in_hold_half_of_the_places_together() {
        let limits = Limits {
            plugin_concurrent: 4,
            tenant_concurrent: 8,
            ..Limits::default()
        };
        let (tenant, plugin) = (TenantGate::new(&limits), PluginGate::new(&limits));
        let first = anonymous_place(&tenant, &plugin).await.unwrap();
        let second = anonymous_place(&tenant, &plugin).await.unwrap();
        let mut third = Box::pin(anonymous_place(&tenant, &plugin));
        let now = std::future::poll_fn(|cx| std::task::Poll::Ready(third.as_mut().poll(cx)));
        assert!(now.await.is_pending());
        drop(first);
        assert!(third.await.is_ok());
        drop(second);
    }

    #[test]
    fn a_tenant_that_calls_too_often_is_told_when_to_come_back() {
        let limits = Limits {
            tenant_calls_burst: 2,
            tenant_calls_per_second: 1,
            ..Limits::default()
        };
        let gate = TenantGate::new(&limits);
        gate.take_token().unwrap();
        gate.take_token().unwrap();
        let refused = gate.take_token().unwrap_err();
        assert_eq!(refused.reason, Reason::LimitReached);
        assert!(refused.retry_after_ms.unwrap() > 0);
    }
}
