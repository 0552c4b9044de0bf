//! Who sees what, by permission, by survey and by question; and every look is noted.

use serde_json::{Value, json};

use super::{House, Open, USUAL, code, colour, definition};

fn questions() -> Value {
    let mut secret = colour("secret");
    secret["sensitive"] = json!(true);
    json!([colour("open"), colour("other"), secret])
}

fn asks(house: &House) -> Open {
    let open = house.asks(definition(questions(), json!({"group_min": 1})));
    house
        .answers(
            &open,
            json!({"open": "red", "other": "blue", "secret": "red"}),
        )
        .unwrap();
    house.results(&open, json!({}));
    open
}

/// The questions that somebody sees in results, in single answers and in a file.
fn seen(house: &House, by: &str, open: &Open) -> Result<Vec<String>, String> {
    let results = house
        .try_results(by, open, json!({}))
        .map_err(|error| error.code.into_owned())?;
    let of_results = results["groups"][0]["questions"].as_array().unwrap().iter();
    let ids: Vec<String> = of_results
        .map(|each| each["id"].as_str().unwrap().to_owned())
        .collect();
    let answers = house
        .mock
        .call_as(by, "answers", json!({"survey": open.id}))
        .unwrap();
    let of_answers: Vec<String> = answers["items"][0]["answers"]
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect();
    assert_eq!(ids, of_answers);
    let file = house
        .mock
        .call_as(by, "export", json!({"survey": open.id, "format": "csv"}))
        .unwrap();
    for id in ["open", "other", "secret"] {
        let is_there = file["text"]
            .as_str()
            .unwrap()
            .contains(&format!("\"{id}\""));
        assert_eq!(is_there, ids.iter().any(|each| each == id));
    }
    Ok(ids)
}

#[test]
fn who_sees_which_question() {
    let house = House::new();
    let open = asks(&house);
    let [eva, nils, other] = ["Eva", "Nils", "Olle"].map(|name| house.mock.person(name));
    let shares = json!([{"user": eva, "role": "viewer"}, {"user": nils, "role": "editor", "questions": ["other", "secret"]}]);
    house
        .call("share", json!({"survey": open.id, "shares": shares}))
        .unwrap();
    let with = |more: &'static str| [USUAL, &[more]].concat();
    let (usual, sensitive, manage) = (
        USUAL.to_vec(),
        with("surveys.sensitive"),
        with("surveys.manage"),
    );
    type Case<'a> = (&'a str, &'a [&'a str], Result<&'a [&'a str], &'a str>);
    let table: &[Case<'_>] = &[
        (&house.greta, &usual, Ok(&["open", "other"])),
        (&house.greta, &sensitive, Ok(&["open", "other", "secret"])),
        (&eva, &usual, Ok(&["open", "other"])),
        (&eva, &sensitive, Ok(&["open", "other", "secret"])),
        (&nils, &usual, Ok(&["other"])),
        (&nils, &sensitive, Ok(&["other", "secret"])),
        (&other, &usual, Err("not-found")),
        (&other, &sensitive, Err("not-found")),
        (&other, &manage, Ok(&["open", "other"])),
    ];
    for (who, permissions, expected) in table {
        house.mock.grant(permissions);
        let expected =
            expected.map(|ids| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>());
        assert_eq!(seen(&house, who, &open), expected.map_err(str::to_owned));
    }
}

#[test]
fn what_one_may_do_with_a_shared_survey_is_what_one_was_given() {
    let house = House::new();
    let open = asks(&house);
    let [eva, nils, other] = ["Eva", "Nils", "Olle"].map(|name| house.mock.person(name));
    let shares = json!([{"user": eva, "role": "viewer"}, {"user": nils, "role": "editor"}]);
    house
        .call("share", json!({"survey": open.id, "shares": shares}))
        .unwrap();
    let close = |who: &str| house.mock.call_as(who, "close", json!({"survey": open.id}));
    assert_eq!(code(close(&eva)), "forbidden");
    assert_eq!(code(close(&other)), "not-found");
    for method in ["share", "looks"] {
        let mut params = json!({"survey": open.id});
        if method == "share" {
            params["shares"] = json!([]);
        }
        assert_eq!(code(house.mock.call_as(&nils, method, params)), "forbidden");
    }
    assert_eq!(
        house.mock.call_as(&other, "list", json!({})).unwrap()["items"],
        json!([])
    );
    close(&nils).unwrap();
    let nobody = json!([{"user": "usr_00000000000000000000000000000099", "role": "viewer"}]);
    assert_eq!(
        code(house.call("share", json!({"survey": open.id, "shares": nobody}))),
        "not-found"
    );
}

#[test]
fn every_look_is_noted_with_who_and_at_what() {
    let house = House::new();
    let open = house.asks(definition(
        json!([colour("c"), {"id": "t", "kind": "long_text", "label": {"sv": "x"}}]),
        json!({"group_min": 1, "divide_by": ["c"]}),
    ));
    house.results(&open, json!({"divide_by": "c"}));
    house
        .call("texts", json!({"survey": open.id, "question": "t"}))
        .unwrap();
    house.call("answers", json!({"survey": open.id})).unwrap();
    house
        .call("export", json!({"survey": open.id, "format": "json"}))
        .unwrap();
    // A look that is refused saw nothing.
    assert!(
        house
            .try_results(&house.greta, &open, json!({"divide_by": "t"}))
            .is_err()
    );
    let looks = house.call("looks", json!({"survey": open.id})).unwrap();
    let what: Vec<&Value> = looks["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|look| &look["what"])
        .collect();
    assert_eq!(what, ["export", "answers", "texts", "results"]);
    assert_eq!(looks["items"][3]["questions"], json!(["c"]));
    assert_eq!(looks["items"][0]["user"], house.greta);
}

#[test]
fn a_file_of_single_answers_has_no_formula() {
    let house = House::new();
    let text = json!({"id": "t", "kind": "long_text", "label": {"sv": "x"}});
    let open = house.asks(definition(json!([text]), json!({"group_min": 1})));
    house
        .answers(&open, json!({"t": "=HYPERLINK(\"http://evil\")"}))
        .unwrap();
    house.results(&open, json!({}));
    let file = house
        .call("export", json!({"survey": open.id, "format": "csv"}))
        .unwrap();
    let text = file["text"].as_str().unwrap();
    assert!(
        text.starts_with('\u{feff}') && text.contains("\"'=HYPERLINK(\"\"http://evil\"\")\""),
        "{text}"
    );
}
