//! What cannot be published and why; and what can, always comes to its end.

use proptest::prelude::*;
use serde_json::json;

use super::check;
use crate::model::flow::{asked, on_the_way, steps, way};
use crate::model::samples::{condition, of, of_sections, question, section, texts};
use crate::model::{Answers, Calculation, Jump, Kind, Survey, Value};

/// What is said of a survey that has this one thing wrong.
fn refused(change: impl FnOnce(&mut Survey)) -> (String, String) {
    let mut survey = of_sections(vec![
        section(
            "first",
            vec![question("a", Kind::YesNo), question("b", Kind::Number)],
        ),
        section("second", vec![question("c", Kind::SingleChoice)]),
        section("third", vec![question("d", Kind::LongText)]),
    ]);
    assert_eq!(check(&survey), vec![]);
    change(&mut survey);
    let faults = check(&survey);
    let first = faults.first().expect("something is wrong").clone();
    (first.at, first.why.en)
}

fn jump(to: &str) -> Jump {
    Jump {
        condition: Some(condition("a", "equals", json!("yes"))),
        to: to.to_owned(),
    }
}

#[test]
fn a_loop_is_refused_and_names_its_section_and_question() {
    let (at, why) = refused(|survey| {
        let back = Jump {
            condition: Some(condition("c", "equals", json!("red"))),
            to: "first".to_owned(),
        };
        survey.sections[1].jumps = vec![back];
    });
    assert_eq!(at, "first");
    assert!(
        why.contains("lead back") && why.contains("question b"),
        "{why}"
    );
    let (at, _) = refused(|survey| {
        survey.sections[2].jumps = vec![Jump {
            condition: None,
            to: "third".to_owned(),
        }]
    });
    assert_eq!(at, "third");
}

#[test]
fn a_dead_end_is_refused_and_names_what_nobody_would_see() {
    let (at, why) = refused(|survey| {
        survey.sections[0].jumps = vec![Jump {
            condition: None,
            to: "third".to_owned(),
        }]
    });
    assert_eq!(at, "second");
    assert!(why.contains("question c"), "{why}");
    let (at, why) = refused(|survey| survey.sections[0].jumps = vec![jump("nowhere")]);
    assert!(at == "first" && why.contains("nowhere"), "{why}");
}

#[test]
fn what_cannot_be_answered_or_understood_is_refused_where_it_stands() {
    type Change = fn(&mut Survey);
    let table: &[(&str, &str, Change)] = &[
        ("c", "2 options", |s| {
            s.sections[1].questions[0].options.truncate(1)
        }),
        ("b", "min and max", |s| {
            s.sections[0].questions[1].min = Some(2.0);
            s.sections[0].questions[1].max = Some(1.0);
        }),
        ("d", "later", |s| {
            s.sections[0].questions[1].show_if = Some(condition("d", "answered", json!(null)))
        }),
        ("b", "later", |s| {
            s.sections[0].questions[1].show_if = Some(condition("c", "equals", json!("red")))
        }),
        ("b", "not there", |s| {
            s.sections[0].questions[1].show_if = Some(condition("zz", "equals", json!(1)))
        }),
        ("b", "cannot be chosen", |s| {
            s.sections[1].questions[0].show_if = Some(condition("a", "equals", json!("maybe")))
        }),
        ("d", "not there", |s| {
            s.sections[2].questions[0].label = texts("Hej {zz}")
        }),
        ("b", "later", |s| {
            s.sections[0].questions[1].label = texts("Hej {d}")
        }),
        ("a", "two", |s| {
            s.sections[2].questions[0].id = "a".to_owned()
        }),
        ("first", "two sections", |s| {
            s.sections[1].id = "first".to_owned()
        }),
        ("", "title", |s| s.title = texts(" ")),
        ("a", "lacks en", |s| {
            s.languages.push("en".to_owned());
            s.title.0.insert("en".to_owned(), "x".to_owned());
        }),
        ("sum", "cannot be read", |s| {
            s.calculations.push(Calculation {
                id: "sum".to_owned(),
                label: texts("x"),
                formula: "a +".to_owned(),
            })
        }),
        ("sum", "no number", |s| {
            s.calculations.push(Calculation {
                id: "sum".to_owned(),
                label: texts("x"),
                formula: "d".to_owned(),
            })
        }),
        ("sum", "no number", |s| {
            s.calculations.push(Calculation {
                id: "sum".to_owned(),
                label: texts("x"),
                formula: "sum + 1".to_owned(),
            })
        }),
        ("b", "divided", |s| {
            s.settings.divide_by = vec!["b".to_owned()]
        }),
        ("", "unlinked", |s| {
            s.settings.step_up = vec!["pin".to_owned()]
        }),
        ("full", "quota", |s| {
            s.settings.quotas = serde_json::from_value(
                json!([{"id": "full", "of": "c", "option": "black", "max": 1}]),
            )
            .unwrap()
        }),
        ("", "asks nothing", |s| {
            s.sections
                .iter_mut()
                .for_each(|section| section.questions.clear())
        }),
    ];
    for (number, (at, part, change)) in table.iter().enumerate() {
        let (found, why) = refused(change);
        assert!(why.contains(part), "{number}: {found}: {why}");
        assert!(
            found == *at || number == 2 || number == 5,
            "{number}: {found} instead of {at}: {why}"
        );
    }
}

