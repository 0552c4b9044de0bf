//! Roles as administrators give them and people feel them, and the table of who may call what.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails fast"
)]

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use vaxel_tests::{Person, TestHost};

/// Who may call a method, before it looks at what it is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    /// Also who is not signed in.
    Anyone,
    /// Everybody who is signed in.
    Member,
    /// Administrators alone, or who was given it.
    Admin,
}
use Who::{Admin, Anyone, Member};

/// Every method there is. One that is missing here fails the test: somebody has to decide who may call it.
const TABLE: &[(&str, Who)] = &[
    ("approvals/approve", Admin),
    ("approvals/list", Admin),
    ("approvals/refuse", Admin),
    ("approvals/require", Admin),
    ("audit/list", Admin),
    ("groups/add_member", Admin),
    ("groups/create", Admin),
    ("groups/delete", Admin),
    ("groups/get", Member),
    ("groups/list", Member),
    ("groups/remove_member", Admin),
    ("groups/rename", Admin),
    ("plugins/connect", Member),
    ("plugins/connections", Member),
    ("plugins/dead_letters", Admin),
    ("plugins/disable", Admin),
    ("plugins/discard_dead_letter", Admin),
    ("plugins/disconnect", Member),
    ("plugins/enable", Admin),
    ("plugins/get", Admin),
    ("plugins/grant", Admin),
    ("plugins/health", Admin),
    ("plugins/list", Member),
    ("plugins/pages", Member),
    ("plugins/show_page", Member),
    ("plugins/retry_dead_letter", Admin),
    ("plugins/rollback", Admin),
    ("plugins/uninstall", Admin),
    ("plugins/upgrade", Admin),
    ("plugins/set_settings", Admin),
    ("plugins/use", Admin),
    ("plugins/would_touch", Admin),
    ("presence/list", Member),
    ("presence/set", Member),
    ("roles/assign", Admin),
    ("roles/create", Admin),
    ("roles/delete", Admin),
    ("roles/holders", Admin),
    ("roles/list", Admin),
    ("roles/permissions", Admin),
    ("roles/unassign", Admin),
    ("roles/update", Admin),
    ("session/demo", Anyone),
    ("stepup/bankid", Admin),
    ("stepup/close", Admin),
    ("stepup/list_people", Admin),
    ("stepup/make_pin", Admin),
    ("stepup/names", Admin),
    ("stepup/pin", Member),
    ("stepup/remove_bankid", Admin),
    ("stepup/set_bankid", Admin),
    ("stepup/unlist_people", Admin),
    ("session/login", Anyone),
    ("session/logout", Anyone),
    ("session/refresh", Anyone),
    ("tenant/get", Member),
    ("users/accept", Anyone),
    ("users/change_password", Member),
    ("users/deactivate", Admin),
    ("users/invite", Admin),
    ("users/invite_preview", Anyone),
    ("users/list", Member),
    ("users/me", Member),
    ("users/reactivate", Admin),
    ("users/reset", Admin),
    ("users/update_me", Member),
    ("plugins/chat/conversations.create", Member),
    ("plugins/chat/conversations.discover", Member),
    ("plugins/chat/conversations.get", Member),
    ("plugins/chat/conversations.join", Member),
    ("plugins/chat/conversations.leave", Member),
    ("plugins/chat/conversations.list", Member),
    ("plugins/chat/conversations.mark_read", Member),
    ("plugins/chat/conversations.rename", Member),
    ("plugins/chat/conversations.typing", Member),
    ("plugins/chat/members.add", Member),
    ("plugins/chat/members.list", Member),
    ("plugins/chat/members.remove", Member),
    ("plugins/chat/messages.delete", Member),
    ("plugins/chat/messages.edit", Member),
    ("plugins/chat/messages.history", Member),
    ("plugins/chat/messages.list", Member),
    ("plugins/chat/messages.react", Member),
    ("plugins/chat/messages.send", Member),
    ("plugins/surveys/answers", Admin),
    ("plugins/surveys/close", Admin),
    ("plugins/surveys/create", Admin),
    ("plugins/surveys/duplicate", Admin),
    ("plugins/surveys/export", Admin),
    ("plugins/surveys/get", Member),
    ("plugins/surveys/import", Admin),
    ("plugins/surveys/invitations.create", Admin),
    ("plugins/surveys/invitations.list", Admin),
    ("plugins/surveys/invitations.remind", Admin),
    ("plugins/surveys/list", Member),
    ("plugins/surveys/looks", Admin),
    ("plugins/surveys/publish", Admin),
    ("plugins/surveys/results", Admin),
    ("plugins/surveys/save", Admin),
    ("plugins/surveys/share", Admin),
    ("plugins/surveys/templates", Member),
    ("plugins/surveys/texts", Admin),
];

