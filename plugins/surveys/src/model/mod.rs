//! What a survey is: questions in sections, who may answer, and what becomes of the answers. Pure, without the host.

pub(crate) mod answer;
pub(crate) mod calculation;
pub(crate) mod check;
mod check_paths;
pub(crate) mod check_question;
pub(crate) mod condition;
pub(crate) mod fault;
pub(crate) mod flow;
pub(crate) mod moment;
pub(crate) mod piping;
pub(crate) mod question;
pub(crate) mod settings;
pub(crate) mod texts;
pub(crate) mod value;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) use condition::Condition;
pub(crate) use question::{Kind, Question};
pub(crate) use settings::Settings;
pub(crate) use texts::Texts;
pub(crate) use value::{Answers, Value};

/// A survey as its author writes it. A published one never changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Survey {
    pub(crate) title: Texts,
    /// Languages it can be answered in; the first is for everybody else.
    pub(crate) languages: Vec<String>,
    /// Before the first question.
    #[serde(default, skip_serializing_if = "Texts::is_empty")]
    pub(crate) intro: Texts,
    /// After the answer is sent.
    #[serde(default, skip_serializing_if = "Texts::is_empty")]
    pub(crate) thanks: Texts,
    pub(crate) sections: Vec<Section>,
    /// Numbers made of answers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) calculations: Vec<Calculation>,
    #[serde(default)]
    pub(crate) settings: Settings,
    /// The colour that it is answered in; the host's own where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tint: Option<Tint>,
}

/// Colours that the host draws pages in, all of them easy to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Tint {
    Sea,
    Forest,
    Clay,
    Plum,
    Ink,
}

/// Questions that belong together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Section {
    pub(crate) id: String,
    #[serde(default, skip_serializing_if = "Texts::is_empty")]
    pub(crate) title: Texts,
    #[serde(default, skip_serializing_if = "Texts::is_empty")]
    pub(crate) text: Texts,
    /// The section is passed over where this does not hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) show_if: Option<Condition>,
    pub(crate) questions: Vec<Question>,
    /// Where to go on, the first that holds. Without one that holds it is the section below.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) jumps: Vec<Jump>,
}

/// Going on elsewhere than below.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Jump {
    /// When; always where it is left out.
    #[serde(rename = "if", default, skip_serializing_if = "Option::is_none")]
    pub(crate) condition: Option<Condition>,
    /// The id of a section, or `end`.
    pub(crate) to: String,
}

/// The word in a jump for having answered everything.
pub(crate) const END: &str = "end";

/// A number made of answers, for conditions, texts and results.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Calculation {
    pub(crate) id: String,
    /// What it is, in results.
    #[serde(default, skip_serializing_if = "Texts::is_empty")]
    pub(crate) label: Texts,
    /// Ids of questions and of calculations above, numbers, `+ - * /`, brackets, `min(a, b)` and `max(a, b)`.
    pub(crate) formula: String,
}

impl Survey {
    /// All questions, in the order in which they stand.
    pub(crate) fn questions(&self) -> impl Iterator<Item = &Question> {
        self.sections.iter().flat_map(|section| &section.questions)
    }

    pub(crate) fn question(&self, id: &str) -> Option<&Question> {
        self.questions().find(|question| question.id == id)
    }

    /// Whether a question asks who somebody is.
    pub(crate) fn asks_who(&self) -> bool {
        let mut questions = self.questions();
        questions.any(|question| question.kind.says_who())
    }

    /// The language for whoever wishes this one.
    pub(crate) fn language<'a>(&'a self, wished: &str) -> &'a str {
        let first = self.languages.first().map_or("sv", String::as_str);
        self.languages
            .iter()
            .map(String::as_str)
            .find(|language| *language == wished)
            .unwrap_or(first)
    }
}

#[cfg(test)]
pub(crate) mod samples;
