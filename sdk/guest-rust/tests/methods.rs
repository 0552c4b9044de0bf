//! A plugin written with the SDK behaves natively as it does in the host.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use vaxel_plugin::mock::Mock;
use vaxel_plugin::storage::Order;
use vaxel_plugin::{Empty, Error, events, identity, storage};

#[derive(Deserialize, JsonSchema)]
struct NoteParams {
    text: String,
}

#[derive(Serialize, JsonSchema)]
struct Saved {
    id: String,
}

#[derive(Serialize, JsonSchema)]
struct Notes {
    items: Vec<String>,
}

fn save(params: NoteParams) -> Result<Saved, Error> {
    let user = identity::user()?;
    let id = storage::new_id("nte");
    storage::append_json(format!("n/{user}/"), &params.text, Some(id.as_bytes()))?;
    events::publish(&format!("u/{user}"), "notes.saved", &json!({ "id": id }))?;
    if params.text.is_empty() {
        return Err(Error::invalid("an empty note"));
    }
    Ok(Saved { id })
}

fn list(_params: Empty) -> Result<Notes, Error> {
    let user = identity::user()?;
    let page = storage::scan_json(format!("n/{user}/"), None, 10, Order::Descending)?;
    Ok(Notes {
        items: page.entries.into_iter().map(|(_, text)| text).collect(),
    })
}

vaxel_plugin::export! { "notes.save" => save, "notes.list" => list }

#[test]
fn what_a_method_writes_and_tells_is_there_after_it() {
    let mock = Mock::new(handle);
    let anna = mock.person("Anna");
    for text in ["one", "two"] {
        mock.call_as(&anna, "notes.save", json!({ "text": text }))
            .unwrap();
    }
    let listed = mock.call_as(&anna, "notes.list", json!({})).unwrap();
    assert_eq!(listed, json!({ "items": ["two", "one"] }));
    assert_eq!(mock.told().len(), 2);
}

#[test]
fn a_failed_method_leaves_nothing_behind() {
    let mock = Mock::new(handle);
    let anna = mock.person("Anna");
    let refused = mock
        .call_as(&anna, "notes.save", json!({ "text": "" }))
        .unwrap_err();
    assert_eq!(refused.code, "invalid");
    assert!(mock.keys().is_empty());
    assert!(mock.told().is_empty());
}

#[test]
fn wrong_parameters_and_unknown_methods_are_typed_errors() {
    let mock = Mock::new(handle);
    let anna = mock.person("Anna");
    let refused = mock
        .call_as(&anna, "notes.save", json!({ "text": 1 }))
        .unwrap_err();
    assert_eq!(refused.code, "invalid");
    let refused = mock.call_as(&anna, "notes.burn", json!({})).unwrap_err();
    assert_eq!(refused.code, "not-found");
}

#[test]
fn the_description_holds_self_contained_schemas_of_each_method() {
    let description = describe();
    assert_eq!(description["format"], 1);
    let save = &description["methods"]["notes.save"];
    assert_eq!(save["params"]["properties"]["text"]["type"], "string");
    assert_eq!(save["result"]["required"], json!(["id"]));
    assert!(!description.to_string().contains("$ref"));
}
