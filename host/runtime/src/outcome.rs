//! What becomes of a call: the words that callers read for each way in which a guest can fail.

use vaxel_core::{Problem, Reason};
use vaxel_storage::StorageError;

/// The longest message of a plugin that is handed on.
const MESSAGE_BYTES_MAX: usize = 1_024;

/// The longest code of a plugin's own.
const CODE_BYTES_MAX: usize = 64;

/// Why a run of a guest gave no answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The plugin refused, in its own words: no fault.
    Refused(Problem),
    /// The plugin broke.
    Fault(Fault),
    /// What it read has changed: run it again.
    Conflict,
    /// The host could not serve it.
    Host(Problem),
}

impl Failure {
    /// What the log says: never a plugin's own words.
    pub(crate) fn code(&self) -> &str {
        match self {
            Self::Refused(problem) | Self::Host(problem) => &problem.code,
            Self::Fault(fault) => fault.as_str(),
            Self::Conflict => "conflict",
        }
    }

    /// What the caller reads.
    pub(crate) fn problem(self) -> Problem {
        match self {
            Self::Refused(problem) | Self::Host(problem) => problem,
            Self::Fault(fault) => fault.problem(),
            Self::Conflict => Problem::new(
                Reason::Conflict,
                "Somebody else changed the same thing. Try again.",
            ),
        }
    }
}

/// What the host cannot do is nothing that a plugin did.
impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Host(problem)
    }
}

/// In which way a plugin broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Trap,
    Processor,
    Time,
    Memory,
    Reply,
    ReplyTooLarge,
}

impl Fault {
    /// What the log says.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Trap => "trap",
            Self::Processor => "processor time used up",
            Self::Time => "time used up",
            Self::Memory => "memory used up",
            Self::Reply => "its answer is no JSON",
            Self::ReplyTooLarge => "its answer is too large",
        }
    }

    /// What the caller reads.
    pub(crate) fn problem(self) -> Problem {
        let (reason, code, detail) = match self {
            Self::Trap => (
                Reason::Internal,
                "plugin-fault",
                "The plugin stopped unexpectedly.",
            ),
            Self::Processor => (
                Reason::Internal,
                "plugin-cpu-limit",
                "The plugin worked for too long.",
            ),
            Self::Time => (
                Reason::Unavailable,
                "plugin-timeout",
                "The plugin did not answer in time.",
            ),
            Self::Memory => (
                Reason::Internal,
                "plugin-memory-limit",
                "The plugin wanted too much memory.",
            ),
            Self::Reply => (
                Reason::Internal,
                "plugin-fault",
                "The plugin did not answer as it promised.",
            ),
            Self::ReplyTooLarge => (
                Reason::Internal,
                "plugin-reply-limit",
                "The plugin's answer is too large.",
            ),
        };
        Problem::new(reason, detail).with_code(code)
    }
}

/// A plugin's own error as a caller may read it.
pub(crate) fn refusal(code: &str, message: &str, retry_after_ms: Option<u32>) -> Problem {
    let reason = match code.replace('-', "_").as_str() {
        "not_found" => Reason::NotFound,
        "forbidden" => Reason::Forbidden,
        "unauthenticated" => Reason::Unauthenticated,
        "step_up_required" => Reason::StepUpRequired,
        // The form was checked against the schema before; what a plugin refuses is a rule of its own.
        "invalid" => Reason::Refused,
        "conflict" => Reason::Conflict,
        "limit" => Reason::LimitReached,
        "too_large" => Reason::TooLarge,
        "unavailable" => Reason::Unavailable,
        "internal" => {
            // Its words are for the log: they may tell of stored data.
            return Reason::Internal.into();
        }
        _ => {
            let problem = Problem::new(Reason::Refused, shortened(message));
            let problem = if is_code(code) {
                problem.with_code(code.to_owned())
            } else {
                problem
            };
            return Problem {
                retry_after_ms,
                ..problem
            };
        }
    };
    Problem {
        retry_after_ms,
        ..Problem::new(reason, shortened(message))
    }
}

/// What a failure of storage is to the caller.
pub(crate) fn storage_problem(error: &StorageError) -> Problem {
    match error.reason() {
        Reason::Internal => Reason::Internal.into(),
        Reason::Conflict => Problem::new(
            Reason::Conflict,
            "Somebody else changed the same thing. Try again.",
        ),
        reason => Problem::new(reason, error.to_string()),
    }
}

fn is_code(code: &str) -> bool {
    !code.is_empty()
        && code.len() <= CODE_BYTES_MAX
        && code.bytes().all(|b| {
            b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.')
        })
}

pub(crate) fn shortened(message: &str) -> String {
    let end = message.floor_char_boundary(MESSAGE_BYTES_MAX);
    let kept = message.get(..end).unwrap_or_default();
    kept.chars().filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_words_become_reasons_in_either_spelling() {
        for code in ["not-found", "not_found"] {
            let problem = refusal(code, "no such note", None);
            assert_eq!(problem.reason, Reason::NotFound);
            assert_eq!(problem.code, "not_found");
            assert_eq!(problem.detail, "no such note");
        }
    }

    #[test]
    fn a_plugin_has_codes_of_its_own_but_none_that_is_not_one() {
        assert_eq!(refusal("note-full", "full", None).code, "note-full");
        assert_eq!(refusal("note full\n", "full", None).code, "refused");
        assert_eq!(refusal("", "full", Some(5)).retry_after_ms, Some(5));
    }

    #[test]
    fn an_internal_error_keeps_its_words_from_the_caller() {
        let problem = refusal("internal", "row 17 of Anna", None);
        assert!(!problem.detail.contains("Anna"));
    }

    #[test]
    fn long_and_unprintable_messages_are_cut() {
        let problem = refusal("invalid", &format!("a\n{}", "å".repeat(4_000)), None);
        assert!(problem.detail.len() <= MESSAGE_BYTES_MAX);
        assert!(!problem.detail.contains('\n'));
    }
}
