//! Taking an answer: places are counted, and the answer waits until enough have come to be spoken of together.

use vaxel_plugin::{clock, storage};

use super::{Open, person};
use crate::error::Result;
use crate::model::moment::day_of;
use crate::model::settings::Linkage;
use crate::model::{Answers, Value};
use crate::results::live;
use crate::results::release::group_of;
use crate::store::rows::AnswerRow;
use crate::store::{self, keys};

pub(crate) fn take(open: &Open, answers: Answers) -> Result<()> {
    let who = person::admit(open, open.link.as_deref())?;
    places(open, &answers)?;
    put(open, answers, who, day_of(clock::now_ms()))?;
    let settings = &open.survey.settings;
    // An anonymous answer's moment is told to nobody: who was seen to answer just then would be known by it.
    if settings.group_min == 1 && settings.linkage != Linkage::Anonymous {
        live::tell(&open.id)?;
    }
    Ok(())
}

/// An answer that was given elsewhere, by nobody that is known here.
pub(crate) fn take_imported(open: &Open, answers: Answers, day: String) -> Result<()> {
    places(open, &answers)?;
    put(open, answers, None, day)
}

fn put(open: &Open, answers: Answers, who: Option<String>, day: String) -> Result<()> {
    let settings = &open.survey.settings;
    let group = group_of(settings, &answers);
    let about = match (&who, settings.linkage) {
        // Erasing the person erases the answer.
        (Some(user), Linkage::Named) if user.starts_with("usr_") => user.clone(),
        _ => open.id.clone(),
    };
    let row = AnswerRow {
        version: open.row.version,
        language: open.language.clone(),
        day,
        answers,
        who,
    };
    let waiting = keys::waiting_group(&open.id, &group)?;
    if settings.linkage == Linkage::Anonymous {
        // From the first moment at a place that tells no order.
        let random = store::random_hex(16)?;
        storage::put_json_about(format!("{waiting}{random}"), &row, &about)?;
        return Ok(());
    }
    // Appending never meets others who answer. The place tells the order, so a release moves it to a random one.
    storage::append_json_about(waiting, &row, None, &about)?;
    Ok(())
}

/// The last place is one: whoever reads the counter and writes it meets whoever does the same, and one of them sees it full.
fn places(open: &Open, answers: &Answers) -> Result<()> {
    let settings = &open.survey.settings;
    let count = keys::count(&open.id);
    let has_room = |key: &str, max: u32| -> Result<()> {
        if storage::counter(key)? >= i64::from(max) {
            return Err(open.refuse("survey-full", open.words().full));
        }
        Ok(())
    };
    if let Some(max) = settings.answers_max {
        has_room(&count, max)?;
    }
    for quota in &settings.quotas {
        if matches!(answers.get(&quota.of), Some(Value::Choice(id)) if *id == quota.option) {
            let key = keys::quota(&open.id, &quota.id);
            has_room(&key, quota.max)?;
            storage::increment(key, 1)?;
        }
    }
    storage::increment(count, 1)?;
    Ok(())
}
