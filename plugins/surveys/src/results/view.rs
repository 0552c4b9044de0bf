//! A look at results: sums of whole groups, for the questions that the caller may see.

use std::collections::BTreeMap;

use vaxel_plugin::storage::Order;
use vaxel_plugin::{identity, storage};

use super::api::{Chosen, Count, GroupResults, QuestionResults, Results, ResultsParams};
use super::release;
use super::sums::{Sum, Sums};
use super::{live, looks};
use crate::authority::{SENSITIVE, Standing, standing};
use crate::error::{Result, SurveyError};
use crate::model::{Kind, Question, Survey, Texts};
use crate::store::rows::SurveyRow;
use crate::store::{self, keys};

/// A survey whose results somebody looks at.
pub(crate) struct Looked {
    pub(crate) row: SurveyRow,
    pub(crate) survey: Survey,
    pub(crate) group_min: u32,
    standing: Standing,
    may_sensitive: bool,
}

pub(crate) fn looked(id: &str) -> Result<Looked> {
    let row = store::survey(id)?;
    let standing = standing(&row)?;
    let (Some(settings), true) = (&row.settings, row.version > 0) else {
        return Err(SurveyError::Invalid("it was never published"));
    };
    let group_min = settings.group_min;
    Ok(Looked {
        survey: store::version(id, row.version)?,
        row,
        group_min,
        standing,
        may_sensitive: identity::has_permission(SENSITIVE),
    })
}

impl Looked {
    pub(crate) fn sees(&self, question: &Question) -> bool {
        self.standing.sees(question, self.may_sensitive)
    }

    /// Whether the caller sees all that a calculation is made of.
    pub(crate) fn sees_calculation(&self, id: &str) -> bool {
        let mut behind = std::collections::BTreeSet::new();
        crate::model::flow::questions_behind(&self.survey, id, &mut behind);
        behind.iter().all(|id| {
            self.survey
                .question(id)
                .is_none_or(|question| self.sees(question))
        })
    }

    /// A question that results may be divided by, for the caller.
    pub(crate) fn divides(&self, id: &str) -> Result<usize> {
        let question = self
            .survey
            .question(id)
            .filter(|question| self.sees(question));
        let place = self
            .survey
            .settings
            .divide_by
            .iter()
            .position(|each| each == id);
        match (question, place) {
            (Some(_), Some(place)) => Ok(place),
            _ => Err(SurveyError::Invalid(
                "results are divided and filtered by the survey's divide_by alone",
            )),
        }
    }
}

/// The sums of all groups.
pub(crate) fn all_sums(id: &str) -> Result<Vec<Sums>> {
    let mut all = Vec::new();
    let mut after: Option<Vec<u8>> = None;
    loop {
        let page =
            storage::scan_json::<Sums>(keys::sums(id), after.as_deref(), 400, Order::Ascending)?;
        all.extend(page.entries.into_iter().map(|(_, sums)| sums));
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(all),
        }
    }
}

pub(crate) fn results(params: ResultsParams) -> Result<Results> {
    let looked = looked(&params.survey)?;
    let filters = params
        .only
        .iter()
        .map(|Chosen { question, option }| Ok((looked.divides(question)?, option.as_str())));
    let filters: Vec<(usize, &str)> = filters.collect::<Result<_>>()?;
    let divided = params
        .divide_by
        .as_deref()
        .map(|id| looked.divides(id))
        .transpose()?;
    if params.refresh {
        release::step(&params.survey, &looked.row)?;
    }
    let mut by = params
        .only
        .iter()
        .map(|chosen| chosen.question.clone())
        .collect::<Vec<_>>();
    by.extend(params.divide_by.clone());
    looks::note(&params.survey, "results", by)?;
    live::follow(&params.survey, &identity::user()?)?;
    let all = all_sums(&params.survey)?;
    let released: u64 = all.iter().map(|sums| sums.answers).sum();
    let came = u64::try_from(storage::counter(keys::count(&params.survey))?).unwrap_or(0);
    let mut groups: BTreeMap<Option<String>, Vec<&Sums>> = BTreeMap::new();
    if divided.is_none() {
        groups.insert(None, Vec::new());
    }
    for sums in &all {
        let is_chosen = filters
            .iter()
            .all(|(place, option)| answered(sums, *place) == Some(option));
        let option = divided.map(|place| answered(sums, place));
        match option {
            _ if !is_chosen => {}
            None => groups.entry(None).or_default().push(sums),
            // Of several groups: it belongs to none of them.
            Some(None) => {}
            Some(Some(option)) => groups
                .entry(Some(option.to_owned()))
                .or_default()
                .push(sums),
        }
    }
    let groups = groups.into_iter().map(|(option, sums)| GroupResults {
        option,
        answers: sums.iter().map(|sums| sums.answers).sum(),
        questions: questions(&looked, &sums),
    });
    Ok(Results {
        came,
        waiting: came.saturating_sub(released),
        imported: u64::try_from(storage::counter(keys::imported(&params.survey))?).unwrap_or(0),
        group_min: looked.group_min,
        groups: groups.collect(),
        divide_by: looked.survey.settings.divide_by.clone(),
    })
}

