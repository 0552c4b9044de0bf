//! Randomness from the host: a generator in the guest starts from the same memory image in every call.

use crate::Result;

/// `len` random bytes, at most 1024.
pub fn random(len: u32) -> Result<Vec<u8>> {
    crate::host::random(len)
}
