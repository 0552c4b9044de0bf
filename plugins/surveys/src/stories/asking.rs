//! Drafts, versions, publishing and closing.

use serde_json::json;

use super::{House, code, colour, count, definition};

#[test]
fn a_survey_comes_to_be_of_a_template_and_is_published_when_it_is_whole() {
    let house = House::new();
    let made = house.call("create", json!({"template": "visit"})).unwrap();
    let published = house
        .call("publish", json!({"survey": made["id"]}))
        .unwrap();
    assert_eq!(published["version"], 1);
    assert_eq!(
        published["address"],
        format!("/p/surveys/answer/{}", made["slug"].as_str().unwrap())
    );
    let empty = house.call("create", json!({"title": "Fika"})).unwrap();
    let refused = house
        .call("publish", json!({"survey": empty["id"]}))
        .unwrap_err();
    assert_eq!(refused.code, "unpublishable");
    assert!(
        refused.message.contains("asks nothing"),
        "{}",
        refused.message
    );
    let listed = house.call("list", json!({})).unwrap();
    assert_eq!(listed["items"].as_array().unwrap().len(), 2);
    assert_eq!(listed["items"][0]["title"]["sv"], "Fika");
}

#[test]
fn two_authors_do_not_write_over_each_other() {
    let house = House::new();
    let made = house.call("create", json!({"title": "Fika"})).unwrap();
    let full = house.call("get", json!({"survey": made["id"]})).unwrap();
    let save = json!({
        "survey": made["id"], "definition": definition(json!([colour("c")]), json!({})),
        "changed_at_ms": full["summary"]["changed_at_ms"],
    });
    let saved = house.call("save", save.clone()).unwrap();
    assert_eq!(saved["faults"], json!([]));
    assert_eq!(code(house.call("save", save)), "conflict");
}

#[test]
fn answers_belong_to_the_version_that_they_answer() {
    let house = House::new();
    let open = house.asks(definition(
        json!([colour("c"), {"id": "t", "kind": "short_text", "label": {"sv": "Varför?"}}]),
        json!({"group_min": 1}),
    ));
    house
        .answers(&open, json!({"c": "red", "t": "varm"}))
        .unwrap();
    let second = definition(json!([colour("c"), colour("d")]), json!({"group_min": 1}));
    house
        .call("save", json!({"survey": open.id, "definition": second}))
        .unwrap();
    assert_eq!(
        house.call("publish", json!({"survey": open.id})).unwrap()["version"],
        2
    );
    // What was sent on the page of the first version is refused and told why.
    assert_eq!(
        code(house.answers(&open, json!({"c": "red"}))),
        "survey-changed"
    );
    house
        .page(
            &open.slug,
            Some(("send.2.0", json!({"c": "red", "d": "blue"}))),
        )
        .unwrap();
    let results = house.results(&open, json!({}));
    assert_eq!(
        (count(&results, "c", "red"), count(&results, "d", "blue")),
        (2, 1)
    );
    let answers = house.call("answers", json!({"survey": open.id})).unwrap();
    let first = answers["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|each| each["version"] == 1)
        .unwrap();
    assert_eq!(first["answers"]["t"], "varm");
    let former = house
        .call("get", json!({"survey": open.id, "version": 1}))
        .unwrap();
    assert_eq!(
        former["definition"]["sections"][0]["questions"][1]["id"],
        "t"
    );
}

#[test]
fn what_people_were_promised_stays_in_later_versions() {
    let house = House::new();
    let open = house.asks(definition(json!([colour("c")]), json!({})));
    for (questions, settings) in [
        (json!([colour("c")]), json!({"group_min": 1})),
        (json!([colour("c")]), json!({"divide_by": ["c"]})),
        (
            json!([colour("c")]),
            json!({"access": "members", "linkage": "confidential"}),
        ),
        (
            json!([{"id": "c", "kind": "number", "label": {"sv": "Hur många?"}}]),
            json!({}),
        ),
    ] {
        let params = json!({"survey": open.id, "definition": definition(questions, settings)});
        house.call("save", params).unwrap();
        assert!(house.call("publish", json!({"survey": open.id})).is_err());
    }
}

#[test]
fn what_is_closed_stays_closed_and_can_be_asked_anew() {
    let house = House::new();
    let open = house.asks(definition(json!([colour("c")]), json!({})));
    assert_eq!(
        house.call("close", json!({"survey": open.id})).unwrap()["state"],
        "closed"
    );
    assert_eq!(
        code(house.call("publish", json!({"survey": open.id}))),
        "survey-closed"
    );
    assert_eq!(
        code(house.answers(&open, json!({"c": "red"}))),
        "survey-closed"
    );
    let page = house.page(&open.slug, None).unwrap();
    assert_eq!(page["title"], "Enkäten är stängd");
    let copy = house.call("duplicate", json!({"survey": open.id})).unwrap();
    assert_ne!(copy["slug"], open.slug);
    assert_eq!(
        house
            .call("publish", json!({"survey": copy["id"]}))
            .unwrap()["version"],
        1
    );
}

#[test]
fn an_end_that_is_past_closes_and_says_so() {
    let house = House::new();
    let end = 1_767_225_600_000_u64 + 60_000;
    let open = house.asks(definition(
        json!([colour("c")]),
        json!({"closes_at_ms": end}),
    ));
    house.answers(&open, json!({"c": "red"})).unwrap();
    house.mock.advance_ms(60_000);
    assert_eq!(
        code(house.answers(&open, json!({"c": "red"}))),
        "survey-closed"
    );
    house.job("release", "");
    let full = house.call("get", json!({"survey": open.id})).unwrap();
    assert_eq!(full["summary"]["state"], "closed");
    assert_eq!(house.mock.scheduled()[0].job, "end");
}
