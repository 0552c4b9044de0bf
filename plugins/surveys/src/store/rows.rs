//! Rows, as JSON under their keys.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{Answers, Settings, Texts};

/// How far a survey has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    Draft,
    Open,
    Closed,
}

/// A survey, beside what it asks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SurveyRow {
    pub(crate) slug: String,
    pub(crate) owner: String,
    pub(crate) state: State,
    /// The published version that is answered; 0 before the first.
    pub(crate) version: u32,
    pub(crate) title: Texts,
    pub(crate) created_at_ms: u64,
    pub(crate) changed_at_ms: u64,
    /// As published.
    pub(crate) settings: Option<Settings>,
    #[serde(default)]
    pub(crate) shares: Vec<Share>,
}

/// What somebody else may do with a survey.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Share {
    pub(crate) user: String,
    pub(crate) role: Role,
    /// The questions whose results they see; all where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) questions: Option<Vec<String>>,
}

/// What one is to a survey.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Role {
    /// Changes, publishes and closes it.
    Editor,
    /// Sees its results.
    Viewer,
}

/// One person's answer.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct AnswerRow {
    pub(crate) version: u32,
    pub(crate) language: String,
    /// The day in UTC, and nothing finer.
    pub(crate) day: String,
    pub(crate) answers: Answers,
    /// A pseudonym, a user or an invitation, where people were told so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) who: Option<String>,
}

/// What somebody has answered so far.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Begun {
    pub(crate) survey: String,
    pub(crate) version: u32,
    /// The page that comes next.
    pub(crate) step: usize,
    pub(crate) answers: Answers,
    pub(crate) language: String,
    /// The personal link that it was begun with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) link: Option<String>,
    /// Whether the survey was changed since.
    #[serde(default)]
    pub(crate) changed: bool,
}

/// Somebody who was asked to answer.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct InvitationRow {
    /// As whoever invited wrote it: a name or an address.
    pub(crate) recipient: String,
    pub(crate) token: String,
    pub(crate) invited_at_ms: u64,
    #[serde(default)]
    pub(crate) reminded_at_ms: Option<u64>,
    /// That they have answered; not when, and not what.
    #[serde(default)]
    pub(crate) answered: bool,
}
