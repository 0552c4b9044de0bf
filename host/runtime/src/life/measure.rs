//! How a version has been doing over the last hour: calls, failures and processor time, by what was asked of it.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use vaxel_core::{Reason, UnixMs};

use crate::instance::Ran;
use crate::outcome::Failure;
use crate::usage::Usage;
use crate::work::{Work, kind_named};

/// How often it is written down that calls went well. That one failed is written down with the next look.
const KEEP_EVERY_MS: u64 = 10_000;

/// Kinds of calls that are written down of one version: far more than a plugin has methods.
const LINES_MAX: usize = 500;

/// How long it is remembered, in minutes.
const MINUTES: usize = 60;

const MINUTE_MS: u64 = 60_000;

/// What one version of a plugin did, in all tenants that have it.
#[derive(Default)]
pub(crate) struct Measured {
    by_work: Mutex<HashMap<&'static str, HashMap<String, Hour>>>,
    /// Calls and failures as they were written down last, and when.
    kept: Mutex<(u64, u64, UnixMs)>,
}

/// What was measured of one kind of call, as it is written down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Line {
    kind: String,
    name: String,
    calls: u32,
    failures: u32,
    processor_us: u64,
}

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
        let one = Minute {
            calls: 1,
            failures: u32::from(failed),
            processor: match failed {
                true => Duration::ZERO,
                false => usage.processor,
            },
            ..Minute::default()
        };
        self.add(work.kind(), work.name(), &one, now);
    }

    fn add(&self, kind: &'static str, name: &str, more: &Minute, now: UnixMs) {
        let number = now.0 / MINUTE_MS;
        let mut measured = self.by_work.lock();
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
        minute.add(more);
    }

    /// What was noted from the minute of `since` on, and within the last hour.
    pub(crate) fn since(&self, since: UnixMs, now: UnixMs) -> Tally {
        let mut tally = Tally::default();
        for (kind, name, sum) in self.sums(since, now) {
            tally.add(kind, &name, &sum);
        }
        tally
    }

    /// The same as it is written down; what was called most often first.
    pub(crate) fn lines(&self, since: UnixMs, now: UnixMs) -> Vec<Line> {
        let lines = self
            .sums(since, now)
            .into_iter()
            .map(|(kind, name, sum)| Line {
                kind: kind.to_owned(),
                name,
                calls: sum.calls,
                failures: sum.failures,
                processor_us: u64::try_from(sum.processor.as_micros()).unwrap_or(u64::MAX),
            });
        let mut lines: Vec<Line> = lines.collect();
        lines.sort_by_key(|line| std::cmp::Reverse(line.calls));
        lines.truncate(LINES_MAX);
        lines
    }

    fn sums(&self, since: UnixMs, now: UnixMs) -> Vec<(&'static str, String, Minute)> {
        let hour_ago = (now.0 / MINUTE_MS).saturating_sub(MINUTES as u64 - 1);
        let first = hour_ago.max(since.0 / MINUTE_MS);
        let mut sums = Vec::new();
        for (kind, of_kind) in &*self.by_work.lock() {
            for (name, hour) in of_kind {
                let mut sum = Minute::default();
                for minute in hour.0.iter().filter(|minute| minute.number >= first) {
                    sum.add(minute);
                }
                if sum.calls > 0 {
                    sums.push((*kind, name.clone(), sum));
                }
            }
        }
        sums
    }

    /// Begins anew.
    pub(crate) fn forget(&self) {
        self.by_work.lock().clear();
        *self.kept.lock() = (0, 0, UnixMs(0));
    }

    /// Whether what is known now is to be written down, which is noted as done.
    pub(crate) fn is_to_be_kept(&self, tally: &Tally, now: UnixMs, is_end: bool) -> bool {
        let mut kept = self.kept.lock();
        let (calls, failures, at) = *kept;
        let is_due = is_end || now.since(at) >= KEEP_EVERY_MS;
        let has_changed = tally.failures != failures || (is_due && tally.calls != calls);
        if has_changed {
            *kept = (tally.calls, tally.failures, now);
        }
        has_changed
    }

    /// Takes up what was written down then. It counts for as long as if it had all happened at that time.
    pub(crate) fn take_up(&self, lines: &[Line], at: UnixMs) {
        for line in lines {
            // Of a kind that a later version of the server has: nothing to compare it with.
            let Some(kind) = kind_named(&line.kind) else {
                continue;
            };
            let more = Minute {
                calls: line.calls,
                failures: line.failures,
                processor: Duration::from_micros(line.processor_us),
                ..Minute::default()
            };
            self.add(kind, &line.name, &more, at);
        }
    }
}

