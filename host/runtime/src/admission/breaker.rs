//! The breaker: a plugin that keeps breaking in a tenant rests there, tries again, and is suspended visibly in the end.

use std::collections::HashMap;

use vaxel_core::{Problem, Reason, UnixMs};
use vaxel_crypto::random_bytes;

use super::suspect::Suspect;

/// How long faults are counted together.
const WINDOW_MS: u64 = 30_000;

/// Callers who met a fault in one window, before the plugin rests: more than one person's bad luck.
const FAULTY_CALLERS_MIN: u32 = 5;

/// Faults of one caller in a window, before that caller waits. They come first: one person cannot stop a plugin.
const CALLER_FAULTS_MAX: u32 = 3;

/// Callers that a window remembers; more than that have a broken plugin, not bad luck.
const CALLERS_MAX: usize = 1_024;

/// Networks of callers who are not signed in that a window remembers; all others wait together.
const STRANGERS_MAX: usize = 1_024;

/// The first rest; each following is twice as long.
const REST_FIRST_MS: u64 = 1_000;

/// The longest rest.
const REST_MAX_MS: u64 = 300_000;

/// Rests within [`OPENINGS_WINDOW_MS`], before the plugin is suspended until an admin looks.
const OPENINGS_MAX: usize = 3;

/// How long openings are remembered.
const OPENINGS_WINDOW_MS: u64 = 3_600_000;

/// How a plugin is doing in a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It answers.
    Running,
    /// It broke too often and rests until then.
    Resting {
        /// When it is tried again.
        until: UnixMs,
    },
    /// It broke again and again; switching it on again is an admin's decision.
    Suspended,
}

/// What a fault led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opened {
    /// The plugin rests.
    Rest,
    /// The plugin is suspended.
    Suspended,
}

enum State {
    Closed,
    Open {
        until: UnixMs,
    },
    /// One call is trying.
    Trying,
    Suspended,
}

/// One breaker per tenant and plugin.
pub(crate) struct Breaker {
    state: State,
    window_began: UnixMs,
    /// Calls in the window, a caller's repeated faults left out.
    calls: u32,
    /// Faults in the window by caller.
    faults: HashMap<Suspect, u32>,
    /// The same of callers who are not signed in. Each waits on their own, and all of them together count as one
    /// caller: addresses cost nothing.
    strangers: HashMap<Suspect, u32>,
    rests: u32,
    openings: Vec<UnixMs>,
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            state: State::Closed,
            window_began: UnixMs(0),
            calls: 0,
            faults: HashMap::new(),
            strangers: HashMap::new(),
            rests: 0,
            openings: Vec::new(),
        }
    }
}

impl Breaker {
    /// Whether this caller may call now.
    pub(crate) fn admit(&mut self, caller: Suspect, now: UnixMs) -> Result<(), Problem> {
        self.turn_window(now);
        if self.faults_of(caller) >= CALLER_FAULTS_MAX {
            let left = WINDOW_MS.saturating_sub(now.since(self.window_began));
            let detail = "Your calls made this plugin fail. Wait a moment.";
            return Err(Problem::new(Reason::LimitReached, detail).retry_after_ms(millis(left)));
        }
        match self.state {
            State::Closed => Ok(()),
            State::Open { until } if now >= until => {
                self.state = State::Trying;
                Ok(())
            }
            State::Open { until } => Err(resting(until.since(now))),
            State::Trying => Err(resting(REST_FIRST_MS)),
            State::Suspended => {
                let detail = "The plugin failed repeatedly and is suspended here.";
                Err(Problem::new(Reason::Unavailable, detail).with_code("plugin-suspended"))
            }
        }
    }

    /// Notes a call that ended as it should, refusals included.
    pub(crate) fn succeeded(&mut self, now: UnixMs) {
        self.turn_window(now);
        self.calls = self.calls.saturating_add(1);
        if matches!(self.state, State::Trying) {
            self.state = State::Closed;
            self.rests = 0;
            self.faults.clear();
        }
    }

    /// Faults of a caller in this window.
    fn faults_of(&self, caller: Suspect) -> u32 {
        let of = if caller.is_stranger() {
            self.strangers.get(&self.remembered(caller))
        } else {
            self.faults.get(&caller)
        };
        of.copied().unwrap_or(0)
    }

    /// As whom a caller who is not signed in is remembered.
    fn remembered(&self, caller: Suspect) -> Suspect {
        let is_room = self.strangers.len() < STRANGERS_MAX;
        if is_room || self.strangers.contains_key(&caller) {
            return caller;
        }
        Suspect::Stranger(None)
    }

