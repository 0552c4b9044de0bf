//! Where the process is between start and end, as load balancers ask for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// The states of a process, in the order in which they follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HealthState {
    /// Opening the store, loading plugins: not yet asked for work.
    Starting,
    /// Answering.
    Ready,
    /// Finishing what it holds and taking nothing new.
    Draining,
}

/// The shared state of this process's health. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Health(Arc<AtomicU8>);

impl Health {
    /// A process that is still starting.
    pub fn starting() -> Self {
        Self::default()
    }

    /// Everything that must answer answers now. A drain is never undone by this.
    pub fn set_ready(&self) {
        let _ = self
            .0
            .compare_exchange(0, 1, Ordering::SeqCst, Ordering::SeqCst);
    }

    /// From here on nothing new is taken.
    pub fn set_draining(&self) {
        self.0.store(2, Ordering::SeqCst);
    }

    /// Where the process is.
    pub fn state(&self) -> HealthState {
        match self.0.load(Ordering::SeqCst) {
            0 => HealthState::Starting,
            1 => HealthState::Ready,
            _ => HealthState::Draining,
        }
    }

    /// Whether new work is welcome.
    pub fn is_ready(&self) -> bool {
        self.state() == HealthState::Ready
    }

    /// Whether the start is over.
    pub fn is_started(&self) -> bool {
        self.state() > HealthState::Starting
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draining_process_never_becomes_ready_again() {
        let health = Health::starting();
        assert!(!health.is_started());
        health.set_ready();
        assert!(health.is_ready());
        health.set_draining();
        health.set_ready();
        assert_eq!(health.state(), HealthState::Draining);
        assert!(health.is_started() && !health.is_ready());
    }
}
