//! What was answered to a question.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Kind, Question, Survey};

/// An answer to one question. What fits the question is judged in `answer`.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Value {
    Text(String),
    Number(f64),
    /// The id of an option; `yes` or `no`.
    Choice(String),
    Choices(Vec<String>),
    /// Options by row.
    Rows(BTreeMap<String, String>),
    /// All options, the best first.
    Order(Vec<String>),
}

/// By the ids of questions.
pub(crate) type Answers = BTreeMap<String, Value>;

impl Value {
    /// The number that it counts as in calculations and conditions.
    pub(crate) fn number(&self, question: &Question) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Choice(id) if question.kind == Kind::YesNo || question.kind == Kind::Consent => {
                Some(if id == "yes" { 1.0 } else { 0.0 })
            }
            Self::Choice(id) => question.option(id)?.score,
            Self::Choices(ids) => {
                let scores = ids.iter().filter_map(|id| question.option(id)?.score);
                Some(scores.sum())
            }
            _ => None,
        }
    }

    /// In people's words.
    pub(crate) fn words(&self, question: &Question, language: &str) -> String {
        let option = |id: &String| match (question.option(id), question.kind) {
            (Some(option), _) => option.label.text(language).to_owned(),
            (None, Kind::YesNo | Kind::Consent) => {
                crate::words::yes_no(id == "yes", language).to_owned()
            }
            (None, _) => id.clone(),
        };
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(number) => plain(*number),
            Self::Choice(id) => option(id),
            Self::Choices(ids) | Self::Order(ids) => {
                ids.iter().map(option).collect::<Vec<_>>().join(", ")
            }
            Self::Rows(rows) => {
                let each = rows.iter().map(|(row, id)| {
                    let row = question
                        .row(row)
                        .map_or(row.as_str(), |row| row.label.text(language));
                    format!("{row}: {}", option(id))
                });
                each.collect::<Vec<_>>().join("; ")
            }
        }
    }
}

/// A number as people write it: without a fraction where there is none.
pub(crate) fn plain(number: f64) -> String {
    format!("{number}")
}

/// The number behind an id: a question's answer or a calculation. What was not answered counts nothing.
pub(crate) fn number_of(survey: &Survey, answers: &Answers, id: &str) -> Option<f64> {
    if let Some(question) = survey.question(id) {
        return answers.get(id)?.number(question);
    }
    let calculation = survey.calculations.iter().find(|each| each.id == id)?;
    super::calculation::parse(&calculation.formula)
        .ok()?
        .evaluate(survey, answers)
}

// What people answered stays out of logs.
impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Value(..)")
    }
}
