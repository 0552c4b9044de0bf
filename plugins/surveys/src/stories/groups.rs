//! No result speaks of fewer people than was promised: not by filters, not over time, not in a file.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{House, Open, code, colour, count, definition};

fn asks(house: &House, group_min: u32) -> Open {
    let unit = json!({"id": "unit", "kind": "single_choice", "label": {"sv": "Enhet?"}, "options": [
        {"id": "ward", "label": {"sv": "Vård"}}, {"id": "lab", "label": {"sv": "Labb"}}, {"id": "desk", "label": {"sv": "Kassa"}}]});
    let shift = json!({"id": "night", "kind": "yes_no", "label": {"sv": "Natt?"}});
    let mood =
        json!({"id": "mood", "kind": "scale", "min": 1, "max": 5, "label": {"sv": "Hur är det?"}});
    let text = json!({"id": "why", "kind": "long_text", "label": {"sv": "Varför?"}});
    house.asks(definition(
        json!([unit, shift, colour("c"), mood, text]),
        json!({"group_min": group_min, "divide_by": ["unit", "night"]}),
    ))
}

/// Everything that a viewer can ask for: all, each filter, each pair of filters, each division.
fn everything(house: &House, open: &Open) -> Vec<Value> {
    let filters = [
        ("unit", "ward"),
        ("unit", "lab"),
        ("unit", "desk"),
        ("unit", "-"),
        ("night", "yes"),
        ("night", "no"),
        ("night", "-"),
    ];
    let one = |(question, option): (&str, &str)| json!({"question": question, "option": option});
    let mut asked = vec![
        json!({}),
        json!({"divide_by": "unit"}),
        json!({"divide_by": "night"}),
    ];
    for first in filters {
        asked.push(json!({"only": [one(first)]}));
        asked.push(json!({"only": [one(first)], "divide_by": "unit"}));
    }
    for unit in &filters[..4] {
        for night in &filters[4..] {
            asked.push(json!({"only": [one(*unit), one(*night)]}));
        }
    }
    asked
        .into_iter()
        .map(|more| house.results(open, more))
        .collect()
}

/// All numbers of people that a look shows: of groups, of questions, and of those who answered them.
fn sizes(results: &Value) -> Vec<u64> {
    let groups = results["groups"].as_array().unwrap().iter();
    groups
        .flat_map(|group| {
            let questions = group["questions"]
                .as_array()
                .unwrap()
                .iter()
                .map(|question| question["answered"].as_u64().unwrap());
            questions
                .chain([group["answers"].as_u64().unwrap()])
                .collect::<Vec<_>>()
        })
        .collect()
}

#[derive(Clone, Debug)]
struct Person {
    unit: usize,
    night: usize,
    mood: usize,
    writes: bool,
}

fn people() -> impl Strategy<Value = Vec<Person>> {
    let one = (0..4_usize, 0..3_usize, 0..6_usize, any::<bool>());
    proptest::collection::vec(
        one.prop_map(|(unit, night, mood, writes)| Person {
            unit,
            night,
            mood,
            writes,
        }),
        1..30,
    )
}

fn inputs(person: &Person) -> Value {
    let mut inputs = json!({"c": "red"});
    if let Some(unit) = ["ward", "lab", "desk"].get(person.unit) {
        inputs["unit"] = json!(unit);
    }
    if let Some(night) = ["yes", "no"].get(person.night) {
        inputs["night"] = json!(night);
    }
    if person.mood > 0 {
        inputs["mood"] = json!(person.mood);
    }
    if person.writes {
        inputs["why"] = json!("så är det");
    }
    inputs
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    /// The attack: somebody asks for everything after every answer, and takes each look from each other look.
    #[test]
    fn no_difference_between_any_two_looks_speaks_of_fewer_than_the_group(people in people(), group_min in 2..6_u32) {
        let house = House::new();
        let open = asks(&house, group_min);
        let least = u64::from(group_min);
        let mut former: BTreeMap<usize, Vec<u64>> = BTreeMap::new();
        for person in &people {
            house.answers(&open, inputs(person)).unwrap();
            let looks = everything(&house, &open);
            // Between filters at one time.
            let whole: u64 = looks[0]["groups"][0]["answers"].as_u64().unwrap();
            for look in &looks {
                for size in sizes(look) {
                    prop_assert!(size == 0 || size >= least, "{size} people: {look}");
                }
                let together: u64 = look["groups"].as_array().unwrap().iter().map(|group| group["answers"].as_u64().unwrap()).sum();
                let rest = whole - together;
                prop_assert!(rest == 0 || rest >= least, "{rest} people are left over: {look}");
            }
            // Between one time and the next.
            for (number, look) in looks.iter().enumerate().filter(|(_, look)| look["groups"].as_array().unwrap().len() == 1) {
                let now = sizes(look);
                if let Some(before) = former.get(&number) {
                    for (now, before) in now.iter().zip(before) {
                        prop_assert!(now == before || now - before >= least, "{before} became {now}");
                    }
                }
                former.insert(number, now);
            }
        }
        // Behind the end the rest is shown if it is enough together, and nothing is counted twice.
        house.call("close", json!({"survey": open.id})).unwrap();
        house.job("end", &open.id);
        let results = house.results(&open, json!({}));
        let shown = results["groups"][0]["answers"].as_u64().unwrap();
        let waiting = results["waiting"].as_u64().unwrap();
        prop_assert_eq!(shown + waiting, people.len() as u64);
        prop_assert!(waiting < least);
    }
}

