//! People answer: page by page, once, in time, and nothing that they wrote is lost.

use serde_json::{Value, json};
use vaxel_plugin::identity::Caller;

use super::{House, code, colour, count, definition};

fn two_pages() -> Value {
    json!({
        "title": {"sv": "Resa", "en": "Trip"}, "languages": ["sv", "en"], "settings": {"group_min": 1},
        "sections": [
            {"id": "first", "questions": [
                {"id": "name", "kind": "short_text", "required": true, "label": {"sv": "Namn?", "en": "Name?"}},
                {"id": "car", "kind": "yes_no", "required": true, "label": {"sv": "Bil?", "en": "Car?"}}]},
            {"id": "second", "show_if": {"any": [{"all": [{"of": "car", "is": "equals", "value": "yes"}]}]}, "questions": [
                {"id": "seats", "kind": "number", "required": true, "min": 1, "label": {"sv": "Platser, {name}?", "en": "Seats, {name}?"}}]},
        ],
    })
}

/// Where an answer leads: the path behind the page's address.
fn next(page: &Value) -> String {
    page["next"]
        .as_str()
        .unwrap_or_else(|| panic!("{page}"))
        .to_owned()
}

#[test]
fn page_by_page_an_answer_is_kept_and_can_be_gone_on_with() {
    let house = House::new();
    let open = house.asks(two_pages());
    let first = house.page(&open.slug, None).unwrap();
    assert_eq!(first["actions"][0]["id"], "next.1.0");
    let place = next(
        &house
            .page(
                &open.slug,
                Some(("next.1.0", json!({"name": "Åsa", "car": "yes"}))),
            )
            .unwrap(),
    );
    // Another day, the same address.
    house.mock.advance_ms(86_400_000);
    let second = house.page(&place, None).unwrap();
    assert!(second.to_string().contains("Platser, Åsa?"), "{second}");
    assert_eq!(second["actions"][0]["id"], "send.1.1");
    let back = next(&house.page(&place, Some(("back.1.1", json!({})))).unwrap());
    assert!(
        house
            .page(&back, None)
            .unwrap()
            .to_string()
            .contains("\"value\":\"Åsa\"")
    );
    let again = next(
        &house
            .page(
                &place,
                Some(("next.1.0", json!({"name": "Eva", "car": "yes"}))),
            )
            .unwrap(),
    );
    let thanks = house
        .page(&again, Some(("send.1.1", json!({"seats": 4}))))
        .unwrap();
    assert_eq!(next(&thanks), format!("{}/thanks", open.slug));
    // Sent is sent: the address leads nowhere any more.
    assert_eq!(code(house.page(&place, None)), "not-found");
    let answers = house.results(&open, json!({}));
    assert_eq!(
        (answers["came"].clone(), count(&answers, "car", "yes")),
        (json!(1), 1)
    );
}

#[test]
fn a_page_that_is_passed_over_ends_at_once_and_its_answers_do_not_count() {
    let house = House::new();
    let open = house.asks(two_pages());
    let place = next(
        &house
            .page(
                &open.slug,
                Some(("next.1.0", json!({"name": "Åsa", "car": "yes"}))),
            )
            .unwrap(),
    );
    house
        .page(&place, Some(("back.1.1", json!({"seats": 4}))))
        .unwrap();
    let sent = house
        .page(
            &place,
            Some(("send.1.0", json!({"name": "Åsa", "car": "no"}))),
        )
        .unwrap();
    assert_eq!(next(&sent), format!("{}/thanks", open.slug));
    house.results(&open, json!({}));
    let answers = house.call("answers", json!({"survey": open.id})).unwrap();
    assert_eq!(
        answers["items"][0]["answers"],
        json!({"name": "Åsa", "car": "Nej"})
    );
}

