//! What must hold for a survey to be published: everything named exists, every path ends, every question can be answered.

use std::collections::BTreeSet;

use super::check_paths::{pages, paths};
use super::check_question::check_question;
use super::fault::{Fault, Faults};
use super::flow::named_by;
use super::piping::is_id;
use super::settings::Linkage;
use super::{Condition, END, Kind, Survey, calculation};

pub(crate) const LANGUAGES_MAX: usize = 10;
pub(crate) const SECTIONS_MAX: usize = 50;
pub(crate) const QUESTIONS_MAX: usize = 200;
pub(crate) const CALCULATIONS_MAX: usize = 30;
pub(crate) const QUOTAS_MAX: usize = 20;
pub(crate) const DIVISIONS_MAX: usize = 3;
/// Groups that results can be divided into: each is a row of sums.
pub(crate) const GROUPS_MAX: usize = 300;
/// What is asked on one page; a page of the host has 200 inputs.
pub(crate) const INPUTS_MAX: usize = 150;
/// What can be chosen on one page.
pub(crate) const CHOICES_MAX: usize = 1_500;

/// All that is wrong with a survey.
pub(crate) fn check(survey: &Survey) -> Vec<Fault> {
    let mut faults = Faults::default();
    whole(survey, &mut faults);
    let ids = ids(survey, &mut faults);
    for question in survey.questions() {
        check_question(question, &survey.languages, &mut faults);
    }
    calculations(survey, &mut faults);
    conditions(survey, &ids, &mut faults);
    settings(survey, &mut faults);
    // The rest walks along what is known to exist.
    if faults.0.is_empty() {
        paths(survey, &mut faults);
        pages(survey, &mut faults);
    }
    faults.0
}

fn whole(survey: &Survey, faults: &mut Faults) {
    faults.unless(
        !survey.title.is_empty(),
        "",
        ["den behöver en rubrik", "it needs a title"],
    );
    let languages: BTreeSet<&String> = survey.languages.iter().collect();
    let fits = !survey.languages.is_empty()
        && survey.languages.len() <= LANGUAGES_MAX
        && languages.len() == survey.languages.len()
        && languages.iter().all(|tag| is_language(tag));
    faults.unless(
        fits,
        "",
        [
            "den behöver 1 till 10 olika språk, till exempel sv och en",
            "it needs 1 to 10 different languages, such as sv and en",
        ],
    );
    for texts in [&survey.title, &survey.intro, &survey.thanks] {
        if let Some(language) = texts.missing(&survey.languages) {
            faults.add(
                "",
                [
                    format!("rubrik, inledning eller tack saknas på {language}"),
                    format!("title, introduction or thanks lack {language}"),
                ],
            );
        }
    }
    let is_short = survey
        .title
        .0
        .values()
        .all(|text| text.chars().count() <= 200);
    faults.unless(
        is_short,
        "",
        [
            "en rubrik har högst 200 tecken",
            "a title has at most 200 characters",
        ],
    );
    for (texts, max) in [(&survey.intro, 4_000), (&survey.thanks, 4_000)] {
        let fits = texts.0.values().all(|text| text.chars().count() <= max);
        faults.unless(
            fits,
            "",
            [
                "inledning och tack har högst 4000 tecken var",
                "introduction and thanks have at most 4000 characters each",
            ],
        );
    }
    faults.unless(
        survey.sections.len() <= SECTIONS_MAX,
        "",
        ["högst 50 avsnitt", "at most 50 sections"],
    );
    let asked = survey
        .questions()
        .filter(|question| question.kind.is_asked())
        .count();
    faults.unless(
        asked > 0,
        "",
        [
            "den frågar inget än: lägg till en fråga",
            "it asks nothing yet: add a question",
        ],
    );
    faults.unless(
        survey.questions().count() <= QUESTIONS_MAX,
        "",
        ["högst 200 frågor", "at most 200 questions"],
    );
    faults.unless(
        survey.calculations.len() <= CALCULATIONS_MAX,
        "",
        ["högst 30 uträkningar", "at most 30 calculations"],
    );
}

fn is_language(tag: &str) -> bool {
    (2..=3).contains(&tag.len()) && tag.bytes().all(|b| b.is_ascii_lowercase())
}