#[test]
fn results_move_in_steps_of_the_group() {
    let house = House::new();
    let open = house.asks(definition(json!([colour("c")]), json!({"group_min": 3})));
    let mut seen = Vec::new();
    for _ in 0..7 {
        house.answers(&open, json!({"c": "red"})).unwrap();
        seen.push(count(&house.results(&open, json!({})), "c", "red"));
    }
    assert_eq!(seen, [0, 0, 3, 3, 3, 6, 6]);
    assert_eq!(house.results(&open, json!({}))["waiting"], 1);
}

#[test]
fn a_question_that_few_answered_waits_for_more_although_its_group_is_shown() {
    let house = House::new();
    let open = asks(&house, 3);
    let mut moods = Vec::new();
    for number in 0..9 {
        let mood = if number % 3 == 0 { 5 } else { 0 };
        house
            .answers(
                &open,
                inputs(&Person {
                    unit: 0,
                    night: 0,
                    mood,
                    writes: number == 0,
                }),
            )
            .unwrap();
        let results = house.results(&open, json!({}));
        moods.push(count(&results, "mood", "5"));
        let texts = house
            .call("texts", json!({"survey": open.id, "question": "why"}))
            .unwrap();
        assert_eq!(texts["items"], json!([]), "one text alone is not shown");
    }
    assert_eq!(moods, [0, 0, 0, 0, 0, 0, 0, 0, 3]);
}

#[test]
fn single_answers_are_shown_to_nobody_and_a_file_has_sums() {
    let house = House::new();
    let open = asks(&house, 3);
    for _ in 0..3 {
        house
            .answers(
                &open,
                inputs(&Person {
                    unit: 0,
                    night: 0,
                    mood: 2,
                    writes: true,
                }),
            )
            .unwrap();
    }
    house.results(&open, json!({}));
    assert_eq!(
        code(house.call("answers", json!({"survey": open.id}))),
        "forbidden"
    );
    for (format, part) in [
        ("csv", "\"mood\",\"3\",\"2\",\"3\""),
        ("json", "\"mean\":2.0"),
    ] {
        let file = house
            .call("export", json!({"survey": open.id, "format": format}))
            .unwrap();
        let text = file["text"].as_str().unwrap();
        assert!(text.contains(part) && !text.contains("så är det"), "{text}");
    }
    let texts = house
        .call("texts", json!({"survey": open.id, "question": "why"}))
        .unwrap();
    assert_eq!(texts["items"].as_array().unwrap().len(), 3);
}

#[test]
fn a_thousand_answers_are_released_in_steps_of_a_call() {
    let house = House::new();
    let open = asks(&house, 5);
    for number in 0..1_000 {
        house
            .answers(
                &open,
                inputs(&Person {
                    unit: number % 3,
                    night: number % 2,
                    mood: 1 + number % 5,
                    writes: false,
                }),
            )
            .unwrap();
    }
    house.job("release", "");
    let results = house.results(&open, json!({}));
    assert!(
        results["waiting"].as_u64().unwrap() < 30,
        "{}",
        results["waiting"]
    );
    assert_eq!(
        results["groups"][0]["questions"][3]["mean"]
            .as_f64()
            .unwrap()
            .round(),
        3.0
    );
}