fn answered(sums: &Sums, place: usize) -> Option<&str> {
    sums.group.as_ref()?.get(place).map(String::as_str)
}

pub(crate) fn questions(looked: &Looked, groups: &[&Sums]) -> Vec<QuestionResults> {
    let survey = &looked.survey;
    let together = |id: &str| {
        let mut sum = Sum::default();
        for kept in groups.iter().filter_map(|sums| sums.of.get(id)) {
            sum.add(&kept.shown);
        }
        sum
    };
    let asked = survey
        .questions()
        .filter(|question| question.kind.is_asked() && looked.sees(question));
    let mut all: Vec<QuestionResults> = asked
        .map(|question| of_question(question, &together(&question.id)))
        .collect();
    for calculation in survey
        .calculations
        .iter()
        .filter(|each| looked.sees_calculation(&each.id))
    {
        let sum = together(&calculation.id);
        all.push(QuestionResults {
            id: calculation.id.clone(),
            kind: None,
            label: calculation.label.clone(),
            answered: sum.answered,
            counts: Vec::new(),
            mean: sum.mean(),
            deviation: sum.deviation(),
            nps: None,
        });
    }
    all
}

pub(crate) fn of_question(question: &Question, sum: &Sum) -> QuestionResults {
    let is_number = question.kind.is_number();
    QuestionResults {
        id: question.id.clone(),
        kind: Some(question.kind),
        label: question.label.clone(),
        answered: sum.answered,
        counts: counts(question, sum),
        mean: sum.mean().filter(|_| is_number),
        deviation: sum.deviation().filter(|_| is_number),
        nps: sum.nps().filter(|_| question.kind == Kind::Nps),
    }
}

fn counts(question: &Question, sum: &Sum) -> Vec<Count> {
    let count = |of: String, label: Texts| Count {
        count: sum.counts.get(&of).copied().unwrap_or(0),
        place: match question.kind {
            Kind::Ranking if sum.answered > 0 => {
                sum.totals.get(&of).map(|total| total / sum.answered as f64)
            }
            _ => None,
        },
        of,
        label,
    };
    let both = |first: &Texts, second: &Texts| {
        let languages = first.0.keys();
        Texts(
            languages
                .map(|tag| {
                    (
                        tag.clone(),
                        format!("{}: {}", first.text(tag), second.text(tag)),
                    )
                })
                .collect(),
        )
    };
    match question.kind {
        Kind::Scale | Kind::Nps => {
            let (first, last) = question.range();
            (first..=last)
                .map(|step| count(step.to_string(), Texts::default()))
                .collect()
        }
        Kind::YesNo => ["yes", "no"]
            .into_iter()
            .map(|id| count(id.to_owned(), crate::words::both_yes_no(id == "yes")))
            .collect(),
        Kind::Consent => vec![count("yes".to_owned(), crate::words::both_yes_no(true))],
        Kind::Matrix => {
            let rows = question.rows.iter();
            rows.flat_map(|row| {
                let options = question.options.iter();
                options.map(|option| {
                    count(
                        format!("{}.{}", row.id, option.id),
                        both(&row.label, &option.label),
                    )
                })
            })
            .collect()
        }
        _ => question
            .options
            .iter()
            .map(|option| count(option.id.clone(), option.label.clone()))
            .collect(),
    }
}
