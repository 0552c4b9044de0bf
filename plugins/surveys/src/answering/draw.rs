//! A survey's pages as trees of elements, which the host draws.

use serde_json::{Value, json};

use super::Open;
use super::elements::{element, short};
use super::person;
use super::send::action;
use crate::error::{Result, SurveyError};
use crate::model::answer::Mistake;
use crate::model::flow::{asked, steps, way};
use crate::model::piping::fill;
use crate::model::{Answers, Texts};
use crate::store::rows::Begun;
use crate::words::promise;

/// What is shown: a page, with what was answered and what is wrong with it.
pub(crate) struct At<'a> {
    pub(crate) step: usize,
    pub(crate) answers: &'a Answers,
    pub(crate) mistakes: &'a [Mistake],
    pub(crate) begun: bool,
    pub(crate) changed: bool,
}

static NONE: Answers = Answers::new();

impl<'a> At<'a> {
    pub(crate) fn beginning(begun: Option<&'a Begun>) -> Self {
        match begun {
            Some(begun) => Self {
                step: begun.step,
                answers: &begun.answers,
                mistakes: &[],
                begun: true,
                changed: begun.changed,
            },
            None => Self {
                step: 0,
                answers: &NONE,
                mistakes: &[],
                begun: false,
                changed: false,
            },
        }
    }
}

pub(crate) fn page(open: &Open, at: &At<'_>) -> Result<Value> {
    let (survey, words, language) = (&open.survey, open.words(), open.language.as_str());
    let steps = steps(survey);
    let way = way(survey, &steps, at.answers);
    let first = way.first().copied().unwrap_or(0);
    let number = if way.contains(&at.step) {
        at.step
    } else {
        first
    };
    let place = way.iter().position(|each| *each == number).unwrap_or(0);
    let said = |texts: &Texts| fill(texts.text(language), survey, at.answers, language);
    let mut body = Vec::new();
    if at.changed {
        body.push(json!({"type": "Vaxel.Notice", "style": "warning", "text": words.changed_note}));
    }
    if place == 0 {
        if !survey.intro.is_empty() {
            body.push(text(&said(&survey.intro)));
        }
        body.push(json!({
            "type": "Vaxel.Notice", "style": "accent", "title": words.who,
            "text": promise(survey, language),
        }));
        body.extend(languages(open));
    }
    if way.len() > 1 {
        body.push(json!({"type": "Vaxel.Progress", "label": words.progress, "value": place + 1, "max": way.len()}));
    }
    if let Some(step) = steps.get(number) {
        if step.begins && !step.of.title.is_empty() {
            body.push(
                json!({"type": "TextBlock", "style": "heading", "text": said(&step.of.title)}),
            );
        }
        if step.begins && !step.of.text.is_empty() {
            body.push(text(&said(&step.of.text)));
        }
        for question in asked(survey, step, at.answers) {
            body.push(element(question, survey, at, language));
        }
    }
    if at.begun {
        body.push(json!({"type": "TextBlock", "isSubtle": true, "size": "small", "text": words.kept_days}));
    }
    let version = open.row.version;
    // What is answered here may open other pages.
    let here = steps
        .get(number)
        .map(|step| asked(survey, step, at.answers));
    let mut here = here.into_iter().flatten();
    let is_answered = here.any(|question| at.answers.contains_key(&question.id));
    let is_last = place + 1 >= way.len() && (number + 1 == steps.len() || is_answered);
    let (verb, title) = if is_last {
        ("send", words.send)
    } else {
        ("next", words.next)
    };
    let mut actions = vec![json!({
        "type": "Action.Submit", "style": "positive", "id": action(verb, version, number), "title": title,
    })];
    if at.begun && place > 0 {
        actions.push(json!({"type": "Action.Submit", "id": action("back", version, number), "title": words.back}));
    }
    let mut page = tinted(
        open,
        json!({
            "type": "Page",
            "title": short(&said(&survey.title)),
            "lang": language,
            "body": body,
            "actions": actions,
        }),
    );
    if !open.rehearses
        && let Some(required) = person::required(open, open.link.as_deref())?
    {
        page["proof"] = required;
    }
    Ok(page)
}

/// In the survey's colour.
fn tinted(open: &Open, mut page: Value) -> Value {
    if let (Some(page), Some(tint)) = (page.as_object_mut(), open.survey.tint) {
        page.insert("tint".to_owned(), json!(tint));
    }
    page
}

fn text(text: &str) -> Value {
    let text: String = text.chars().take(8_000).collect();
    json!({"type": "TextBlock", "text": text, "wrap": true})
}

/// The other languages, each under its own name.
fn languages(open: &Open) -> Option<Value> {
    let others = open
        .survey
        .languages
        .iter()
        .filter(|tag| **tag != open.language);
    let items: Vec<Value> = others
        .map(|tag| json!({"title": name_of(tag), "url": format!("page:{}/{}?lang={tag}", open.page(), open.place())}))
        .collect();
    // A personal link's own address is not said again; the browser's language decides there.
    let is_shown =
        !items.is_empty() && open.survey.settings.access == crate::model::settings::Access::Anyone;
    is_shown.then(|| json!({"type": "Vaxel.List", "items": items}))
}

fn name_of(tag: &str) -> &str {
    match tag {
        "sv" => "Svenska",
        "en" => "English",
        "fi" => "Suomi",
        "de" => "Deutsch",
        "no" => "Norsk",
        "da" => "Dansk",
        "ar" => "العربية",
        "so" => "Soomaali",
        "uk" => "Українська",
        tag => tag,
    }
}

pub(crate) fn thanks(open: &Open) -> Value {
    let words = open.words();
    let thanks = open.survey.thanks.text(&open.language);
    let said = if thanks.trim().is_empty() {
        words.thanks_text
    } else {
        thanks
    };
    tinted(
        open,
        json!({
            "type": "Page",
            "title": words.thanks,
            "lang": open.language,
            "body": [{"type": "Vaxel.Notice", "style": "good", "text": said}],
        }),
    )
}

/// Instead of questions: why there are none for whoever looks.
pub(crate) fn notice(open: &Open, refused: SurveyError) -> Value {
    let words = open.words();
    let said = match &refused {
        SurveyError::Refused {
            code: "survey-closed",
            ..
        } => words.closed_text.to_owned(),
        other => other.to_string(),
    };
    let title = match &refused {
        SurveyError::Refused {
            code: "survey-closed",
            ..
        } => words.closed.to_owned(),
        SurveyError::Refused {
            code: "already-answered",
            ..
        } => words.answered.to_owned(),
        _ => short(open.survey.title.text(&open.language)),
    };
    json!({
        "type": "Page",
        "title": title,
        "lang": open.language,
        "body": [{"type": "Vaxel.Notice", "style": "accent", "text": said}],
    })
}
