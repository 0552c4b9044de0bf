//! Calculated values: arithmetic over answers, read once, without anything that could run for long.

use super::value::number_of;
use super::{Answers, Survey};

/// The longest formula.
const FORMULA_CHARS_MAX: usize = 1_000;
/// How deep brackets may lie in each other.
const DEPTH_MAX: usize = 20;

/// A formula that was read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Formula {
    Number(f64),
    Of(String),
    Two(Sign, Box<Formula>, Box<Formula>),
    Less(Box<Formula>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    Plus,
    Minus,
    Times,
    Over,
    Min,
    Max,
}

impl Formula {
    /// Its value, if it has one that is finite.
    pub(crate) fn evaluate(&self, survey: &Survey, answers: &Answers) -> Option<f64> {
        let value = match self {
            Self::Number(number) => *number,
            Self::Of(id) => number_of(survey, answers, id).unwrap_or(0.0),
            Self::Less(of) => -of.evaluate(survey, answers)?,
            Self::Two(sign, left, right) => {
                let (left, right) = (
                    left.evaluate(survey, answers)?,
                    right.evaluate(survey, answers)?,
                );
                match sign {
                    Sign::Plus => left + right,
                    Sign::Minus => left - right,
                    Sign::Times => left * right,
                    Sign::Over => left / right,
                    Sign::Min => left.min(right),
                    Sign::Max => left.max(right),
                }
            }
        };
        value.is_finite().then_some(value)
    }

    /// The ids that it speaks of.
    pub(crate) fn ids(&self) -> Vec<&str> {
        match self {
            Self::Number(_) => Vec::new(),
            Self::Of(id) => vec![id],
            Self::Less(of) => of.ids(),
            Self::Two(_, left, right) => [left.ids(), right.ids()].concat(),
        }
    }
}

/// Reads a formula, or says what is wrong with it.
pub(crate) fn parse(text: &str) -> Result<Formula, String> {
    if text.chars().count() > FORMULA_CHARS_MAX {
        return Err(format!(
            "a formula has at most {FORMULA_CHARS_MAX} characters"
        ));
    }
    let mut reader = Reader {
        left: text,
        depth: 0,
    };
    let formula = reader.sum()?;
    reader.skip();
    match reader.left.chars().next() {
        None => Ok(formula),
        Some(c) => Err(format!("“{c}” is not expected there")),
    }
}

struct Reader<'a> {
    left: &'a str,
    depth: usize,
}

impl Reader<'_> {
    fn skip(&mut self) {
        self.left = self.left.trim_start();
    }

    fn takes(&mut self, sign: char) -> bool {
        self.skip();
        match self.left.strip_prefix(sign) {
            Some(rest) => {
                self.left = rest;
                true
            }
            None => false,
        }
    }

    fn sum(&mut self) -> Result<Formula, String> {
        let mut formula = self.product()?;
        loop {
            let sign = if self.takes('+') {
                Sign::Plus
            } else if self.takes('-') {
                Sign::Minus
            } else {
                return Ok(formula);
            };
            formula = Formula::Two(sign, formula.into(), self.product()?.into());
        }
    }

    fn product(&mut self) -> Result<Formula, String> {
        let mut formula = self.one()?;
        loop {
            let sign = if self.takes('*') {
                Sign::Times
            } else if self.takes('/') {
                Sign::Over
            } else {
                return Ok(formula);
            };
            formula = Formula::Two(sign, formula.into(), self.one()?.into());
        }
    }

    fn one(&mut self) -> Result<Formula, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(format!("brackets lie at most {DEPTH_MAX} deep"));
        }
        let formula = self.unbounded_one();
        self.depth -= 1;
        formula
    }

    fn unbounded_one(&mut self) -> Result<Formula, String> {
        if self.takes('-') {
            return Ok(Formula::Less(self.one()?.into()));
        }
        if self.takes('(') {
            let formula = self.sum()?;
            return self.closes(formula);
        }
        self.skip();
        let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
        let end = self.left.find(|c| !is_word(c)).unwrap_or(self.left.len());
        let (word, rest) = self.left.split_at_checked(end).unwrap_or((self.left, ""));
        if word.is_empty() {
            return Err(match self.left.chars().next() {
                Some(c) => format!("“{c}” is not expected there"),
                None => "something is missing at the end".to_owned(),
            });
        }
        let word = word.to_owned();
        self.left = rest;
        if word.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
            let number = word.parse::<f64>().ok().filter(|number| number.is_finite());
            return number
                .map(Formula::Number)
                .ok_or_else(|| format!("“{word}” is no number"));
        }
        let sign = match word.as_str() {
            "min" => Sign::Min,
            "max" => Sign::Max,
            _ => return Ok(Formula::Of(word)),
        };
        if !self.takes('(') {
            return Ok(Formula::Of(word));
        }
        let left = self.sum()?;
        if !self.takes(',') {
            return Err(format!("{word} takes two values with a comma between"));
        }
        let right = self.sum()?;
        self.closes(Formula::Two(sign, left.into(), right.into()))
    }

    fn closes(&mut self, formula: Formula) -> Result<Formula, String> {
        if self.takes(')') {
            Ok(formula)
        } else {
            Err("a bracket is not closed".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::samples;

    fn value(formula: &str) -> Option<f64> {
        let survey = samples::of(vec![samples::number("a"), samples::number("b")]);
        let answers = samples::answers(&[("a", 6.0), ("b", 4.0)]);
        parse(formula).unwrap().evaluate(&survey, &answers)
    }

    #[test]
    fn a_formula_is_calculated_as_people_read_it() {
        let table = [
            ("1 + 2 * 3", 7.0),
            ("(1 + 2) * 3", 9.0),
            ("a - b - 1", 1.0),
            ("a / b", 1.5),
            ("-a + min(b, 2) * max(1, 3)", 0.0),
            ("unknown + 1", 1.0),
        ];
        for (formula, expected) in table {
            assert_eq!(value(formula), Some(expected), "{formula}");
        }
        assert_eq!(value("a / 0"), None);
    }

    #[test]
    fn what_is_no_formula_is_refused_with_a_reason() {
        for bad in [
            "",
            "1 +",
            "(1",
            "1 2",
            "a b",
            "min(1)",
            "1..2",
            "a ? b",
            &"(".repeat(100),
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_reading_or_calculating_panic(text in "[-+*/() a-b0-9.,mi]{0,80}") {
            if let Ok(formula) = parse(&text) {
                let survey = samples::of(vec![samples::number("a")]);
                let value = formula.evaluate(&survey, &samples::answers(&[("a", 1e308)]));
                prop_assert!(value.is_none_or(f64::is_finite));
            }
        }
    }
}