/// Ids of questions and calculations, each once.
fn ids<'a>(survey: &'a Survey, faults: &mut Faults) -> BTreeSet<&'a str> {
    let mut ids = BTreeSet::new();
    let questions = survey.questions().map(|question| &question.id);
    for id in questions.chain(survey.calculations.iter().map(|each| &each.id)) {
        let word = !matches!(id.as_str(), "min" | "max");
        faults.unless(
            is_id(id) && word,
            id,
            ["ett id är en bokstav och sedan bokstäver, siffror eller _, högst 32; inte min eller max", "an id is a letter and then letters, digits or _, at most 32; not min or max"],
        );
        faults.unless(
            ids.insert(id.as_str()),
            id,
            [
                "två frågor eller uträkningar har det här id:t",
                "two questions or calculations have this id",
            ],
        );
    }
    let mut sections = BTreeSet::new();
    for section in &survey.sections {
        let id = section.id.as_str();
        faults.unless(
            is_id(id) && id != END,
            id,
            [
                "ett avsnitts id är en bokstav och sedan bokstäver, siffror eller _; inte end",
                "a section's id is a letter and then letters, digits or _; not end",
            ],
        );
        faults.unless(
            sections.insert(id),
            id,
            ["två avsnitt har det här id:t", "two sections have this id"],
        );
        for texts in [&section.title, &section.text] {
            if let Some(language) = texts.missing(&survey.languages) {
                faults.add(
                    id,
                    [
                        format!("en text i avsnittet saknas på {language}"),
                        format!("a text of the section lacks {language}"),
                    ],
                );
            }
        }
        let fits = section
            .title
            .0
            .values()
            .all(|text| text.chars().count() <= 200)
            && section
                .text
                .0
                .values()
                .all(|text| text.chars().count() <= 4_000);
        faults.unless(
            fits,
            id,
            [
                "ett avsnitts rubrik har högst 200 tecken och dess text 4000",
                "a section's title has at most 200 characters and its text 4000",
            ],
        );
    }
    ids
}

fn calculations(survey: &Survey, faults: &mut Faults) {
    for (at, each) in survey.calculations.iter().enumerate() {
        let formula = match calculation::parse(&each.formula) {
            Ok(formula) => formula,
            Err(why) => {
                faults.add(
                    &each.id,
                    [
                        "dess formel går inte att läsa".to_owned(),
                        format!("its formula cannot be read: {why}"),
                    ],
                );
                continue;
            }
        };
        for id in formula.ids() {
            let is_above = survey
                .calculations
                .iter()
                .take(at)
                .any(|above| above.id == id);
            let is_number = match survey.question(id) {
                Some(question) => {
                    question.kind.is_number()
                        || matches!(question.kind, Kind::YesNo | Kind::Consent)
                        || question.options.iter().any(|option| option.score.is_some())
                }
                None => is_above,
            };
            if !is_number {
                faults.add(&each.id, [
                    format!("dess formel nämner {id}, som inte är ett tal: en fråga som räknas, eller en uträkning ovanför"),
                    format!("its formula names {id}, which is no number: a question that counts, or a calculation above"),
                ]);
            }
        }
    }
}

