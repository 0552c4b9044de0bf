//! Work for later: queued with the commit of the call, run by the export `jobs`.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::method::{read, write};
use crate::{Result, host};

/// Runs a job of plugin.toml once. `key` names this run: scheduling it again moves it. A time that is past means at once.
pub fn at<T: Serialize + ?Sized>(job: &str, key: &str, when_ms: u64, payload: &T) -> Result<()> {
    host::schedule(job, key, when_ms, &write(payload, "payload")?)
}

/// [`at`] so long after now.
pub fn after<T: Serialize + ?Sized>(job: &str, key: &str, by_ms: u64, payload: &T) -> Result<()> {
    at(job, key, host::now_ms().saturating_add(by_ms), payload)
}

/// Nothing happens where there is no such run.
pub fn cancel(job: &str, key: &str) -> Result<()> {
    host::cancel(job, key)
}

/// What the export `jobs` gets. An error or a fault is tried again, eight times in all.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Job {
    pub name: String,
    /// The key it was scheduled under; for repeated jobs the moment in UTC.
    pub key: String,
    /// From one.
    pub attempt: u32,
    /// JSON; nothing for repeated jobs.
    pub payload: Vec<u8>,
    /// What the step before left for this one.
    pub cursor: Option<Vec<u8>>,
}

impl Job {
    /// The payload.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        read(&self.payload, "payload")
    }
}

/// Whether a step of a job or a migration was the last. Each step is one transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    Done,
    /// There is more: the next step gets this cursor.
    More(Vec<u8>),
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job")
            .field("name", &self.name)
            .field("key", &self.key)
            .field("attempt", &self.attempt)
            .finish_non_exhaustive()
    }
}
