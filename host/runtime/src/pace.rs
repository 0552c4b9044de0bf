//! How long a guest may run: it gives way at every tick, and ends at its processor deadline.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustix::time::{ClockId, clock_gettime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::UpdateDeadline;

/// Processor time after which a call is a slow one: a tick of its own work. Ticks also pass while a busy machine runs
/// something else, and a call must not pay for that.
const SLOW_AFTER: Duration = Duration::from_millis(2);

/// Ticks until the guest is asked again.
const NEXT_TICK: u64 = 1;

/// The pace of one call. Lives beside the store: what is asked at a tick must not touch the store itself.
pub(crate) struct Pace {
    /// The tenant's one permit for calls that outlast a tick, so that a tenant of slow calls is one of many.
    slow: Arc<Semaphore>,
    budget: Duration,
    run: Mutex<Run>,
}

struct Run {
    used: Duration,
    since: Moment,
    permit: Option<OwnedSemaphorePermit>,
    /// It waits for the outside, and time passes for others.
    is_resting: bool,
    is_over: bool,
}

/// A point in the processor time of a thread, and in real time.
#[derive(Clone, Copy)]
struct Moment {
    thread: Duration,
    wall: Instant,
}

impl Pace {
    pub(crate) fn start(slow: Arc<Semaphore>, budget: Duration) -> Arc<Self> {
        let run = Run {
            used: Duration::ZERO,
            since: Moment::now(),
            permit: None,
            is_resting: false,
            is_over: false,
        };
        Arc::new(Self {
            slow,
            budget,
            run: Mutex::new(run),
        })
    }

    /// What the guest does at a tick.
    pub(crate) fn tick(self: &Arc<Self>) -> UpdateDeadline {
        let mut run = self.run.lock();
        let ran = run.since.elapsed();
        run.used += ran;
        run.since = Moment::now();
        if run.used >= self.budget {
            run.is_over = true;
            return UpdateDeadline::Interrupt;
        }
        let needs_permit = run.used >= SLOW_AFTER && run.permit.is_none();
        drop(run);
        let pace = Arc::clone(self);
        UpdateDeadline::YieldCustom(
            NEXT_TICK,
            Box::pin(async move {
                if !needs_permit {
                    tokio::task::yield_now().await;
                } else if let Ok(permit) = Arc::clone(&pace.slow).acquire_owned().await {
                    pace.run.lock().permit = Some(permit);
                }
                // Waiting cost no processor time, and may have gone on on another thread.
                pace.run.lock().since = Moment::now();
            }),
        )
    }

    /// The guest waits for the outside: whatever else this thread does is not its work, and another slow call may go on.
    pub(crate) fn rests(&self) {
        let mut run = self.run.lock();
        let ran = run.since.elapsed();
        run.used += ran;
        run.permit = None;
        run.is_resting = true;
    }

    /// The guest goes on, maybe on another thread.
    pub(crate) fn goes_on(&self) {
        let mut run = self.run.lock();
        run.since = Moment::now();
        run.is_resting = false;
    }

    /// Processor time up to now.
    pub(crate) fn used(&self) -> Duration {
        let run = self.run.lock();
        if run.is_resting {
            return run.used;
        }
        run.used + run.since.elapsed()
    }

    /// Whether the guest was ended for its processor time.
    pub(crate) fn is_over(&self) -> bool {
        self.run.lock().is_over
    }
}

impl Moment {
    fn now() -> Self {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
        let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
        Self {
            thread: Duration::from_secs(seconds) + Duration::from_nanos(nanos),
            wall: Instant::now(),
        }
    }

    /// Processor time since then. A machine with more to do than cores takes none of a guest's budget.
    fn elapsed(self) -> Duration {
        let now = Self::now();
        now.thread
            .saturating_sub(self.thread)
            .min(now.wall.duration_since(self.wall))
    }
}
