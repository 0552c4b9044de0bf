//! Sums over answers, question by question. What is shown grows by at least `group_min` people at a time, so that no
//! difference between two looks, two groups or two filters speaks of fewer.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::value::number_of;
use crate::model::{Answers, Kind, Survey, Value};

/// One group of answers, of those that results are divided into.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sums {
    /// What they answered to the questions that divide; none where it is of several groups.
    pub(crate) group: Option<Vec<String>>,
    /// How many people.
    pub(crate) answers: u64,
    /// By question or calculation.
    pub(crate) of: BTreeMap<String, Kept>,
}

/// What is shown, and what waits for more people to have answered this very question.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Kept {
    pub(crate) shown: Sum,
    #[serde(default, skip_serializing_if = "Sum::is_empty")]
    held: Sum,
}

/// What people answered to one question.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sum {
    pub(crate) answered: u64,
    /// Of options, steps, and `row.option` of a matrix; of a ranking, how often it came first.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) counts: BTreeMap<String, u64>,
    /// Of numbers; of a ranking, the places by option.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) totals: BTreeMap<String, f64>,
}

/// The names of totals over numbers.
pub(crate) const TOTAL: &str = "";
pub(crate) const SQUARES: &str = "^2";

impl Sum {
    pub(crate) fn is_empty(&self) -> bool {
        self.answered == 0
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.answered += other.answered;
        for (name, count) in &other.counts {
            *self.counts.entry(name.clone()).or_default() += count;
        }
        for (name, total) in &other.totals {
            *self.totals.entry(name.clone()).or_default() += total;
        }
    }

    fn count(&mut self, name: String) {
        *self.counts.entry(name).or_default() += 1;
    }

    fn total(&mut self, name: &str, number: f64) {
        *self.totals.entry(name.to_owned()).or_default() += number;
    }

    fn number(&mut self, number: f64) {
        self.total(TOTAL, number);
        self.total(SQUARES, number * number);
    }

    /// The mean of numbers.
    pub(crate) fn mean(&self) -> Option<f64> {
        let total = self.totals.get(TOTAL)?;
        (self.answered > 0).then(|| total / self.answered as f64)
    }

    /// How far numbers lie from their mean.
    pub(crate) fn deviation(&self) -> Option<f64> {
        let (mean, squares) = (self.mean()?, self.totals.get(SQUARES)?);
        let variance = squares / self.answered as f64 - mean * mean;
        Some(variance.max(0.0).sqrt())
    }

    /// Promoters less detractors, in percent.
    pub(crate) fn nps(&self) -> Option<f64> {
        let among = |steps: std::ops::RangeInclusive<u32>| -> u64 {
            steps
                .filter_map(|step| self.counts.get(&step.to_string()))
                .sum()
        };
        let (promoters, detractors) = (among(9..=10) as f64, among(0..=6) as f64);
        (self.answered > 0).then(|| 100.0 * (promoters - detractors) / self.answered as f64)
    }
}

impl Sums {
    /// Adds people of this group, at least `group_min` of them.
    pub(crate) fn add<'a>(
        &mut self,
        survey: &Survey,
        people: impl Iterator<Item = &'a Answers>,
        group_min: u32,
    ) {
        for answers in people {
            self.answers += 1;
            for (id, value) in answers {
                if let Some(question) = survey.question(id) {
                    let sum = &mut self.of.entry(id.clone()).or_default().held;
                    add(sum, question.kind, value);
                }
            }
            for calculation in &survey.calculations {
                if let Some(number) = number_of(survey, answers, &calculation.id) {
                    let sum = &mut self.of.entry(calculation.id.clone()).or_default().held;
                    sum.answered += 1;
                    sum.number(number);
                }
            }
        }
        for kept in self.of.values_mut() {
            if kept.held.answered >= u64::from(group_min) {
                kept.shown.add(&kept.held);
                kept.held = Sum::default();
            }
        }
    }
}

fn add(sum: &mut Sum, kind: Kind, value: &Value) {
    sum.answered += 1;
    match value {
        Value::Text(_) => {}
        Value::Number(number) => {
            sum.number(*number);
            // Steps are few; free numbers are as many as people.
            if kind != Kind::Number {
                sum.count(format!("{number}"));
            }
        }
        Value::Choice(id) => sum.count(id.clone()),
        Value::Choices(ids) => ids.iter().for_each(|id| sum.count(id.clone())),
        Value::Rows(rows) => {
            for (row, id) in rows {
                sum.count(format!("{row}.{id}"));
            }
        }
        Value::Order(ids) => {
            for (place, id) in ids.iter().enumerate() {
                if place == 0 {
                    sum.count(id.clone());
                }
                sum.total(id, (place + 1) as f64);
            }
        }
    }
}
