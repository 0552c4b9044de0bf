//! Who may answer, as whom, until when, and how few people a result may speak of.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Fixed with the first publishing, but for the end and the maxima.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    pub(crate) access: Access,
    /// Methods of proof of which one is asked for (`pin`, `bankid`, …); none where this is empty.
    pub(crate) step_up: Vec<String>,
    pub(crate) linkage: Linkage,
    /// Results speak of at least so many people; 1 shows single answers.
    pub(crate) group_min: u32,
    /// Questions that results can be divided by.
    pub(crate) divide_by: Vec<String>,
    pub(crate) closes_at_ms: Option<u64>,
    /// How many answers are taken in all.
    pub(crate) answers_max: Option<u32>,
    pub(crate) quotas: Vec<Quota>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            access: Access::Anyone,
            step_up: Vec::new(),
            linkage: Linkage::Unlinked,
            group_min: GROUP_MIN,
            divide_by: Vec::new(),
            closes_at_ms: None,
            answers_max: None,
            quotas: Vec::new(),
        }
    }
}

/// What is usual in Swedish statistics on small groups.
pub(crate) const GROUP_MIN: u32 = 5;
/// A group this large is hardly ever reached.
pub(crate) const GROUP_MIN_MAX: u32 = 100;

/// What a proof by PIN is called; all others are electronic identities.
const PIN: &str = "pin";

/// Who may answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Access {
    /// Whoever has the address.
    Anyone,
    /// Whoever has a personal link, once.
    Link,
    /// People of the organization, signed in, once.
    Members,
}

/// What ties an answer to who gave it.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Linkage {
    /// Nobody is asked who they are.
    Unlinked,
    /// Who answers has shown to the host who they are, each once; neither the host nor anybody else knows which answer is
    /// theirs.
    Anonymous,
    /// It is noted that somebody has answered, apart from what.
    Confidential,
    /// Answers carry a name made for this survey alone.
    Pseudonymous,
    /// Answers carry who gave them.
    Named,
}

/// So many answers in which an option was chosen, and no more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Quota {
    pub(crate) id: String,
    /// The question.
    pub(crate) of: String,
    /// The option.
    pub(crate) option: String,
    pub(crate) max: u32,
}

impl Settings {
    /// Whether whoever answers is asked for a link, an account or a proof.
    pub(crate) fn asks_who(&self) -> bool {
        self.access != Access::Anyone || !self.step_up.is_empty()
    }

    /// Why these cannot be, or cannot be kept.
    pub(crate) fn fault(&self) -> Option<[&'static str; 2]> {
        let asks = self.asks_who();
        match self.linkage {
            Linkage::Unlinked if asks => Some([
                "den som behöver en länk, ett konto eller ett bevis svarar inte utan koppling: välj konfidentiellt, pseudonymt eller med namn",
                "whoever is asked for a link, an account or a proof is not unlinked: choose confidential, pseudonymous or named",
            ]),
            Linkage::Anonymous
                if self.access != Access::Anyone || !self.asks_eid() || self.asks_pin() =>
            {
                Some([
                    "anonyma svar kräver e-legitimation och inget annat: en länk, ett konto eller en PIN-kod skulle säga vems de är, eller låta en person svara två gånger",
                    "anonymous answers need an electronic identity and nothing else: a link, an account or a PIN would say whose they are, or let one person answer twice",
                ])
            }
            Linkage::Confidential if !asks => Some([
                "ett svar per person kräver en personlig länk, ett konto eller ett bevis",
                "one answer per person needs a personal link, an account or a proof",
            ]),
            Linkage::Pseudonymous if self.access != Access::Members && self.step_up.is_empty() => {
                Some([
                    "pseudonyma svar kräver ett konto eller ett bevis",
                    "pseudonymous answers need an account or a proof",
                ])
            }
            Linkage::Named if self.access == Access::Anyone && !self.names_by_eid() => Some([
                "svar med namn kräver en personlig länk, ett konto eller e-legitimation och inget annat",
                "named answers need a personal link, an account, or an electronic identity and nothing else",
            ]),
            Linkage::Named if self.group_min > 1 => Some([
                "svar med namn visas ett och ett: minsta grupp är 1",
                "named answers are shown one by one: group_min is 1",
            ]),
            _ if self.asks_pin() && self.access == Access::Anyone => Some([
                "den som har en PIN-kod kan visa den för andra: en PIN-kod hör till en personlig länk eller ett konto",
                "whoever has a PIN can show it: a PIN belongs to a personal link or an account",
            ]),
            _ if self.group_min == 0 || self.group_min > GROUP_MIN_MAX => {
                Some(["minsta grupp är 1 till 100", "group_min is 1 to 100"])
            }
            _ if self.answers_max == Some(0) => Some([
                "högsta antalet svar är minst 1",
                "answers_max is at least 1",
            ]),
            _ => None,
        }
    }

    /// Whether a PIN is one of the ways to show who one is.
    pub(crate) fn asks_pin(&self) -> bool {
        self.step_up.iter().any(|method| method == PIN)
    }

    /// Whether an electronic identity is one.
    pub(crate) fn asks_eid(&self) -> bool {
        self.step_up.iter().any(|method| method != PIN)
    }

    /// Whether the host keeps what people are called, as their electronic identity says.
    pub(crate) fn names_by_eid(&self) -> bool {
        self.linkage == Linkage::Named
            && self.access == Access::Anyone
            && self.asks_eid()
            && !self.asks_pin()
    }

    /// Whether what people were told when they answered would still hold.
    pub(crate) fn keeps_promise_of(&self, former: &Self) -> bool {
        self.access == former.access
            && self.linkage == former.linkage
            && self.step_up == former.step_up
            && self.group_min == former.group_min
            && self.divide_by == former.divide_by
    }
}
