//! Who may do what with which survey: the permission says what one may do at all, the survey with which.

use vaxel_plugin::identity;

use crate::error::{Result, SurveyError};
use crate::model::Question;
use crate::store::rows::{Role, SurveyRow};

/// All surveys of the organization, not only one's own and shared ones.
pub(crate) const MANAGE: &str = "surveys.manage";
/// Results of questions that are marked as sensitive.
pub(crate) const SENSITIVE: &str = "surveys.sensitive";

/// What the caller is to a survey; `not-found` where they are nothing.
pub(crate) enum Standing {
    /// Owner, or somebody who manages all surveys.
    Owner,
    Shared {
        role: Role,
        questions: Option<Vec<String>>,
    },
}

pub(crate) fn standing(row: &SurveyRow) -> Result<Standing> {
    let me = identity::user()?;
    if row.owner == me || identity::has_permission(MANAGE) {
        return Ok(Standing::Owner);
    }
    let share = row.shares.iter().find(|share| share.user == me);
    let share = share.ok_or(SurveyError::Missing("survey"))?;
    Ok(Standing::Shared {
        role: share.role,
        questions: share.questions.clone(),
    })
}

impl Standing {
    pub(crate) fn may_edit(&self) -> Result<()> {
        match self {
            Self::Owner => Ok(()),
            Self::Shared {
                role: Role::Editor, ..
            } => Ok(()),
            Self::Shared { .. } => Err(SurveyError::Forbidden(
                "you may see this survey's results, not change it",
            )),
        }
    }

    pub(crate) fn may_share(&self) -> Result<()> {
        match self {
            Self::Owner => Ok(()),
            Self::Shared { .. } => Err(SurveyError::Forbidden(
                "only its owner decides who else has part in a survey",
            )),
        }
    }

    /// Whether the results of this question are for the caller.
    pub(crate) fn sees(&self, question: &Question, may_sensitive: bool) -> bool {
        let is_shared = match self {
            Self::Owner => true,
            Self::Shared { questions, .. } => questions
                .as_ref()
                .is_none_or(|ids| ids.contains(&question.id)),
        };
        is_shared && (!question.sensitive || may_sensitive)
    }
}
