//! The methods as the host sees them: through JSON, with the schemas it validates both ways.

use std::collections::{BTreeMap, BTreeSet};

use jsonschema::Validator;
use serde_json::{Value, json};
use vaxel_plugin::mock::Mock;

/// The mock host with the real one's validation of parameters and results.
struct Checked {
    mock: Mock,
    schemas: BTreeMap<String, (Validator, Validator)>,
    used: std::cell::RefCell<BTreeSet<String>>,
}

impl Checked {
    fn new() -> Self {
        let description = crate::describe();
        let schemas = description["methods"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, method)| {
                let params = jsonschema::validator_for(&method["params"]).unwrap();
                let result = jsonschema::validator_for(&method["result"]).unwrap();
                (name.clone(), (params, result))
            });
        Self {
            schemas: schemas.collect(),
            mock: Mock::new(crate::handle),
            used: std::cell::RefCell::default(),
        }
    }

    fn call(&self, who: &str, method: &str, params: Value) -> Value {
        let (asked, answered) = &self.schemas[method];
        asked
            .validate(&params)
            .unwrap_or_else(|error| panic!("{method}: {error}: {params}"));
        let answer = self.mock.call_as(who, method, params).unwrap();
        answered
            .validate(&answer)
            .unwrap_or_else(|error| panic!("{method}: {error}: {answer}"));
        self.used.borrow_mut().insert(method.to_owned());
        answer
    }

    fn takes(&self, method: &str, params: Value) -> bool {
        self.schemas[method].0.is_valid(&params)
    }
}

#[test]
fn every_method_keeps_to_its_own_schemas() {
    let host = Checked::new();
    let (anna, bertil) = (host.mock.person("Anna"), host.mock.person("Bertil"));
    let created = host.call(
        &anna,
        "conversations.create",
        json!({
            "kind": "channel", "name": "Allmänt", "members": [],
        }),
    );
    let id = &created["id"];
    assert_eq!(created["conversation"]["role"], "owner");
    host.call(&bertil, "conversations.discover", json!({}));
    host.call(&bertil, "conversations.get", json!({ "conversation": id }));
    host.call(&bertil, "conversations.join", json!({ "conversation": id }));
    let sent = host.call(
        &anna,
        "messages.send",
        json!({
            "conversation": id, "text": "hej", "local_id": "a", "mentions": [bertil],
            "attachments": [], "reply_to": null, "card": null,
        }),
    );
    let message = &sent["id"];
    host.call(
        &bertil,
        "messages.send",
        json!({
            "conversation": id, "text": "hej själv", "local_id": "b", "reply_to": message,
        }),
    );
    host.call(
        &bertil,
        "messages.react",
        json!({ "message": message, "emoji": "👋", "on": true }),
    );
    host.call(
        &anna,
        "messages.edit",
        json!({ "message": message, "text": "Hej!" }),
    );
    host.call(&bertil, "messages.history", json!({ "message": message }));
    host.call(
        &bertil,
        "messages.list",
        json!({ "conversation": id, "limit": 1 }),
    );
    let listed = host.call(&bertil, "conversations.list", json!({ "limit": 100 }));
    assert_eq!(listed["items"][0]["mentions"], 1);
    let marked = host.call(
        &bertil,
        "conversations.mark_read",
        json!({
            "conversation": id, "message": message,
        }),
    );
    assert_eq!(marked["unread"], 0);
    host.call(
        &bertil,
        "conversations.typing",
        json!({ "conversation": id }),
    );
    host.call(
        &anna,
        "conversations.rename",
        json!({ "conversation": id, "name": "Alla" }),
    );
    host.call(
        &anna,
        "members.list",
        json!({ "conversation": id, "limit": 1 }),
    );
    host.call(&anna, "messages.delete", json!({ "message": message }));
    host.call(
        &anna,
        "members.remove",
        json!({ "conversation": id, "member": bertil }),
    );
    host.call(
        &anna,
        "members.add",
        json!({ "conversation": id, "members": [bertil] }),
    );
    host.call(&bertil, "conversations.list", json!({}));
    host.call(
        &bertil,
        "conversations.leave",
        json!({ "conversation": id }),
    );
    host.call(
        &bertil,
        "conversations.create",
        json!({ "kind": "direct", "members": [anna] }),
    );
    host.call(
        &bertil,
        "conversations.create",
        json!({
            "kind": "group", "name": null, "members": [anna], "public": false,
        }),
    );
    host.call(&bertil, "conversations.list", json!({ "limit": 1 }));

    let all: BTreeSet<String> = host.schemas.keys().cloned().collect();
    assert_eq!(*host.used.borrow(), all, "a method without a story");
}