    /// Notes a call that never got so far: a trial is to be repeated.
    pub(crate) fn gave_up(&mut self, now: UnixMs) {
        if matches!(self.state, State::Trying) {
            self.state = State::Open { until: now };
        }
    }

    /// Notes a fault; says whether the plugin rests or is suspended from now on.
    pub(crate) fn failed(&mut self, caller: Suspect, now: UnixMs) -> Option<Opened> {
        self.turn_window(now);
        if caller.is_stranger() {
            let is_first = self.strangers.is_empty();
            let faults = self.strangers.entry(self.remembered(caller)).or_default();
            *faults = faults.saturating_add(1);
            if matches!(self.state, State::Trying) {
                // No verdict: whoever is not signed in could keep a plugin from everybody. The next caller tries.
                self.state = State::Open { until: now };
                return None;
            }
            if !is_first {
                return None;
            }
        }
        if matches!(self.state, State::Trying) {
            return Some(self.open(now));
        }
        if !matches!(self.state, State::Closed) {
            // A call from before the rest.
            return None;
        }
        let is_room = self.faults.len() < CALLERS_MAX || self.faults.contains_key(&caller);
        if is_room && !caller.is_stranger() {
            let faults = self.faults.entry(caller).or_default();
            *faults = faults.saturating_add(1);
            if *faults > 1 {
                return None;
            }
        }
        self.calls = self.calls.saturating_add(1);
        let callers = self.faults.len() + usize::from(!self.strangers.is_empty());
        let callers = u32::try_from(callers).unwrap_or(u32::MAX);
        let is_broken = callers >= FAULTY_CALLERS_MIN && callers.saturating_mul(2) > self.calls;
        is_broken.then(|| self.open(now))
    }

    /// How it is doing.
    pub(crate) fn health(&self) -> Health {
        match self.state {
            State::Closed | State::Trying => Health::Running,
            State::Open { until } => Health::Resting { until },
            State::Suspended => Health::Suspended,
        }
    }

    fn open(&mut self, now: UnixMs) -> Opened {
        self.openings
            .retain(|opened| now.since(*opened) < OPENINGS_WINDOW_MS);
        self.openings.push(now);
        if self.openings.len() >= OPENINGS_MAX {
            self.state = State::Suspended;
            return Opened::Suspended;
        }
        let rest = (REST_FIRST_MS << self.rests.min(16)).min(REST_MAX_MS);
        self.rests = self.rests.saturating_add(1);
        self.state = State::Open {
            until: now.plus_ms(jittered(rest)),
        };
        Opened::Rest
    }

    fn turn_window(&mut self, now: UnixMs) {
        if now.since(self.window_began) >= WINDOW_MS {
            self.window_began = now;
            self.calls = 0;
            self.faults.clear();
            self.strangers.clear();
        }
    }
}

fn resting(left_ms: u64) -> Problem {
    let detail = "The plugin failed repeatedly and rests for a moment.";
    Problem::new(Reason::Unavailable, detail)
        .with_code("plugin-resting")
        .retry_after_ms(millis(left_ms))
}

fn millis(ms: u64) -> u32 {
    u32::try_from(ms).unwrap_or(u32::MAX).max(1)
}

// Up to a fifth longer, so that plugins that broke together do not try together.
fn jittered(ms: u64) -> u64 {
    let [byte] = random_bytes::<1>();
    ms + ms * u64::from(byte) / (5 * 256)
}

#[cfg(test)]
mod tests {
    use vaxel_core::UserId;

    use super::super::suspect::Origin;
    use super::*;

    fn user(n: u128) -> Suspect {
        Suspect::User(UserId::from_u128(n))
    }

    fn stranger(address: &str) -> Suspect {
        Suspect::Stranger(Some(Origin::of(address.parse().unwrap())))
    }

    const START: UnixMs = UnixMs(1_000_000);

    fn break_it(breaker: &mut Breaker, now: UnixMs) -> Option<Opened> {
        let mut opened = None;
        for n in 0..u128::from(FAULTY_CALLERS_MIN) {
            breaker.admit(user(n), now).unwrap();
            opened = breaker.failed(user(n), now);
        }
        opened
    }

    #[test]
    fn one_caller_cannot_stop_a_plugin_and_waits_first() {
        let mut breaker = Breaker::default();
        for _ in 0..CALLER_FAULTS_MAX {
            breaker.admit(user(1), START).unwrap();
            assert_eq!(breaker.failed(user(1), START), None);
        }
        let refused = breaker.admit(user(1), START).unwrap_err();
        assert_eq!(refused.reason, Reason::LimitReached);
        breaker.admit(user(2), START).unwrap();
        breaker.admit(user(1), START.plus_ms(WINDOW_MS)).unwrap();
    }

