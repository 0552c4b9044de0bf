//! Parameters and answers of the methods on results.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{Kind, Texts};

/// Results of a survey, of all or of some groups of those who answered.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ResultsParams {
    #[schemars(regex(pattern = "^srv_[0-9a-f]{32}$"))]
    pub(crate) survey: String,
    /// Only those who chose these.
    #[serde(default)]
    pub(crate) only: Vec<Chosen>,
    /// Side by side for each option of this question.
    #[serde(default)]
    pub(crate) divide_by: Option<String>,
    /// Releases what has come, instead of waiting up to a minute for it.
    #[serde(default)]
    pub(crate) refresh: bool,
}

/// A question that results are divided by, and an option of it.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Chosen {
    pub(crate) question: String,
    pub(crate) option: String,
}

/// What answers say together.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Results {
    /// All answers that came.
    pub(crate) came: u64,
    /// Those that wait until enough of their group have come.
    pub(crate) waiting: u64,
    /// Those that were given elsewhere and brought along.
    pub(crate) imported: u64,
    pub(crate) group_min: u32,
    /// One; or one for each option of what is divided by.
    pub(crate) groups: Vec<GroupResults>,
    /// Questions that results can be divided by.
    pub(crate) divide_by: Vec<String>,
}

/// What one group says.
#[derive(Serialize, JsonSchema)]
pub(crate) struct GroupResults {
    /// The option; none for all together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) option: Option<String>,
    pub(crate) answers: u64,
    pub(crate) questions: Vec<QuestionResults>,
}

/// What was answered to one question.
#[derive(Serialize, JsonSchema)]
pub(crate) struct QuestionResults {
    pub(crate) id: String,
    /// None for a calculation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) kind: Option<Kind>,
    pub(crate) label: Texts,
    /// How many answered it, of those who are spoken of.
    pub(crate) answered: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) counts: Vec<Count>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mean: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) deviation: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) nps: Option<f64>,
}

/// How often something was chosen.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Count {
    /// The id of an option, a step, `row.option` of a matrix.
    pub(crate) of: String,
    pub(crate) label: Texts,
    pub(crate) count: u64,
    /// Of a ranking: the mean place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) place: Option<f64>,
}

/// What was written to one question.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TextsParams {
    #[schemars(regex(pattern = "^srv_[0-9a-f]{32}$"))]
    pub(crate) survey: String,
    pub(crate) question: String,
    #[serde(default)]
    pub(crate) cursor: Option<String>,
}

/// Texts in no order, each apart from whatever else was answered with it.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Written {
    pub(crate) items: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
}

/// Single answers.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AnswersParams {
    #[schemars(regex(pattern = "^srv_[0-9a-f]{32}$"))]
    pub(crate) survey: String,
    #[serde(default)]
    pub(crate) cursor: Option<String>,
}

/// Single answers, in no order.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Single {
    pub(crate) items: Vec<OneAnswer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
}

/// One answer.
#[derive(Serialize, JsonSchema)]
pub(crate) struct OneAnswer {
    pub(crate) version: u32,
    pub(crate) day: String,
    pub(crate) language: String,
    /// A pseudonym, a user or an invited person, where people were told so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) who: Option<String>,
    /// By question, in words.
    pub(crate) answers: std::collections::BTreeMap<String, String>,
}

/// A file of results.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExportParams {
    #[schemars(regex(pattern = "^srv_[0-9a-f]{32}$"))]
    pub(crate) survey: String,
    pub(crate) format: Format,
    /// What the part before said.
    #[serde(default)]
    pub(crate) cursor: Option<String>,
}

/// What the file is.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    Csv,
    Json,
}

/// Part of a file; the parts in order are the file.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Exported {
    pub(crate) text: String,
    pub(crate) media_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
}
