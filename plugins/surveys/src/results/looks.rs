//! Every look at results leaves a line: who, when, at what.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vaxel_plugin::storage::Order;
use vaxel_plugin::{clock, identity, log, storage};

use crate::authority::standing;
use crate::error::Result;
use crate::store::{self, keys};

/// A look at results.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Look {
    pub(crate) user: String,
    pub(crate) at_ms: u64,
    /// `results`, `texts`, `answers` or `export`.
    pub(crate) what: String,
    /// What was filtered or divided by, or the question whose texts were read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) questions: Vec<String>,
}

/// Notes a look with the commit of the call: without the note there is no answer.
pub(crate) fn note(id: &str, what: &str, questions: Vec<String>) -> Result<()> {
    let look = Look {
        user: identity::user()?,
        at_ms: clock::now_ms(),
        what: what.to_owned(),
        questions,
    };
    storage::append_json_about(keys::looks(id), &look, None, id)?;
    log::info(&format!("results of {id} were looked at: {what}"));
    log::metric("looks", 1.0);
    Ok(())
}

/// Whose looks.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LooksParams {
    #[schemars(regex(pattern = "^srv_[0-9a-f]{32}$"))]
    pub(crate) survey: String,
    #[serde(default)]
    pub(crate) cursor: Option<String>,
}

/// Looks, the newest first.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Looks {
    pub(crate) items: Vec<Look>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
}

const LOOKS_MAX: u32 = 100;

pub(crate) fn list(params: LooksParams) -> Result<Looks> {
    let row = store::survey(&params.survey)?;
    standing(&row)?.may_share()?;
    let prefix = keys::looks(&params.survey);
    let after = params
        .cursor
        .as_deref()
        .and_then(unhex)
        .map(|stamp| [prefix.as_bytes(), &stamp].concat());
    let page = storage::scan_json::<Look>(&prefix, after.as_deref(), LOOKS_MAX, Order::Descending)?;
    let next = page
        .next
        .as_deref()
        .and_then(|key| key.get(prefix.len()..))
        .map(store::hex);
    Ok(Looks {
        items: page.entries.into_iter().map(|(_, look)| look).collect(),
        next,
    })
}

pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u32>> = text.chars().map(|c| c.to_digit(16)).collect();
    let digits = digits?;
    let (pairs, []) = digits.as_chunks::<2>() else {
        return None;
    };
    pairs
        .iter()
        .map(|[high, low]| u8::try_from(high * 16 + low).ok())
        .collect()
}
