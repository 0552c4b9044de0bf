//! Releasing: answers wait, group by group, until at least `group_min` of them can be spoken of together. Only then are
//! they summed, and lie where their order tells nothing.

use vaxel_plugin::schedule::{self, Job};
use vaxel_plugin::storage::Order;
use vaxel_plugin::{Error, Progress, storage};

use super::live;
use super::sums::Sums;
use crate::answering::person;
use crate::error::Result;
use crate::model::{Answers, Settings, Value};
use crate::store::rows::{AnswerRow, State, SurveyRow};
use crate::store::{self, keys};
use crate::surveys;

/// Answers that one step moves: a third of the operations that a call has.
const MOVED_MAX: u32 = 250;
/// Surveys that one step looks at.
const SURVEYS_MAX: u32 = 40;
/// Rows that one step forgets.
const FORGOTTEN_MAX: u32 = 400;

/// Every minute: what can be released is.
pub(crate) const RELEASE: &str = "release";
/// Once, behind the end of a survey.
pub(crate) const END: &str = "end";

/// What somebody answered to the questions that results are divided by.
pub(crate) fn group_of(settings: &Settings, answers: &Answers) -> String {
    let each = settings.divide_by.iter().map(|id| match answers.get(id) {
        Some(Value::Choice(choice)) => choice.as_str(),
        _ => "-",
    });
    each.collect::<Vec<_>>().join("/")
}

/// The group of those whose own groups stayed too small.
const MIXED: &str = "*";

pub(crate) fn run(job: Job) -> Result<Progress, Error> {
    Ok(match job.name.as_str() {
        RELEASE => all(job.cursor.as_deref())?,
        END => end_of(&job.json::<String>()?)?,
        _ => Progress::Done,
    })
}

/// Some surveys further.
fn all(after: Option<&[u8]>) -> Result<Progress> {
    let page =
        storage::scan_json::<SurveyRow>(keys::SURVEYS, after, SURVEYS_MAX, Order::Ascending)?;
    let mut before: Option<Vec<u8>> = after.map(<[u8]>::to_vec);
    for (key, mut row) in page.entries {
        let name = String::from_utf8_lossy(&key).into_owned();
        let id = name.strip_prefix(keys::SURVEYS).unwrap_or_default();
        if row.state == State::Open {
            if surveys::state(&row) == State::Closed {
                row.state = State::Closed;
                store::put_survey(id, &row)?;
                end(id)?;
            } else if step(id, &row)? {
                // The next step begins with this one again.
                return Ok(Progress::More(
                    before.unwrap_or_else(|| keys::SURVEYS.as_bytes().to_vec()),
                ));
            }
        }
        before = Some(key);
    }
    Ok(page.next.map_or(Progress::Done, Progress::More))
}

/// Releases what can be, within one call's means; says whether there may be more.
pub(crate) fn step(id: &str, row: &SurveyRow) -> Result<bool> {
    let Some(settings) = &row.settings else {
        return Ok(false);
    };
    let mut left = MOVED_MAX;
    let mut after: Option<Vec<u8>> = None;
    loop {
        let first = storage::scan(keys::waiting(id), after.as_deref(), 1, Order::Ascending)?;
        let Some((key, _)) = first.entries.into_iter().next() else {
            return Ok(false);
        };
        let group = group_prefix(id, &key);
        let rows = storage::scan_json::<AnswerRow>(&group, None, left, Order::Ascending)?.entries;
        let count = u32::try_from(rows.len()).unwrap_or(u32::MAX);
        if count >= settings.group_min {
            let name = rows
                .first()
                .map(|(_, row)| group_of(settings, &row.answers));
            release(id, settings, rows, name)?;
            left = left.saturating_sub(count);
        }
        if left < settings.group_min.max(20) {
            return Ok(true);
        }
        let mut end = group;
        end.push(0xff);
        after = Some(end);
    }
}

/// Of a waiting answer's key: what those of its group share.
fn group_prefix(id: &str, key: &[u8]) -> Vec<u8> {
    // 32 hex digits and a slash.
    let length = keys::waiting(id).len() + 33;
    key.get(..length).unwrap_or(key).to_vec()
}

fn release(
    id: &str,
    settings: &Settings,
    rows: Vec<(Vec<u8>, AnswerRow)>,
    group: Option<String>,
) -> Result<()> {
    let name = group.as_deref().unwrap_or(MIXED);
    let key = keys::sum(id, name)?;
    let mut sums: Sums = storage::get_json(&key)?.unwrap_or_else(|| Sums {
        group: group
            .as_ref()
            .map(|group| group.split('/').map(str::to_owned).collect()),
        ..Sums::default()
    });
    // Each is summed by the version that it answers.
    let mut versions: Vec<u32> = rows.iter().map(|(_, row)| row.version).collect();
    versions.sort_unstable();
    versions.dedup();
    for version in versions {
        let survey = store::version(id, version)?;
        let of_version = rows.iter().filter(|(_, row)| row.version == version);
        sums.add(
            &survey,
            of_version.map(|(_, row)| &row.answers),
            settings.group_min,
        );
    }
    storage::put_json_about(&key, &sums, id)?;
    for (key, row) in rows {
        storage::delete(&key)?;
        let about = match &row.who {
            Some(user) if user.starts_with("usr_") => user.clone(),
            _ => id.to_owned(),
        };
        let random = format!("{}{}", keys::released(id), store::random_hex(16)?);
        storage::put_json_about(random, &row, &about)?;
    }
    live::tell(id)
}

/// What is to be done behind the end of a survey, at once but apart.
pub(crate) fn end(id: &str) -> Result<()> {
    let now = vaxel_plugin::clock::now_ms();
    Ok(schedule::at(END, id, now, id)?)
}

/// Releases the rest, if it is enough together, and forgets who has answered.
fn end_of(id: &str) -> Result<Progress> {
    let more = || Progress::More(b"more".to_vec());
    let row = store::survey(id)?;
    if step(id, &row)? {
        return Ok(more());
    }
    if let Some(settings) = &row.settings {
        let rest =
            storage::scan_json::<AnswerRow>(keys::waiting(id), None, MOVED_MAX, Order::Ascending)?
                .entries;
        let count = u32::try_from(rest.len()).unwrap_or(u32::MAX);
        if count >= settings.group_min {
            release(id, settings, rest, None)?;
            return Ok(more());
        }
    }
    if let Some(settings) = &row.settings {
        person::forget(id, settings)?;
    }
    let people = storage::scan(keys::people(id), None, FORGOTTEN_MAX, Order::Ascending)?;
    for (key, _) in &people.entries {
        storage::delete(key)?;
    }
    Ok(if people.next.is_some() {
        more()
    } else {
        Progress::Done
    })
}
