//! How a version has been doing over the last hour: calls, failures and processor time, by what was asked of it.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use parking_lot::Mutex;
use vaxel_core::{Reason, UnixMs};

use crate::instance::Ran;
use crate::outcome::Failure;
use crate::usage::Usage;
use crate::work::Work;

/// How long it is remembered, in minutes.
const MINUTES: usize = 60;

const MINUTE_MS: u64 = 60_000;

/// What one version of a plugin did, in all tenants that have it.
#[derive(Default)]
pub(crate) struct Measured(Mutex<HashMap<&'static str, HashMap<String, Hour>>>);

/// One kind of work over the last hour.
struct Hour(Box<[Minute; MINUTES]>);

#[derive(Clone, Copy, Default)]
struct Minute {
    number: u64,
    calls: u32,
    failures: u32,
    processor: Duration,
}

/// What was measured in a time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) calls: u64,
    pub(crate) failures: u64,
    /// What did not fail, by what was asked: how often, and its processor time in all.
    pub(crate) by_work: BTreeMap<(&'static str, String), (u64, Duration)>,
}

impl Measured {
    /// Notes how a call ended. What says nothing about the plugin is not noted.
    pub(crate) fn note(&self, work: &Work, ran: &Result<Ran, Failure>, usage: &Usage, now: UnixMs) {
        let failed = match ran {
            Ok(_) => false,
            Err(Failure::Refused(problem)) => problem.reason == Reason::Internal,
            Err(Failure::Fault(_)) => true,
            Err(Failure::Conflict | Failure::Host(_)) => return,
        };
        self.add(work.kind(), work.name(), failed, usage.processor, now);
    }

    fn add(&self, kind: &'static str, name: &str, failed: bool, processor: Duration, now: UnixMs) {
        let number = now.0 / MINUTE_MS;
        let mut measured = self.0.lock();
        let of_kind = measured.entry(kind).or_default();
        if !of_kind.contains_key(name) {
            let hour = Hour(Box::new([Minute::default(); MINUTES]));
            of_kind.insert(name.to_owned(), hour);
        }
        let at = usize::try_from(number).unwrap_or(0) % MINUTES;
        let minute = of_kind.get_mut(name).and_then(|hour| hour.0.get_mut(at));
        let Some(minute) = minute else {
            return;
        };
        if minute.number != number {
            *minute = Minute {
                number,
                ..Minute::default()
            };
        }
        minute.calls = minute.calls.saturating_add(1);
        if failed {
            minute.failures = minute.failures.saturating_add(1);
        } else {
            minute.processor += processor;
        }
    }

    /// What was noted from the minute of `since` on, and within the last hour.
    pub(crate) fn since(&self, since: UnixMs, now: UnixMs) -> Tally {
        let hour_ago = (now.0 / MINUTE_MS).saturating_sub(MINUTES as u64 - 1);
        let first = hour_ago.max(since.0 / MINUTE_MS);
        let mut tally = Tally::default();
        for (kind, of_kind) in &*self.0.lock() {
            for (name, hour) in of_kind {
                let counted = hour.0.iter().filter(|minute| minute.number >= first);
                for minute in counted {
                    tally.add(kind, name, minute);
                }
            }
        }
        tally
    }

    /// Begins anew.
    pub(crate) fn forget(&self) {
        self.0.lock().clear();
    }
}

impl Tally {
    fn add(&mut self, kind: &'static str, name: &str, minute: &Minute) {
        let (calls, failures) = (u64::from(minute.calls), u64::from(minute.failures));
        if calls == 0 {
            return;
        }
        self.calls += calls;
        self.failures += failures;
        let key = (kind, name.to_owned());
        let (count, processor) = self.by_work.entry(key).or_default();
        *count += calls - failures;
        *processor += minute.processor;
    }

    /// Mean processor time of what did not fail.
    pub(crate) fn mean_processor(&self) -> Duration {
        let (count, sum) = self.by_work.values().fold(
            (0_u64, Duration::ZERO),
            |(count, sum), (calls, processor)| (count + calls, sum + *processor),
        );
        mean(count, sum)
    }
}

pub(crate) fn mean(count: u64, sum: Duration) -> Duration {
    if count == 0 {
        return Duration::ZERO;
    }
    sum.div_f64(crate::life::verdict::as_f64(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_is_remembered_and_no_more() {
        let measured = Measured::default();
        let start = UnixMs(1_800_000_000_000);
        let ms = Duration::from_millis(2);
        for minute in 0..90 {
            let now = start.plus_ms(minute * MINUTE_MS);
            measured.add("method", "ok", minute % 10 == 0, ms, now);
        }
        let now = start.plus_ms(89 * MINUTE_MS);
        let tally = measured.since(UnixMs(0), now);
        assert_eq!((tally.calls, tally.failures), (60, 6));
        assert_eq!(tally.mean_processor(), ms);
        let tally = measured.since(start.plus_ms(80 * MINUTE_MS), now);
        assert_eq!((tally.calls, tally.failures), (10, 1));
        measured.forget();
        assert_eq!(measured.since(UnixMs(0), now), Tally::default());
    }
}
