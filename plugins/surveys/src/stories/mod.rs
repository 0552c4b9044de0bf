//! What people do with surveys, told as tests against the host in memory.

mod answering;
mod asking;
mod authors;
mod groups;
mod proving;
mod schemas;
mod seeing;

use serde_json::{Value, json};
use vaxel_plugin::identity::Caller;
use vaxel_plugin::mock::Mock;
use vaxel_plugin::pages::{Request, Sent};
use vaxel_plugin::schedule::{Job, Progress};
use vaxel_plugin::{Error, Result};

/// Everything but what is given out with care.
const USUAL: &[&str] = &[
    "surveys.read",
    "surveys.create",
    "surveys.invite",
    "surveys.results",
    "surveys.answer-list",
    "surveys.export",
];

/// An organization in which greta asks.
pub(crate) struct House {
    pub(crate) mock: Mock,
    pub(crate) greta: String,
}

/// An open survey.
pub(crate) struct Open {
    pub(crate) id: String,
    pub(crate) slug: String,
}

impl House {
    pub(crate) fn new() -> Self {
        let mock = Mock::new(crate::handle);
        mock.grant(USUAL);
        let greta = mock.person("Greta");
        Self { mock, greta }
    }

    pub(crate) fn call(&self, method: &str, params: Value) -> Result<Value> {
        self.mock.call_as(&self.greta, method, params)
    }

    pub(crate) fn asks(&self, definition: Value) -> Open {
        let made = self
            .call("create", json!({"definition": definition}))
            .unwrap();
        let id = made["id"].as_str().unwrap().to_owned();
        self.call("publish", json!({"survey": id})).unwrap();
        Open {
            id,
            slug: made["slug"].as_str().unwrap().to_owned(),
        }
    }

    /// Looks at a page, or sends it, as nobody.
    pub(crate) fn page(&self, path: &str, sent: Option<(&str, Value)>) -> Result<Value> {
        self.page_by(
            Caller {
                locale: "sv".to_owned(),
                ..Caller::default()
            },
            path,
            sent,
        )
    }

    pub(crate) fn page_by(
        &self,
        caller: Caller,
        path: &str,
        sent: Option<(&str, Value)>,
    ) -> Result<Value> {
        // Any call says who calls; this one is refused.
        let _ = self.mock.call_by(caller, "nothing", json!({}));
        let request = Request {
            path: path.to_owned(),
            query: Vec::new(),
            sent: sent.map(|(action, inputs)| Sent {
                action: action.to_owned(),
                inputs: inputs.as_object().unwrap().clone(),
            }),
        };
        self.mock.run(|| crate::answering::show("answer", request))
    }

    /// Answers a survey of one page.
    pub(crate) fn answers(&self, open: &Open, inputs: Value) -> Result<Value> {
        self.page(&open.slug, Some(("send.1.0", inputs)))
    }

    /// Runs a job to its end.
    pub(crate) fn job(&self, name: &str, payload: &str) {
        let mut cursor = None;
        for _ in 0..100 {
            let job = Job {
                name: name.to_owned(),
                attempt: 1,
                payload: json!(payload).to_string().into_bytes(),
                cursor: cursor.take(),
                ..Job::default()
            };
            match self.mock.run(|| crate::results::release::run(job)).unwrap() {
                Progress::Done => return,
                Progress::More(next) => cursor = Some(next),
            }
        }
        panic!("{name} goes on for ever");
    }

    pub(crate) fn results(&self, open: &Open, more: Value) -> Value {
        self.try_results(&self.greta, open, more).unwrap()
    }

    pub(crate) fn try_results(&self, by: &str, open: &Open, more: Value) -> Result<Value> {
        let mut params = json!({"survey": open.id, "refresh": true});
        for (name, value) in more.as_object().unwrap() {
            params[name] = value.clone();
        }
        self.mock.call_as(by, "results", params)
    }
}

/// A survey of one section.
pub(crate) fn definition(questions: Value, settings: Value) -> Value {
    json!({
        "title": {"sv": "Enkät"}, "languages": ["sv"], "settings": settings,
        "sections": [{"id": "first", "questions": questions}],
    })
}

/// Red or blue.
pub(crate) fn colour(id: &str) -> Value {
    json!({"id": id, "kind": "single_choice", "label": {"sv": "Färg?"}, "options": [
        {"id": "red", "label": {"sv": "Röd"}}, {"id": "blue", "label": {"sv": "Blå"}},
    ]})
}

pub(crate) fn code<T: std::fmt::Debug>(refused: Result<T, Error>) -> String {
    refused.unwrap_err().code.into_owned()
}

/// How often an option was chosen, in the first group.
pub(crate) fn count(results: &Value, question: &str, option: &str) -> u64 {
    let group = &results["groups"][0];
    let question = group["questions"]
        .as_array()
        .unwrap()
        .iter()
        .find(|each| each["id"] == question)
        .unwrap();
    let counts = question["counts"].as_array().unwrap();
    counts.iter().find(|each| each["of"] == option).unwrap()["count"]
        .as_u64()
        .unwrap()
}
