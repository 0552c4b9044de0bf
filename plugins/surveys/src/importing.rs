//! Answers that were given elsewhere, on paper or in another system, brought along: judged as if they had been sent, and
//! counted apart so that results say how many they are.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use vaxel_plugin::{clock, storage};

use crate::answering::{Open, taking};
use crate::authority::standing;
use crate::error::{Result, SurveyError};
use crate::model::answer::read;
use crate::model::flow::{asked, on_the_way, steps, way};
use crate::model::moment::{day_of, is_date};
use crate::model::{Answers, Survey};
use crate::results::looks;
use crate::store::rows::State;
use crate::store::{self, keys};
use crate::surveys::state;

/// Answers of one call: each takes a few of the operations that a call has.
const IMPORTED_MAX: usize = 150;

/// Answers to bring along.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ImportParams {
    #[schemars(regex(pattern = "^srv_[0-9a-f]{32}$"))]
    pub(crate) survey: String,
    /// All of them are taken, or none.
    #[schemars(length(min = 1, max = 150))]
    pub(crate) answers: Vec<Given>,
}

/// One answer.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Given {
    /// The day on which it was given, as `2026-03-01`; today where it is left out.
    #[serde(default)]
    pub(crate) day: Option<String>,
    /// By the id of the question, as a form would send it; parts of a matrix as `question.row`.
    pub(crate) inputs: Map<String, Json>,
}

/// What was brought along.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ImportDone {
    pub(crate) taken: usize,
}

pub(crate) fn import(params: ImportParams) -> Result<ImportDone> {
    let row = store::survey(&params.survey)?;
    standing(&row)?.may_edit()?;
    if state(&row) != State::Open {
        return Err(SurveyError::Invalid("it is not open"));
    }
    let survey = store::version(&params.survey, row.version)?;
    let settings = &survey.settings;
    if settings.asks_who() {
        return Err(SurveyError::Invalid(
            "answers are brought along only where nobody is asked who they are",
        ));
    }
    if params.answers.is_empty() || params.answers.len() > IMPORTED_MAX {
        return Err(SurveyError::Limit {
            what: "answers at once, and one at least",
            max: IMPORTED_MAX,
        });
    }
    let open = Open {
        id: params.survey,
        row,
        language: survey.language("").to_owned(),
        survey,
        link: None,
        rehearses: false,
    };
    let today = day_of(clock::now_ms());
    let count = params.answers.len();
    for (number, given) in params.answers.into_iter().enumerate() {
        let wrong = |why: String| SurveyError::Refused {
            code: "invalid",
            said: format!("answer {}: {why}", number + 1),
        };
        let day = given.day.unwrap_or_else(|| today.clone());
        if !is_date(&day) || day > today {
            return Err(wrong("this is no day that has been".to_owned()));
        }
        let answers = judged(&open.survey, &given.inputs, &open.language).map_err(wrong)?;
        taking::take_imported(&open, answers, day)?;
    }
    storage::increment(
        keys::imported(&open.id),
        i64::try_from(count).unwrap_or(i64::MAX),
    )?;
    looks::note(&open.id, "import", Vec::new())?;
    Ok(ImportDone { taken: count })
}

/// The answers to the questions that were on the way, or what is wrong with them.
fn judged(survey: &Survey, inputs: &Map<String, Json>, language: &str) -> Result<Answers, String> {
    let mut answers = Answers::new();
    let mut wrong = BTreeMap::new();
    for question in survey.questions() {
        match read(question, inputs, language) {
            Ok(Some(value)) => {
                answers.insert(question.id.clone(), value);
            }
            Ok(None) => {}
            Err(mistake) => {
                wrong.insert(question.id.as_str(), mistake.why);
            }
        }
    }
    let answers = on_the_way(survey, &answers);
    let steps = steps(survey);
    let shown = way(survey, &steps, &answers);
    let shown = shown.into_iter().filter_map(|at| steps.get(at));
    for question in shown.flat_map(|step| asked(survey, step, &answers)) {
        if let Some(why) = wrong.get(question.id.as_str()) {
            return Err(format!("{}: {why}", question.id));
        }
    }
    match answers.is_empty() {
        true => Err("it answers nothing".to_owned()),
        false => Ok(answers),
    }
}
