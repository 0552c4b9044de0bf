//! That every path through a survey ends, that nothing lies beside all paths, and that nothing depends on what comes later.

use std::collections::{BTreeMap, BTreeSet};

use super::check::{CHOICES_MAX, INPUTS_MAX};
use super::fault::Faults;
use super::flow::{named_by, questions_behind, steps};
use super::{Condition, Kind, Survey};

/// Where one may go on after each section; the last is the end.
fn ways(survey: &Survey) -> Vec<BTreeSet<usize>> {
    let place: BTreeMap<&str, usize> = survey
        .sections
        .iter()
        .enumerate()
        .map(|(at, section)| (section.id.as_str(), at))
        .collect();
    let end = survey.sections.len();
    let each = survey.sections.iter().enumerate().map(|(at, section)| {
        let mut to: BTreeSet<usize> = BTreeSet::new();
        let mut always = false;
        for jump in &section.jumps {
            to.insert(place.get(jump.to.as_str()).copied().unwrap_or(end));
            if jump.condition.is_none() {
                always = true;
                break;
            }
        }
        if !always || section.show_if.is_some() {
            to.insert(at + 1);
        }
        to
    });
    each.collect()
}

pub(super) fn paths(survey: &Survey, faults: &mut Faults) {
    let ways = ways(survey);
    let name = |at: usize| {
        survey
            .sections
            .get(at)
            .map_or("", |section| section.id.as_str())
    };
    // What can come after each section, itself excluded where there is no loop.
    let after: Vec<BTreeSet<usize>> = (0..ways.len())
        .map(|from| {
            let mut seen = BTreeSet::new();
            let mut left: Vec<usize> = ways.get(from).into_iter().flatten().copied().collect();
            while let Some(at) = left.pop() {
                if seen.insert(at) {
                    left.extend(ways.get(at).into_iter().flatten());
                }
            }
            seen
        })
        .collect();
    for (at, reached) in after.iter().enumerate() {
        if reached.contains(&at) {
            let section = survey.sections.get(at);
            let last = section
                .and_then(|section| section.questions.last())
                .map_or("", |question| question.id.as_str());
            faults.add(
                name(at),
                [
                    format!("avsnittets hopp leder tillbaka till det, bakom fråga {last}: ingen skulle komma till slutet"),
                    format!("the jumps of this section lead back to it, behind question {last}: nobody would come to the end"),
                ],
            );
        }
        let is_reached = at == 0 || after.first().is_some_and(|reached| reached.contains(&at));
        if !is_reached {
            let section = survey.sections.get(at);
            let first = section
                .and_then(|section| section.questions.first())
                .map_or("", |question| question.id.as_str());
            faults.add(
                name(at),
                [
                    format!("ingen väg leder till det här avsnittet (fråga {first} och nedåt)"),
                    format!("no path leads to this section (question {first} and below)"),
                ],
            );
        }
    }
    if !faults.0.is_empty() {
        return;
    }
    earlier(survey, &after, faults);
}

/// Conditions and texts speak of what was asked before.
fn earlier(survey: &Survey, after: &[BTreeSet<usize>], faults: &mut Faults) {
    let place: BTreeMap<&str, (usize, usize)> = survey
        .sections
        .iter()
        .enumerate()
        .flat_map(|(section, of)| {
            let questions = of.questions.iter().enumerate();
            questions.map(move |(at, question)| (question.id.as_str(), (section, at)))
        })
        .collect();
    let mut judge = |what: &str, ids: Vec<&str>, here: (usize, usize)| {
        let mut behind = BTreeSet::new();
        for id in ids {
            questions_behind(survey, id, &mut behind);
        }
        for id in behind {
            let Some(there) = place.get(id) else { continue };
            let is_before = match there.0 == here.0 {
                true => there.1 < here.1,
                false => after
                    .get(there.0)
                    .is_some_and(|reached| reached.contains(&here.0)),
            };
            if !is_before {
                faults.add(
                    what,
                    [
                        format!("den beror på fråga {id}, som kommer senare eller på en annan väg"),
                        format!(
                            "it depends on question {id}, which is asked later or on another path"
                        ),
                    ],
                );
            }
        }
    };
    for (number, section) in survey.sections.iter().enumerate() {
        let of = |condition: &Option<Condition>| -> Vec<String> {
            condition
                .iter()
                .flat_map(|condition| condition.ids().map(str::to_owned))
                .collect()
        };
        let shown = of(&section.show_if);
        judge(
            &section.id,
            shown.iter().map(String::as_str).collect(),
            (number, 0),
        );
        for jump in &section.jumps {
            let ids = of(&jump.condition);
            judge(
                &section.id,
                ids.iter().map(String::as_str).collect(),
                (number, section.questions.len()),
            );
        }
        for (at, question) in section.questions.iter().enumerate() {
            judge(&question.id, named_by(question), (number, at));
        }
    }
}

pub(super) fn pages(survey: &Survey, faults: &mut Faults) {
    for step in steps(survey) {
        let inputs: usize = step
            .questions
            .iter()
            .map(|question| match question.kind {
                Kind::Matrix => question.rows.len(),
                Kind::Ranking => question.options.len(),
                _ => 1,
            })
            .sum();
        let choices: usize = step
            .questions
            .iter()
            .map(|question| match question.kind {
                Kind::Matrix => question.rows.len() * question.options.len(),
                Kind::Ranking => question.options.len() * question.options.len(),
                _ => question.options.len(),
            })
            .sum();
        let fits = inputs <= INPUTS_MAX && choices <= CHOICES_MAX;
        faults.unless(
            fits,
            &step.of.id,
            [
                "ett avsnitt frågar högst 150 saker med 1500 val: dela upp det",
                "a section asks at most 150 things with 1500 choices: divide it",
            ],
        );
    }
}
