//! Whether a new version does worse than the old one: it fails more often, or takes more of the processor for the same.

use std::time::Duration;

use super::measure::{Tally, mean};

/// Calls from which on failures say something.
const CALLS_TO_JUDGE_FAILURES: u64 = 20;

/// How much more often the new version may fail: one call in twenty.
const MORE_FAILURES_MAX: f64 = 0.05;

/// Calls from which on processor time says something.
const CALLS_TO_JUDGE_PROCESSOR: u64 = 50;

/// How many times the old version's processor time the new one may take.
const PROCESSOR_TIMES_MAX: f64 = 1.6;

/// Calls of the old version from which on the mean of a method is one.
const CALLS_FOR_A_MEAN: u64 = 5;

/// Why the new version must not go on, if it must not.
pub(super) fn against(new: &Tally, old: &Tally) -> Option<String> {
    fails_more_often(new, old).or_else(|| takes_longer(new, old))
}

fn fails_more_often(new: &Tally, old: &Tally) -> Option<String> {
    if new.calls < CALLS_TO_JUDGE_FAILURES {
        return None;
    }
    let share = |tally: &Tally| as_f64(tally.failures) / as_f64(tally.calls.max(1));
    (share(new) - share(old) > MORE_FAILURES_MAX).then(|| {
        format!(
            "{} of {} calls failed; of the version before {} of {}",
            new.failures, new.calls, old.failures, old.calls
        )
    })
}

fn takes_longer(new: &Tally, old: &Tally) -> Option<String> {
    let (calls, times) = processor_times(new, old)?;
    (calls >= CALLS_TO_JUDGE_PROCESSOR && times > PROCESSOR_TIMES_MAX).then(|| {
        format!(
            "{calls} calls took {times:.1} times the processor time that the version before takes for the same"
        )
    })
}

/// Over how many calls the two can be compared, and how many times the old one's processor time the new one took for
/// what was asked of it: organizations that ask for other things than the rest say nothing about the version.
pub(super) fn processor_times(new: &Tally, old: &Tally) -> Option<(u64, f64)> {
    let (mut calls, mut taken, mut expected) = (0, Duration::ZERO, Duration::ZERO);
    for (work, (count, processor)) in &new.by_work {
        let known = old.by_work.get(work);
        if let Some((before, sum)) = known.filter(|(before, _)| *before >= CALLS_FOR_A_MEAN) {
            calls += count;
            taken += *processor;
            expected += mean(*before, *sum).mul_f64(as_f64(*count));
        }
    }
    (!expected.is_zero()).then(|| (calls, taken.as_secs_f64() / expected.as_secs_f64()))
}

/// A count as a number to divide: counts of calls within an hour are far below what would be rounded.
pub(super) fn as_f64(count: u64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(calls: u64, failures: u64, by_work: &[(&str, u64, u64)]) -> Tally {
        let each = by_work.iter().map(|(name, count, ms)| {
            let key = ("method", (*name).to_owned());
            (key, (*count, Duration::from_millis(*ms * *count)))
        });
        Tally {
            calls,
            failures,
            by_work: each.collect(),
        }
    }

    #[test]
    fn one_failure_in_ten_is_too_many_and_one_accident_is_not() {
        let old = tally(1_000, 0, &[]);
        assert_eq!(against(&tally(19, 19, &[]), &old), None, "too early to say");
        assert_eq!(against(&tally(20, 1, &[]), &old), None);
        assert!(against(&tally(20, 2, &[]), &old).is_some());
        // Where the old one fails as often, the new one is not to blame.
        assert_eq!(against(&tally(100, 10, &[]), &tally(100, 8, &[])), None);
        // Nothing to compare with.
        assert!(against(&tally(20, 2, &[]), &tally(0, 0, &[])).is_some());
    }

    #[test]
    fn twice_the_processor_time_is_too_much_for_the_same_and_not_for_something_else() {
        let old = tally(200, 0, &[("light", 100, 1), ("heavy", 100, 20)]);
        let new = |name, count, ms| tally(count, 0, &[(name, count, ms)]);
        assert!(against(&new("light", 50, 2), &old).is_some());
        assert_eq!(
            against(&new("light", 49, 2), &old),
            None,
            "too early to say"
        );
        assert_eq!(against(&new("light", 500, 1), &old), None);
        assert_eq!(
            against(&new("heavy", 500, 22), &old),
            None,
            "it asks for more"
        );
        assert_eq!(against(&new("other", 500, 99), &old), None, "nobody knows");
    }
}
