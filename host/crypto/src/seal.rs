//! Sealing one value: XChaCha20-Poly1305 with length-prefixed associated data.

use std::cell::RefCell;

use chacha20poly1305::aead::AeadInOut as _;
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::keyring::ErasureKey;
use crate::{CryptoError, random_bytes};

/// What a key is used for; each purpose has a key of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Stored values.
    Values,
    /// Rows of the event tail.
    Events,
    /// What the host alone may read: signing keys, held credentials.
    Secrets,
    /// Tokens that leave the house sealed.
    Tokens,
}

impl Purpose {
    const ALL: [Self; 4] = [Self::Values, Self::Events, Self::Secrets, Self::Tokens];

    const fn label(self) -> &'static [u8] {
        match self {
            Self::Values => b"vaxel.v1.values",
            Self::Events => b"vaxel.v1.events",
            Self::Secrets => b"vaxel.v1.secrets",
            Self::Tokens => b"vaxel.v1.tokens",
        }
    }
}

/// Sealed under the tenant's own key: format, nonce, ciphertext, tag.
const FORMAT_TENANT: u8 = 1;
/// Sealed under a named erasure key: format, key id, nonce, ciphertext, tag.
const FORMAT_NAMED: u8 = 2;

const NONCE_LEN: usize = 24;
const TAG_LEN: usize = 16;
const KEY_ID_LEN: usize = 16;

/// The ciphers that one key gives, one a purpose.
pub(crate) struct Ciphers([XChaCha20Poly1305; 4]);

impl Ciphers {
    pub(crate) fn derive(key: &[u8; 32]) -> Result<Self, CryptoError> {
        let [a, b, c, d] = Purpose::ALL.map(|purpose| derive(key, purpose.label()));
        let cipher = |key: Result<Zeroizing<[u8; 32]>, CryptoError>| {
            key.map(|key| XChaCha20Poly1305::new((&*key).into()))
        };
        Ok(Self([cipher(a)?, cipher(b)?, cipher(c)?, cipher(d)?]))
    }

    const fn of(&self, purpose: Purpose) -> &XChaCha20Poly1305 {
        let Self([values, events, secrets, tokens]) = self;
        match purpose {
            Purpose::Values => values,
            Purpose::Events => events,
            Purpose::Secrets => secrets,
            Purpose::Tokens => tokens,
        }
    }

    /// Appends the sealed value to `out`.
    pub(crate) fn seal_into(
        &self,
        erasure: ErasureKey,
        purpose: Purpose,
        aad: &[&[u8]],
        plaintext: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), CryptoError> {
        out.reserve(1 + KEY_ID_LEN + NONCE_LEN + plaintext.len() + TAG_LEN);
        if erasure == ErasureKey::TENANT {
            out.push(FORMAT_TENANT);
        } else {
            out.push(FORMAT_NAMED);
            out.extend_from_slice(&erasure.to_bytes());
        }
        let nonce: [u8; NONCE_LEN] = random_bytes();
        out.extend_from_slice(&nonce);
        let start = out.len();
        out.extend_from_slice(plaintext);
        let body = out.get_mut(start..).ok_or(CryptoError::Unsealable)?;
        let tag = with_aad(aad, |aad| {
            self.of(purpose)
                .encrypt_inout_detached(&XNonce::from(nonce), aad, body.into())
                .map_err(|_| CryptoError::Unsealable)
        })?;
        out.extend_from_slice(&tag);
        Ok(())
    }

    /// Opens what [`Parts::split`] took apart.
    pub(crate) fn open(
        &self,
        purpose: Purpose,
        aad: &[&[u8]],
        parts: &Parts<'_>,
    ) -> Result<Vec<u8>, CryptoError> {
        let mut body = parts.body.to_vec();
        with_aad(aad, |aad| {
            self.of(purpose)
                .decrypt_inout_detached(
                    &XNonce::from(parts.nonce),
                    aad,
                    body.as_mut_slice().into(),
                    &parts.tag.into(),
                )
                .map_err(|_| CryptoError::Unsealable)
        })?;
        Ok(body)
    }
}

/// A sealed value taken apart.
pub(crate) struct Parts<'a> {
    pub(crate) erasure: ErasureKey,
    nonce: [u8; NONCE_LEN],
    body: &'a [u8],
    tag: [u8; TAG_LEN],
}

impl<'a> Parts<'a> {
    pub(crate) fn split(sealed: &'a [u8]) -> Result<Self, CryptoError> {
        let (format, rest) = sealed.split_first().ok_or(CryptoError::Unsealable)?;
        let (erasure, rest) = match *format {
            FORMAT_TENANT => (ErasureKey::TENANT, rest),
            FORMAT_NAMED => {
                let (id, rest) = rest
                    .split_first_chunk::<KEY_ID_LEN>()
                    .ok_or(CryptoError::Unsealable)?;
                (ErasureKey::from_bytes(*id), rest)
            }
            _ => return Err(CryptoError::Unsealable),
        };
        let (nonce, rest) = rest.split_first_chunk().ok_or(CryptoError::Unsealable)?;
        let (body, tag) = rest.split_last_chunk().ok_or(CryptoError::Unsealable)?;
        Ok(Self {
            erasure,
            nonce: *nonce,
            body,
            tag: *tag,
        })
    }
}

/// One key from another, for one labelled use (HKDF-SHA256, RFC 5869).
pub(crate) fn derive(key: &[u8; 32], label: &[u8]) -> Result<Zeroizing<[u8; 32]>, CryptoError> {
    let mut out = Zeroizing::new([0_u8; 32]);
    Hkdf::<Sha256>::new(None, key)
        .expand(label, out.as_mut_slice())
        .map_err(|_| CryptoError::KeySet {
            what: "key derivation",
        })?;
    Ok(out)
}

/// Joins the parts, each behind its length, so that no two lists of parts read alike.
fn with_aad<T>(parts: &[&[u8]], use_it: impl FnOnce(&[u8]) -> T) -> T {
    thread_local! {
        static JOINED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }
    JOINED.with_borrow_mut(|joined| {
        joined.clear();
        for part in parts {
            joined.extend_from_slice(&(part.len() as u64).to_be_bytes());
            joined.extend_from_slice(part);
        }
        use_it(joined)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_associated_data_do_not_run_together() {
        let left = with_aad(&[b"ab", b"c"], <[u8]>::to_vec);
        let right = with_aad(&[b"a", b"bc"], <[u8]>::to_vec);
        assert_ne!(left, right);
    }

    #[test]
    fn a_truncated_value_is_an_error_and_no_panic() {
        for len in 0..60 {
            for format in 0..4 {
                let mut sealed = vec![7_u8; len];
                if let Some(first) = sealed.first_mut() {
                    *first = format;
                }
                let _ = Parts::split(&sealed).map(|parts| parts.body.len());
            }
        }
    }
}
