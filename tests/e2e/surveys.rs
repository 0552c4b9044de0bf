//! Surveys on the real server: somebody asks, people answer without an account and without script, and the results say
//! no more than they may.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails fast"
)]

use serde_json::{Value, json};
use vaxel_tests::{Person, TestHost};

/// A server, and greta who asks.
async fn prepared() -> (TestHost, Person) {
    let host = TestHost::start().await;
    host.add_user("acme", "greta", "Greta Grön", true);
    let greta = host.sign_in("acme", "greta").await;
    (host, greta)
}

fn colours() -> Value {
    json!([
        {"id": "name", "kind": "short_text", "label": {"sv": "Vad heter du?"}},
        {"id": "colour", "kind": "single_choice", "required": true, "label": {"sv": "Vilken färg?"}, "options": [
            {"id": "red", "label": {"sv": "Röd"}}, {"id": "blue", "label": {"sv": "Blå"}},
        ]},
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_survey_is_answered_without_script_and_without_an_account_and_counted() {
    let (host, greta) = prepared().await;
    let survey = greta
        .asks("Färger", colours(), json!({"group_min": 1}))
        .await;
    let nils = host.visitor("acme");
    let page = nils.opens(&survey.address).await;
    assert_eq!(page.status, 200, "{}", page.html);
    assert!(
        page.shows("Vilken färg?") && page.shows("Ingen frågar vem du är"),
        "{}",
        page.html
    );
    let thanks = page
        .fills("t.name", "Nils <b>&")
        .fills("t.colour", "red")
        .sends()
        .await;
    assert!(
        thanks.shows("Tack för ditt svar"),
        "{} {}",
        thanks.status,
        thanks.html
    );
    assert_eq!(survey.counts("colour").await, json!({"red": 1, "blue": 0}));
    assert_eq!(survey.results().await["came"], 1);
}
