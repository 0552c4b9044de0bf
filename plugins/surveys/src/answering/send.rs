//! A page that was sent: read, judged, kept, and the next one or the end.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use vaxel_plugin::pages::{Request, Sent};
use vaxel_plugin::storage;

use super::draw::{self, At};
use super::{Open, Place, taking};
use crate::error::{Result, SurveyError};
use crate::model::Answers;
use crate::model::answer::{Mistake, read};
use crate::model::flow::{Step, asked, on_the_way, steps, way};
use crate::store::rows::Begun;
use crate::store::{self, keys};

/// How long an answer that was begun is kept: a week, weekends included.
const KEPT_MS: u64 = 7 * 86_400_000;
/// All answers of one person; most write a few lines.
const ANSWERS_BYTES_MAX: usize = 100 * 1024;

/// The button that was pressed, with the version and the page that it stood on: `next.3.0`.
pub(crate) fn action(verb: &str, version: u32, step: usize) -> String {
    format!("{verb}.{version}.{step}")
}

fn pressed(action: &str) -> Option<(&str, u32, usize)> {
    let mut parts = action.split('.');
    let (verb, version, step) = (parts.next()?, parts.next()?, parts.next()?);
    let fits = parts.next().is_none() && matches!(verb, "next" | "back" | "send");
    fits.then_some((verb, version.parse().ok()?, step.parse().ok()?))
}

pub(super) fn take(
    open: &Open,
    place: &Place<'_>,
    begun: Option<Begun>,
    sent: &Sent,
    request: &Request,
) -> Result<Value> {
    let (verb, version, number) = pressed(&sent.action).ok_or(SurveyError::Missing("action"))?;
    if version != open.row.version {
        return Err(open.refuse("survey-changed", open.words().changed));
    }
    let survey = &open.survey;
    let steps = steps(survey);
    let step = steps.get(number).ok_or(SurveyError::Missing("page"))?;
    let mut answers = begun
        .as_ref()
        .map(|begun| begun.answers.clone())
        .unwrap_or_default();
    let is_back = verb == "back";
    let mistakes = read_step(open, step, sent, &mut answers);
    let bytes = serde_json::to_vec(&answers).map_or(usize::MAX, |json| json.len());
    if bytes > ANSWERS_BYTES_MAX {
        let said = crate::words::with(open.words().too_long, ANSWERS_BYTES_MAX);
        return Err(open.refuse("answer-too-large", &said));
    }
    if !mistakes.is_empty() && !is_back {
        let at = At {
            step: number,
            answers: &answers,
            mistakes: &mistakes,
            begun: begun.is_some(),
            changed: false,
        };
        return draw::page(open, &at);
    }
    let way = way(survey, &steps, &answers);
    let here = way.iter().position(|at| *at == number);
    let next = match (is_back, here) {
        (true, Some(here)) => way.get(here.saturating_sub(1)).copied(),
        (true, None) => Some(0),
        (false, Some(here)) => way.get(here + 1).copied(),
        // What was answered meanwhile has taken this page off the way.
        (false, None) => None,
    };
    let token = match place {
        Place::Begun(token) => Some((*token).to_owned()),
        _ => None,
    };
    let slug = open.place();
    let Some(next) = next else {
        let answers = on_the_way(survey, &answers);
        if let Some(missing) = incomplete(open, &steps, &answers) {
            let missing = At {
                step: missing,
                answers: &answers,
                mistakes: &[],
                begun: begun.is_some(),
                changed: true,
            };
            return draw::page(open, &missing);
        }
        if answers.is_empty() {
            return Err(open.refuse("invalid", open.words().nothing));
        }
        if !open.rehearses {
            taking::take(open, answers)?;
        }
        if let Some(token) = token {
            storage::delete(keys::begun(&token)?)?;
        }
        return Ok(going(open, request, &format!("{slug}/thanks")));
    };
    let token = match token {
        Some(token) => token,
        None => store::random_hex(16)?,
    };
    let begun = Begun {
        survey: open.id.clone(),
        version,
        step: next,
        answers,
        language: open.language.clone(),
        link: open.link.clone(),
        changed: false,
    };
    keep(open, &token, &begun)?;
    Ok(going(open, request, &format!("{slug}/r/{token}")))
}

/// Reads what was asked on a page into the answers, and says what is wrong.
fn read_step(open: &Open, step: &Step<'_>, sent: &Sent, answers: &mut Answers) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    for question in asked(&open.survey, step, answers) {
        match read(question, &sent.inputs, &open.language) {
            Ok(Some(value)) => {
                answers.insert(question.id.clone(), value);
            }
            Ok(None) => {
                answers.remove(&question.id);
            }
            Err(mistake) => mistakes.push(mistake),
        }
    }
    mistakes
}

/// The first page on the way on which something that must be answered is not.
fn incomplete(open: &Open, steps: &[Step<'_>], answers: &Answers) -> Option<usize> {
    let answered: BTreeSet<&str> = answers.keys().map(String::as_str).collect();
    way(&open.survey, steps, answers).into_iter().find(|at| {
        let asked = steps
            .get(*at)
            .map(|step| asked(&open.survey, step, answers));
        asked
            .into_iter()
            .flatten()
            .any(|question| question.required && !answered.contains(question.id.as_str()))
    })
}

pub(super) fn keep(open: &Open, token: &str, begun: &Begun) -> Result<()> {
    Ok(storage::put_json_for_about(
        keys::begun(token)?,
        begun,
        KEPT_MS,
        &open.id,
    )?)
}

/// Where to go on, in the language that was chosen.
fn going(open: &Open, request: &Request, path: &str) -> Value {
    let next = match request.query("lang") {
        Some(_) => format!("{path}?lang={}", open.language),
        None => path.to_owned(),
    };
    json!({"type": "Page", "title": open.words().thanks, "body": [], "next": next})
}
