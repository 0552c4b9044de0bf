//! The stand-in beside a demo: gives Acme a certificate of its own, and publishes a survey that is answered with it.

use std::time::Duration;

use serde_json::{Value, json};
use vaxel_client::{Client, ClientError, Endpoint};

use super::Pem;

/// A release build makes its demo in some seconds, a debug build in a minute.
const ASKED_EVERY: Duration = Duration::from_millis(500);
const ASKED_MAX: u32 = 600;

/// How the survey is known again at the next start.
const TITLE: &str = "Hur trivs du på jobbet?";

/// Waits for the demo at an address, and answers where its survey behind BankID is.
pub async fn prepare(start: &str, party: &Pem) -> Result<String, ClientError> {
    let somebody = Client::new(Endpoint::parse(start)?);
    let mut asked = 0;
    let info = loop {
        match somebody.get("/api/v1/public/info").await {
            Ok(answer) if answer.status() == 200 => {
                let info: Value = serde_json::from_slice(answer.body())?;
                if info["organizations"][0].is_object() {
                    break info;
                }
            }
            Ok(_) => {}
            Err(error) if asked == ASKED_MAX => return Err(error),
            Err(_) => {}
        }
        asked += 1;
        tokio::time::sleep(ASKED_EVERY).await;
    };
    let acme = &info["organizations"][0];
    let people = acme["people"].as_array().into_iter().flatten();
    let admin = people
        .into_iter()
        .find(|person| person["admin"] == true)
        .unwrap_or(&acme["people"][0]);
    let url = acme["url"].as_str().unwrap_or_default();
    let anna = Client::new(Endpoint::parse(url)?);
    anna.session("session/demo", json!({"user": admin["id"]}))
        .await?;
    let params = json!({"certificate": party.certificate, "key": party.key});
    anna.call("stepup/set_bankid", params).await?;
    let there = anna.call("plugins/surveys/list", json!({})).await?;
    let there = there["items"].as_array().cloned().unwrap_or_default();
    let before = there
        .iter()
        .find(|survey| survey["title"]["sv"] == TITLE && survey["state"] == "open");
    let url = url.trim_end_matches('/');
    if let Some(survey) = before {
        let slug = survey["slug"].as_str().unwrap_or_default();
        return Ok(format!("{url}/p/surveys/answer/{slug}"));
    }
    let made = anna.call("plugins/surveys/create", survey()).await?;
    let published = json!({"survey": made["id"]});
    let published = anna.call("plugins/surveys/publish", published).await?;
    let address = published["address"].as_str().unwrap_or_default();
    Ok(format!("{url}{address}"))
}

fn survey() -> Value {
    json!({"definition": {
        "title": {"sv": TITLE, "en": "How do you like your work?"},
        "languages": ["sv", "en"],
        "settings": {"step_up": ["bankid"], "linkage": "anonymous", "group_min": 5},
        "sections": [{"id": "work", "questions": [
            {"id": "mood", "kind": "single_choice", "required": true,
             "label": {"sv": "Hur har veckan varit?", "en": "How has your week been?"},
             "options": [
                {"id": "good", "label": {"sv": "Bra", "en": "Good"}},
                {"id": "so", "label": {"sv": "Sådär", "en": "So-so"}},
                {"id": "bad", "label": {"sv": "Dålig", "en": "Bad"}},
             ]},
            {"id": "more", "kind": "long_text",
             "label": {"sv": "Vad skulle göra den bättre?", "en": "What would make it better?"}},
        ]}],
    }})
}
