//! Randomness from the host, for a generator in the guest starts from the same memory image in every call; and sealed
//! texts for links.

use crate::Result;

/// `len` random bytes, at most 1024.
pub fn random(len: u32) -> Result<Vec<u8>> {
    crate::host::random(len)
}

/// A sealed text for a link: this plugin can read it in this tenant until `ttl_ms` from now. `purpose` keeps one kind of
/// link from passing for another.
pub fn seal(purpose: &str, data: &[u8], ttl_ms: u64) -> Result<String> {
    crate::host::seal(purpose, data, ttl_ms)
}

/// What [`seal`] took; `invalid` for what it did not make, made for another purpose, or made too long ago.
pub fn unseal(purpose: &str, token: &str) -> Result<Vec<u8>> {
    crate::host::unseal(purpose, token)
}
