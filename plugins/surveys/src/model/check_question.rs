//! What must hold for one question.

use std::collections::BTreeSet;

use super::fault::Faults;
use super::piping::is_id;
use super::{Kind, Question};

pub(crate) const OPTIONS_MAX: usize = 100;
pub(crate) const ROWS_MAX: usize = 50;
/// A ranking of more is nobody's opinion any more.
pub(crate) const RANKED_MAX: usize = 20;
/// The host's page has labels of 300 characters; what is piped in needs room.
pub(crate) const LABEL_CHARS_MAX: usize = 300;
const STATEMENT_CHARS_MAX: usize = 4_000;
const TEXT_CHARS_MAX: u32 = 10_000;
/// The steps of a scale fit beside each other on a phone.
const STEPS_MAX: i64 = 11;

pub(crate) fn check_question(question: &Question, languages: &[String], faults: &mut Faults) {
    let at = question.id.as_str();
    faults.unless(
        !question.label.is_empty(),
        at,
        ["frågan har ingen text", "the question has no text"],
    );
    let label_max = if question.kind == Kind::Statement {
        STATEMENT_CHARS_MAX
    } else {
        LABEL_CHARS_MAX
    };
    let is_short = |text: &String, max: usize| text.chars().count() <= max;
    let fits = question
        .label
        .0
        .values()
        .all(|text| is_short(text, label_max))
        && question
            .hint
            .0
            .values()
            .all(|text| is_short(text, LABEL_CHARS_MAX));
    faults.unless(
        fits,
        at,
        [
            "frågans text eller förklaring är för lång (300 tecken; ett textstycke 4000)",
            "the question's text or hint is too long (300 characters; a statement 4000)",
        ],
    );
    let options = question.options.iter().chain(&question.rows);
    let labels = options.clone().map(|option| &option.label);
    let texts = [
        &question.label,
        &question.hint,
        &question.min_label,
        &question.max_label,
    ];
    for texts in texts.into_iter().chain(labels.clone()) {
        if let Some(language) = texts.missing(languages) {
            faults.add(
                at,
                [
                    format!("en text i frågan saknas på {language}"),
                    format!("a text of the question lacks {language}"),
                ],
            );
            break;
        }
    }
    let fits = labels
        .clone()
        .all(|label| !label.is_empty() && label.0.values().all(|text| is_short(text, 200)));
    faults.unless(
        fits,
        at,
        [
            "ett alternativ har 1 till 200 tecken",
            "an option has 1 to 200 characters",
        ],
    );
    for (list, max) in [(&question.options, OPTIONS_MAX), (&question.rows, ROWS_MAX)] {
        let ids: BTreeSet<&str> = list.iter().map(|option| option.id.as_str()).collect();
        let fits = ids.len() == list.len() && ids.iter().all(|id| is_id(id)) && list.len() <= max;
        faults.unless(fits, at, ["varje alternativ har ett eget id (en bokstav, sedan bokstäver, siffror eller _); högst 100 alternativ och 50 rader", "each option has an id of its own (a letter, then letters, digits or _); at most 100 options and 50 rows"]);
    }
    let is_finite = |score: Option<f64>| score.is_none_or(f64::is_finite);
    faults.unless(
        question
            .options
            .iter()
            .all(|option| is_finite(option.score)),
        at,
        ["ett värde är ett tal", "a score is a number"],
    );
    fits_kind(question, faults);
}

fn fits_kind(question: &Question, faults: &mut Faults) {
    let (at, kind) = (question.id.as_str(), question.kind);
    if kind.has_options() {
        faults.unless(
            question.options.len() >= 2,
            at,
            [
                "det finns inget att välja på: minst 2 alternativ behövs",
                "there is nothing to choose from: it needs at least 2 options",
            ],
        );
    } else {
        faults.unless(
            question.options.is_empty(),
            at,
            [
                "en fråga av det här slaget har inga alternativ",
                "a question of this kind has no options",
            ],
        );
    }
    if kind == Kind::Ranking {
        faults.unless(
            question.options.len() <= RANKED_MAX,
            at,
            ["högst 20 saker rangordnas", "at most 20 things are ranked"],
        );
    }
    if kind == Kind::Matrix {
        faults.unless(
            !question.rows.is_empty(),
            at,
            ["en matris behöver rader", "a matrix needs rows"],
        );
        faults.unless(
            question.options.len() <= 11,
            at,
            [
                "en matris har högst 11 kolumner",
                "a matrix has at most 11 columns",
            ],
        );
    } else {
        faults.unless(
            question.rows.is_empty(),
            at,
            ["bara en matris har rader", "only a matrix has rows"],
        );
    }
    let takes_range = matches!(kind, Kind::Number | Kind::Scale);
    faults.unless(
        takes_range || (question.min.is_none() && question.max.is_none()),
        at,
        [
            "bara tal och skalor har minsta och största värde",
            "only numbers and scales have min and max",
        ],
    );
    let whole = |number: Option<f64>| {
        number.is_none_or(|number| number.fract() == 0.0 && number.abs() <= 1_000.0)
    };
    if kind == Kind::Scale {
        let (first, last) = question.range();
        let fits =
            whole(question.min) && whole(question.max) && first < last && last - first < STEPS_MAX;
        faults.unless(
            fits,
            at,
            [
                "en skala har 2 till 11 hela steg",
                "a scale has 2 to 11 whole steps",
            ],
        );
    }
    if let (Some(min), Some(max)) = (question.min, question.max) {
        faults.unless(
            min <= max && min.is_finite() && max.is_finite(),
            at,
            [
                "inget ligger mellan minsta och största: den går inte att svara på",
                "nothing lies between min and max: it cannot be answered",
            ],
        );
    }
    let takes_count = kind == Kind::MultipleChoice;
    faults.unless(
        takes_count || (question.choices_min.is_none() && question.choices_max.is_none()),
        at,
        [
            "bara flerval har ett minsta och ett största antal",
            "only several choices have a least and a largest number",
        ],
    );
    let (least, most) = (
        question.choices_min.unwrap_or(0),
        question.choices_max.unwrap_or(u32::MAX),
    );
    let there = u32::try_from(question.options.len()).unwrap_or(u32::MAX);
    faults.unless(
        !takes_count || (least <= most && least <= there && most > 0),
        at,
        [
            "så många går inte att välja: den går inte att svara på",
            "so many cannot be chosen: it cannot be answered",
        ],
    );
    let takes_chars = kind.is_text() && !matches!(kind, Kind::Date | Kind::Time);
    faults.unless(
        takes_chars || question.chars_max.is_none(),
        at,
        [
            "bara text har en största längd",
            "only text has a largest length",
        ],
    );
    faults.unless(
        question
            .chars_max
            .is_none_or(|chars| (1..=TEXT_CHARS_MAX).contains(&chars)),
        at,
        [
            "text har 1 till 10000 tecken",
            "text has 1 to 10000 characters",
        ],
    );
    faults.unless(
        kind != Kind::Statement || !question.required,
        at,
        [
            "ett textstycke frågar inget, så det kan inte vara obligatoriskt",
            "a statement asks nothing, so it cannot be required",
        ],
    );
}