#[test]
fn what_was_begun_goes_on_in_a_changed_survey() {
    let house = House::new();
    let open = house.asks(two_pages());
    let place = next(
        &house
            .page(
                &open.slug,
                Some(("next.1.0", json!({"name": "Åsa", "car": "yes"}))),
            )
            .unwrap(),
    );
    let mut changed = two_pages();
    changed["sections"][0]["questions"]
        .as_array_mut()
        .unwrap()
        .push(colour("c"));
    changed["sections"][0]["questions"][2]["label"]["en"] = json!("Colour?");
    for option in changed["sections"][0]["questions"][2]["options"]
        .as_array_mut()
        .unwrap()
    {
        option["label"]["en"] = json!("x");
    }
    house
        .call("save", json!({"survey": open.id, "definition": changed}))
        .unwrap();
    house.call("publish", json!({"survey": open.id})).unwrap();
    assert_eq!(
        code(house.page(&place, Some(("send.1.1", json!({"seats": 4}))))),
        "survey-changed"
    );
    let page = house.page(&place, None).unwrap().to_string();
    assert!(
        page.contains("har ändrats") && page.contains("\"value\":\"Åsa\""),
        "{page}"
    );
}

#[test]
fn what_is_wrong_is_said_beside_its_question_and_nothing_is_taken() {
    let house = House::new();
    let open = house.asks(two_pages());
    let page = house
        .page(&open.slug, Some(("next.1.0", json!({"car": "perhaps"}))))
        .unwrap();
    let errors: Vec<&Value> = page["body"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|each| each.get("Vaxel.error"))
        .collect();
    assert_eq!(errors.len(), 2, "{page}");
    let long = json!({"name": "å".repeat(1_000_000), "car": "no"});
    let page = house
        .page(&open.slug, Some(("next.1.0", long)))
        .unwrap()
        .to_string();
    assert!(
        page.contains("Högst 300 tecken.") && page.len() < 10_000,
        "what was typed is the host's to show again"
    );
    assert_eq!(house.results(&open, json!({}))["came"], 0);
    let nothing = house.asks(definition(json!([colour("c")]), json!({})));
    assert_eq!(code(house.answers(&nothing, json!({}))), "invalid");
    for odd in ["", "send", "send.1", "send.1.99", "send.x.0", "fly.1.0"] {
        assert_eq!(
            code(house.page(&nothing.slug, Some((odd, json!({}))))),
            "not-found",
            "{odd}"
        );
    }
}

#[test]
fn html_in_every_text_is_text() {
    let house = House::new();
    let script = "<script>alert(1)</script>";
    let open = house.asks(definition(
        json!([
            {"id": "t", "kind": "short_text", "label": {"sv": script}, "hint": {"sv": script}},
            {"id": "p", "kind": "short_text", "label": {"sv": format!("{script} {{t}}")}},
        ]),
        json!({"group_min": 1}),
    ));
    let place = next(
        &house
            .page(&open.slug, Some(("next.1.0", json!({"t": script}))))
            .unwrap(),
    );
    let page = house.page(&place, None).unwrap();
    let label = page["body"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|each| each["type"] == "Input.Text")
        .find_map(|each| each.get("label"))
        .unwrap();
    assert_eq!(label, &json!(format!("{script} {script}")));
}

#[test]
fn the_last_place_is_taken_once() {
    let house = House::new();
    let settings = json!({"group_min": 1, "answers_max": 3, "quotas": [{"id": "reds", "of": "c", "option": "red", "max": 1}]});
    let open = house.asks(definition(json!([colour("c")]), settings));
    house.answers(&open, json!({"c": "red"})).unwrap();
    assert_eq!(
        code(house.answers(&open, json!({"c": "red"}))),
        "survey-full"
    );
    house.answers(&open, json!({"c": "blue"})).unwrap();
    house.answers(&open, json!({"c": "blue"})).unwrap();
    assert_eq!(
        code(house.answers(&open, json!({"c": "blue"}))),
        "survey-full"
    );
    let results = house.results(&open, json!({}));
    assert_eq!(
        (count(&results, "c", "red"), count(&results, "c", "blue")),
        (1, 2)
    );
}

