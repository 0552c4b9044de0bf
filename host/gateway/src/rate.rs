//! How often somebody may call, and how much at once: token buckets for addresses, users and tenants, and the open
//! calls of each user, in bounded maps.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use parking_lot::Mutex;
use quick_cache::sync::Cache;
use vaxel_core::{Problem, Reason, TenantId, UserId};

use crate::config::GatewayLimits;

/// Callers that are remembered per kind; who was quiet longest is forgotten first, which only fills their bucket.
const CALLERS_MAX: usize = 65_536;

/// Whoever has too many calls open tries again after this: most calls are over long before.
const OPEN_CALLS_RETRY_MS: u32 = 1_000;

/// One kind of bucket. Each bucket is one number: the time at which it is full again.
struct Buckets<K> {
    interval_us: u64,
    burst_us: u64,
    full_at_us: Cache<K, Arc<AtomicU64>>,
}

impl<K: Hash + Eq + Clone> Buckets<K> {
    fn new(per_s: u32, burst: u32) -> Self {
        let interval_us = 1_000_000 / u64::from(per_s.max(1));
        Self {
            interval_us,
            burst_us: interval_us * u64::from(burst.max(1)),
            full_at_us: Cache::new(CALLERS_MAX),
        }
    }

    /// Takes one token, or says after how many milliseconds there is one.
    fn take(&self, key: &K, now_us: u64) -> Result<(), u32> {
        let bucket = match self.full_at_us.get(key) {
            Some(bucket) => bucket,
            None => {
                let fresh = Arc::new(AtomicU64::new(0));
                self.full_at_us.insert(key.clone(), Arc::clone(&fresh));
                fresh
            }
        };
        let mut full_at = bucket.load(Ordering::Relaxed);
        loop {
            let next = full_at.max(now_us) + self.interval_us;
            let over = next.saturating_sub(now_us + self.burst_us);
            if over > 0 {
                return Err(u32::try_from(over.div_ceil(1_000)).unwrap_or(u32::MAX));
            }
            match bucket.compare_exchange_weak(full_at, next, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => return Ok(()),
                Err(seen) => full_at = seen,
            }
        }
    }
}

/// The calls over HTTP that each user has under way. Holds only users who have some, so it is as bounded as the calls.
#[derive(Clone, Default)]
struct OpenCalls(Arc<Mutex<HashMap<(TenantId, UserId), usize>>>);

/// One call under way; it is over when this is dropped.
pub(crate) struct OpenCall {
    calls: OpenCalls,
    caller: (TenantId, UserId),
}

impl OpenCalls {
    fn enter(&self, caller: (TenantId, UserId), max: usize) -> Option<OpenCall> {
        let mut open = self.0.lock();
        let count = open.entry(caller).or_default();
        // A count of zero is always let in, so none is left behind.
        if *count >= max.max(1) {
            return None;
        }
        *count += 1;
        drop(open);
        Some(OpenCall {
            calls: self.clone(),
            caller,
        })
    }
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        let mut open = self.calls.0.lock();
        if let Some(count) = open.get_mut(&self.caller) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.caller);
            }
        }
    }
}

/// The buckets of all callers.
pub(crate) struct RateLimits {
    since: Instant,
    addresses: Buckets<IpAddr>,
    users: Buckets<(TenantId, UserId)>,
    tenants: Buckets<TenantId>,
    open: OpenCalls,
    open_per_user_max: usize,
}

impl RateLimits {
    pub(crate) fn new(limits: &GatewayLimits) -> Self {
        Self {
            since: Instant::now(),
            addresses: Buckets::new(limits.address_per_s, limits.address_burst),
            users: Buckets::new(limits.user_per_s, limits.user_burst),
            tenants: Buckets::new(limits.tenant_per_s, limits.tenant_burst),
            open: OpenCalls::default(),
            open_per_user_max: limits.calls_per_user_max,
        }
    }

    fn now_us(&self) -> u64 {
        u64::try_from(self.since.elapsed().as_micros()).unwrap_or(u64::MAX / 2)
    }

    /// One call by somebody who is not signed in. Loopback is exempt, as it is for connections.
    pub(crate) fn anonymous(&self, peer: IpAddr) -> Result<(), Problem> {
        let Some(address) = crate::http::connections::network(peer) else {
            return Ok(());
        };
        self.addresses
            .take(&address, self.now_us())
            .map_err(limited)
    }

    /// One call by this user. The user's own bucket comes first: one who floods spends nothing of the tenant's.
    pub(crate) fn user(&self, tenant: TenantId, user: UserId) -> Result<(), Problem> {
        let now_us = self.now_us();
        self.users.take(&(tenant, user), now_us).map_err(limited)?;
        self.tenants.take(&tenant, now_us).map_err(limited)
    }

    /// Takes a place for one call over HTTP, so that nobody fills a line that others wait in too.
    pub(crate) fn open_call(&self, tenant: TenantId, user: UserId) -> Result<OpenCall, Problem> {
        let max = self.open_per_user_max;
        self.open.enter((tenant, user), max).ok_or_else(|| {
            Problem::new(
                Reason::LimitReached,
                format!("At most {max} calls of one user may be open at once."),
            )
            .retry_after_ms(OPEN_CALLS_RETRY_MS)
        })
    }
}

fn limited(after_ms: u32) -> Problem {
    Problem::new(Reason::LimitReached, "Too many calls; wait a moment.").retry_after_ms(after_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let buckets = Buckets::new(10, 3);
        for _ in 0..3 {
            assert!(buckets.take(&1, 0).is_ok());
        }
        assert_eq!(buckets.take(&1, 0), Err(100));
        assert!(
            buckets.take(&2, 0).is_ok(),
            "another caller has a bucket of its own"
        );
        assert!(buckets.take(&1, 100_000).is_ok());
        assert!(buckets.take(&1, 100_000).is_err());
    }

    #[test]
    fn a_user_has_so_many_calls_open_and_leaves_nothing_behind() {
        let open = OpenCalls::default();
        let now = vaxel_core::UnixMs(1);
        let (one, other) = (
            (TenantId::new(now), UserId::new(now)),
            (TenantId::new(now), UserId::new(now)),
        );
        let first = open.enter(one, 2).unwrap();
        let second = open.enter(one, 2).unwrap();
        assert!(open.enter(one, 2).is_none());
        drop(open.enter(other, 2).unwrap());
        drop(first);
        assert!(open.enter(one, 2).is_some());
        drop(second);
        assert!(open.0.lock().is_empty());
    }

    #[test]
    fn rest_never_gives_more_than_the_burst() {
        let buckets = Buckets::new(10, 3);
        let later = 3_600_000_000;
        assert!(buckets.take(&1, 0).is_ok());
        assert_eq!(
            (0..10).filter(|_| buckets.take(&1, later).is_ok()).count(),
            3
        );
    }
}
