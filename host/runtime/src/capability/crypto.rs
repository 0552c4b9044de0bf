//! Randomness from the operating system.

use super::bindings::vaxel::crypto::crypto::Host;
use crate::guest::{Guest, RANDOM_BYTES_MAX, Reply, guest_error};

impl Host for Guest {
    fn random(&mut self, len: u32) -> Reply<Vec<u8>> {
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        if len > RANDOM_BYTES_MAX {
            return Ok(Err(guest_error(
                "limit",
                "at most 1024 random bytes at once",
            )));
        }
        Ok(Ok(Guest::random(self, len)))
    }

    fn seal(&mut self, _purpose: String, _data: Vec<u8>, _ttl_ms: u64) -> Reply<String> {
        Ok(Err(guest_error("unavailable", "not yet")))
    }

    fn unseal(&mut self, _purpose: String, _token: String) -> Reply<Vec<u8>> {
        Ok(Err(guest_error("unavailable", "not yet")))
    }
}
