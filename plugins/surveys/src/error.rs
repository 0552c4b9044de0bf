//! What can go wrong, and what a caller may know of it.

use vaxel_plugin::Error as Fault;

use crate::model::fault;

/// Why something was refused. The code is what programs read, `Display` what people read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SurveyError {
    /// Also the answer where somebody else's survey exists: what one may not see does not exist.
    #[error("there is no such {0}")]
    Missing(&'static str),
    #[error("{0}")]
    Forbidden(&'static str),
    #[error("{0}")]
    Invalid(&'static str),
    #[error("at most {max} {what}")]
    Limit { what: &'static str, max: usize },
    #[error("{}", told(.0))]
    Unpublishable(Vec<fault::Fault>),
    #[error("somebody else has saved this survey meanwhile: fetch it again")]
    SavedMeanwhile,
    #[error("a closed survey stays closed: duplicate it to ask again")]
    Ended,
    /// To whoever answers, in their language.
    #[error("{said}")]
    Refused { code: &'static str, said: String },
    #[error("the host refused")]
    Host(#[from] Fault),
}

pub(crate) type Result<T, E = SurveyError> = std::result::Result<T, E>;

/// The first faults; an author mends them one by one.
const FAULTS_TOLD: usize = 8;

fn told(faults: &[fault::Fault]) -> String {
    let mut text = String::from("it cannot be published yet");
    for (number, fault) in faults.iter().take(FAULTS_TOLD).enumerate() {
        text.push_str(if number == 0 { ": " } else { "; " });
        if !fault.at.is_empty() {
            // Ids are short where they are ids at all.
            text.extend(fault.at.chars().take(40));
            text.push_str(": ");
        }
        text.push_str(fault.why.text("en"));
    }
    if faults.len() > FAULTS_TOLD {
        text.push_str("; and more");
    }
    text
}

impl From<SurveyError> for Fault {
    fn from(error: SurveyError) -> Self {
        let code = match &error {
            SurveyError::Missing(_) => "not-found",
            SurveyError::Forbidden(_) => "forbidden",
            SurveyError::Invalid(_) => "invalid",
            SurveyError::Limit { .. } => "limit",
            SurveyError::Unpublishable(_) => "unpublishable",
            SurveyError::SavedMeanwhile => "conflict",
            SurveyError::Ended => "survey-closed",
            SurveyError::Refused { code, .. } => code,
            SurveyError::Host(fault) => return fault.clone(),
        };
        Self::new(code, error.to_string())
    }
}
