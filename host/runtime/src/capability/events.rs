//! Events: audiences that the plugin keeps, and what it tells them, with the commit of the call.

use serde::de::IgnoredAny;

use super::bindings::vaxel::events::events::Host;
use super::bindings::vaxel::types::types::Error;
use crate::guest::{Guest, Reply, guest_error, parsed_user};
use crate::manifest::Cap;

/// The longest name of an audience: a kind and an id.
const AUDIENCE_BYTES_MAX: usize = 256;

impl Host for Guest {
    fn join(&mut self, audience: String, user: String) -> Reply<()> {
        match (checked_audience(&audience), parsed_user(&user)) {
            (Ok(()), Ok(user)) => {
                self.with_storage(Cap::Events, 1, |tx, space| tx.join(space, &audience, user))
            }
            (Err(error), _) | (_, Err(error)) => Ok(Err(error)),
        }
    }

    fn leave(&mut self, audience: String, user: String) -> Reply<()> {
        match (checked_audience(&audience), parsed_user(&user)) {
            (Ok(()), Ok(user)) => {
                self.with_storage(Cap::Events, 1, |tx, space| tx.leave(space, &audience, user))
            }
            (Err(error), _) | (_, Err(error)) => Ok(Err(error)),
        }
    }

    fn publish(
        &mut self,
        audience: String,
        topic: String,
        payload: Vec<u8>,
        subject: Option<String>,
    ) -> Reply<()> {
        let checked = self.check_event(&audience, &topic, &payload);
        match checked.and_then(|()| self.erasure(subject.as_deref())) {
            Ok(erasure) => self.with_storage(Cap::Events, 1, |tx, space| {
                tx.publish(space, &audience, &topic, payload, erasure)
            }),
            Err(error) => Ok(Err(error)),
        }
    }

    fn publish_ephemeral(
        &mut self,
        audience: String,
        topic: String,
        payload: Vec<u8>,
    ) -> Reply<()> {
        match self.check_event(&audience, &topic, &payload) {
            Ok(()) => self.with_storage(Cap::Events, 1, |tx, space| {
                tx.publish_ephemeral(space, &audience, &topic, payload)
            }),
            Err(error) => Ok(Err(error)),
        }
    }
}

impl Guest {
    fn check_event(&self, audience: &str, topic: &str, payload: &[u8]) -> Result<(), Error> {
        checked_audience(audience)?;
        let own = topic
            .strip_prefix(self.plugin.as_str())
            .and_then(|rest| rest.strip_prefix('.'));
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        if !own.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(is_plain)) {
            return Err(guest_error(
                "invalid",
                "a topic begins with the plugin's id and a dot",
            ));
        }
        // It goes into frames as it is.
        if serde_json::from_slice::<IgnoredAny>(payload).is_err() {
            return Err(guest_error("invalid", "the payload is no JSON"));
        }
        Ok(())
    }
}

fn checked_audience(audience: &str) -> Result<(), Error> {
    if audience.is_empty() || audience.len() > AUDIENCE_BYTES_MAX {
        return Err(guest_error(
            "invalid",
            "an audience is named with 1 to 256 bytes",
        ));
    }
    Ok(())
}
