//! What was filled in, read and judged question by question.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value as Json};

use super::moment::{is_date, is_time};
use super::value::plain;
use super::{Kind, Question, Value};
use crate::words::{with, words};

/// Something that has to be filled in otherwise: where, and what is said there.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mistake {
    /// The id of the input.
    pub(crate) at: String,
    pub(crate) why: String,
}

/// The id of the input for a row of a matrix or a line of a ranking.
pub(crate) fn part(question: &Question, of: &str) -> String {
    format!("{}.{of}", question.id)
}

/// The answer to a question out of what was sent: none where it was left out.
pub(crate) fn read(
    question: &Question,
    inputs: &Map<String, Json>,
    language: &str,
) -> Result<Option<Value>, Mistake> {
    let words = words(language);
    let wrong = |why: String| Mistake {
        at: question.id.clone(),
        why,
    };
    let value = match question.kind {
        Kind::Statement => return Ok(None),
        Kind::Matrix => return matrix(question, inputs, language),
        Kind::Ranking => return ranking(question, inputs, language),
        _ => text_of(inputs, &question.id).map(|text| one(question, text)),
    };
    let value = match value {
        None => None,
        Some(Ok(value)) => value,
        Some(Err(why)) => return Err(wrong(why.said(language))),
    };
    match value {
        None if question.required && question.kind == Kind::Consent => {
            Err(wrong(words.must_agree.to_owned()))
        }
        None if question.required => Err(wrong(words.required.to_owned())),
        value => Ok(value),
    }
}

/// What is wrong with one answer.
#[derive(Debug, PartialEq)]
pub(crate) enum Misfit {
    TooLong(u32),
    NoNumber,
    NoDate,
    NoTime,
    NoEmail,
    NoPhone,
    NoUrl,
    NotOffered,
    AtLeast(f64),
    AtMost(f64),
    ChooseLeast(u32),
    ChooseMost(u32),
}

impl Misfit {
    fn said(&self, language: &str) -> String {
        let words = words(language);
        match self {
            Self::TooLong(max) => with(words.too_long, max),
            Self::NoNumber => words.no_number.to_owned(),
            Self::NoDate => words.no_date.to_owned(),
            Self::NoTime => words.no_time.to_owned(),
            Self::NoEmail => words.no_email.to_owned(),
            Self::NoPhone => words.no_phone.to_owned(),
            Self::NoUrl => words.no_url.to_owned(),
            Self::NotOffered => words.not_offered.to_owned(),
            Self::AtLeast(least) => with(words.at_least, plain(*least)),
            Self::AtMost(most) => with(words.at_most, plain(*most)),
            Self::ChooseLeast(least) => with(words.choose_least, least),
            Self::ChooseMost(most) => with(words.choose_most, most),
        }
    }
}

/// A number comes as one where a browser made it one.
fn text_of(inputs: &Map<String, Json>, id: &str) -> Option<String> {
    let text = match inputs.get(id)? {
        Json::String(text) => text.trim().to_owned(),
        Json::Number(number) => number.to_string(),
        Json::Bool(value) => value.to_string(),
        _ => return None,
    };
    (!text.is_empty()).then_some(text)
}

fn one(question: &Question, text: String) -> Result<Option<Value>, Misfit> {
    let most = question.most_chars();
    if text.len() > most as usize && text.chars().count() > most as usize {
        // Choices are checked against what is offered.
        if question.kind.is_text() {
            return Err(Misfit::TooLong(most));
        }
    }
    let as_text = |fits: bool, misfit: Misfit| match fits {
        true => Ok(Some(Value::Text(text.clone()))),
        false => Err(misfit),
    };
    match question.kind {
        Kind::ShortText | Kind::Signature => Ok(Some(Value::Text(
            text.split_whitespace().collect::<Vec<_>>().join(" "),
        ))),
        Kind::LongText => Ok(Some(Value::Text(text))),
        Kind::Date => as_text(is_date(&text), Misfit::NoDate),
        Kind::Time => as_text(is_time(&text), Misfit::NoTime),
        Kind::Email => as_text(is_email(&text), Misfit::NoEmail),
        Kind::Phone => as_text(is_phone(&text), Misfit::NoPhone),
        Kind::Url => as_text(is_url(&text), Misfit::NoUrl),
        Kind::Number => number(question, &text).map(Some),
        Kind::Scale | Kind::Nps => {
            let number: i64 = text.parse().map_err(|_| Misfit::NotOffered)?;
            let (first, last) = question.range();
            match (first..=last).contains(&number) {
                true => Ok(Some(Value::Number(number as f64))),
                false => Err(Misfit::NotOffered),
            }
        }
        Kind::YesNo => match text.as_str() {
            "yes" | "no" => Ok(Some(Value::Choice(text))),
            _ => Err(Misfit::NotOffered),
        },
        Kind::Consent => match text.as_str() {
            "yes" => Ok(Some(Value::Choice(text))),
            "no" => Ok(None),
            _ => Err(Misfit::NotOffered),
        },
        Kind::SingleChoice | Kind::Dropdown => match question.option(&text) {
            Some(_) => Ok(Some(Value::Choice(text))),
            None => Err(Misfit::NotOffered),
        },
        Kind::MultipleChoice => several(question, &text).map(Some),
        Kind::Matrix | Kind::Ranking | Kind::Statement => Ok(None),
    }
}

