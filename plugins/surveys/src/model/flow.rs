//! The way through a survey: pages that follow each other, made of sections, jumps and what was answered.

use std::collections::BTreeSet;

use super::piping;
use super::{Answers, END, Question, Section, Survey};

/// What is asked on one page: a section, or a part of it where a question depends on one above it.
#[derive(Debug)]
pub(crate) struct Step<'a> {
    /// The number of its section.
    pub(crate) section: usize,
    pub(crate) of: &'a Section,
    pub(crate) questions: Vec<&'a Question>,
    /// Whether the section begins here.
    pub(crate) begins: bool,
    /// Whether the section ends here, so that its jumps count.
    pub(crate) ends: bool,
}

/// All pages that there may be, in the order in which they stand.
pub(crate) fn steps(survey: &Survey) -> Vec<Step<'_>> {
    let mut steps = Vec::new();
    for (number, section) in survey.sections.iter().enumerate() {
        let mut parts: Vec<Vec<&Question>> = vec![Vec::new()];
        for question in &section.questions {
            let needs = depends_on(survey, question);
            let here = parts.last();
            let waits =
                here.is_some_and(|here| here.iter().any(|above| needs.contains(above.id.as_str())));
            if waits {
                parts.push(Vec::new());
            }
            if let Some(here) = parts.last_mut() {
                here.push(question);
            }
        }
        let count = parts.len();
        steps.extend(parts.into_iter().enumerate().map(|(part, questions)| Step {
            section: number,
            of: section,
            questions,
            begins: part == 0,
            ends: part + 1 == count,
        }));
    }
    steps
}

/// The questions whose answers change whether or how this one is asked.
fn depends_on<'a>(survey: &'a Survey, question: &'a Question) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    for id in named_by(question) {
        questions_behind(survey, id, &mut found);
    }
    found
}

/// The ids that a question's condition and texts speak of.
pub(crate) fn named_by(question: &Question) -> Vec<&str> {
    let mut ids: Vec<&str> = question
        .show_if
        .iter()
        .flat_map(super::Condition::ids)
        .collect();
    for texts in [&question.label, &question.hint] {
        ids.extend(texts.0.values().flat_map(|text| piping::ids(text)));
    }
    ids
}

/// The questions that an id stands for: itself, or those that a calculation is made of.
pub(crate) fn questions_behind<'a>(survey: &'a Survey, id: &'a str, found: &mut BTreeSet<&'a str>) {
    let Some(at) = survey.calculations.iter().position(|each| each.id == id) else {
        found.insert(id);
        return;
    };
    // A calculation speaks of those above it only, so this ends.
    let mut left = vec![(at, id)];
    let mut seen = BTreeSet::new();
    while let Some((_, id)) = left.pop() {
        if !seen.insert(id) {
            continue;
        }
        let Some(calculation) = survey.calculations.iter().find(|each| each.id == id) else {
            found.insert(id);
            continue;
        };
        for word in calculation
            .formula
            .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        {
            if survey.question(word).is_some() {
                found.insert(word);
            } else if let Some(at) = survey.calculations.iter().position(|each| each.id == word) {
                left.push((at, word));
            }
        }
    }
}

/// The questions of a page that are asked, after these answers.
pub(crate) fn asked<'a>(survey: &Survey, step: &Step<'a>, answers: &Answers) -> Vec<&'a Question> {
    let questions = step.questions.iter().copied();
    questions
        .filter(|question| {
            let condition = question.show_if.as_ref();
            condition.is_none_or(|condition| condition.holds(survey, answers))
        })
        .collect()
}

/// The pages that are shown after these answers, in the order in which they come.
pub(crate) fn way(survey: &Survey, steps: &[Step<'_>], answers: &Answers) -> Vec<usize> {
    let mut way = Vec::new();
    let mut at = 0;
    // Publishing refuses loops; a survey that came otherwise ends here all the same.
    for _ in 0..=steps.len() {
        let Some(step) = steps.get(at) else {
            break;
        };
        let condition = step.of.show_if.as_ref();
        if condition.is_some_and(|condition| !condition.holds(survey, answers)) {
            at = below(steps, at);
            continue;
        }
        let says = step.begins && !(step.of.text.is_empty() && step.of.title.is_empty());
        if !asked(survey, step, answers).is_empty() || (says && step.questions.is_empty()) {
            way.push(at);
        }
        at = if step.ends {
            after(survey, steps, at, answers)
        } else {
            at + 1
        };
    }
    way
}

/// The first page of the section below.
fn below(steps: &[Step<'_>], at: usize) -> usize {
    let section = steps.get(at).map_or(0, |step| step.section);
    let later = steps.iter().position(|step| step.section > section);
    later.unwrap_or(steps.len())
}

fn after(survey: &Survey, steps: &[Step<'_>], at: usize, answers: &Answers) -> usize {
    let Some(step) = steps.get(at) else {
        return steps.len();
    };
    let jump = step.of.jumps.iter().find(|jump| {
        let condition = jump.condition.as_ref();
        condition.is_none_or(|condition| condition.holds(survey, answers))
    });
    match jump {
        None => below(steps, at),
        Some(jump) if jump.to == END => steps.len(),
        Some(jump) => steps
            .iter()
            .position(|step| step.of.id == jump.to)
            .unwrap_or(steps.len()),
    }
}

/// The answers that lie on the way: what was answered on pages that are not shown any more does not count.
pub(crate) fn on_the_way(survey: &Survey, answers: &Answers) -> Answers {
    let steps = steps(survey);
    let mut kept = answers.clone();
    // Taking an answer away may close a page that it had opened; each round takes one away at least.
    for _ in 0..=answers.len() {
        let way = way(survey, &steps, &kept);
        let shown: BTreeSet<&str> = way
            .iter()
            .filter_map(|at| steps.get(*at))
            .flat_map(|step| asked(survey, step, &kept))
            .map(|question| question.id.as_str())
            .collect();
        let before = kept.len();
        kept.retain(|id, _| shown.contains(id.as_str()));
        if kept.len() == before {
            break;
        }
    }
    kept
}