impl Minute {
    fn add(&mut self, more: &Self) {
        self.calls = self.calls.saturating_add(more.calls);
        self.failures = self.failures.saturating_add(more.failures);
        self.processor += more.processor;
    }
}

impl Tally {
    fn add(&mut self, kind: &'static str, name: &str, minute: &Minute) {
        let (calls, failures) = (u64::from(minute.calls), u64::from(minute.failures));
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

    fn one(failed: bool) -> Minute {
        Minute {
            calls: 1,
            failures: u32::from(failed),
            processor: Duration::from_millis(if failed { 0 } else { 2 }),
            ..Minute::default()
        }
    }

    const START: UnixMs = UnixMs(1_800_000_000_000);

    #[test]
    fn an_hour_is_remembered_and_no_more() {
        let measured = Measured::default();
        for minute in 0..90 {
            let now = START.plus_ms(minute * MINUTE_MS);
            measured.add("method", "ok", &one(minute % 10 == 0), now);
        }
        let now = START.plus_ms(89 * MINUTE_MS);
        let tally = measured.since(UnixMs(0), now);
        assert_eq!((tally.calls, tally.failures), (60, 6));
        assert_eq!(tally.mean_processor(), Duration::from_millis(2));
        let tally = measured.since(START.plus_ms(80 * MINUTE_MS), now);
        assert_eq!((tally.calls, tally.failures), (10, 1));
        measured.forget();
        assert_eq!(measured.since(UnixMs(0), now), Tally::default());
    }

    #[test]
    fn what_was_written_down_counts_as_before_and_for_an_hour() {
        let measured = Measured::default();
        for n in 0..30 {
            let now = START.plus_ms(n * MINUTE_MS);
            measured.add("method", "ok", &one(n % 10 == 0), now);
            measured.add("job", "tidy", &one(false), now);
        }
        let at = START.plus_ms(30 * MINUTE_MS);
        let before = measured.since(UnixMs(0), at);
        let lines = serde_json::to_vec(&measured.lines(UnixMs(0), at)).unwrap();
        let lines: Vec<Line> = serde_json::from_slice(&lines).unwrap();
        let after = Measured::default();
        after.take_up(&lines, at);
        assert_eq!(after.since(UnixMs(0), at), before);
        let later = at.plus_ms(60 * MINUTE_MS);
        assert_eq!(after.since(UnixMs(0), later), Tally::default());
    }

    #[test]
    fn a_failure_is_kept_at_once_and_other_calls_now_and_then() {
        let measured = Measured::default();
        let tally = |calls, failures| Tally {
            calls,
            failures,
            ..Tally::default()
        };
        let is_kept = |tally, ms| measured.is_to_be_kept(&tally, START.plus_ms(ms), false);
        assert!(!is_kept(tally(0, 0), 0));
        assert!(is_kept(tally(5, 0), 0));
        assert!(!is_kept(tally(6, 0), 1_000));
        assert!(is_kept(tally(7, 1), 1_000));
        assert!(is_kept(tally(8, 1), 11_000));
        assert!(!is_kept(tally(8, 1), 30_000), "nothing has changed");
        assert!(measured.is_to_be_kept(&tally(9, 1), START.plus_ms(30_001), true));
    }
}