#[test]
fn a_personal_link_answers_once_and_the_answer_knows_no_recipient() {
    let house = House::new();
    let settings = json!({"access": "link", "linkage": "confidential", "group_min": 1});
    let open = house.asks(definition(json!([colour("c")]), settings));
    let params = json!({"survey": open.id, "recipients": ["eva@example.org", "nils@example.org"]});
    let invited = house.call("invitations.create", params).unwrap();
    let path = |at: usize| {
        invited["items"][at]["link"]
            .as_str()
            .unwrap()
            .strip_prefix("/p/surveys/answer/")
            .unwrap()
            .to_owned()
    };
    assert_eq!(path(0).rsplit('/').next().unwrap().len(), 32, "128 bits");
    let door = house.page(&open.slug, None).unwrap();
    assert!(
        door["actions"].is_null() && door.to_string().contains("personliga länk"),
        "{door}"
    );
    assert_eq!(
        code(house.answers(&open, json!({"c": "red"}))),
        "link-required"
    );
    assert_eq!(
        code(house.page(&format!("{}/l/{}", open.slug, "0".repeat(32)), None)),
        "not-found"
    );
    let page = house.page(&path(0), None).unwrap().to_string();
    assert!(
        page.contains("konfidentiellt") && !page.contains("anonym "),
        "{page}"
    );
    house
        .page(&path(0), Some(("send.1.0", json!({"c": "red"}))))
        .unwrap();
    assert_eq!(
        code(house.page(&path(0), Some(("send.1.0", json!({"c": "red"}))))),
        "already-answered"
    );
    assert_eq!(
        house.page(&path(0), None).unwrap()["title"],
        "Du har redan svarat"
    );
    // Reminders reach those who have not answered.
    let left = house
        .call("invitations.remind", json!({"survey": open.id}))
        .unwrap();
    assert_eq!(left["items"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&left["items"][0]["recipient"], &left["items"][0]["link"]),
        (&json!("nils@example.org"), &invited["items"][1]["link"])
    );
    let listed = house
        .call("invitations.list", json!({"survey": open.id}))
        .unwrap();
    assert_eq!(
        (&listed["items"][0]["answered"], &listed["items"][0]["link"]),
        (&json!(true), &json!(null))
    );
    house.results(&open, json!({}));
    let answers = house.call("answers", json!({"survey": open.id})).unwrap();
    assert_eq!(answers["items"][0]["who"], json!(null));
    assert!(!answers.to_string().contains("eva"));
}

#[test]
fn members_answer_once_in_the_app_by_name_if_they_were_told_so() {
    let house = House::new();
    let (anna, locale) = (house.mock.person("Anna"), "sv".to_owned());
    let open = house.asks(definition(
        json!([colour("c")]),
        json!({"access": "members", "linkage": "named", "group_min": 1}),
    ));
    assert_eq!(
        code(house.answers(&open, json!({"c": "red"}))),
        "members-only"
    );
    let as_anna = Caller {
        user: Some(anna.clone()),
        locale,
        ..Caller::default()
    };
    let page = house.page_by(as_anna.clone(), &open.slug, None).unwrap();
    assert!(page.to_string().contains("sparas med ditt namn"), "{page}");
    let sent = Some(("send.1.0", json!({"c": "blue"})));
    house
        .page_by(as_anna.clone(), &open.slug, sent.clone())
        .unwrap();
    assert_eq!(
        code(house.page_by(as_anna, &open.slug, sent)),
        "already-answered"
    );
    house.results(&open, json!({}));
    let answers = house.call("answers", json!({"survey": open.id})).unwrap();
    assert_eq!(answers["items"][0]["who"], anna);
}

#[test]
fn a_proof_is_asked_for_when_the_answer_is_sent_and_counts_once_for_a_person() {
    let house = House::new();
    let settings = json!({"step_up": ["bankid"], "linkage": "confidential", "group_min": 1});
    let open = house.asks(definition(json!([colour("c")]), settings));
    assert_eq!(
        code(house.answers(&open, json!({"c": "red"}))),
        "step-up-required"
    );
    let purpose = format!("answer/{}", open.id);
    house.mock.proven(&purpose, "pin", Some("p1"));
    assert_eq!(
        code(house.answers(&open, json!({"c": "red"}))),
        "wrong-proof"
    );
    house.mock.proven(&purpose, "bankid", Some("p1"));
    house.answers(&open, json!({"c": "red"})).unwrap();
    house.mock.proven(&purpose, "bankid", Some("p1"));
    assert_eq!(
        code(house.answers(&open, json!({"c": "blue"}))),
        "already-answered"
    );
    house.mock.proven(&purpose, "bankid", Some("p2"));
    house.answers(&open, json!({"c": "blue"})).unwrap();
    // Behind the end nothing is left of who has answered.
    let people = |house: &House| {
        house
            .mock
            .keys()
            .iter()
            .filter(|key| key.starts_with(b"u/"))
            .count()
    };
    assert_eq!(people(&house), 2);
    house.call("close", json!({"survey": open.id})).unwrap();
    house.job("end", &open.id);
    assert_eq!(people(&house), 0);
}
