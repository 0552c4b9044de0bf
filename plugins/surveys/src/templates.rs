//! Surveys to begin with, in Swedish and English.

use serde_json::{Value, json};

use crate::api::Template;
use crate::model::{Survey, Texts};

/// A survey without questions.
pub(crate) fn empty(title: &str) -> Survey {
    let mut survey = read(
        json!({"title": {}, "languages": ["sv"], "sections": [{"id": "first", "questions": []}]}),
    );
    if let (Some(survey), false) = (survey.as_mut(), title.trim().is_empty()) {
        survey.title = Texts([("sv".to_owned(), title.trim().to_owned())].into());
    }
    survey.unwrap_or_else(nothing)
}

fn nothing() -> Survey {
    Survey {
        title: Texts::default(),
        languages: vec!["sv".to_owned()],
        intro: Texts::default(),
        thanks: Texts::default(),
        sections: Vec::new(),
        calculations: Vec::new(),
        settings: crate::model::Settings::default(),
        tint: None,
    }
}

fn read(json: Value) -> Option<Survey> {
    serde_json::from_value(json).ok()
}

pub(crate) fn all() -> Vec<Template> {
    let each = [
        ("nps", nps()),
        ("visit", visit()),
        ("pulse", pulse()),
        ("event", event()),
    ];
    each.into_iter()
        .filter_map(|(id, json)| {
            Some(Template {
                id: id.to_owned(),
                definition: read(json)?,
            })
        })
        .collect()
}

pub(crate) fn by_id(id: &str) -> Option<Survey> {
    let found = all().into_iter().find(|template| template.id == id);
    found.map(|template| template.definition)
}

fn both(sv: &str, en: &str) -> Value {
    json!({"sv": sv, "en": en})
}

fn nps() -> Value {
    json!({
        "title": both("Skulle du rekommendera oss?", "Would you recommend us?"),
        "languages": ["sv", "en"],
        "sections": [
            {"id": "score", "questions": [
                {"id": "nps", "kind": "nps", "required": true,
                 "label": both("Hur troligt är det att du skulle rekommendera oss till en vän eller kollega?", "How likely are you to recommend us to a friend or colleague?"),
                 "min_label": both("Inte alls troligt", "Not at all likely"), "max_label": both("Mycket troligt", "Very likely")},
                {"id": "better", "kind": "long_text", "show_if": {"any": [{"all": [{"of": "nps", "is": "at_most", "value": 6}]}]},
                 "label": both("Vad behöver bli bättre?", "What needs to get better?")},
                {"id": "best", "kind": "long_text", "show_if": {"any": [{"all": [{"of": "nps", "is": "at_least", "value": 9}]}]},
                 "label": both("Vad är bäst hos oss?", "What do you like best?")},
            ]},
        ],
    })
}

fn visit() -> Value {
    let agree = json!([
        {"id": "no", "label": both("Nej", "No")},
        {"id": "partly", "label": both("Delvis", "Partly")},
        {"id": "yes", "label": both("Ja", "Yes")},
    ]);
    json!({
        "title": both("Ditt besök hos oss", "Your visit"),
        "languages": ["sv", "en"],
        "intro": both("Det tar två minuter och hjälper oss att bli bättre.", "It takes two minutes and helps us to do better."),
        "sections": [
            {"id": "visit", "title": both("Besöket", "The visit"), "questions": [
                {"id": "day", "kind": "date", "label": both("Vilken dag var du hos oss?", "On which day were you here?")},
                {"id": "care", "kind": "matrix", "required": true, "label": both("Hur var det?", "How was it?"), "options": agree,
                 "rows": [
                    {"id": "listened", "label": both("Jag blev lyssnad på", "I was listened to")},
                    {"id": "understood", "label": both("Jag förstod vad som sades", "I understood what was said")},
                    {"id": "time", "label": both("Jag fick den tid jag behövde", "I got the time that I needed")},
                 ]},
                {"id": "whole", "kind": "scale", "min": 1, "max": 5, "required": true, "label": both("Hur nöjd är du med besöket som helhet?", "How satisfied are you with the visit as a whole?"),
                 "min_label": both("Inte nöjd", "Not satisfied"), "max_label": both("Mycket nöjd", "Very satisfied")},
            ]},
            {"id": "words", "title": both("Med egna ord", "In your own words"), "questions": [
                {"id": "else", "kind": "long_text", "label": both("Är det något mer du vill säga?", "Is there anything else?")},
            ]},
        ],
    })
}

fn pulse() -> Value {
    let feeling = |id: &str, sv: &str, en: &str| {
        json!({"id": id, "kind": "scale", "min": 1, "max": 5, "required": true, "label": both(sv, en),
               "min_label": both("Stämmer inte", "Not true"), "max_label": both("Stämmer helt", "Quite true")})
    };
    json!({
        "title": both("Pulsen på jobbet", "Pulse at work"),
        "languages": ["sv", "en"],
        "sections": [
            {"id": "work", "questions": [
                feeling("load", "Jag hinner med mitt arbete på arbetstid", "I get my work done in working hours"),
                feeling("help", "Jag får hjälp när jag behöver det", "I get help when I need it"),
                feeling("sense", "Det jag gör känns meningsfullt", "What I do makes sense"),
                {"id": "change", "kind": "long_text", "label": both("Vad skulle du ändra på?", "What would you change?")},
            ]},
        ],
        "calculations": [{"id": "mean", "label": both("Medel", "Mean"), "formula": "(load + help + sense) / 3"}],
    })
}

fn event() -> Value {
    json!({
        "title": both("Anmälan", "Registration"),
        "languages": ["sv", "en"],
        "sections": [
            {"id": "you", "questions": [
                {"id": "name", "kind": "short_text", "required": true, "label": both("Vad heter du?", "What is your name?")},
                {"id": "mail", "kind": "email", "required": true, "label": both("E-post", "E-mail")},
                {"id": "comes", "kind": "yes_no", "required": true, "label": both("Kommer du?", "Will you come?")},
            ]},
            {"id": "food", "show_if": {"any": [{"all": [{"of": "comes", "is": "equals", "value": "yes"}]}]}, "questions": [
                {"id": "eats", "kind": "multiple_choice", "label": both("Vad äter du inte, {name}?", "What do you not eat, {name}?"), "options": [
                    {"id": "meat", "label": both("Kött", "Meat")},
                    {"id": "fish", "label": both("Fisk", "Fish")},
                    {"id": "gluten", "label": both("Gluten", "Gluten")},
                    {"id": "milk", "label": both("Mjölk", "Milk")},
                ]},
                {"id": "agree", "kind": "consent", "required": true, "label": both("Uppgifterna får användas för den här dagen och tas sedan bort", "What I wrote may be used for this day and is deleted afterwards")},
            ]},
        ],
        "settings": {"group_min": 1, "answers_max": 100},
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::check::check;

    #[test]
    fn every_template_can_be_published_as_it_is() {
        assert_eq!(all().len(), 4);
        for Template { id, definition } in all() {
            assert_eq!(check(&definition), vec![], "{id}");
        }
    }

    #[test]
    fn an_empty_survey_has_its_title_and_cannot_be_published() {
        let survey = empty(" Fika ");
        assert_eq!(survey.title.text("sv"), "Fika");
        assert!(!check(&survey).is_empty());
    }
}
