//! Compiling in a process of its own: a component reaches the compiler only where there is nothing to take and
//! nothing to reach.

mod child;
mod confine;
mod parent;

use std::path::PathBuf;

use vaxel_core::Reason;

pub use child::compile_in_this_process;

/// The largest component: compiling takes about a second per MB.
pub(crate) const COMPONENT_BYTES_MAX: usize = 32 << 20;

/// The largest code that is taken from the compiler: some four times the largest component.
const CODE_BYTES_MAX: u64 = 160 << 20;

/// What the compiler may say about a component.
const WORDS_BYTES_MAX: u64 = 4 << 10;

/// How long a component may take to compile on a busy machine.
const COMPILE_MS: u64 = 120_000;

/// The first byte that the child answers.
const ANSWER_CODE: u8 = 0;
const ANSWER_REFUSED: u8 = 1;

/// Where components are compiled.
#[derive(Clone, Debug)]
pub enum Compiler {
    /// Here: for tests and benches, whose components are our own.
    Here,
    /// In a child process for each component. The program must hand over to [`compile_in_this_process`].
    Child {
        /// The program.
        program: PathBuf,
        /// What it is told first; the engine's settings come behind.
        args: Vec<String>,
        /// How long it may take.
        limit_ms: u64,
    },
}

impl Compiler {
    /// This very program, told to compile by `command` as its first argument.
    pub fn this_program(command: &str) -> Self {
        Self::Child {
            // What runs now, also when a newer version has been put in its place.
            program: PathBuf::from("/proc/self/exe"),
            args: vec![command.to_owned()],
            limit_ms: COMPILE_MS,
        }
    }
}

/// Why there is no code.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompilerError {
    /// The compiler says that this is no component.
    #[error("{what}")]
    Refused {
        /// Its words.
        what: String,
    },
    /// The compiler's process ended without an answer.
    #[error(
        "the compiler ended without an answer ({how}); the component needs more than it may have, or is made to harm it"
    )]
    Died {
        /// How it ended.
        how: String,
    },
    /// It took too long.
    #[error("the compiler was not done within {limit_ms} ms and was ended")]
    TooSlow {
        /// The limit.
        limit_ms: u64,
    },
    /// It answered what it should not.
    #[error("the compiler answered {what}")]
    Answer {
        /// In which way.
        what: &'static str,
    },
    /// It could not be started.
    #[error("the compiler could not be started: {why}")]
    NotStarted {
        /// What the system said.
        why: String,
    },
}

impl CompilerError {
    /// What it amounts to for a caller.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Refused { .. } | Self::Died { .. } | Self::TooSlow { .. } => Reason::Invalid,
            Self::Answer { .. } | Self::NotStarted { .. } => Reason::Internal,
        }
    }
}
