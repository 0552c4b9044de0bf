//! Conditions: what must have been answered for a question to be asked or a jump to be taken.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::value::number_of;
use super::{Answers, Survey, Value};

/// Holds where all parts of one of the groups hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Condition {
    pub(crate) any: Vec<Group>,
}

/// Parts that must hold together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Group {
    pub(crate) all: Vec<Part>,
}

/// One comparison.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Part {
    /// The id of a question or a calculation.
    pub(crate) of: String,
    pub(crate) is: Comparison,
    /// The id of an option, a text, or a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) value: Option<Scalar>,
}

/// How an answer is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Comparison {
    Answered,
    NotAnswered,
    Equals,
    NotEquals,
    /// Among several choices, or within a text.
    Contains,
    AtLeast,
    AtMost,
}

impl Comparison {
    pub(crate) fn takes_value(self) -> bool {
        !matches!(self, Self::Answered | Self::NotAnswered)
    }
}

/// What an answer is compared with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Scalar {
    Number(f64),
    Text(String),
}

impl Condition {
    pub(crate) fn holds(&self, survey: &Survey, answers: &Answers) -> bool {
        let part_holds = |part: &Part| part.holds(survey, answers);
        self.any
            .iter()
            .any(|group| group.all.iter().all(part_holds))
    }

    /// The ids that it speaks of.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &str> {
        let parts = self.any.iter().flat_map(|group| &group.all);
        parts.map(|part| part.of.as_str())
    }
}

impl Part {
    fn holds(&self, survey: &Survey, answers: &Answers) -> bool {
        let value = answers.get(&self.of);
        let number = number_of(survey, answers, &self.of);
        let is_answered =
            value.is_some() || (survey.question(&self.of).is_none() && number.is_some());
        match (self.is, &self.value) {
            (Comparison::Answered, _) => is_answered,
            (Comparison::NotAnswered, _) => !is_answered,
            (Comparison::Equals, Some(wanted)) => equals(value, number, wanted),
            (Comparison::NotEquals, Some(wanted)) => !equals(value, number, wanted),
            (Comparison::Contains, Some(wanted)) => contains(value, wanted),
            (Comparison::AtLeast, Some(Scalar::Number(least))) => {
                number.is_some_and(|n| n >= *least)
            }
            (Comparison::AtMost, Some(Scalar::Number(most))) => number.is_some_and(|n| n <= *most),
            _ => false,
        }
    }
}

fn equals(value: Option<&Value>, number: Option<f64>, wanted: &Scalar) -> bool {
    match (value, wanted) {
        (Some(Value::Text(text) | Value::Choice(text)), Scalar::Text(wanted)) => {
            text.to_lowercase() == wanted.to_lowercase()
        }
        (Some(Value::Choices(ids)), Scalar::Text(wanted)) => ids.len() == 1 && ids.contains(wanted),
        (Some(Value::Order(ids)), Scalar::Text(wanted)) => ids.first() == Some(wanted),
        // What was compared with came out of the same decimal digits.
        (_, Scalar::Number(wanted)) => number.is_some_and(|number| number == *wanted),
        _ => false,
    }
}

fn contains(value: Option<&Value>, wanted: &Scalar) -> bool {
    let Scalar::Text(wanted) = wanted else {
        return false;
    };
    match value {
        Some(Value::Choices(ids)) => ids.contains(wanted),
        Some(Value::Choice(id)) => id == wanted,
        Some(Value::Rows(rows)) => rows.values().any(|id| id == wanted),
        Some(Value::Text(text)) => text.to_lowercase().contains(&wanted.to_lowercase()),
        _ => false,
    }
}