    #[test]
    fn faults_of_several_callers_open_it_and_a_good_trial_closes_it() {
        let mut breaker = Breaker::default();
        assert_eq!(break_it(&mut breaker, START), Some(Opened::Rest));
        let refused = breaker.admit(user(9), START).unwrap_err();
        assert_eq!(refused.code, "plugin-resting");
        let later = START.plus_ms(REST_FIRST_MS * 2);
        breaker.admit(user(9), later).unwrap();
        assert!(breaker.admit(user(8), later).is_err(), "only one tries");
        breaker.succeeded(later);
        breaker.admit(user(8), later).unwrap();
        assert_eq!(breaker.health(), Health::Running);
    }

    #[test]
    fn rare_faults_among_many_good_calls_do_not_open_it() {
        let mut breaker = Breaker::default();
        for _ in 0..100 {
            breaker.succeeded(START);
        }
        assert_eq!(break_it(&mut breaker, START), None);
    }

    #[test]
    fn a_trial_that_fails_rests_longer_and_the_third_opening_suspends() {
        let mut breaker = Breaker::default();
        break_it(&mut breaker, START);
        let mut now = START.plus_ms(REST_FIRST_MS * 2);
        breaker.admit(user(1), now).unwrap();
        assert_eq!(breaker.failed(user(1), now), Some(Opened::Rest));
        assert!(breaker.admit(user(1), now.plus_ms(REST_FIRST_MS)).is_err());
        now = now.plus_ms(REST_FIRST_MS * 4);
        breaker.admit(user(1), now).unwrap();
        assert_eq!(breaker.failed(user(1), now), Some(Opened::Suspended));
        assert_eq!(breaker.health(), Health::Suspended);
        let refused = breaker
            .admit(user(1), now.plus_ms(REST_MAX_MS * 10))
            .unwrap_err();
        assert_eq!(refused.code, "plugin-suspended");
    }

    #[test]
    fn whoever_is_not_signed_in_waits_for_their_own_faults_only() {
        let mut breaker = Breaker::default();
        let (one, other) = (stranger("192.0.2.1"), stranger("192.0.2.2"));
        for _ in 0..CALLER_FAULTS_MAX {
            breaker.admit(one, START).unwrap();
            assert_eq!(breaker.failed(one, START), None);
        }
        assert_eq!(
            breaker.admit(one, START).unwrap_err().reason,
            Reason::LimitReached
        );
        for free in [other, Suspect::Stranger(None), user(1), Suspect::Host] {
            breaker.admit(free, START).unwrap();
        }
        breaker.admit(one, START.plus_ms(WINDOW_MS)).unwrap();
    }

    #[test]
    fn however_many_addresses_fail_they_are_one_caller_and_are_remembered_up_to_a_number() {
        let mut breaker = Breaker::default();
        for n in 0..4_000_u32 {
            let [_, _, a, b] = n.to_be_bytes();
            let one = stranger(&format!("10.0.{a}.{b}"));
            if breaker.admit(one, START).is_ok() {
                assert_eq!(breaker.failed(one, START), None);
            }
        }
        assert_eq!(breaker.health(), Health::Running);
        assert_eq!(breaker.strangers.len(), STRANGERS_MAX + 1);
        breaker.admit(user(1), START).unwrap();
        // Three people more are four callers in all.
        for n in 1..=3 {
            assert_eq!(breaker.failed(user(n), START), None);
        }
        assert_eq!(breaker.failed(user(4), START), Some(Opened::Rest));
    }

    #[test]
    fn a_stranger_whose_trial_fails_keeps_the_plugin_from_nobody() {
        let mut breaker = Breaker::default();
        break_it(&mut breaker, START);
        let later = START.plus_ms(REST_FIRST_MS * 2);
        for n in 0..20 {
            let one = stranger(&format!("192.0.2.{n}"));
            breaker.admit(one, later).unwrap();
            assert_eq!(breaker.failed(one, later), None);
        }
        breaker.admit(user(9), later).unwrap();
        breaker.succeeded(later);
        assert_eq!(breaker.health(), Health::Running);
    }

    #[test]
    fn a_trial_that_never_ran_is_repeated() {
        let mut breaker = Breaker::default();
        break_it(&mut breaker, START);
        let now = START.plus_ms(REST_FIRST_MS * 2);
        breaker.admit(user(1), now).unwrap();
        breaker.gave_up(now);
        breaker.admit(user(2), now).unwrap();
    }
}
