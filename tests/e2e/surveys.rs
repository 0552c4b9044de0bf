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
use vaxel_tests::{Person, TestHost, scan};

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

#[tokio::test(flavor = "multi_thread")]
async fn the_last_place_is_taken_by_exactly_one_of_many_at_once() {
    let (host, greta) = prepared().await;
    let settings = json!({"group_min": 1, "answers_max": 5});
    let survey = greta.asks("Platser", colours(), settings).await;
    for _ in 0..4 {
        let page = host.visitor("acme").opens(&survey.address).await;
        assert!(
            page.fills("t.colour", "blue")
                .sends()
                .await
                .shows("Tack för ditt svar")
        );
    }
    let mut pages = Vec::new();
    for number in 0..8 {
        let page = host.visitor("acme").opens(&survey.address).await;
        pages.push(
            page.fills("t.name", &format!("Gäst {number}"))
                .fills("t.colour", "red"),
        );
    }
    let sending: Vec<_> = pages
        .into_iter()
        .map(|page| tokio::spawn(page.sends()))
        .collect();
    let mut taken = 0;
    for (number, sent) in sending.into_iter().enumerate() {
        let answer = sent.await.unwrap();
        if answer.shows("Tack för ditt svar") {
            taken += 1;
        } else {
            assert!([409, 422].contains(&answer.status), "{}", answer.status);
            assert!(
                answer.shows(&format!("Gäst {number}")),
                "what was typed is kept: {}",
                answer.html
            );
        }
    }
    assert_eq!(taken, 1);
    assert_eq!(survey.counts("colour").await, json!({"red": 1, "blue": 4}));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_typed_outlives_a_survey_that_closes_and_one_that_changes() {
    let (host, greta) = prepared().await;
    let survey = greta
        .asks("Färger", colours(), json!({"group_min": 1}))
        .await;
    let page = host.visitor("acme").opens(&survey.address).await;
    let questions = json!([colours()[0], colours()[1], {"id": "why", "kind": "long_text", "label": {"sv": "Varför?"}}]);
    let changed = json!({"title": {"sv": "Färger"}, "languages": ["sv"], "settings": {"group_min": 1},
        "sections": [{"id": "first", "questions": questions}]});
    greta
        .surveys("save", json!({"survey": survey.id, "definition": changed}))
        .await
        .unwrap();
    greta
        .surveys("publish", json!({"survey": survey.id}))
        .await
        .unwrap();
    let refused = page
        .fills("t.name", "Nils <i>")
        .fills("t.colour", "red")
        .sends()
        .await;
    assert_eq!(refused.status, 422);
    assert!(
        refused.shows("Enkäten har ändrats")
            && refused.shows("value=\"Nils &lt;i&gt;\"")
            && refused.shows("Varför?"),
        "{}",
        refused.html
    );
    survey.closes().await;
    let refused = refused
        .fills("t.name", "Nils <i>")
        .fills("t.colour", "red")
        .sends()
        .await;
    assert_eq!(refused.status, 422);
    assert!(
        refused.shows("Enkäten har stängts") && refused.shows("Nils &lt;i&gt;"),
        "{}",
        refused.html
    );
    assert_eq!(survey.results().await["came"], 0);
    assert!(
        host.visitor("acme")
            .opens(&survey.address)
            .await
            .shows("Enkäten är stängd")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn page_by_page_with_scales_matrices_and_rankings_and_a_way_back() {
    let (host, greta) = prepared().await;
    let options =
        json!([{"id": "bad", "label": {"sv": "Dåligt"}}, {"id": "good", "label": {"sv": "Bra"}}]);
    let survey = greta
        .asks_all(json!({
            "title": {"sv": "Besök", "en": "Visit"}, "languages": ["sv"], "settings": {"group_min": 1},
            "sections": [
                {"id": "first", "questions": [
                    {"id": "nps", "kind": "nps", "required": true, "label": {"sv": "Rekommenderar du oss?"}},
                    {"id": "care", "kind": "matrix", "required": true, "label": {"sv": "Hur var det?"}, "options": options,
                     "rows": [{"id": "food", "label": {"sv": "Maten"}}, {"id": "room", "label": {"sv": "Rummet"}}]}]},
                {"id": "second", "questions": [
                    {"id": "best", "kind": "ranking", "required": true, "label": {"sv": "Ordna, {nps}"}, "options": options}]},
            ],
        }))
        .await;
    let page = host.visitor("acme").opens(&survey.address).await;
    let wrong = page
        .fills("t.nps", "9")
        .fills("t.care.food", "good")
        .sends()
        .await;
    assert_eq!(wrong.status, 422);
    assert!(
        wrong.shows("href=\"#f-care\"") && wrong.shows("value=\"9\" checked"),
        "{}",
        wrong.html
    );
    let second = wrong
        .fills("t.nps", "9")
        .fills("t.care.food", "good")
        .fills("t.care.room", "bad")
        .sends()
        .await;
    assert!(second.shows("Ordna, 9"), "{}", second.html);
    let first = second.goes_back().await;
    assert!(
        first.shows("name=\"t.care.room\" value=\"bad\" checked"),
        "{}",
        first.html
    );
    let second = first
        .fills("t.nps", "10")
        .fills("t.care.food", "good")
        .fills("t.care.room", "bad")
        .sends()
        .await;
    let thanks = second
        .fills("t.best.good", "1")
        .fills("t.best.bad", "2")
        .sends()
        .await;
    assert!(thanks.shows("Tack"), "{}", thanks.html);
    assert_eq!(survey.counts("care").await["food.good"], 1);
    assert_eq!(survey.counts("best").await, json!({"good": 1, "bad": 0}));
    let results = survey.results().await;
    assert_eq!(results["groups"][0]["questions"][0]["nps"], 100.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_personal_link_answers_once_and_results_show_nothing_of_too_few() {
    let (host, greta) = prepared().await;
    let settings = json!({"access": "link", "linkage": "confidential", "group_min": 3});
    let survey = greta.asks("Pulsen", json!([colours()[1]]), settings).await;
    let recipients = json!(["eva@example.org", "nils@example.org", "olle@example.org"]);
    let invited = greta
        .surveys(
            "invitations.create",
            json!({"survey": survey.id, "recipients": recipients}),
        )
        .await
        .unwrap();
    let link = |at: usize| invited["items"][at]["link"].as_str().unwrap().to_owned();
    assert!(
        !host
            .visitor("acme")
            .opens(&survey.address)
            .await
            .shows("_action")
    );
    for (at, shown) in [(0, 0), (1, 0), (2, 3)] {
        let page = host.visitor("acme").opens(&link(at)).await;
        assert!(page.fills("t.colour", "red").sends().await.shows("Tack"));
        assert_eq!(survey.counts("colour").await["red"], shown);
        let again = host.visitor("acme").opens(&link(at)).await;
        assert!(
            again.shows("Du har redan svarat") && !again.shows("_action"),
            "{}",
            again.html
        );
    }
    let left = greta
        .surveys("invitations.remind", json!({"survey": survey.id}))
        .await
        .unwrap();
    assert_eq!(left["items"], json!([]));
    let alone = greta
        .surveys("answers", json!({"survey": survey.id}))
        .await
        .unwrap_err();
    assert_eq!(alone.status(), 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_do_what_is_a_role_and_a_part_in_the_survey() {
    let (host, greta) = prepared().await;
    let survey = greta
        .asks("Färger", colours(), json!({"group_min": 1}))
        .await;
    let bertil = host.sign_in("acme", "bertil").await;
    let results = json!({"survey": survey.id});
    assert_eq!(
        bertil
            .surveys("results", results.clone())
            .await
            .unwrap_err()
            .status(),
        403
    );
    let role = greta
        .client
        .call(
            "roles/create",
            json!({"name": "Läsare", "permissions": ["surveys.results"]}),
        )
        .await
        .unwrap();
    greta
        .client
        .call(
            "roles/assign",
            json!({"role": role["id"], "user": bertil.id}),
        )
        .await
        .unwrap();
    assert_eq!(
        bertil
            .surveys("results", results.clone())
            .await
            .unwrap_err()
            .status(),
        404
    );
    let shares = json!([{"user": bertil.id, "role": "viewer", "questions": ["colour"]}]);
    greta
        .surveys("share", json!({"survey": survey.id, "shares": shares}))
        .await
        .unwrap();
    let seen = bertil.surveys("results", results).await.unwrap();
    let questions = seen["groups"][0]["questions"].as_array().unwrap();
    assert_eq!(
        (questions.len(), &questions[0]["id"]),
        (1, &json!("colour"))
    );
    let looks = greta
        .surveys("looks", json!({"survey": survey.id}))
        .await
        .unwrap();
    assert_eq!(looks["items"][0]["user"], bertil.id);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_million_characters_are_refused_and_formulas_and_markup_are_text() {
    let (host, greta) = prepared().await;
    let script = "<script>alert(1)</script>";
    let survey = greta
        .asks(
            script,
            json!([{"id": "t", "kind": "long_text", "label": {"sv": script}}]),
            json!({"group_min": 1}),
        )
        .await;
    let page = host.visitor("acme").opens(&survey.address).await;
    assert!(page.shows("&lt;script&gt;alert(1)") && !page.shows("<script>alert"));
    let long = page.fills("t.t", &"x".repeat(300_000)).sends().await;
    assert_eq!(long.status, 422);
    assert!(
        long.shows("Högst 5000 tecken.") && long.html.len() > 300_000,
        "{}",
        long.status
    );
    let huge = host
        .visitor("acme")
        .opens(&survey.address)
        .await
        .fills("t.t", &"x".repeat(1_000_000))
        .sends()
        .await;
    assert_eq!(huge.status, 413, "{}", huge.html);
    let page = host.visitor("acme").opens(&survey.address).await;
    assert!(page.fills("t.t", "=1+1").sends().await.shows("Tack"));
    survey.results().await;
    let file = greta
        .surveys("export", json!({"survey": survey.id, "format": "csv"}))
        .await
        .unwrap();
    assert!(file["text"].as_str().unwrap().contains("\"'=1+1\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_answer_lies_sealed_and_a_page_is_small() {
    let (host, greta) = prepared().await;
    let survey = greta
        .asks("Färger", colours(), json!({"group_min": 1}))
        .await;
    let page = host.visitor("acme").opens(&survey.address).await;
    // Unpacked it is smaller than it may be packed.
    let mut bytes = page.html.len();
    for part in ["/page.css", "/page.js"] {
        let response = host.client("acme").get(part).await.unwrap();
        assert_eq!(response.status(), 200, "{part}");
        bytes += response.body().len();
    }
    assert!(bytes < 60_000, "{bytes}");
    let word = "Guldfisksamlare";
    assert!(
        page.fills("t.name", word)
            .fills("t.colour", "red")
            .sends()
            .await
            .shows("Tack")
    );
    survey.results().await;
    host.stop();
    assert_eq!(scan::occurrences(host.data(), &[word]), vec![]);
    assert!(!host.log().contains(word));
}
