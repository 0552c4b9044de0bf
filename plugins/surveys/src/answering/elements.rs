//! Each kind of question as elements of a page.

use serde_json::{Map, Value, json};

use super::draw::At;
use crate::model::answer::part;
use crate::model::piping::fill;
use crate::model::value::plain;
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
        Kind::Matrix => return matrix(question, at, &label, language),
        Kind::Ranking => return ranking(question, at, &label, language),
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
        Kind::SingleChoice
        | Kind::MultipleChoice
        | Kind::Dropdown
        | Kind::YesNo
        | Kind::Scale
        | Kind::Nps => {
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
    if let Some(value) = value_of(answer)
        && question.kind != Kind::Number
    {
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
    if let Some(mistake) = at.mistakes.iter().find(|mistake| mistake.at == question.id) {
        set("Vaxel.error", json!(short(&mistake.why)));
    }
    Value::Object(input)
}

/// As the input's value says it.
fn value_of(answer: Option<&Answer>) -> Option<String> {
    match answer? {
        Answer::Text(text) | Answer::Choice(text) => Some(text.clone()),
        Answer::Number(number) => Some(plain(*number)),
        Answer::Choices(ids) => Some(ids.join(",")),
        Answer::Rows(_) | Answer::Order(_) => None,
    }
}

fn choices(question: &Question, language: &str) -> Value {
    let words = words(language);
    match question.kind {
        Kind::YesNo => {
            json!([{"title": words.yes, "value": "yes"}, {"title": words.no, "value": "no"}])
        }
        Kind::Scale | Kind::Nps => {
            let (first, last) = question.range();
            let title = |step: i64| {
                let end = match step {
                    step if step == first => question.min_label.text(language),
                    step if step == last => question.max_label.text(language),
                    _ => "",
                };
                match end {
                    "" => step.to_string(),
                    end => short(&format!("{step} – {end}")),
                }
            };
            let each =
                (first..=last).map(|step| json!({"title": title(step), "value": step.to_string()}));
            Value::Array(each.collect())
        }
        _ => {
            let each = question.options.iter();
            Value::Array(each.map(|option| json!({"title": short(option.label.text(language)), "value": option.id})).collect())
        }
    }
}

fn matrix(question: &Question, at: &At<'_>, label: &str, language: &str) -> Value {
    let rows = match at.answers.get(&question.id) {
        Some(Answer::Rows(rows)) => Some(rows),
        _ => None,
    };
    let each = question.rows.iter().map(|row| {
        let id = part(question, &row.id);
        let mut input = json!({
            "type": "Input.ChoiceSet", "style": "expanded", "id": id,
            "label": short(row.label.text(language)), "choices": choices(question, language),
            "isRequired": question.required,
        });
        with(
            &mut input,
            "value",
            rows.and_then(|rows| rows.get(&row.id)).map(String::as_str),
        );
        with(&mut input, "Vaxel.error", mistake(at, &id));
        input
    });
    grouped(label, question.hint.text(language), each.collect())
}

fn ranking(question: &Question, at: &At<'_>, label: &str, language: &str) -> Value {
    let order = match at.answers.get(&question.id) {
        Some(Answer::Order(order)) => Some(order),
        _ => None,
    };
    let places: Vec<Value> = (1..=question.options.len())
        .map(|place| json!({"title": format!("{} {place}", words(language).rank_place), "value": place.to_string()}))
        .collect();
    let each = question.options.iter().map(|option| {
        let id = part(question, &option.id);
        let mut input = json!({
            "type": "Input.ChoiceSet", "style": "compact", "id": id,
            "label": short(option.label.text(language)), "choices": places,
            "isRequired": question.required,
        });
        let place = order.and_then(|order| order.iter().position(|each| *each == option.id));
        with(
            &mut input,
            "value",
            place.map(|place| (place + 1).to_string()).as_deref(),
        );
        with(&mut input, "Vaxel.error", mistake(at, &id));
        input
    });
    grouped(label, question.hint.text(language), each.collect())
}

fn grouped(label: &str, hint: &str, inputs: Vec<Value>) -> Value {
    let mut items =
        vec![json!({"type": "TextBlock", "style": "heading", "size": "small", "text": label})];
    if !hint.is_empty() {
        items.push(json!({"type": "TextBlock", "isSubtle": true, "text": short(hint)}));
    }
    items.extend(inputs);
    json!({"type": "Container", "items": items})
}

fn mistake<'a>(at: &'a At<'_>, id: &str) -> Option<&'a str> {
    let found = at.mistakes.iter().find(|mistake| mistake.at == id);
    found.map(|mistake| mistake.why.as_str())
}

fn with(input: &mut Value, name: &str, value: Option<&str>) {
    if let (Some(input), Some(value)) = (input.as_object_mut(), value) {
        input.insert(name.to_owned(), json!(value));
    }
}
