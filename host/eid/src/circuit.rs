//! Leaves a provider alone for a while that did not answer several times in a row, so that people hear at once that it
//! does not work now, instead of waiting.

use parking_lot::Mutex;
use vaxel_core::UnixMs;

/// Failures in a row before it is left alone.
const FAILURES: u32 = 3;

/// The first pause; each one that follows without an answer in between is twice as long.
const PAUSE_MS: u64 = 5_000;

/// The longest pause.
const PAUSE_MS_MAX: u64 = 60_000;

/// Whether a provider is asked at all.
#[derive(Debug, Default)]
pub(crate) struct Circuit(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    failures: u32,
    until: UnixMs,
}

impl Circuit {
    /// Go on, or how long it is left alone. When a pause ends, one caller tries and the others still wait.
    pub(crate) fn enter(&self, now: UnixMs) -> Result<(), u32> {
        let mut state = self.0.lock();
        if state.failures < FAILURES {
            return Ok(());
        }
        if now < state.until {
            return Err(u32::try_from(state.until.since(now)).unwrap_or(u32::MAX));
        }
        state.until = now.plus_ms(PAUSE_MS);
        Ok(())
    }

    pub(crate) fn answered(&self) {
        *self.0.lock() = State::default();
    }

    pub(crate) fn failed(&self, now: UnixMs) {
        let mut state = self.0.lock();
        state.failures = state.failures.saturating_add(1);
        let doublings = state.failures.saturating_sub(FAILURES).min(8);
        let pause = (PAUSE_MS << doublings).min(PAUSE_MS_MAX);
        state.until = now.plus_ms(pause);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_three_failures_one_at_a_time_tries_and_an_answer_closes_it() {
        let circuit = Circuit::default();
        let at = UnixMs;
        for _ in 0..2 {
            circuit.failed(at(0));
            assert_eq!(circuit.enter(at(0)), Ok(()));
        }
        circuit.failed(at(0));
        assert_eq!(circuit.enter(at(1_000)), Err(4_000));
        assert_eq!(circuit.enter(at(5_000)), Ok(()));
        assert!(circuit.enter(at(5_000)).is_err(), "one tries");
        circuit.failed(at(5_100));
        assert_eq!(circuit.enter(at(5_100)), Err(10_000));
        circuit.answered();
        assert_eq!(circuit.enter(at(5_200)), Ok(()));
    }
}
