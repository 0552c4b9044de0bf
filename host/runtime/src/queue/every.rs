//! When a repeated job is due: the five fields of crontab(5), in a time zone of the IANA database.

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use vaxel_core::UnixMs;

/// A rhythm as a manifest gives it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Every {
    fields: String,
    timezone: Option<String>,
}

impl Every {
    /// Why it cannot be followed, if it cannot.
    pub(crate) fn new(fields: &str, timezone: Option<&str>) -> Result<Self, String> {
        let every = Self {
            fields: fields.to_owned(),
            timezone: timezone.map(str::to_owned),
        };
        every.parsed()?;
        Ok(every)
    }

    /// The first moment behind this one. A time of day that the clocks leave out comes right behind the gap, and one
    /// that comes twice is taken once, as cron does. None where there is none within reason, such as 30 February.
    pub(crate) fn next(&self, after: UnixMs) -> Option<UnixMs> {
        let (cron, zone) = self.parsed().ok()?;
        let after = Timestamp::from_millisecond(i64::try_from(after.0).ok()?).ok()?;
        let next = cron.find_next_occurrence(&after.to_zoned(zone), false);
        let next = next.ok()?.timestamp().as_millisecond();
        Some(UnixMs(u64::try_from(next).ok()?))
    }

    fn parsed(&self) -> Result<(Cron, TimeZone), String> {
        let Self { fields, timezone } = self;
        let parser = CronParser::builder()
            .seconds(Seconds::Disallowed)
            .year(Year::Disallowed)
            .build();
        let cron = parser
            .parse(fields)
            .map_err(|error| format!("{fields}: {error}"))?;
        let zone = match timezone {
            Some(name) => {
                TimeZone::get(name).map_err(|_| format!("there is no time zone {name}"))?
            }
            None => TimeZone::UTC,
        };
        Ok((cron, zone))
    }
}

/// A moment as the key of a run: `2026-03-29T01:30:00Z`.
pub(crate) fn moment(at: UnixMs) -> String {
    let at = i64::try_from(at.0).ok();
    let at = at.and_then(|at| Timestamp::from_millisecond(at).ok());
    at.map_or_else(String::new, |at| at.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> UnixMs {
        let at: Timestamp = text.parse().unwrap();
        UnixMs(at.as_millisecond().try_into().unwrap())
    }

    fn moments(fields: &str, zone: &str, from: &str, count: usize) -> Vec<String> {
        let every = Every::new(fields, Some(zone)).unwrap();
        let mut last = at(from);
        let mut found = Vec::new();
        for _ in 0..count {
            last = every.next(last).unwrap();
            found.push(moment(last));
        }
        found
    }

    #[test]
    fn a_time_of_day_follows_the_clocks_of_its_zone() {
        assert_eq!(
            moments("30 7 * * *", "Europe/Stockholm", "2026-03-27T12:00:00Z", 3),
            [
                "2026-03-28T06:30:00Z",
                "2026-03-29T05:30:00Z",
                "2026-03-30T05:30:00Z"
            ]
        );
    }

    #[test]
    fn a_time_that_the_clocks_leave_out_is_made_up_for_and_one_that_comes_twice_is_taken_once() {
        let spring = moments("30 2 * * *", "Europe/Stockholm", "2026-03-28T12:00:00Z", 2);
        assert_eq!(spring, ["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]);
        let autumn = moments("30 2 * * *", "Europe/Stockholm", "2026-10-24T12:00:00Z", 2);
        assert_eq!(autumn, ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]);
    }

    #[test]
    fn what_repeats_within_the_hour_runs_through_both_hours_of_an_autumn_night() {
        let every = moments(
            "*/30 * * * *",
            "Europe/Stockholm",
            "2026-10-25T00:00:00Z",
            4,
        );
        assert_eq!(
            every,
            [
                "2026-10-25T00:30:00Z",
                "2026-10-25T01:00:00Z",
                "2026-10-25T01:30:00Z",
                "2026-10-25T02:00:00Z"
            ]
        );
    }

    #[test]
    fn what_is_no_rhythm_is_refused() {
        for (fields, zone) in [
            ("", None),
            ("* * * *", None),
            ("* * * * * *", None),
            ("61 * * * *", None),
            ("* * * * *", Some("Europe/Atlantis")),
        ] {
            assert!(Every::new(fields, zone).is_err(), "{fields} {zone:?}");
        }
        let never = Every::new("0 0 30 2 *", None).unwrap();
        assert_eq!(never.next(at("2026-01-01T00:00:00Z")), None);
    }
}
