//! Texts, each apart from whatever came with it; and single answers, where people were told that they are shown.

use vaxel_plugin::storage;
use vaxel_plugin::storage::Order;

use super::api::{AnswersParams, OneAnswer, Single, TextsParams, Written};
use super::looks::{self, unhex};
use super::view::{Looked, all_sums, looked};
use crate::error::{Result, SurveyError};
use crate::model::{Survey, Value};
use crate::store::rows::AnswerRow;
use crate::store::{self, keys};

/// Answers that one look reads.
const READ_MAX: u32 = 100;

/// Released answers behind a cursor, and the next cursor. They lie in no order.
pub(crate) fn released(
    id: &str,
    cursor: Option<&str>,
    limit: u32,
) -> Result<(Vec<AnswerRow>, Option<String>)> {
    let prefix = keys::released(id);
    let after = match cursor {
        Some(cursor) if unhex(cursor).is_none() => {
            return Err(SurveyError::Invalid("this is no cursor"));
        }
        cursor => cursor.map(|cursor| format!("{prefix}{cursor}").into_bytes()),
    };
    let page = storage::scan_json(&prefix, after.as_deref(), limit, Order::Ascending)?;
    let next = page.next.and_then(|key| {
        let random = key.get(prefix.len()..)?.to_vec();
        String::from_utf8(random).ok()
    });
    Ok((page.entries.into_iter().map(|(_, row)| row).collect(), next))
}

pub(crate) fn texts(params: TextsParams) -> Result<Written> {
    let looked = looked(&params.survey)?;
    let question = looked.survey.question(&params.question);
    let question = question
        .filter(|question| question.kind.is_text() && looked.sees(question))
        .ok_or(SurveyError::Missing("question of texts"))?;
    looks::note(&params.survey, "texts", vec![question.id.clone()])?;
    let sums = all_sums(&params.survey)?;
    let shown = sums.iter().filter_map(|sums| sums.of.get(&question.id));
    let shown: u64 = shown.map(|kept| kept.shown.answered).sum();
    if shown < u64::from(looked.group_min) {
        return Ok(Written {
            items: Vec::new(),
            next: None,
        });
    }
    let (rows, next) = released(&params.survey, params.cursor.as_deref(), READ_MAX)?;
    let items = rows
        .into_iter()
        .filter_map(|mut row| match row.answers.remove(&question.id) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        });
    Ok(Written {
        items: items.collect(),
        next,
    })
}

pub(crate) fn answers(params: AnswersParams) -> Result<Single> {
    let looked = looked(&params.survey)?;
    if looked.group_min > 1 {
        return Err(SurveyError::Forbidden(
            "those who answered were told that no answer is shown alone",
        ));
    }
    looks::note(&params.survey, "answers", Vec::new())?;
    let (rows, next) = released(&params.survey, params.cursor.as_deref(), READ_MAX)?;
    let mut versions = Versions::new(&params.survey, &looked);
    let items = rows.into_iter().map(|row| versions.said(&looked, row));
    Ok(Single {
        items: items.collect::<Result<_>>()?,
        next,
    })
}

/// The versions that answers belong to, each read once.
pub(crate) struct Versions<'a> {
    id: &'a str,
    read: std::collections::BTreeMap<u32, Survey>,
}

impl<'a> Versions<'a> {
    pub(crate) fn new(id: &'a str, looked: &Looked) -> Self {
        let read = [(looked.row.version, looked.survey.clone())].into();
        Self { id, read }
    }

    /// An answer in the words of the version that it answers.
    pub(crate) fn said(&mut self, looked: &Looked, row: AnswerRow) -> Result<OneAnswer> {
        if !self.read.contains_key(&row.version) {
            let survey = store::version(self.id, row.version)?;
            self.read.insert(row.version, survey);
        }
        let survey = self.read.get(&row.version);
        let survey = survey.ok_or(SurveyError::Missing("version"))?;
        let language = survey.language("");
        let seen = row.answers.iter().filter_map(|(id, value)| {
            let question = survey
                .question(id)
                .filter(|question| looked.sees(question))?;
            Some((id.clone(), value.words(question, language)))
        });
        Ok(OneAnswer {
            version: row.version,
            day: row.day,
            language: row.language,
            who: row.who,
            answers: seen.collect(),
        })
    }
}
