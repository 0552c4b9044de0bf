//! Each kind of question as elements of a page.

use serde_json::{Map, Value, json};

use super::draw::At;
use crate::model::answer::Mistake;
use crate::model::piping::fill;
use crate::model::question::Choice;
use crate::model::{Kind, Question, Survey, Texts, Value as Answer};
use crate::words::words;

/// What the host draws as a label.
const LABEL_CHARS_MAX: usize = 300;

pub(crate) fn short(text: &str) -> String {
    text.chars().take(LABEL_CHARS_MAX).collect()
}

/// The question as it is asked after these answers.
pub(crate) fn element(question: &Question, survey: &Survey, at: &At<'_>, language: &str) -> Value {
    let said = |texts: &Texts| short(&fill(texts.text(language), survey, at.answers, language));
    let label = said(&question.label);
    if question.kind == Kind::Statement {
        let text = fill(question.label.text(language), survey, at.answers, language);
        let text: String = text.chars().take(8_000).collect();
        return json!({"type": "TextBlock", "text": text});
    }
    let answer = at.answers.get(&question.id);
    let mut input = Map::new();
    let mut set = |name: &str, value: Value| {
        input.insert(name.to_owned(), value);
    };
    match question.kind {
        Kind::Matrix => {
            set("type", json!("Vaxel.Matrix"));
            set("rows", listed(&question.rows, language));
            set("columns", listed(&question.options, language));
            if let Some(Answer::Rows(rows)) = answer {
                set("value", json!(rows));
            }
        }
        Kind::Ranking => {
            set("type", json!("Vaxel.Ranking"));
            set("choices", listed(&question.options, language));
            if let Some(Answer::Order(order)) = answer {
                set("value", json!(order.join(",")));
            }
        }
        Kind::Scale | Kind::Nps => {
            let (first, last) = question.range();
            set("type", json!("Vaxel.Scale"));
            set("min", json!(first));
            set("max", json!(last));
            for (name, end) in [
                ("minLabel", &question.min_label),
                ("maxLabel", &question.max_label),
            ] {
                if !end.is_empty() {
                    set(name, json!(said(end)));
                }
            }
            if let Some(Answer::Number(number)) = answer {
                set("value", json!(*number as i64));
            }
        }
        Kind::Number => {
            set("type", json!("Input.Number"));
            for (name, limit) in [("min", question.min), ("max", question.max)] {
                if let Some(limit) = limit {
                    set(name, json!(limit));
                }
            }
            if let Some(Answer::Number(number)) = answer {
                set("value", json!(number));
            }
        }
        Kind::Date => set("type", json!("Input.Date")),
        Kind::Time => set("type", json!("Input.Time")),
        Kind::Consent => {
            set("type", json!("Input.Toggle"));
            set("title", json!(label));
            set("valueOn", json!("yes"));
            set("valueOff", json!("no"));
        }
        Kind::SingleChoice | Kind::MultipleChoice | Kind::Dropdown | Kind::YesNo => {
            set("type", json!("Input.ChoiceSet"));
            set("choices", choices(question, language));
            let style = if question.kind == Kind::Dropdown {
                "compact"
            } else {
                "expanded"
            };
            set("style", json!(style));
            set(
                "isMultiSelect",
                json!(question.kind == Kind::MultipleChoice),
            );
        }
        _ => {
            set("type", json!("Input.Text"));
            set("isMultiline", json!(question.kind == Kind::LongText));
            set("maxLength", json!(question.most_chars()));
            let style = match question.kind {
                Kind::Email => "email",
                Kind::Phone => "tel",
                Kind::Url => "url",
                _ => "text",
            };
            set("style", json!(style));
        }
    }
    if let Some(value) = value_of(answer) {
        set("value", json!(value));
    }
    set("id", json!(question.id));
    if question.kind != Kind::Consent {
        set("label", json!(label));
    }
    set("isRequired", json!(question.required));
    let hint = match question.kind {
        Kind::Signature if question.hint.is_empty() => words(language).signature.to_owned(),
        _ => said(&question.hint),
    };
    if !hint.is_empty() {
        set("Vaxel.hint", json!(hint));
    }
    // What is wrong with a part is said at the whole.
    let is_here = |mistake: &&Mistake| {
        let rest = mistake.at.strip_prefix(&question.id);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    if let Some(mistake) = at.mistakes.iter().find(is_here) {
        set("Vaxel.error", json!(short(&mistake.why)));
    }
    Value::Object(input)
}

/// As the input's value says it, where that is a text.
fn value_of(answer: Option<&Answer>) -> Option<String> {
    match answer? {
        Answer::Text(text) | Answer::Choice(text) => Some(text.clone()),
        Answer::Choices(ids) => Some(ids.join(",")),
        Answer::Number(_) | Answer::Rows(_) | Answer::Order(_) => None,
    }
}

fn choices(question: &Question, language: &str) -> Value {
    if question.kind == Kind::YesNo {
        let words = words(language);
        return json!([{"title": words.yes, "value": "yes"}, {"title": words.no, "value": "no"}]);
    }
    listed(&question.options, language)
}

fn listed(choices: &[Choice], language: &str) -> Value {
    let each = choices.iter();
    let each =
        each.map(|choice| json!({"title": short(choice.label.text(language)), "value": choice.id}));
    Value::Array(each.collect())
}
