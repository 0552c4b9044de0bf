//! Surveys as people meet them: somebody asks, and somebody without an account and without script answers.

use bytes::Bytes;
use http::{Method, Request, Response};
use serde_json::{Value, json};
use vaxel_client::{Client, ClientError, RequestOptions};

use crate::host::TestHost;
use crate::person::Person;

/// A survey that is open.
pub struct Asked<'a> {
    pub by: &'a Person,
    pub id: String,
    /// Where it is answered.
    pub address: String,
}

impl Person {
    /// Calls one of the surveys' methods.
    pub async fn surveys(&self, method: &str, params: Value) -> Result<Value, ClientError> {
        self.client
            .call(&format!("plugins/surveys/{method}"), params)
            .await
    }

    /// Publishes a survey of one section with these questions and settings.
    pub async fn asks(&self, title: &str, questions: Value, settings: Value) -> Asked<'_> {
        let definition = json!({
            "title": {"sv": title}, "languages": ["sv"], "settings": settings,
            "sections": [{"id": "first", "questions": questions}],
        });
        self.asks_all(definition).await
    }

    /// Publishes a survey.
    pub async fn asks_all(&self, definition: Value) -> Asked<'_> {
        let made = self
            .surveys("create", json!({"definition": definition}))
            .await;
        let id = made.expect("a draft")["id"]
            .as_str()
            .expect("an id")
            .to_owned();
        let published = self.surveys("publish", json!({"survey": id})).await;
        let published = published.unwrap_or_else(|error| panic!("{:?}", error.problem()));
        let address = published["address"]
            .as_str()
            .expect("an address")
            .to_owned();
        Asked {
            by: self,
            id,
            address,
        }
    }
}

impl Asked<'_> {
    /// What the answers say together now.
    pub async fn results(&self) -> Value {
        self.results_with(json!({})).await.expect("results")
    }

    pub async fn results_with(&self, more: Value) -> Result<Value, ClientError> {
        let mut params = json!({"survey": self.id, "refresh": true});
        if let (Some(params), Value::Object(more)) = (params.as_object_mut(), more) {
            params.extend(more);
        }
        self.by.surveys("results", params).await
    }

    pub async fn closes(&self) {
        let closed = self.by.surveys("close", json!({"survey": self.id})).await;
        assert_eq!(closed.expect("closed")["state"], "closed");
    }

    /// How often each option of a question was chosen, of all who are spoken of.
    pub async fn counts(&self, question: &str) -> Value {
        let results = self.results().await;
        let questions = results["groups"][0]["questions"]
            .as_array()
            .expect("questions")
            .clone();
        let question = questions
            .iter()
            .find(|each| each["id"] == question)
            .expect("the question");
        let counts = question["counts"].as_array().expect("counts").iter();
        counts
            .map(|each| {
                (
                    each["of"].as_str().expect("an id").to_owned(),
                    each["count"].clone(),
                )
            })
            .collect()
    }
}

/// Somebody with an old browser.
pub struct Visitor {
    client: Client,
}

/// A page as that browser has it.
pub struct Opened {
    client: Client,
    pub address: String,
    pub status: u16,
    pub html: String,
    filled: Vec<(String, String)>,
}

impl TestHost {
    pub fn visitor(&self, tenant: &str) -> Visitor {
        Visitor {
            client: self.client(tenant),
        }
    }
}

impl Visitor {
    pub async fn opens(&self, address: &str) -> Opened {
        Opened::read(self.client.clone(), address).await
    }
}

impl Opened {
    async fn read(client: Client, address: &str) -> Self {
        let request = Request::builder()
            .method(Method::GET)
            .uri(address)
            .header("accept-language", "sv");
        let response = client
            .send(request, Bytes::new(), &RequestOptions::default())
            .await
            .expect("an answer");
        Self::of(client, address, &response)
    }

    fn of(client: Client, address: &str, response: &Response<Bytes>) -> Self {
        Self {
            client,
            address: address.to_owned(),
            status: response.status().as_u16(),
            html: String::from_utf8(response.body().to_vec()).expect("text"),
            filled: Vec::new(),
        }
    }

    pub fn shows(&self, text: &str) -> bool {
        self.html.contains(text)
    }

    /// Fills in a field by its name, as `t.colour`; several times for several choices.
    #[must_use]
    pub fn fills(mut self, name: &str, value: &str) -> Self {
        self.filled.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Presses the first button.
    pub async fn sends(self) -> Self {
        let action = self.between("name=\"_action\" value=\"", "\"");
        self.presses(&action).await
    }

    /// Presses the button whose verb this is.
    pub async fn goes_back(self) -> Self {
        let action = format!("back{}", self.between("value=\"back", "\""));
        self.presses(&action).await
    }

    /// Sends what is filled in, and follows where the answer leads.
    pub async fn presses(self, action: &str) -> Self {
        let token = self.between("name=\"_token\" value=\"", "\"");
        let mut fields = vec![("_token".to_owned(), token)];
        fields.extend(self.filled.iter().cloned());
        fields.push(("_action".to_owned(), action.to_owned()));
        let body = fields.iter().map(|(name, value)| {
            let value: String = value.bytes().map(|b| format!("%{b:02X}")).collect();
            format!("{name}={value}")
        });
        let body = body.collect::<Vec<_>>().join("&");
        let request = Request::builder()
            .method(Method::POST)
            .uri(&self.address)
            .header("accept-language", "sv")
            .header("content-type", "application/x-www-form-urlencoded");
        let response = self
            .client
            .send(request, body.into(), &RequestOptions::default())
            .await
            .expect("an answer");
        if response.status() != 303 {
            return Self::of(self.client, &self.address, &response);
        }
        let location = response.headers()["location"].to_str().expect("a place");
        Self::read(self.client, location).await
    }

    fn between(&self, before: &str, after: &str) -> String {
        let (_, rest) = self
            .html
            .split_once(before)
            .unwrap_or_else(|| panic!("no {before} in {}", self.html));
        rest.split_once(after).expect("an end").0.to_owned()
    }
}
