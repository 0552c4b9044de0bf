//! The methods as the host sees them: every one is declared, and keeps to its own schemas.

use std::collections::BTreeSet;

use serde_json::json;

use super::{House, colour, definition};

#[test]
fn the_manifest_names_exactly_the_methods_that_there_are() {
    let manifest = include_str!("../../plugin.toml");
    let declared: BTreeSet<&str> = manifest
        .split("[[methods]]")
        .skip(1)
        .filter_map(|part| part.split("name = \"").nth(1)?.split('"').next())
        .collect();
    let description = crate::describe();
    let there: BTreeSet<&str> = description["methods"]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(declared, there);
}

#[test]
fn every_method_keeps_to_its_own_schemas() {
    let house = House::new();
    let description = crate::describe();
    let mut used = BTreeSet::new();
    let mut call = |method: &str, params: serde_json::Value| {
        let schemas = &description["methods"][method];
        jsonschema::validate(&schemas["params"], &params)
            .unwrap_or_else(|error| panic!("{method}: {error}"));
        let answer = house.call(method, params).unwrap();
        jsonschema::validate(&schemas["result"], &answer)
            .unwrap_or_else(|error| panic!("{method}: {error}: {answer}"));
        used.insert(method.to_owned());
        answer
    };
    let settings = json!({"access": "link", "linkage": "confidential", "group_min": 1});
    let text = json!({"id": "t", "kind": "long_text", "label": {"sv": "x"}});
    let made = call(
        "create",
        json!({"definition": definition(json!([colour("c"), text.clone()]), settings.clone())}),
    );
    let one = json!({"survey": made["id"]});
    call(
        "save",
        json!({"survey": made["id"], "definition": definition(json!([colour("c"), text]), settings)}),
    );
    call("publish", one.clone());
    call("list", json!({"limit": 10}));
    call("get", one.clone());
    call("duplicate", one.clone());
    call("templates", json!({}));
    call("share", json!({"survey": made["id"], "shares": []}));
    let invited = call(
        "invitations.create",
        json!({"survey": made["id"], "recipients": ["Eva"]}),
    );
    let link = invited["items"][0]["link"]
        .as_str()
        .unwrap()
        .strip_prefix("/p/surveys/answer/")
        .unwrap();
    house
        .page(link, Some(("send.1.0", json!({"c": "red", "t": "y"}))))
        .unwrap();
    call("invitations.list", one.clone());
    call("invitations.remind", one.clone());
    call("results", json!({"survey": made["id"], "refresh": true}));
    call("texts", json!({"survey": made["id"], "question": "t"}));
    call("answers", one.clone());
    call("export", json!({"survey": made["id"], "format": "csv"}));
    call("looks", one.clone());
    let anyone = call(
        "create",
        json!({"definition": definition(json!([colour("c")]), json!({}))}),
    );
    call("publish", json!({"survey": anyone["id"]}));
    call(
        "import",
        json!({"survey": anyone["id"], "answers": [{"day": "1970-01-01", "inputs": {"c": "red"}}]}),
    );
    call("close", one);
    let all: BTreeSet<String> = description["methods"]
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect();
    assert_eq!(used, all);
}
