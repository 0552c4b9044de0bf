//! Ed25519 signatures of publishers: what they sign with, what others check it with, and how both are written down.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use crate::{CryptoError, Secret, random_bytes};

/// How a key that signatures are checked with begins, so that nobody mistakes it for the other half.
const PUBLIC_PREFIX: &str = "ed25519:";

/// The same for the half that is kept.
const SECRET_PREFIX: &str = "vaxel-signing-key-1:";

/// What a publisher signs with.
pub struct SigningKey(Ed25519KeyPair, Secret<[u8; 32]>);

/// What a publisher's signatures are checked with.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct VerifyingKey([u8; 32]);

/// A key's thumbprint: SHA-256 of its 32 public bytes, in hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; 32]);

impl SigningKey {
    /// A new one.
    pub fn generate() -> Result<Self, CryptoError> {
        Self::from_seed(random_bytes())
    }

    fn from_seed(seed: [u8; 32]) -> Result<Self, CryptoError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed)
            .map_err(|_| not_a_key("this is no Ed25519 key"))?;
        Ok(Self(pair, Secret::new(seed)))
    }

    /// Reads what [`SigningKey::to_text`] wrote.
    pub fn from_text(text: &str) -> Result<Self, CryptoError> {
        let seed = text
            .trim()
            .strip_prefix(SECRET_PREFIX)
            .ok_or_else(|| not_a_key("this is no signing key that `vaxel plugin keygen` made"))?;
        Self::from_seed(bytes(seed)?)
    }

    /// The text that the owner keeps in a file.
    pub fn to_text(&self) -> Secret<String> {
        Secret::new(format!(
            "{SECRET_PREFIX}{}",
            STANDARD.encode(self.1.expose())
        ))
    }

    /// What others check its signatures with.
    pub fn verifying_key(&self) -> Result<VerifyingKey, CryptoError> {
        let public = self.0.public_key().as_ref().try_into();
        public
            .map(VerifyingKey)
            .map_err(|_| not_a_key("this is no Ed25519 key"))
    }

    /// Signs.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.0.sign(message).as_ref().to_vec()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(…)")
    }
}

impl VerifyingKey {
    /// Whether this key's other half signed exactly this.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.0)
            .verify(message, signature)
            .is_ok()
    }

    /// Its thumbprint.
    pub fn id(&self) -> KeyId {
        KeyId(Sha256::digest(self.0).into())
    }
}

impl fmt::Display for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PUBLIC_PREFIX}{}", STANDARD.encode(self.0))
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for VerifyingKey {
    type Err = CryptoError;

    fn from_str(text: &str) -> Result<Self, CryptoError> {
        let key = text.strip_prefix(PUBLIC_PREFIX).ok_or_else(|| {
            not_a_key("a public key is written ed25519:… as `vaxel plugin keygen` prints it")
        })?;
        Ok(Self(bytes(key)?))
    }
}

impl KeyId {
    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn bytes(text: &str) -> Result<[u8; 32], CryptoError> {
    STANDARD
        .decode(text)
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| not_a_key("a key is 32 bytes in base64"))
}

const fn not_a_key(what: &'static str) -> CryptoError {
    CryptoError::SigningKey { what }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_of_one_key_and_one_message() {
        let key = SigningKey::generate().unwrap();
        let other = SigningKey::generate().unwrap();
        let signature = key.sign(b"message");
        let public = key.verifying_key().unwrap();
        assert!(public.verifies(b"message", &signature));
        assert!(!public.verifies(b"massage", &signature));
        assert!(!public.verifies(b"message", &signature[..63]));
        assert!(
            !other
                .verifying_key()
                .unwrap()
                .verifies(b"message", &signature)
        );
    }

    #[test]
    fn both_halves_survive_being_written_down() {
        let key = SigningKey::generate().unwrap();
        let public = key.verifying_key().unwrap();
        let again = SigningKey::from_text(key.to_text().expose()).unwrap();
        assert_eq!(again.verifying_key().unwrap(), public);
        assert_eq!(public.to_string().parse::<VerifyingKey>().unwrap(), public);
        assert_eq!(public.id().to_string().len(), 64);
        assert_eq!(format!("{key:?}"), "SigningKey(…)");
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for text in [
            "",
            "ed25519:",
            "ed25519:AAAA",
            "rsa:AAAA",
            "vaxel-signing-key-1:",
        ] {
            assert!(text.parse::<VerifyingKey>().is_err(), "{text}");
            assert!(SigningKey::from_text(text).is_err(), "{text}");
        }
    }
}
