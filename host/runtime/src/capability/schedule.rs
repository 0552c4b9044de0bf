//! Scheduled work: planned and cancelled with the commit of the call.

use vaxel_core::UnixMs;

use super::bindings::vaxel::schedule::schedule::Host;
use crate::guest::{Guest, Reply, guest_error};
use crate::manifest::Cap;
use crate::queue;

impl Host for Guest {
    fn at(&mut self, job: String, key: String, when_ms: u64, payload: Vec<u8>) -> Reply<()> {
        let Some(context) = self.context.clone() else {
            return Ok(Err(guest_error("unavailable", "there is no tenant here")));
        };
        let planned = queue::schedulable(&context, &job, &key, UnixMs(when_ms), payload);
        let planned = match planned {
            Ok(planned) => planned,
            Err(refused) => return Ok(self.may_use(Cap::Schedule).and(Err(refused))),
        };
        let plugin = self.plugin.clone();
        let there_was_room = self.with_storage(Cap::Schedule, 1, |tx, _| {
            queue::schedule(tx, &plugin, &planned)
        })?;
        Ok(there_was_room.and_then(|there_was_room| {
            if !there_was_room {
                return Err(guest_error("limit", "too much waits already"));
            }
            self.has_scheduled = true;
            Ok(())
        }))
    }

    fn cancel(&mut self, job: String, key: String) -> Reply<()> {
        let plugin = self.plugin.clone();
        self.with_storage(Cap::Schedule, 1, |tx, _| {
            queue::cancel(tx, &plugin, &job, &key)
        })
    }
}
