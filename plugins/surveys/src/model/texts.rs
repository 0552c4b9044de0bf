//! Text in the languages of a survey.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// By language tag, such as `sv` or `en`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub(crate) struct Texts(pub(crate) BTreeMap<String, String>);

impl Texts {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.values().all(|text| text.trim().is_empty())
    }

    /// In this language, or in any: a missing translation is better read than nothing.
    pub(crate) fn text(&self, language: &str) -> &str {
        self.0
            .get(language)
            .filter(|text| !text.trim().is_empty())
            .or_else(|| self.0.values().find(|text| !text.trim().is_empty()))
            .map_or("", String::as_str)
    }

    /// The language of these that has no text, where another has one.
    pub(crate) fn missing<'a>(&self, languages: &'a [String]) -> Option<&'a str> {
        if self.is_empty() {
            return None;
        }
        languages.iter().map(String::as_str).find(|language| {
            self.0
                .get(*language)
                .is_none_or(|text| text.trim().is_empty())
        })
    }
}
