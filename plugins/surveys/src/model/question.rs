//! Questions: one shape for all kinds; what fits a kind is checked at publishing.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Condition, Texts};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    ShortText,
    LongText,
    Number,
    Date,
    Time,
    Email,
    Phone,
    Url,
    SingleChoice,
    MultipleChoice,
    Dropdown,
    YesNo,
    Scale,
    Nps,
    Matrix,
    Ranking,
    Signature,
    Consent,
    /// Text between questions; nothing is asked.
    Statement,
}

impl Kind {
    #[cfg(test)]
    pub(crate) const ALL: [Self; 19] = [
        Self::ShortText,
        Self::LongText,
        Self::Number,
        Self::Date,
        Self::Time,
        Self::Email,
        Self::Phone,
        Self::Url,
        Self::SingleChoice,
        Self::MultipleChoice,
        Self::Dropdown,
        Self::YesNo,
        Self::Scale,
        Self::Nps,
        Self::Matrix,
        Self::Ranking,
        Self::Signature,
        Self::Consent,
        Self::Statement,
    ];

    pub(crate) fn is_asked(self) -> bool {
        self != Self::Statement
    }

    /// Whether people write freely, so that an answer may say who wrote it.
    pub(crate) fn is_text(self) -> bool {
        matches!(
            self,
            Self::ShortText
                | Self::LongText
                | Self::Date
                | Self::Time
                | Self::Email
                | Self::Phone
                | Self::Url
                | Self::Signature
        )
    }

    /// Whether an answer says by its kind who gave it.
    pub(crate) fn says_who(self) -> bool {
        matches!(self, Self::Email | Self::Phone | Self::Signature)
    }

    pub(crate) fn has_options(self) -> bool {
        matches!(
            self,
            Self::SingleChoice
                | Self::MultipleChoice
                | Self::Dropdown
                | Self::Matrix
                | Self::Ranking
        )
    }

    /// Whether an answer is one of few, known beforehand: what results can be divided by.
    pub(crate) fn divides(self) -> bool {
        matches!(self, Self::SingleChoice | Self::Dropdown | Self::YesNo)
    }

    /// Whether an answer counts as a number.
    pub(crate) fn is_number(self) -> bool {
        matches!(self, Self::Number | Self::Scale | Self::Nps)
    }
}

/// A question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Question {
    /// Letters, digits and `_`; the same in every version of a survey.
    pub(crate) id: String,
    pub(crate) kind: Kind,
    /// The question itself. `{id}` stands for what was answered to an earlier one.
    pub(crate) label: Texts,
    #[serde(default, skip_serializing_if = "Texts::is_empty")]
    pub(crate) hint: Texts,
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) required: bool,
    /// Asked only where this holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) show_if: Option<Condition>,
    /// What can be chosen or ranked; of a matrix, its columns.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) options: Vec<Choice>,
    /// Of a matrix: what is judged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) rows: Vec<Choice>,
    /// The least number, or the beginning of a scale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) min: Option<f64>,
    /// The largest number, or the end of a scale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) max: Option<f64>,
    /// What the beginning of a scale means.
    #[serde(default, skip_serializing_if = "Texts::is_empty")]
    pub(crate) min_label: Texts,
    /// What the end of a scale means.
    #[serde(default, skip_serializing_if = "Texts::is_empty")]
    pub(crate) max_label: Texts,
    /// Of several choices: how many at least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) choices_min: Option<u32>,
    /// Of several choices: how many at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) choices_max: Option<u32>,
    /// Of text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) chars_max: Option<u32>,
    /// Its results are for those alone who hold `surveys.sensitive`.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) sensitive: bool,
}

fn is_false(value: &bool) -> bool {
    !*value
}

/// What can be chosen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Choice {
    pub(crate) id: String,
    pub(crate) label: Texts,
    /// What it counts in calculations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) score: Option<f64>,
}

/// Text answers, where an author says nothing else.
pub(crate) const SHORT_CHARS_MAX: u32 = 300;
pub(crate) const LONG_CHARS_MAX: u32 = 5_000;

impl Question {
    pub(crate) fn option(&self, id: &str) -> Option<&Choice> {
        self.options.iter().find(|option| option.id == id)
    }

    pub(crate) fn row(&self, id: &str) -> Option<&Choice> {
        self.rows.iter().find(|row| row.id == id)
    }

    /// Where a scale begins and ends.
    pub(crate) fn range(&self) -> (i64, i64) {
        let whole = |number: Option<f64>, otherwise: i64| {
            // Checked at publishing: small whole numbers.
            number.map_or(otherwise, |number| number as i64)
        };
        match self.kind {
            Kind::Nps => (0, 10),
            _ => (whole(self.min, 1), whole(self.max, 5)),
        }
    }

    pub(crate) fn most_chars(&self) -> u32 {
        self.chars_max.unwrap_or(match self.kind {
            Kind::LongText => LONG_CHARS_MAX,
            _ => SHORT_CHARS_MAX,
        })
    }
}