#[test]
fn the_schemas_refuse_what_the_rules_refuse() {
    let host = Checked::new();
    let (id, user) = (format!("cnv_{:032x}", 1), format!("usr_{:032x}", 1));
    let send = |text: &str| {
        let params = json!({ "conversation": id, "text": text, "local_id": "x" });
        host.takes("messages.send", params)
    };
    assert!(send("hej") && send(" två\nrader ") && send(&"ö".repeat(8_000)));
    assert!(!send("") && !send(" \n ") && !send("a\0b") && !send(&"ö".repeat(8_001)));

    let react = |emoji: &str| {
        let params = json!({ "message": format!("msg_{:032x}", 1), "emoji": emoji, "on": true });
        host.takes("messages.react", params)
    };
    for emoji in ["👍", "1️⃣", "🇸🇪", "👨‍👩‍👧‍👦", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "©️"]
    {
        assert!(react(emoji), "{emoji} was refused");
    }
    assert!(!react("a") && !react("1") && !react("ok") && !react("👍 👍") && !react(""));

    let create = |params| host.takes("conversations.create", params);
    assert!(create(
        json!({ "kind": "channel", "name": "Drift", "members": [user] })
    ));
    assert!(!create(json!({ "kind": "channel", "members": [] })));
    assert!(!create(
        json!({ "kind": "channel", "name": "a\nb", "members": [] })
    ));
    assert!(!create(
        json!({ "kind": "channel", "name": " ", "members": [] })
    ));
    assert!(!create(
        json!({ "kind": "group", "members": [], "public": true })
    ));
    assert!(!create(json!({ "kind": "direct", "members": [] })));
    assert!(!create(
        json!({ "kind": "direct", "members": [user], "name": "vi" })
    ));
    assert!(!create(json!({ "kind": "room", "members": [] })));
    assert!(!create(json!({ "kind": "group", "members": ["anna"] })));
    assert!(!create(
        json!({ "kind": "group", "members": [], "tenant": "ten_1" })
    ));
    assert!(!host.takes("conversations.list", json!({ "limit": 0 })));
    assert!(!host.takes("conversations.list", json!({ "limit": 101 })));
    assert!(!host.takes("conversations.get", json!({ "conversation": user })));
}

#[test]
fn schemas_are_closed_and_stand_alone() {
    let description = crate::describe();
    let text = description.to_string();
    assert!(!text.contains("$ref"));
    for (name, method) in description["methods"].as_object().unwrap() {
        for side in ["params", "result"] {
            let schema = &method[side];
            let closed = schema["additionalProperties"] == json!(false);
            assert!(closed, "{name} {side} takes more than it says: {schema}");
        }
    }
}

#[test]
fn an_anonymous_caller_is_asked_to_sign_in() {
    let host = Checked::new();
    let caller = vaxel_plugin::identity::Caller::default();
    let refused = host
        .mock
        .call_by(caller, "conversations.list", json!({}))
        .unwrap_err();
    assert_eq!(refused.code, "unauthenticated");
}

#[test]
fn the_manifest_names_exactly_the_methods_there_are() {
    let manifest = include_str!("../../plugin.toml");
    let table = manifest.split("[[methods]]").skip(1);
    let named: BTreeSet<String> = table
        .filter_map(|method| method.split('"').nth(1))
        .map(str::to_owned)
        .collect();
    let description = crate::describe();
    let methods = description["methods"].as_object().unwrap();
    assert_eq!(named, methods.keys().cloned().collect());
    let topics: Vec<_> = manifest
        .lines()
        .filter(|line| line.starts_with("  \"chat."))
        .collect();
    assert_eq!(topics.len(), 9);
}
