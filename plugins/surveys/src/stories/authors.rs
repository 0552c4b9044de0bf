//! What helps those who ask: trying a draft, choosing its address, bringing answers along, and results that move.

use serde_json::{Value, json};
use vaxel_plugin::identity::Caller;
use vaxel_plugin::pages::{Request, Sent};

use super::{House, code, colour, count, definition};

impl House {
    /// Tries a draft, as greta.
    fn preview(&self, path: &str, sent: Option<(&str, Value)>) -> vaxel_plugin::Result<Value> {
        let caller = Caller {
            user: Some(self.greta.clone()),
            locale: "sv".to_owned(),
            ..Caller::default()
        };
        // Any call says who calls; this one is refused.
        let _ = self.mock.call_by(caller, "nothing", json!({}));
        let request = Request {
            path: path.to_owned(),
            query: Vec::new(),
            sent: sent.map(|(action, inputs)| Sent {
                action: action.to_owned(),
                inputs: inputs.as_object().unwrap().clone(),
            }),
        };
        self.mock.run(|| crate::answering::show("preview", request))
    }

    /// How often results were said to have moved, since this was asked last.
    fn told(&self) -> usize {
        let told = self.mock.told();
        told.iter()
            .filter(|told| told.topic == "surveys.results.changed")
            .count()
    }
}

#[test]
fn a_draft_is_gone_through_as_it_will_be_met_and_nothing_is_taken() {
    let house = House::new();
    let questions = json!([
        colour("c"),
        {"id": "why", "kind": "short_text", "label": {"sv": "Varför {c}?"}},
    ]);
    let draft = definition(questions, json!({"group_min": 1}));
    let made = house.call("create", json!({"definition": draft})).unwrap();
    let id = made["id"].as_str().unwrap();
    let first = house.preview(id, None).unwrap().to_string();
    assert!(
        first.contains("Förhandsgranskning") && first.contains("Färg?"),
        "{first}"
    );
    let next = house
        .preview(id, Some(("next.0.0", json!({"c": "red"}))))
        .unwrap();
    let next = next["next"].as_str().unwrap();
    assert!(next.starts_with(&format!("{id}/r/")), "{next}");
    let second = house.preview(next, None).unwrap().to_string();
    assert!(second.contains("Varför Röd?"), "{second}");
    let end = house
        .preview(next, Some(("send.0.1", json!({"why": "den är varm"}))))
        .unwrap();
    assert_eq!(end["next"], format!("{id}/thanks"));
    assert!(
        house
            .preview(&format!("{id}/thanks"), None)
            .unwrap()
            .to_string()
            .contains("Förhandsgranskning")
    );
    let full = house.call("get", json!({"survey": id})).unwrap();
    assert_eq!(full["summary"]["answers"], 0);
    // Nobody else has part in it.
    let stranger = house.mock.person("Sven");
    let caller = Caller {
        user: Some(stranger),
        ..Caller::default()
    };
    let _ = house.mock.call_by(caller, "nothing", json!({}));
    let request = Request {
        path: id.to_owned(),
        query: Vec::new(),
        sent: None,
    };
    let refused = house
        .mock
        .run(|| crate::answering::show("preview", request));
    assert_eq!(code(refused), "not-found");
}

#[test]
fn answers_from_elsewhere_are_judged_taken_whole_or_not_at_all_and_told_apart() {
    let house = House::new();
    let mut required = colour("c");
    required["required"] = json!(true);
    let open = house.asks(definition(json!([required]), json!({"group_min": 3})));
    let import =
        |answers: Value| house.call("import", json!({"survey": open.id, "answers": answers}));
    let red = json!({"inputs": {"c": "red"}});
    for bad in [
        json!([red, {"inputs": {"c": "black"}}]),
        json!([red, {"inputs": {}}]),
        json!([{"day": "2999-01-01", "inputs": {"c": "red"}}]),
        json!([{"day": "yesterday", "inputs": {"c": "red"}}]),
    ] {
        assert_eq!(code(import(bad)), "invalid");
    }
    assert_eq!(code(import(json!([]))), "limit");
    assert_eq!(house.results(&open, json!({}))["came"], 0);
    assert_eq!(import(json!([red, red])).unwrap()["taken"], 2);
    house.answers(&open, json!({"c": "blue"})).unwrap();
    let results = house.results(&open, json!({}));
    assert_eq!(
        (&results["came"], &results["imported"]),
        (&json!(3), &json!(2))
    );
    assert_eq!(count(&results, "c", "red"), 2);
    let looks = house.call("looks", json!({"survey": open.id})).unwrap();
    assert!(looks.to_string().contains("import"), "{looks}");

    let known = house.asks(definition(
        json!([colour("c")]),
        json!({"access": "members", "linkage": "confidential"}),
    ));
    let refused = house.call("import", json!({"survey": known.id, "answers": [red]}));
    assert_eq!(code(refused), "invalid");
}

#[test]
fn whoever_looks_at_results_is_told_when_they_move_and_not_of_single_answers() {
    let house = House::new();
    let open = house.asks(definition(json!([colour("c")]), json!({"group_min": 2})));
    house.results(&open, json!({}));
    let audience = format!("r/{}", open.id);
    assert_eq!(
        house.mock.audience(&audience),
        std::slice::from_ref(&house.greta)
    );
    house.told();
    house.answers(&open, json!({"c": "red"})).unwrap();
    house.job("release", "");
    assert_eq!(house.told(), 0, "one alone moves nothing");
    house.answers(&open, json!({"c": "red"})).unwrap();
    assert_eq!(house.told(), 0, "when somebody answers is told to nobody");
    house.job("release", "");
    assert_eq!(house.told(), 1);

    let single = house.asks(definition(json!([colour("c")]), json!({"group_min": 1})));
    house.answers(&single, json!({"c": "red"})).unwrap();
    assert_eq!(
        house.told(),
        1,
        "who shows single answers shows them at once"
    );
}

#[test]
fn an_address_can_be_chosen_and_is_one_surveys_alone() {
    let house = House::new();
    let create = |slug: &str| house.call("create", json!({"title": "Fika", "slug": slug}));
    assert_eq!(create("fika-2026").unwrap()["slug"], "fika-2026");
    assert_eq!(code(create("fika-2026")), "invalid");
    for bad in ["fi", "-fika", "Fika", "fika/2", &"f".repeat(41)] {
        assert!(create(bad).is_err(), "{bad}");
    }
}

#[test]
fn what_is_wrong_is_said_in_the_language_of_whoever_asks() {
    let house = House::new();
    let made = house.call("create", json!({"title": "Fika"})).unwrap();
    for (locale, said) in [("sv", "lägg till en fråga"), ("en", "add a question")] {
        let caller = Caller {
            user: Some(house.greta.clone()),
            locale: locale.to_owned(),
            ..Caller::default()
        };
        let full = house
            .mock
            .call_by(caller, "get", json!({"survey": made["id"]}))
            .unwrap();
        assert!(full["faults"].to_string().contains(said), "{full}");
    }
}