#[tokio::test]
async fn every_method_is_open_to_whom_the_table_says_and_to_nobody_else() {
    let (host, anna, bertil) = TestHost::with_two_users().await;
    let document = anna.client.get_json("/api/v1/openapi.json").await.unwrap();
    let paths = document["paths"].as_object().unwrap();
    let methods: BTreeMap<&str, &Value> = paths
        .iter()
        .filter_map(|(path, item)| Some((path.strip_prefix("/api/v1/")?, item.get("post")?)))
        .collect();
    let known: BTreeSet<&str> = TABLE.iter().map(|(name, _)| *name).collect();
    let there: BTreeSet<&str> = methods.keys().copied().collect();
    assert_eq!(there, known, "the table has every method, and only those");
    let nobody = host.client("acme");
    // Last, because they end the session that asks.
    let (ends, others): (Vec<_>, Vec<_>) = TABLE
        .iter()
        .partition(|(name, _)| name.starts_with("session/"));
    for (name, who) in others.into_iter().chain(ends) {
        let schema = &methods[name]["requestBody"]["content"]["application/json"]["schema"];
        let params = fitting(schema, &document);
        let status = |client: vaxel_client::Client| {
            let params = params.clone();
            async move {
                client
                    .call(name, params)
                    .await
                    .map_or_else(|error| error.status(), |_| 200)
            }
        };
        let anonymous = status(nobody.clone()).await;
        assert_ne!(anonymous, 400, "{name}: {params} does not fit its schema");
        if who == Anyone {
            assert_ne!(anonymous, 403, "{name} for nobody");
            continue;
        }
        assert_eq!(anonymous, 401, "{name} for nobody");
        let member = status(bertil.client.clone()).await;
        assert_eq!(member == 403, who == Admin, "{name} for a member: {member}");
        assert_ne!(status(anna.client.clone()).await, 403, "{name} for anna");
    }
}

/// The smallest value that a schema of ours takes, naming things that are not there.
fn fitting(schema: &Value, document: &Value) -> Value {
    if let Some(target) = schema["$ref"].as_str() {
        let target = document.pointer(target.trim_start_matches('#')).unwrap();
        return fitting(target, document);
    }
    for choice in ["anyOf", "oneOf", "allOf"] {
        if let Some(first) = schema[choice].get(0) {
            return fitting(first, document);
        }
    }
    if let Some(first) = schema["enum"].get(0) {
        return first.clone();
    }
    let kind = match &schema["type"] {
        Value::Array(kinds) => kinds[0].as_str().unwrap(),
        kind => kind.as_str().unwrap_or("object"),
    };
    match kind {
        "object" => {
            let required = schema["required"].as_array().cloned().unwrap_or_default();
            let fields = required.iter().map(|name| {
                let name = name.as_str().unwrap();
                let field = &schema["properties"][name];
                (name.to_owned(), fitting(field, document))
            });
            Value::Object(fields.collect::<Map<_, _>>())
        }
        "array" => {
            let count = schema["minItems"].as_u64().unwrap_or(0);
            (0..count)
                .map(|_| fitting(&schema["items"], document))
                .collect()
        }
        "integer" | "number" => schema.get("minimum").cloned().unwrap_or(json!(0)),
        "boolean" => json!(false),
        "string" => json!(text(schema)),
        _ => Value::Null,
    }
}

fn text(schema: &Value) -> String {
    let pattern = schema["pattern"].as_str().unwrap_or_default();
    // Ids: a prefix and 32 digits.
    if let Some(prefix) = pattern
        .strip_prefix('^')
        .and_then(|rest| rest.strip_suffix("[0-9a-f]{32}$"))
    {
        return format!("{prefix}{}", "0".repeat(32));
    }
    let least = schema["minLength"].as_u64().unwrap_or(1);
    "a".repeat(usize::try_from(least.max(1)).unwrap())
}

async fn role(anna: &Person, name: &str, permissions: &[&str]) -> String {
    let params = json!({"name": name, "permissions": permissions});
    let made = anna.client.call("roles/create", params).await.unwrap();
    made["id"].as_str().unwrap().to_owned()
}

