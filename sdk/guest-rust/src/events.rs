//! What clients are told. Events leave with the commit of the call, never before it and never without it.

use serde::Serialize;

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

fn encode<T: Serialize + ?Sized>(payload: &T) -> Result<Vec<u8>> {
    serde_json::to_vec(payload).map_err(|error| Error::internal(format!("payload: {error}")))
}