fn conditions(survey: &Survey, ids: &BTreeSet<&str>, faults: &mut Faults) {
    let mut judge = |at: &str, condition: &Condition| {
        let is_empty =
            condition.any.is_empty() || condition.any.iter().any(|group| group.all.is_empty());
        faults.unless(
            !is_empty,
            at,
            ["dess villkor är tomt", "its condition is empty"],
        );
        for part in condition.any.iter().flat_map(|group| &group.all) {
            if !ids.contains(part.of.as_str()) {
                faults.add(
                    at,
                    [
                        format!("dess villkor nämner {}, som inte finns", part.of),
                        format!("its condition names {}, which is not there", part.of),
                    ],
                );
            }
            if part.is.takes_value() == part.value.is_none() {
                faults.add(
                    at,
                    [
                        format!("dess villkor på {} jämför med ingenting", part.of),
                        format!(
                            "its condition on {} compares with nothing, or needs nothing",
                            part.of
                        ),
                    ],
                );
            }
            if let (Some(question), Some(super::condition::Scalar::Text(wanted))) =
                (survey.question(&part.of), &part.value)
            {
                let is_offered = match question.kind {
                    kind if kind.has_options() => question.option(wanted).is_some(),
                    Kind::YesNo | Kind::Consent => matches!(wanted.as_str(), "yes" | "no"),
                    _ => true,
                };
                if !is_offered {
                    faults.add(at, [
                        format!("dess villkor frågar om {} är {wanted}, som inte går att välja där", part.of),
                        format!("its condition asks whether {} is {wanted}, which cannot be chosen there", part.of),
                    ]);
                }
            }
        }
    };
    for section in &survey.sections {
        if let Some(condition) = &section.show_if {
            judge(&section.id, condition);
        }
        for jump in &section.jumps {
            if let Some(condition) = &jump.condition {
                judge(&section.id, condition);
            }
        }
        for question in &section.questions {
            if let Some(condition) = &question.show_if {
                judge(&question.id, condition);
            }
        }
    }
    let sections: BTreeSet<&str> = survey
        .sections
        .iter()
        .map(|section| section.id.as_str())
        .collect();
    for section in &survey.sections {
        for jump in &section.jumps {
            if jump.to != END && !sections.contains(jump.to.as_str()) {
                faults.add(
                    &section.id,
                    [
                        format!("det hoppar till {}, som inte finns", jump.to),
                        format!("it jumps to {}, which is not there", jump.to),
                    ],
                );
            }
        }
        for question in &section.questions {
            for id in named_by(question) {
                if !ids.contains(id) {
                    faults.add(
                        &question.id,
                        [
                            format!("den talar om {{{id}}}, som inte finns"),
                            format!("it speaks of {{{id}}}, which is not there"),
                        ],
                    );
                }
            }
        }
    }
}

fn settings(survey: &Survey, faults: &mut Faults) {
    if survey.settings.linkage == Linkage::Anonymous {
        for question in survey.questions().filter(|each| each.kind.says_who()) {
            let why = [
                "en adress, ett nummer eller en namnteckning säger vem den hör till: inget anonymt kan fråga efter det",
                "an address, a number or a signature says who it is of: nothing anonymous can ask for it",
            ];
            faults.add(&question.id, why);
        }
    }
    let settings = &survey.settings;
    if let Some(why) = settings.fault() {
        faults.add("", why);
    }
    faults.unless(
        settings.quotas.len() <= QUOTAS_MAX,
        "",
        ["högst 20 kvoter", "at most 20 quotas"],
    );
    faults.unless(
        settings.divide_by.len() <= DIVISIONS_MAX,
        "",
        [
            "resultat delas upp efter högst 3 frågor",
            "results are divided by at most 3 questions",
        ],
    );
    let mut groups = 1_usize;
    for id in &settings.divide_by {
        match survey
            .question(id)
            .filter(|question| question.kind.divides())
        {
            Some(question) => groups = groups.saturating_mul(question.options.len().max(2) + 1),
            None => faults.add(
                id,
                [
                    "resultat delas upp efter frågor med ett val, listor och ja–nej-frågor",
                    "results are divided by single choices, dropdowns and yes-no questions",
                ],
            ),
        }
    }
    faults.unless(
        groups <= GROUPS_MAX,
        "",
        [
            "det som resultat delas upp efter ger fler än 300 grupper",
            "what results are divided by makes more than 300 groups",
        ],
    );
    let tells = survey.questions().find(|question| question.kind.says_who());
    if let Some(question) = tells.filter(|_| settings.group_min > 1) {
        faults.add(&question.id, ["svaret säger vem som gav det, men de som svarar får veta att inget svar visas för sig: ta bort frågan eller låt svar visas ett och ett", "its answer says who gave it, and people would be told that no answer is shown alone: set group_min to 1"]);
    }
    let mut ids = BTreeSet::new();
    for quota in &settings.quotas {
        faults.unless(
            is_id(&quota.id) && ids.insert(&quota.id),
            &quota.id,
            [
                "varje kvot har ett eget id",
                "each quota has an id of its own",
            ],
        );
        let question = survey
            .question(&quota.of)
            .filter(|question| question.kind.divides());
        let is_there = question.is_some_and(|question| match question.kind {
            Kind::YesNo => matches!(quota.option.as_str(), "yes" | "no"),
            _ => question.option(&quota.option).is_some(),
        });
        faults.unless(is_there && quota.max > 0, &quota.id, ["en kvot gäller ett alternativ i en fråga med ett val, en lista eller en ja–nej-fråga, och är minst 1", "a quota is on an option of a single choice, a dropdown or a yes-no question, and at least 1"]);
    }
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
