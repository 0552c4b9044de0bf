//! Swedish personal numbers: twelve digits with a check digit, coordination numbers among them.

use std::fmt;

/// A personal number that adds up. It is never printed.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PersonalNumber(String);

impl PersonalNumber {
    /// Reads `YYYYMMDDNNNC`, with or without a hyphen or spaces. Ten digits are too few: they leave the century open.
    pub fn parse(text: &str) -> Option<Self> {
        let digits: String = text.chars().filter(|c| !matches!(c, '-' | ' ')).collect();
        if digits.len() != 12 || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let number = |from: usize, to: usize| digits.get(from..to)?.parse::<u32>().ok();
        let (year, month, day) = (number(0, 4)?, number(4, 6)?, number(6, 8)?);
        // A coordination number's day is 60 higher.
        let day = if day > 60 { day - 60 } else { day };
        let fits = (1800..=2199).contains(&year)
            && (1..=12).contains(&month)
            && (1..=31).contains(&day)
            && luhn(digits.get(2..)?);
        fits.then_some(Self(digits))
    }

    /// The twelve digits; whoever asks must need them.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

fn luhn(ten: &str) -> bool {
    let sum: u32 = ten
        .bytes()
        .enumerate()
        .map(|(at, byte)| {
            let digit = u32::from(byte - b'0');
            match at % 2 {
                0 if digit > 4 => digit * 2 - 9,
                0 => digit * 2,
                _ => digit,
            }
        })
        .sum();
    sum.is_multiple_of(10)
}

impl fmt::Debug for PersonalNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PersonalNumber(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_add_up_are_numbers() {
        for good in [
            "199006292362",
            "19900629-2362",
            "190001019801",
            "19900689-2369",
        ] {
            assert!(PersonalNumber::parse(good).is_some(), "{good}");
        }
        for bad in [
            "199006292361",
            "9006292362",
            "199013292362",
            "19900629236",
            "19900629236x",
            "",
            "１99006292362",
        ] {
            assert!(PersonalNumber::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_number_is_never_printed() {
        let number = PersonalNumber::parse("199006292362").unwrap();
        assert_eq!(format!("{number:?}"), "PersonalNumber(…)");
    }
}
