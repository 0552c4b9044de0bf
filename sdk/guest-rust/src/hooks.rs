//! A say in methods of other plugins: `before` they run, or `after` they were committed.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Result;
use crate::method::{read, write};

/// What the export `before` is asked: may this run?
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Asked {
    pub plugin: String,
    pub method: String,
    /// JSON.
    pub params: Vec<u8>,
}

impl Asked {
    /// The parameters.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        read(&self.params, "parameters")
    }
}

/// What `before` answers. An error in its place is no answer: what the hook wrote is dropped and `on_failure` of
/// plugin.toml holds, with the error's `retry_after_ms` for a caller who is refused because of it.
#[derive(Clone, PartialEq, Eq)]
pub enum Verdict {
    /// As it is.
    Allow,
    /// Not at all; the caller reads why.
    Veto(String),
    /// With these parameters, which must fit the method's schema.
    Modify(Vec<u8>),
}

impl Verdict {
    /// Not at all; the caller reads why.
    pub fn veto(why: impl Into<String>) -> Self {
        Self::Veto(why.into())
    }

    /// With these parameters.
    pub fn modify<T: Serialize + ?Sized>(params: &T) -> Result<Self> {
        Ok(Self::Modify(write(params, "parameters")?))
    }
}

/// What the export `after` is told. An error is tried again, eight times in all.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Happening {
    /// The same in every attempt.
    pub id: String,
    pub plugin: String,
    pub method: String,
    /// Who called; `None` for the host itself and anonymous callers.
    pub user: Option<String>,
    pub at_ms: u64,
    /// From one.
    pub attempt: u32,
    /// JSON.
    pub params: Vec<u8>,
    /// JSON.
    pub answer: Vec<u8>,
}

impl Happening {
    /// The parameters.
    pub fn params<T: DeserializeOwned>(&self) -> Result<T> {
        read(&self.params, "parameters")
    }

    /// The answer.
    pub fn answer<T: DeserializeOwned>(&self) -> Result<T> {
        read(&self.answer, "the answer")
    }
}

// What people asked for and got stays out of logs.
impl std::fmt::Debug for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Asked({}/{})", self.plugin, self.method)
    }
}

impl std::fmt::Debug for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Allow => "Allow",
            Self::Veto(_) => "Veto",
            Self::Modify(_) => "Modify",
        })
    }
}

impl std::fmt::Debug for Happening {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Happening({} {}/{})", self.id, self.plugin, self.method)
    }
}
