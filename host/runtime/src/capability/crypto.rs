//! Randomness from the operating system.

use vaxel_crypto::random_bytes;

use super::bindings::vaxel::crypto::crypto::Host;
use crate::guest::{Guest, Reply, guest_error};

/// Most random bytes of one host call.
const RANDOM_BYTES_MAX: usize = 1_024;

impl Host for Guest {
    fn random(&mut self, len: u32) -> Reply<Vec<u8>> {
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        if len > RANDOM_BYTES_MAX {
            return Ok(Err(guest_error(
                "limit",
                "at most 1024 random bytes at once",
            )));
        }
        let mut bytes = random_bytes::<RANDOM_BYTES_MAX>().to_vec();
        bytes.truncate(len);
        Ok(Ok(bytes))
    }

    fn seal(&mut self, _purpose: String, _data: Vec<u8>, _ttl_ms: u64) -> Reply<String> {
        Ok(Err(guest_error("unavailable", "not yet")))
    }

    fn unseal(&mut self, _purpose: String, _token: String) -> Reply<Vec<u8>> {
        Ok(Err(guest_error("unavailable", "not yet")))
    }
}
