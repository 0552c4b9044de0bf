//! What clients are told, and what other plugins told them. Events leave with the commit of the call, never before it and
//! never without it.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::host;
use crate::{Error, Result};

/// Adds a person to an audience, a named set of people that this plugin keeps. They see the events of this call too.
pub fn join(audience: &str, user: &str) -> Result<()> {
    host::join(audience, user)
}

/// Takes a person out of an audience; after the events of this call.
pub fn leave(audience: &str, user: &str) -> Result<()> {
    host::leave(audience, user)
}

/// Tells an audience. `topic` begins with the plugin's id and a dot.
pub fn publish<T: Serialize + ?Sized>(audience: &str, topic: &str, payload: &T) -> Result<()> {
    host::publish(audience, topic, &encode(payload)?, None)
}

/// [`publish`] whose stored copy becomes unreadable when `subject` is erased.
pub fn publish_about<T: Serialize + ?Sized>(
    audience: &str,
    topic: &str,
    payload: &T,
    subject: &str,
) -> Result<()> {
    host::publish(audience, topic, &encode(payload)?, Some(subject))
}

/// For typing and the like: never stored, dropped first.
pub fn publish_ephemeral<T: Serialize + ?Sized>(
    audience: &str,
    topic: &str,
    payload: &T,
) -> Result<()> {
    host::publish_ephemeral(audience, topic, &encode(payload)?)
}

/// An event of another plugin, for the export `events`. An error is tried again, eight times in all.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Event {
    /// The same in every attempt.
    pub id: String,
    pub topic: String,
    pub at_ms: u64,
    /// From one.
    pub attempt: u32,
    /// JSON.
    pub payload: Vec<u8>,
}

impl Event {
    /// The payload.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        crate::method::read(&self.payload, "payload")
    }
}

// What an event says is people's.
impl std::fmt::Debug for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Event")
            .field("id", &self.id)
            .field("topic", &self.topic)
            .field("attempt", &self.attempt)
            .finish_non_exhaustive()
    }
}

fn encode<T: Serialize + ?Sized>(payload: &T) -> Result<Vec<u8>> {
    serde_json::to_vec(payload).map_err(|error| Error::internal(format!("payload: {error}")))
}
