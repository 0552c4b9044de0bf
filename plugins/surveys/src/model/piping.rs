//! Earlier answers in later texts: `{id}` stands for what was answered.

use super::value::{number_of, plain};
use super::{Answers, Survey};

/// How much of an answer is said again; it should still read as a sentence.
const PIPED_CHARS_MAX: usize = 200;

/// The text with its ids replaced. What was not answered is a dash.
pub(crate) fn fill(text: &str, survey: &Survey, answers: &Answers, language: &str) -> String {
    let mut filled = String::with_capacity(text.len());
    for piece in pieces(text) {
        match piece {
            Piece::Text(text) => filled.push_str(text),
            Piece::Id(id) => {
                let words = said(survey, answers, id, language);
                filled.extend(
                    words
                        .unwrap_or_else(|| "–".to_owned())
                        .chars()
                        .take(PIPED_CHARS_MAX),
                );
            }
        }
    }
    filled
}

fn said(survey: &Survey, answers: &Answers, id: &str, language: &str) -> Option<String> {
    match survey.question(id) {
        Some(question) => Some(answers.get(id)?.words(question, language)),
        None => Some(plain(
            (number_of(survey, answers, id)? * 100.0).round() / 100.0,
        )),
    }
}

/// The ids that a text speaks of.
pub(crate) fn ids(text: &str) -> impl Iterator<Item = &str> {
    pieces(text).filter_map(|piece| match piece {
        Piece::Id(id) => Some(id),
        Piece::Text(_) => None,
    })
}

enum Piece<'a> {
    Text(&'a str),
    Id(&'a str),
}

/// Brackets around anything but an id are text.
fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut left = text;
    std::iter::from_fn(move || {
        if left.is_empty() {
            return None;
        }
        if let Some((id, rest)) = left.strip_prefix('{').and_then(|rest| rest.split_once('}'))
            && is_id(id)
        {
            left = rest;
            return Some(Piece::Id(id));
        }
        let start = left.chars().next().map_or(1, char::len_utf8);
        let end = left
            .match_indices('{')
            .map(|(at, _)| at)
            .find(|at| *at >= start)
            .unwrap_or(left.len());
        let (piece, rest) = left.split_at_checked(end)?;
        left = rest;
        Some(Piece::Text(piece))
    })
}

/// Letters, digits and `_`, a letter first.
pub(crate) fn is_id(id: &str) -> bool {
    id.len() <= 32
        && id.starts_with(|c: char| c.is_ascii_alphabetic())
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::samples;

    #[test]
    fn an_earlier_answer_is_said_again_and_other_brackets_are_text() {
        let survey = samples::of(vec![samples::number("age")]);
        let answers = samples::answers(&[("age", 41.0)]);
        let fill = |text| fill(text, &survey, &answers, "sv");
        assert_eq!(
            fill("Du är {age} år {nej nej} {"),
            "Du är 41 år {nej nej} {"
        );
        assert_eq!(fill("{{age}} {other}"), "{41} –");
        assert_eq!(fill("åäö"), "åäö");
    }

    proptest! {
        #[test]
        fn text_without_ids_is_unchanged(text in "[a-zåäö{ ]{0,60}") {
            let survey = samples::of(vec![]);
            prop_assert_eq!(fill(&text, &survey, &Answers::new(), "sv"), text);
        }
    }
}
