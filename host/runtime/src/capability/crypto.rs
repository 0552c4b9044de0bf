//! Randomness from the operating system, and sealed texts for links.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use vaxel_crypto::{ErasureKey, Purpose};

use super::bindings::vaxel::crypto::crypto::Host;
use super::bindings::vaxel::types::types::Error;
use crate::guest::{Guest, RANDOM_BYTES_MAX, Reply, guest_error};
use crate::manifest::Cap;

/// Most bytes in a sealed text: it stands in a link.
const SEALED_BYTES_MAX: usize = 2_048;

/// The longest that a sealed text can be read.
const TTL_MS_MAX: u64 = 366 * 24 * 3_600 * 1_000;

/// What the first part of a seal's associated data says, so that nothing else sealed under the same purpose fits.
const WHAT: &[u8] = b"vaxel.v1.plugin-link";

impl Host for Guest {
    fn random(&mut self, len: u32) -> Reply<Vec<u8>> {
        if let Err(refused) = self.may_use(Cap::Crypto) {
            return Ok(Err(refused));
        }
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        if len > RANDOM_BYTES_MAX {
            return Ok(Err(guest_error(
                "limit",
                "at most 1024 random bytes at once",
            )));
        }
        Ok(Ok(Guest::random(self, len)))
    }

    fn seal(&mut self, purpose: String, data: Vec<u8>, ttl_ms: u64) -> Reply<String> {
        Ok(self.sealed(&purpose, &data, ttl_ms))
    }

    fn unseal(&mut self, purpose: String, token: String) -> Reply<Vec<u8>> {
        Ok(self.unsealed(&purpose, &token))
    }
}

impl Guest {
    fn sealed(&mut self, purpose: &str, data: &[u8], ttl_ms: u64) -> Result<String, Error> {
        self.may_use(Cap::Crypto)?;
        if data.len() > SEALED_BYTES_MAX {
            return Err(guest_error("too-large", "at most 2048 bytes are sealed"));
        }
        if ttl_ms == 0 || ttl_ms > TTL_MS_MAX {
            return Err(guest_error("invalid", "a link lasts up to a year"));
        }
        let Some(context) = &self.context else {
            return Err(guest_error("unavailable", "there is no tenant here"));
        };
        // When it ends is inside: nobody makes it last longer.
        let ends = context.cx.now.plus_ms(ttl_ms).0.to_be_bytes();
        let aad = [WHAT, self.plugin.as_str().as_bytes(), purpose.as_bytes()];
        let sealed = context.keyring.seal(
            context.tenant(),
            ErasureKey::TENANT,
            Purpose::Tokens,
            &aad,
            &[&ends, data].concat(),
        );
        match sealed {
            Ok(sealed) => Ok(URL_SAFE_NO_PAD.encode(sealed)),
            Err(error) => {
                tracing::error!(plugin.id = %self.plugin, %error, "sealing for a plugin");
                Err(guest_error("unavailable", "nothing can be sealed now"))
            }
        }
    }

    fn unsealed(&mut self, purpose: &str, token: &str) -> Result<Vec<u8>, Error> {
        self.may_use(Cap::Crypto)?;
        // One answer for all: what is wrong with a link is nobody's business.
        let invalid = || guest_error("invalid", "the link is not valid, or not any more");
        let Some(context) = &self.context else {
            return Err(guest_error("unavailable", "there is no tenant here"));
        };
        if token.len() > 2 * SEALED_BYTES_MAX {
            return Err(invalid());
        }
        let sealed = URL_SAFE_NO_PAD.decode(token).map_err(|_| invalid())?;
        let aad = [WHAT, self.plugin.as_str().as_bytes(), purpose.as_bytes()];
        let opened = context
            .keyring
            .open_sealed(context.tenant(), Purpose::Tokens, &aad, &sealed)
            .map_err(|_| invalid())?;
        let (ends, data) = opened.split_first_chunk::<8>().ok_or_else(invalid)?;
        if context.cx.now.0 >= u64::from_be_bytes(*ends) {
            return Err(invalid());
        }
        Ok(data.to_vec())
    }
}