fn number(question: &Question, text: &str) -> Result<Value, Misfit> {
    let number = text
        .replace(',', ".")
        .replace([' ', '\u{a0}'], "")
        .parse::<f64>();
    let number = number
        .ok()
        .filter(|number| number.is_finite())
        .ok_or(Misfit::NoNumber)?;
    match (question.min, question.max) {
        (Some(min), _) if number < min => Err(Misfit::AtLeast(min)),
        (_, Some(max)) if number > max => Err(Misfit::AtMost(max)),
        _ => Ok(Value::Number(number)),
    }
}

fn several(question: &Question, text: &str) -> Result<Value, Misfit> {
    let chosen: BTreeSet<&str> = text
        .split(',')
        .map(str::trim)
        .filter(|id| !id.is_empty())
        .collect();
    if chosen.iter().any(|id| question.option(id).is_none()) {
        return Err(Misfit::NotOffered);
    }
    let count = u32::try_from(chosen.len()).unwrap_or(u32::MAX);
    match (question.choices_min, question.choices_max) {
        (Some(least), _) if count < least => return Err(Misfit::ChooseLeast(least)),
        (_, Some(most)) if count > most => return Err(Misfit::ChooseMost(most)),
        _ => {}
    }
    // In the order in which they are offered.
    let ids = question.options.iter().map(|option| &option.id);
    let ids = ids.filter(|id| chosen.contains(id.as_str())).cloned();
    Ok(Value::Choices(ids.collect()))
}

fn matrix(
    question: &Question,
    inputs: &Map<String, Json>,
    language: &str,
) -> Result<Option<Value>, Mistake> {
    let words = words(language);
    let mut rows = BTreeMap::new();
    let mut missing = None;
    for row in &question.rows {
        let at = part(question, &row.id);
        match text_of(inputs, &at) {
            Some(id) if question.option(&id).is_some() => {
                rows.insert(row.id.clone(), id);
            }
            Some(_) => {
                let why = words.not_offered.to_owned();
                return Err(Mistake { at, why });
            }
            None => missing = missing.or(Some(at)),
        }
    }
    match missing {
        Some(at) if question.required => Err(Mistake {
            at,
            why: words.required.to_owned(),
        }),
        _ => Ok((!rows.is_empty()).then_some(Value::Rows(rows))),
    }
}

fn ranking(
    question: &Question,
    inputs: &Map<String, Json>,
    language: &str,
) -> Result<Option<Value>, Mistake> {
    let words = words(language);
    let mut places: BTreeMap<usize, String> = BTreeMap::new();
    let mut given = 0;
    let mut odd = None;
    for option in &question.options {
        let at = part(question, &option.id);
        let Some(place) = text_of(inputs, &at) else {
            odd = odd.or(Some(at));
            continue;
        };
        given += 1;
        let place = place
            .parse()
            .ok()
            .filter(|place| (1..=question.options.len()).contains(place));
        match place {
            Some(place) if !places.contains_key(&place) => {
                places.insert(place, option.id.clone());
            }
            _ => odd = Some(at),
        }
    }
    match odd {
        None => Ok(Some(Value::Order(places.into_values().collect()))),
        Some(_) if given == 0 && !question.required => Ok(None),
        Some(at) => Err(Mistake {
            at,
            why: words.rank_all.to_owned(),
        }),
    }
}

fn is_email(text: &str) -> bool {
    let Some((name, host)) = text.rsplit_once('@') else {
        return false;
    };
    let is_plain = !text.contains(|c: char| {
        c.is_whitespace() || c.is_control() || matches!(c, '<' | '>' | ',' | ';')
    });
    is_plain
        && text.len() <= 254
        && !name.is_empty()
        && host.contains('.')
        && host.split('.').all(|part| !part.is_empty())
}

fn is_phone(text: &str) -> bool {
    let digits = text.chars().filter(char::is_ascii_digit).count();
    let is_plain = text.chars().enumerate().all(|(at, c)| {
        c.is_ascii_digit() || matches!(c, ' ' | '-' | '(' | ')' | '/') || (c == '+' && at == 0)
    });
    is_plain && (5..=15).contains(&digits)
}

fn is_url(text: &str) -> bool {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        !rest.is_empty()
            && !rest.starts_with('/')
            && !text.contains(|c: char| c.is_whitespace() || c.is_control())
    })
}

/// Whether a stored answer still fits a question of a later version.
pub(crate) fn still_fits(question: &Question, value: &Value) -> bool {
    let has = |id: &String| question.option(id).is_some();
    match (question.kind, value) {
        (Kind::Number, Value::Number(number)) => {
            question.min.is_none_or(|min| *number >= min)
                && question.max.is_none_or(|max| *number <= max)
        }
        (Kind::Scale | Kind::Nps, Value::Number(number)) => {
            let (first, last) = question.range();
            (first..=last).any(|each| each as f64 == *number)
        }
        (Kind::SingleChoice | Kind::Dropdown, Value::Choice(id)) => has(id),
        (Kind::YesNo | Kind::Consent, Value::Choice(id)) => matches!(id.as_str(), "yes" | "no"),
        (Kind::MultipleChoice, Value::Choices(ids)) => ids.iter().all(has),
        (Kind::Matrix, Value::Rows(rows)) => rows
            .iter()
            .all(|(row, id)| question.row(row).is_some() && has(id)),
        (Kind::Ranking, Value::Order(ids)) => {
            ids.len() == question.options.len() && ids.iter().all(has)
        }
        (kind, Value::Text(text)) => {
            kind.is_text() && text.chars().count() <= question.most_chars() as usize
        }
        _ => false,
    }
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
