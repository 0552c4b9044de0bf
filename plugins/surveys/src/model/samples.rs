//! Surveys for tests.

use serde_json::json;

use super::{Answers, Kind, Question, Section, Settings, Survey, Texts, Value};

pub(crate) fn texts(text: &str) -> Texts {
    Texts([("sv".to_owned(), text.to_owned())].into())
}

pub(crate) fn question(id: &str, kind: Kind) -> Question {
    let mut json = json!({"id": id, "kind": kind, "label": {"sv": format!("Fråga {id}")}});
    if kind.has_options() {
        json["options"] = json!([
            {"id": "red", "label": {"sv": "Röd"}, "score": 1},
            {"id": "blue", "label": {"sv": "Blå"}, "score": 2},
            {"id": "green", "label": {"sv": "Grön"}},
        ]);
    }
    if kind == Kind::Matrix {
        json["rows"] =
            json!([{"id": "food", "label": {"sv": "Mat"}}, {"id": "room", "label": {"sv": "Rum"}}]);
    }
    serde_json::from_value(json).unwrap()
}

pub(crate) fn number(id: &str) -> Question {
    question(id, Kind::Number)
}

pub(crate) fn section(id: &str, questions: Vec<Question>) -> Section {
    Section {
        id: id.to_owned(),
        title: Texts::default(),
        text: Texts::default(),
        show_if: None,
        questions,
        jumps: Vec::new(),
    }
}

/// A survey of one section.
pub(crate) fn of(questions: Vec<Question>) -> Survey {
    of_sections(vec![section("first", questions)])
}

pub(crate) fn of_sections(sections: Vec<Section>) -> Survey {
    Survey {
        title: texts("Enkät"),
        languages: vec!["sv".to_owned()],
        intro: Texts::default(),
        thanks: Texts::default(),
        sections,
        calculations: Vec::new(),
        settings: Settings::default(),
        tint: None,
    }
}

pub(crate) fn answers(numbers: &[(&str, f64)]) -> Answers {
    let each = numbers.iter();
    each.map(|(id, number)| ((*id).to_owned(), Value::Number(*number)))
        .collect()
}

pub(crate) fn condition(of: &str, is: &str, value: serde_json::Value) -> super::Condition {
    serde_json::from_value(json!({"any": [{"all": [{"of": of, "is": is, "value": value}]}]}))
        .unwrap()
}
