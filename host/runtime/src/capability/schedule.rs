//! Scheduled work.

use super::bindings::vaxel::schedule::schedule::Host;
use crate::guest::{Guest, Reply, guest_error};
use crate::manifest::Cap;

impl Host for Guest {
    fn at(&mut self, _job: String, _key: String, _when_ms: u64, _payload: Vec<u8>) -> Reply<()> {
        Ok(self
            .may_use(Cap::Schedule)
            .and_then(|()| Err(guest_error("unavailable", "not yet"))))
    }

    fn cancel(&mut self, _job: String, _key: String) -> Reply<()> {
        Ok(self
            .may_use(Cap::Schedule)
            .and_then(|()| Err(guest_error("unavailable", "not yet"))))
    }
}
