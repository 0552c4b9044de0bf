//! Four eyes: what counts most waits for a second administrator, and one person cannot step around that.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails fast"
)]

use serde_json::{Value, json};
use tokio::task::block_in_place;
use vaxel_tests::packages::{Publisher, path, trusts};
use vaxel_tests::{PASSWORD, Person, TestHost};

type Answer = Result<Value, (u16, String)>;

async fn tries(person: &Person, method: &str, params: Value) -> Answer {
    let answer = person.client.call(method, params).await;
    answer.map_err(|error| (error.status(), error.code().to_owned()))
}

fn waits() -> Answer {
    refused(422, "awaits_approval")
}

fn refused(status: u16, code: &str) -> Answer {
    Err((status, code.to_owned()))
}

/// The ids and methods of what waits.
async fn waiting(person: &Person) -> Vec<(String, String)> {
    let list = tries(person, "approvals/list", json!({})).await.unwrap();
    let text = |item: &Value, field: &str| item[field].as_str().unwrap().to_owned();
    let items = list["items"].as_array().unwrap().iter();
    items
        .map(|item| (text(item, "id"), text(item, "method")))
        .collect()
}

async fn approves(person: &Person, id: &str) -> Answer {
    tries(person, "approvals/approve", json!({"approval": id})).await
}

async fn chat_is_on(person: &Person) -> bool {
    person
        .try_chat("conversations.list", json!({}))
        .await
        .is_ok()
}

