//! What is stored, and where.

pub(crate) mod keys;
pub(crate) mod rows;

use vaxel_plugin::storage;

use crate::error::{Result, SurveyError};
use crate::model::Survey;
use rows::SurveyRow;

pub(crate) fn survey(id: &str) -> Result<SurveyRow> {
    let row = storage::get_json(keys::survey(id))?;
    row.ok_or(SurveyError::Missing("survey"))
}

pub(crate) fn put_survey(id: &str, row: &SurveyRow) -> Result<()> {
    Ok(storage::put_json(keys::survey(id), row)?)
}

/// The survey at an address.
pub(crate) fn by_slug(slug: &str) -> Result<(String, SurveyRow)> {
    let id: Option<String> = storage::get_json(keys::slug(slug)?)?;
    let id = id.ok_or(SurveyError::Missing("survey"))?;
    let row = survey(&id)?;
    Ok((id, row))
}

pub(crate) fn draft(id: &str) -> Result<Survey> {
    let draft = storage::get_json(keys::draft(id))?;
    draft.ok_or(SurveyError::Missing("survey"))
}

pub(crate) fn version(id: &str, version: u32) -> Result<Survey> {
    let survey = storage::get_json(keys::version(id, version))?;
    survey.ok_or(SurveyError::Missing("version"))
}

/// So many random bytes, in hex.
pub(crate) fn random_hex(bytes: u32) -> Result<String> {
    Ok(hex(&vaxel_plugin::crypto::random(bytes)?))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