/// Whether somebody may delete what anna wrote, found out with a new message.
async fn moderates(person: &Person, anna: &Person, channel: &str) -> bool {
    let message = anna.says("en till").in_conversation(channel).await;
    let params = json!({"message": message["id"]});
    match person.try_chat("messages.delete", params).await {
        Ok(_) => true,
        Err(error) => {
            assert!([403, 422].contains(&error.status()), "{error:?}");
            false
        }
    }
}

#[tokio::test]
async fn a_role_gives_what_it_says_from_the_next_call_on_and_takes_it_back() {
    let (_host, anna, bertil) = TestHost::with_two_users().await;
    let channel = anna.creates_channel("allmänt").await;
    bertil
        .chat("conversations.join", json!({"conversation": channel}))
        .await;
    let offered = anna.client.call("roles/permissions", json!({})).await;
    let offered = offered.unwrap();
    let moderate = offered["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|permission| permission["name"] == "chat.moderate")
        .expect("chat declares it");
    assert_eq!(moderate["suggested"], json!(["admin"]));
    assert!(!moderates(&bertil, &anna, &channel).await);
    let moderator = role(&anna, "Moderator", &["chat.moderate"]).await;
    let both = json!({"role": moderator, "user": bertil.id});
    anna.client
        .call("roles/assign", both.clone())
        .await
        .unwrap();
    assert!(moderates(&bertil, &anna, &channel).await);
    let me = bertil.client.call("users/me", json!({})).await.unwrap();
    let permissions = me["permissions"].as_array().unwrap();
    assert!(permissions.contains(&json!("chat.moderate")), "{me}");
    let holders = anna
        .client
        .call("roles/holders", json!({"role": moderator}));
    let holders = holders.await.unwrap();
    assert_eq!(holders["items"], json!([{"user": bertil.id}]));
    anna.client.call("roles/unassign", both).await.unwrap();
    assert!(!moderates(&bertil, &anna, &channel).await);
    // By a group, and gone with the group.
    let group = anna.client.call("groups/create", json!({"name": "Jour"}));
    let group = group.await.unwrap()["id"].clone();
    let member = json!({"group": group, "user": bertil.id});
    anna.client.call("groups/add_member", member).await.unwrap();
    let to_group = json!({"role": moderator, "group": group});
    anna.client.call("roles/assign", to_group).await.unwrap();
    assert!(moderates(&bertil, &anna, &channel).await);
    let gone = anna.client.call("groups/delete", json!({"group": group}));
    gone.await.unwrap();
    assert!(!moderates(&bertil, &anna, &channel).await);
}

#[tokio::test]
async fn a_role_is_made_of_what_plugins_declare_and_held_by_one_at_a_time() {
    let (_host, anna, bertil) = TestHost::with_two_users().await;
    let refused = |method: &'static str, params| async {
        let error = anna.client.call(method, params).await.unwrap_err();
        (error.status(), error.code().to_owned())
    };
    let unknown = json!({"name": "Allt", "permissions": ["chat.everything"]});
    let unknown = refused("roles/create", unknown).await;
    assert_eq!(unknown, (422, "unknown_permission".to_owned()));
    let moderator = role(&anna, "Moderator", &["chat.moderate"]).await;
    let same = json!({"name": "moderator", "permissions": []});
    let taken = refused("roles/create", same).await;
    assert_eq!(taken, (409, "role_name_taken".to_owned()));
    let nobody = refused("roles/assign", json!({"role": moderator})).await;
    assert_eq!(nobody, (422, "one_holder".to_owned()));
    let group = json!(format!("grp_{}", "0".repeat(32)));
    let both = json!({"role": moderator, "user": bertil.id, "group": group});
    assert_eq!(refused("roles/assign", both).await.0, 422);
    let missing = json!({"role": moderator, "group": group});
    assert_eq!(refused("roles/assign", missing).await.0, 404);
    // What a role has may stay while its plugin is off.
    let off = anna
        .client
        .call("plugins/disable", json!({"plugin": "chat"}));
    off.await.unwrap();
    let kept = json!({"role": moderator, "name": "Ordning", "permissions": ["chat.moderate"]});
    let kept = anna.client.call("roles/update", kept).await.unwrap();
    assert_eq!(kept["role"]["name"], "Ordning");
    let more = json!({"role": moderator, "permissions": ["chat.moderate", "chat.read"]});
    assert_eq!(refused("roles/update", more).await.0, 422);
    let list = anna.client.call("roles/list", json!({})).await.unwrap();
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
    let deleted = anna.client.call("roles/delete", json!({"role": moderator}));
    deleted.await.unwrap();
    let list = anna.client.call("roles/list", json!({})).await.unwrap();
    assert_eq!(list["items"], json!([]));
}