/// Anna and Eva administer, and want four eyes; Bertil is a member.
async fn with_two_administrators() -> (TestHost, Person, Person, Person) {
    let (host, anna, bertil) = TestHost::with_two_users().await;
    let alone = tries(&anna, "approvals/require", json!({"required": true})).await;
    assert_eq!(alone, refused(422, "one_administrator"));
    let eva = json!({"login": "eva", "display_name": "Eva Ek", "admin": true});
    let invited = tries(&anna, "users/invite", eva).await.unwrap();
    let (_, token) = invited["link"].as_str().unwrap().split_once('#').unwrap();
    host.client("acme").accept(token, PASSWORD).await.unwrap();
    let eva = host.sign_in("acme", "eva").await;
    tries(&anna, "approvals/require", json!({"required": true}))
        .await
        .unwrap();
    (host, anna, eva, bertil)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_administrator_asks_for_another_approves_and_nobody_alone() {
    let (host, anna, eva, bertil) = with_two_administrators().await;
    let chat = json!({"plugin": "chat"});
    // Switching off hurts nobody and helps in need: it waits for nobody.
    tries(&anna, "plugins/disable", chat.clone()).await.unwrap();
    assert_eq!(tries(&anna, "plugins/enable", chat.clone()).await, waits());
    assert_eq!(tries(&anna, "plugins/enable", chat.clone()).await, waits());
    assert!(!chat_is_on(&bertil).await);
    let [(id, method)] = waiting(&eva).await.try_into().unwrap();
    assert_eq!(method, "plugins/enable", "asked for twice, it waits once");
    // What is approved is what stood there when it was asked for, not whatever is newest then.
    let list = tries(&eva, "approvals/list", json!({})).await.unwrap();
    let params = &list["items"][0]["params"];
    assert_eq!(params["version"], "0.1.0", "{params}");
    let grants = params["grants"].as_array().unwrap();
    assert!(grants.contains(&json!("storage")), "{params}");

    assert_eq!(approves(&anna, &id).await, refused(422, "same_person"));
    assert_eq!(approves(&bertil, &id).await, refused(403, "forbidden"));
    assert!(!chat_is_on(&bertil).await);
    // It waits over a restart.
    host.restart();
    for person in [&anna, &eva, &bertil] {
        let login = &person.login;
        person.client.login(login, PASSWORD).await.unwrap();
    }
    let done = approves(&eva, &id).await.unwrap();
    assert_eq!(done, json!({"method": "plugins/enable", "result": {}}));
    assert!(chat_is_on(&bertil).await);
    assert_eq!(approves(&eva, &id).await, refused(404, "not_found"));

    let audit = tries(&anna, "audit/list", json!({"limit": 50}))
        .await
        .unwrap();
    let told: Vec<_> = audit["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|entry| entry["action"].as_str().unwrap().starts_with("approvals."))
        .map(|entry| {
            let field = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
            (field("action"), field("actor"), field("outcome"))
        })
        .collect();
    let entry = |action: &str, actor: &Person, outcome: &str| {
        let action = format!("approvals.{action}");
        (action, actor.id.clone(), outcome.to_owned())
    };
    let newest_first = [
        entry("approve", &eva, "done"),
        entry("approve", &anna, "refused"),
        entry("ask", &anna, "done"),
        entry("require", &anna, "done"),
    ];
    assert_eq!(told, newest_first);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_person_cannot_become_two_or_take_the_rule_away() {
    let (_host, anna, eva, bertil) = with_two_administrators().await;
    let person =
        |login: &str, admin: bool| json!({"login": login, "display_name": "X", "admin": admin});
    let user = |person: &Person| json!({"user": person.id});
    // What makes a second administrator, or makes one into another, waits; what members need does not.
    let second = tries(&anna, "users/invite", person("second", true)).await;
    assert_eq!(second, waits());
    tries(&anna, "users/invite", person("third", false))
        .await
        .unwrap();
    assert_eq!(tries(&anna, "users/reset", user(&eva)).await, waits());
    tries(&anna, "users/reset", user(&bertil)).await.unwrap();
    let waived = tries(&anna, "approvals/require", json!({"required": false})).await;
    assert_eq!(waived, waits());
    let list = tries(&anna, "approvals/list", json!({})).await.unwrap();
    assert_eq!(list["required"], true);
    assert_eq!(waiting(&anna).await.len(), 3);

    // Who asked may take it back, another may refuse; then it is gone, and a link comes out of what was approved.
    let [(invite, _), (reset, _), (waive, _)] = waiting(&eva).await.try_into().unwrap();
    for (person, id) in [(&anna, &reset), (&eva, &waive)] {
        let params = json!({"approval": id});
        tries(person, "approvals/refuse", params.clone())
            .await
            .unwrap();
        let again = tries(person, "approvals/refuse", params).await;
        assert_eq!(again, refused(404, "not_found"));
    }
    let made = approves(&eva, &invite).await.unwrap();
    assert!(made["result"]["link"].as_str().unwrap().contains("#"));

    // Who is no administrator any more asked for nothing.
    let params = json!({"plugin": "chat", "erase": true});
    assert_eq!(tries(&eva, "plugins/uninstall", params).await, waits());
    let [(uninstall, _)] = waiting(&anna).await.try_into().unwrap();
    tries(&anna, "users/deactivate", user(&eva)).await.unwrap();
    assert_eq!(approves(&anna, &uninstall).await, refused(404, "not_found"));
    assert_eq!(tries(&anna, "users/reactivate", user(&eva)).await, waits());
    assert!(chat_is_on(&bertil).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn going_back_waits_where_it_would_bring_back_what_was_taken_and_nowhere_else() {
    let (host, anna, eva, bertil) = with_two_administrators().await;
    let acme = Publisher::new(&host, "acme");
    trusts(&host, &[("Acme AB", &acme)], "");
    let operator = |args: &[&str]| {
        let args = [&["plugin"], args, &["--tenant", "acme"]].concat();
        block_in_place(|| host.command(&args));
    };
    for version in ["1.0.0", "1.1.0"] {
        let file = acme.variant(version, "plain", |manifest| {
            let events = "name = \"events\"\nreason";
            manifest.replacen(events, "name = \"events\"\nrequired = false\nreason", 1)
        });
        block_in_place(|| host.command(&["plugin", "install", path(&file)]));
        if version == "1.0.0" {
            operator(&["enable", "faulty"]);
        }
    }
    let few = "storage,identity,clock,crypto,log";
    operator(&["upgrade", "faulty", "1.1.0", "--grant", few]);
    let publishes = async || {
        let told = bertil
            .client
            .call("plugins/faulty/publish", json!({"text": "x"}));
        told.await.map_err(|error| error.status())
    };
    assert_eq!(publishes().await.unwrap_err(), 403);

    let faulty = json!({"plugin": "faulty"});
    let back = tries(&anna, "plugins/rollback", faulty.clone()).await;
    assert_eq!(back, waits());
    assert_eq!(publishes().await.unwrap_err(), 403);
    let [(id, method)] = waiting(&eva).await.try_into().unwrap();
    assert_eq!(method, "plugins/rollback");
    approves(&eva, &id).await.unwrap();
    publishes().await.unwrap();

    // Where nothing more comes with it, nobody has to be asked: it is there for when something is wrong.
    operator(&["upgrade", "faulty", "1.1.0"]);
    tries(&anna, "plugins/rollback", faulty).await.unwrap();
    // What was read of one version is agreed to for that version.
    let grants = ["storage", "events", "identity", "clock", "crypto", "log"];
    let read = json!({"plugin": "faulty", "version": "1.1.0", "grants": grants});
    assert_eq!(tries(&anna, "plugins/grant", read).await, waits());
    let [(id, _)] = waiting(&eva).await.try_into().unwrap();
    assert_eq!(approves(&eva, &id).await, refused(422, "version_changed"));
}
