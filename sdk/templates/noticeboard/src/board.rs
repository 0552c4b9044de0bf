//! The board as people see it: the notices and a form for one more.

use serde_json::{Value, json};
use vaxel_plugin::pages::Request;
use vaxel_plugin::{Error, Result, identity};

use crate::{Notice, notices, put_up};

pub(crate) fn show(page: &str, request: Request) -> Result<Value> {
    if page != "board" {
        return Err(Error::not_found("there is no such page"));
    }
    let sv = identity::caller().locale != "en";
    let mut said = None;
    if let Some(sent) = &request.sent {
        match put_up(sent.text("text")) {
            Ok(()) => {}
            Err(error) if error.code == "invalid" => said = Some(sent.text("text").to_owned()),
            Err(error) => return Err(error),
        }
    }
    Ok(drawn(&notices()?, said.as_deref(), sv))
}

fn drawn(notices: &[Notice], refused: Option<&str>, sv: bool) -> Value {
    let word = |swedish: &'static str, english: &'static str| if sv { swedish } else { english };
    let mut body = Vec::new();
    if notices.is_empty() {
        body.push(json!({
            "type": "TextBlock",
            "text": word("Inga anslag än. Sätt upp det första!", "No notices yet. Put up the first!"),
        }));
    }
    for notice in notices {
        body.push(json!({
            "type": "Container",
            "items": [
                { "type": "TextBlock", "text": notice.text, "wrap": true },
                { "type": "TextBlock", "text": notice.by, "isSubtle": true },
            ],
        }));
    }
    let mut input = json!({
        "type": "Input.Text",
        "id": "text",
        "label": word("Ett anslag till", "One more notice"),
        "isMultiline": true,
        "isRequired": true,
        "maxLength": 500,
    });
    if let (Some(refused), Some(input)) = (refused, input.as_object_mut()) {
        input.insert("value".to_owned(), json!(refused));
        let why = word("Skriv 1 till 500 tecken.", "Write 1 to 500 characters.");
        input.insert("Vaxel.error".to_owned(), json!(why));
    }
    body.push(input);
    json!({
        "type": "Page",
        "title": word("Anslagstavlan", "Notice board"),
        "body": body,
        "actions": [{
            "type": "Action.Submit",
            "id": "post",
            "title": word("Sätt upp", "Put up"),
        }],
    })
}
