//! What is taken as an answer, kind by kind, and what is refused.

use proptest::prelude::*;
use serde_json::{Map, Value as Json, json};

use super::{part, read, still_fits};
use crate::model::{Kind, Question, Value, samples};

fn sent(json: Json) -> Map<String, Json> {
    json.as_object().unwrap().clone()
}

fn good_and_bad(kind: Kind) -> (Vec<Json>, Vec<Json>) {
    let all = |values: &[&str]| {
        values
            .iter()
            .map(|value| json!({"q": value}))
            .collect::<Vec<_>>()
    };
    match kind {
        Kind::ShortText | Kind::Signature => {
            (all(&["Nils", "<b>"]), vec![json!({"q": "x".repeat(301)})])
        }
        Kind::LongText => (all(&["a\nb"]), vec![json!({"q": "å".repeat(1_000_000)})]),
        Kind::Number => (
            vec![json!({"q": 3}), json!({"q": "3,5"}), json!({"q": "1 000"})],
            all(&["tre", "1e999", "NaN", "inf"]),
        ),
        Kind::Date => (all(&["2026-02-28"]), all(&["2026-02-30", "i går"])),
        Kind::Time => (all(&["23:59"]), all(&["24:00", "nu"])),
        Kind::Email => (
            all(&["a@b.se"]),
            all(&["a@b", "@b.se", "a b@c.se", "a@b..se"]),
        ),
        Kind::Phone => (
            all(&["+46 70-123 45 67"]),
            all(&["1234", "ring mig", "070+1234567"]),
        ),
        Kind::Url => (
            all(&["https://a.se/x"]),
            all(&["javascript:alert(1)", "https://", "a.se"]),
        ),
        Kind::SingleChoice | Kind::Dropdown => (all(&["red"]), all(&["black", "red,blue", "Röd"])),
        Kind::MultipleChoice => (all(&["red", "red,blue"]), all(&["red,black"])),
        Kind::YesNo => (all(&["yes", "no"]), all(&["maybe"])),
        Kind::Consent => (all(&["yes"]), all(&["maybe"])),
        Kind::Scale => (all(&["1", "5"]), all(&["0", "6", "1.5", "x"])),
        Kind::Nps => (all(&["0", "10"]), all(&["-1", "11"])),
        Kind::Matrix => (
            vec![
                json!({"q.food": "red", "q.room": "blue"}),
                json!({"q.food": "red"}),
            ],
            vec![json!({"q.food": "black"})],
        ),
        Kind::Ranking => (
            vec![json!({"q.red": "2", "q.blue": "1", "q.green": "3"})],
            vec![
                json!({"q.red": "1", "q.blue": "1", "q.green": "3"}),
                json!({"q.red": "1"}),
                json!({"q.red": "0", "q.blue": "1", "q.green": "2"}),
            ],
        ),
        Kind::Statement => (vec![], vec![]),
    }
}

fn required(kind: Kind) -> Question {
    Question {
        required: true,
        ..samples::question("q", kind)
    }
}

#[test]
fn every_kind_takes_what_fits_and_refuses_what_does_not_in_both_languages() {
    for kind in Kind::ALL {
        let question = samples::question("q", kind);
        let (good, bad) = good_and_bad(kind);
        for inputs in good {
            let value = read(&question, &sent(inputs.clone()), "sv").unwrap();
            let value = value.unwrap_or_else(|| panic!("{kind:?}: {inputs}"));
            assert!(still_fits(&question, &value), "{kind:?}: {inputs}");
            let stored = serde_json::to_string(&value).unwrap();
            assert!(serde_json::from_str::<Value>(&stored).unwrap() == value);
        }
        for inputs in bad {
            let [sv, en] = ["sv", "en"]
                .map(|language| read(&question, &sent(inputs.clone()), language).unwrap_err());
            assert_ne!(sv.why, en.why, "{kind:?}");
            assert!(
                sv.at == "q" || sv.at.starts_with("q."),
                "{kind:?}: {}",
                sv.at
            );
        }
        // What is left out is no answer, and a mistake where one is required.
        assert!(read(&question, &Map::new(), "sv").unwrap().is_none());
        let asked = read(&required(kind), &Map::new(), "sv");
        assert_eq!(asked.is_err(), kind.is_asked(), "{kind:?}");
    }
}

#[test]
fn what_must_be_agreed_to_is_not_agreed_to_by_saying_no() {
    let refused = read(&required(Kind::Consent), &sent(json!({"q": "no"})), "en").unwrap_err();
    assert!(refused.why.contains("agree"));
}

#[test]
fn limits_of_an_author_hold() {
    let question = Question {
        min: Some(0.0),
        max: Some(10.0),
        ..samples::question("q", Kind::Number)
    };
    let why = |number: Json| {
        read(&question, &sent(json!({"q": number})), "sv")
            .unwrap_err()
            .why
    };
    assert_eq!(
        (why(json!(-1)), why(json!("10,5"))),
        ("Minst 0.".to_owned(), "Högst 10.".to_owned())
    );
    let question = Question {
        choices_min: Some(2),
        choices_max: Some(2),
        ..samples::question("q", Kind::MultipleChoice)
    };
    for chosen in ["red", "red,blue,green"] {
        assert!(
            read(&question, &sent(json!({"q": chosen})), "sv").is_err(),
            "{chosen}"
        );
    }
}

proptest! {
    #[test]
    fn nothing_that_is_sent_makes_reading_panic(
        kind in 0..Kind::ALL.len(),
        names in proptest::collection::vec("q|q\\.food|q\\.red|x", 0..4),
        values in proptest::collection::vec(".{0,40}|-?[0-9]{1,30}|red|yes|(red,){1,40}", 4),
    ) {
        let question = samples::question("q", Kind::ALL[kind]);
        let inputs: Map<String, Json> = names.into_iter().zip(values.into_iter().map(Json::from)).collect();
        if let Ok(Some(value)) = read(&question, &inputs, "sv") {
            prop_assert!(still_fits(&question, &value));
            prop_assert!(!value.words(&question, "sv").is_empty());
        }
    }
}

#[test]
fn the_inputs_of_a_matrix_have_names_of_their_own() {
    assert_eq!(
        part(&samples::question("q", Kind::Matrix), "food"),
        "q.food"
    );
}
