//! Parameters and answers of the methods, as callers see them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{Survey, Texts};
use crate::store::rows::{Share, State};

/// A survey.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct One {
    #[schemars(regex(pattern = "^srv_[0-9a-f]{32}$"))]
    pub(crate) survey: String,
}

/// What a new survey begins with: a definition, a template, or a title alone.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Create {
    #[serde(default)]
    #[schemars(length(max = 200))]
    pub(crate) title: Option<String>,
    #[serde(default)]
    pub(crate) template: Option<String>,
    #[serde(default)]
    pub(crate) definition: Option<Survey>,
    /// The last part of its address, where it is to be read; one that nobody guesses where this is left out.
    #[serde(default)]
    #[schemars(regex(pattern = "^[a-z0-9][a-z0-9-]{2,39}$"))]
    pub(crate) slug: Option<String>,
}

/// A new survey.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Created {
    pub(crate) id: String,
    /// The last part of its address.
    pub(crate) slug: String,
}

/// A draft to keep.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Save {
    #[schemars(regex(pattern = "^srv_[0-9a-f]{32}$"))]
    pub(crate) survey: String,
    pub(crate) definition: Survey,
    /// When it was changed last, as the caller knows it: a draft that somebody else has saved meanwhile is not written over.
    #[serde(default)]
    pub(crate) changed_at_ms: Option<u64>,
}

/// A kept draft.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Saved {
    pub(crate) changed_at_ms: u64,
    /// What would keep it from being published.
    pub(crate) faults: Vec<FaultOf>,
}

/// Something that keeps a survey from being published.
#[derive(Serialize, JsonSchema)]
pub(crate) struct FaultOf {
    /// The id of a question, a section or a calculation; empty for the survey.
    pub(crate) at: String,
    pub(crate) why: String,
}

/// A published version.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Published {
    pub(crate) version: u32,
    /// Where it is answered, at the organization's host.
    pub(crate) address: String,
}

/// How it stands now.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Closed {
    pub(crate) state: State,
}

/// Part of a list.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListParams {
    #[serde(default)]
    pub(crate) cursor: Option<String>,
    #[serde(default)]
    #[schemars(range(min = 1, max = 100))]
    pub(crate) limit: Option<u32>,
}

/// Surveys, the newest first.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Listed {
    pub(crate) items: Vec<Summary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
}

/// A survey in a list.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Summary {
    pub(crate) id: String,
    pub(crate) slug: String,
    pub(crate) title: Texts,
    pub(crate) state: State,
    /// The published version; 0 before the first.
    pub(crate) version: u32,
    pub(crate) owner: String,
    pub(crate) created_at_ms: u64,
    pub(crate) changed_at_ms: u64,
    /// How many answers came.
    pub(crate) answers: u64,
    pub(crate) may_edit: bool,
}

/// A survey, as it is drafted or as one version of it was.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Get {
    #[schemars(regex(pattern = "^srv_[0-9a-f]{32}$"))]
    pub(crate) survey: String,
    #[serde(default)]
    pub(crate) version: Option<u32>,
}

/// A survey whole.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Full {
    pub(crate) summary: Summary,
    pub(crate) definition: Survey,
    pub(crate) faults: Vec<FaultOf>,
    /// Whether the draft says something else than the published version.
    pub(crate) changed: bool,
    /// Whether the caller decides who else has part in it.
    pub(crate) may_share: bool,
    /// Who else has part in it; for its owner.
    pub(crate) shares: Vec<Share>,
}

/// Surveys to begin with.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Templates {
    pub(crate) items: Vec<Template>,
}

/// A survey to begin with.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Template {
    pub(crate) id: String,
    pub(crate) definition: Survey,
}

/// Who else has part in a survey.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ShareParams {
    #[schemars(regex(pattern = "^srv_[0-9a-f]{32}$"))]
    pub(crate) survey: String,
    /// All of them: who is left out has no part any more.
    pub(crate) shares: Vec<Share>,
}
