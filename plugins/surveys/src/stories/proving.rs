//! Surveys that ask who answers: by PIN, by eID, and anonymously.

use serde_json::{Value, json};

use super::{House, Open, code, colour, count, definition};

fn asks(house: &House, settings: Value) -> Open {
    house.asks(definition(json!([colour("c")]), settings))
}

#[test]
fn a_page_says_what_is_to_be_proven_before_it_is_shown() {
    let house = House::new();
    let eid = asks(
        &house,
        json!({"step_up": ["bankid"], "linkage": "confidential"}),
    );
    let page = house.page(&eid.slug, None).unwrap();
    let purpose = format!("answer/{}", eid.id);
    let required =
        json!({"purpose": purpose, "methods": ["eid"], "anonymous": false, "named": false});
    assert_eq!(page["proof"], required);
    let open = asks(&house, json!({}));
    assert!(house.page(&open.slug, None).unwrap().get("proof").is_none());
}

#[test]
fn a_pin_is_asked_for_by_personal_link() {
    let house = House::new();
    let settings = json!({"access": "link", "step_up": ["pin", "bankid"], "linkage": "confidential", "group_min": 1});
    let open = asks(&house, settings);
    let params = json!({"survey": open.id, "recipients": ["Eva", "Nils"]});
    let invited = house.call("invitations.create", params).unwrap();
    let of = |at: usize| {
        let (id, link) = (&invited["items"][at]["id"], &invited["items"][at]["link"]);
        let path = link.as_str().unwrap().strip_prefix("/p/surveys/answer/");
        let purpose = format!("answer/{}/{}", open.id, id.as_str().unwrap());
        (path.unwrap().to_owned(), purpose)
    };
    let ((eva, evas), (nils, _)) = (of(0), of(1));
    let page = house.page(&eva, None).unwrap();
    assert_eq!(page["proof"]["purpose"], evas);
    assert_eq!(page["proof"]["methods"], json!(["pin", "eid"]));
    let answer = || Some(("send.1.0", json!({"c": "red"})));
    house.mock.proven(&evas, "pin", None);
    assert_eq!(code(house.page(&nils, answer())), "step-up-required");
    house.page(&eva, answer()).unwrap();
    house.mock.proven(&evas, "pin", None);
    assert_eq!(code(house.page(&eva, answer())), "already-answered");
}

#[test]
fn a_pin_alone_keeps_nobody_from_answering_twice() {
    let house = House::new();
    let settings = json!({"step_up": ["pin"], "linkage": "confidential"});
    let made = house.call(
        "create",
        json!({"definition": definition(json!([colour("c")]), settings)}),
    );
    let id = made.unwrap()["id"].clone();
    let refused = house.call("publish", json!({"survey": id})).unwrap_err();
    assert_eq!(refused.code, "unpublishable");
    assert!(refused.message.contains("PIN"), "{}", refused.message);
}

#[test]
fn an_anonymous_answer_has_a_day_and_a_random_place_and_nobody() {
    let house = House::new();
    let settings = json!({"step_up": ["bankid"], "linkage": "anonymous", "group_min": 1});
    let open = asks(&house, settings);
    let purpose = format!("answer/{}", open.id);
    let page = house.page(&open.slug, None).unwrap();
    assert_eq!(page["proof"]["anonymous"], true);
    assert!(page["body"].to_string().contains("anonymt"));
    // Somebody who could be told from others is not let in, whatever the host was brought to say.
    house.mock.proven(&purpose, "bankid", Some("p1"));
    assert_eq!(
        code(house.answers(&open, json!({"c": "red"}))),
        "wrong-proof"
    );
    for colour in ["red", "blue", "blue"] {
        house.mock.proven(&purpose, "anonymous", None);
        house.answers(&open, json!({"c": colour})).unwrap();
    }
    let told = house.mock.told();
    assert!(
        !told
            .iter()
            .any(|told| told.topic == "surveys.results.changed"),
        "an anonymous answer's moment was told"
    );
    let keys: Vec<String> = house
        .mock
        .keys()
        .iter()
        .map(|key| String::from_utf8_lossy(key).into_owned())
        .collect();
    assert!(!keys.iter().any(|key| key.starts_with("u/")), "{keys:?}");
    let waiting = keys.iter().filter(|key| key.starts_with("p/"));
    let places: Vec<_> = waiting
        .filter_map(|key| key.rsplit_once('/'))
        .map(|(_, place)| place)
        .collect();
    assert_eq!(places.len(), 3);
    assert!(places.iter().all(|place| place.len() == 32), "{places:?}");
    let results = house.results(&open, json!({}));
    assert_eq!(count(&results, "c", "blue"), 2);
    let answers = house.call("answers", json!({"survey": open.id})).unwrap();
    assert!(answers["items"][0].get("who").is_none(), "{answers}");
}

#[test]
fn nothing_anonymous_asks_who_one_is() {
    let house = House::new();
    for (settings, why) in [
        (
            json!({"step_up": ["bankid", "pin"], "linkage": "anonymous"}),
            "electronic identity",
        ),
        (json!({"linkage": "anonymous"}), "electronic identity"),
        (
            json!({"access": "link", "step_up": ["bankid"], "linkage": "anonymous"}),
            "electronic identity",
        ),
        (
            json!({"step_up": ["bankid"], "linkage": "anonymous"}),
            "says who it is of",
        ),
    ] {
        let questions =
            json!([colour("c"), {"id": "mail", "kind": "email", "label": {"sv": "Adress?"}}]);
        let made = house
            .call(
                "create",
                json!({"definition": definition(questions, settings)}),
            )
            .unwrap();
        let refused = house.call("publish", json!({"survey": made["id"]}));
        let refused = refused.unwrap_err();
        assert_eq!(refused.code, "unpublishable");
        assert!(refused.message.contains(why), "{}", refused.message);
    }
}

#[test]
fn a_named_answer_behind_an_eid_carries_what_only_the_host_can_turn_into_a_name() {
    let house = House::new();
    let open = asks(
        &house,
        json!({"step_up": ["bankid"], "linkage": "named", "group_min": 1}),
    );
    let purpose = format!("answer/{}", open.id);
    assert_eq!(
        house.page(&open.slug, None).unwrap()["proof"]["named"],
        true
    );
    house.mock.proven(&purpose, "bankid", Some("p1"));
    house.answers(&open, json!({"c": "red"})).unwrap();
    house.results(&open, json!({}));
    let answers = house.call("answers", json!({"survey": open.id})).unwrap();
    assert_eq!(answers["items"][0]["who"], "p1");
    house.call("close", json!({"survey": open.id})).unwrap();
    house.job("end", &open.id);
    assert!(!house.mock.is_closed(&purpose), "names outlive the end");
}

#[test]
fn behind_its_end_nothing_can_be_proven_for_a_survey() {
    let house = House::new();
    for linkage in ["anonymous", "confidential"] {
        let open = asks(&house, json!({"step_up": ["bankid"], "linkage": linkage}));
        let purpose = format!("answer/{}", open.id);
        house.call("close", json!({"survey": open.id})).unwrap();
        assert!(!house.mock.is_closed(&purpose));
        house.job("end", &open.id);
        assert!(house.mock.is_closed(&purpose), "{linkage}");
    }
}
