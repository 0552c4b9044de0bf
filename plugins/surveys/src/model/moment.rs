//! Days and times as browsers send them.

/// `2026-03-01`, a day that there is.
pub(crate) fn is_date(text: &str) -> bool {
    let Some((year, month, day)) = split(text, '-', [4, 2, 2]) else {
        return false;
    };
    let is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if is_leap => 29,
        2 => 28,
        _ => return false,
    };
    year >= 1 && (1..=days).contains(&day)
}

/// `14:30`.
pub(crate) fn is_time(text: &str) -> bool {
    let Some((hour, minute)) = text.split_once(':') else {
        return false;
    };
    let number = |text: &str| {
        let is_two = text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
        is_two.then(|| text.parse::<u32>().ok()).flatten()
    };
    number(hour).is_some_and(|hour| hour < 24) && number(minute).is_some_and(|minute| minute < 60)
}

fn split(text: &str, by: char, lengths: [usize; 3]) -> Option<(u32, u32, u32)> {
    let mut parts = text.split(by);
    let mut next = |length: usize| {
        let part = parts.next()?;
        let is_whole = part.len() == length && part.bytes().all(|b| b.is_ascii_digit());
        is_whole.then(|| part.parse().ok()).flatten()
    };
    let [first, second, third] = lengths;
    let all = (next(first)?, next(second)?, next(third)?);
    parts.next().is_none().then_some(all)
}

/// The day of a moment in UTC, as `2026-03-01`.
pub(crate) fn day_of(ms: u64) -> String {
    // Civil from days (Howard Hinnant), for days since 1970.
    let days = i64::try_from(ms / 86_400_000).unwrap_or(0) + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_days_and_times_that_there_are_are_taken() {
        for good in ["2026-03-01", "2024-02-29", "2000-02-29"] {
            assert!(is_date(good), "{good}");
        }
        for bad in [
            "2026-02-29",
            "1900-02-29",
            "2026-13-01",
            "2026-1-1",
            "0000-01-01",
            "2026-01-01-",
            "åååå-01-01",
        ] {
            assert!(!is_date(bad), "{bad}");
        }
        assert!(is_time("00:00") && is_time("23:59"));
        for bad in ["24:00", "1:00", "12:60", "12", "+1:00"] {
            assert!(!is_time(bad), "{bad}");
        }
    }

    #[test]
    fn a_moment_lies_in_its_day() {
        assert_eq!(day_of(0), "1970-01-01");
        assert_eq!(day_of(951_782_400_000), "2000-02-29");
        assert_eq!(day_of(1_767_225_599_999), "2025-12-31");
        assert_eq!(day_of(1_767_225_600_000), "2026-01-01");
    }
}