#[test]
fn a_question_that_depends_on_the_one_above_comes_on_the_next_page() {
    let mut survey = of(vec![
        question("a", Kind::YesNo),
        question("b", Kind::ShortText),
        question("c", Kind::ShortText),
    ]);
    survey.sections[0].questions[2].label = texts("Hej {b}");
    survey.sections[0].questions[1].show_if = Some(condition("a", "equals", json!("yes")));
    assert_eq!(check(&survey), vec![]);
    let steps = steps(&survey);
    assert_eq!(steps.len(), 3);
    let no = Answers::from([("a".to_owned(), Value::Choice("no".to_owned()))]);
    assert_eq!(way(&survey, &steps, &no), [0, 2]);
    // What was answered before it was passed over does not count.
    let mut both = no.clone();
    both.insert("b".to_owned(), Value::Text("x".to_owned()));
    assert!(on_the_way(&survey, &both) == no);
}

/// Any survey of a few sections with jumps anywhere.
fn any_survey() -> impl Strategy<Value = Survey> {
    let jumps = proptest::collection::vec((0..7_usize, 0..7_usize, any::<bool>()), 0..5);
    (
        1..6_usize,
        jumps,
        proptest::collection::vec((0..6_usize, 0..6_usize), 0..4),
    )
        .prop_map(|(count, jumps, conditions)| {
            let sections = (0..count).map(|number| {
                section(
                    &format!("s{number}"),
                    vec![question(&format!("q{number}"), Kind::YesNo)],
                )
            });
            let mut survey = of_sections(sections.collect());
            for (from, to, always) in jumps {
                let to = if to >= count {
                    "end".to_owned()
                } else {
                    format!("s{to}")
                };
                let from = from % count;
                let condition =
                    (!always).then(|| condition(&format!("q{from}"), "equals", json!("yes")));
                survey.sections[from].jumps.push(Jump { condition, to });
            }
            for (section, of) in conditions {
                survey.sections[section % count].show_if = Some(condition(
                    &format!("q{}", of % count),
                    "equals",
                    json!("yes"),
                ));
            }
            survey
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn every_path_through_what_can_be_published_ends(survey in any_survey(), chosen in proptest::collection::vec(any::<bool>(), 6)) {
        if check(&survey).is_empty() {
            let answers: Answers = chosen.iter().enumerate()
                .map(|(number, yes)| (format!("q{number}"), Value::Choice(if *yes { "yes" } else { "no" }.to_owned())))
                .collect();
            let steps = steps(&survey);
            let way = way(&survey, &steps, &answers);
            let mut pages = way.clone();
            pages.sort_unstable();
            pages.dedup();
            prop_assert_eq!(pages.len(), way.len(), "no page comes twice");
            // What is kept is what is asked on the way, and asking for it again changes nothing.
            let kept = on_the_way(&survey, &answers);
            prop_assert!(on_the_way(&survey, &kept) == kept);
            for id in kept.keys() {
                prop_assert!(way.iter().any(|at| asked(&survey, &steps[*at], &answers).iter().any(|question| question.id == *id)));
            }
        }
    }
}
