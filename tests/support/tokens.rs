//! Tokens that nobody issued.

use aws_lc_rs::{hmac, signature::Ed25519KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

/// A token's three parts, read without checking anything.
#[derive(Clone)]
pub struct Opened {
    pub header: Value,
    pub claims: Value,
    pub signature: String,
}

impl Opened {
    pub fn of(token: &str) -> Self {
        let parts: Vec<&str> = token.split('.').collect();
        assert_eq!(parts.len(), 3, "a token has three parts");
        let read = |part: &str| -> Value {
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64url"))
                .expect("JSON in a token")
        };
        Self {
            header: read(parts[0]),
            claims: read(parts[1]),
            signature: parts[2].to_owned(),
        }
    }

    /// The token with its old signature, whatever was changed.
    pub fn with_old_signature(&self) -> String {
        format!("{}.{}", self.signing_input(), self.signature)
    }

    pub fn unsigned(&self) -> String {
        format!("{}.", self.signing_input())
    }

    /// Signed with HS256 under any bytes, a public key for example.
    pub fn signed_hs256(&self, key: &[u8]) -> String {
        let input = self.signing_input();
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), input.as_bytes());
        let signature = URL_SAFE_NO_PAD.encode(tag.as_ref());
        format!("{input}.{signature}")
    }

    /// Signed with an Ed25519 key that the server never saw.
    pub fn signed_by_a_stranger(&self) -> String {
        let input = self.signing_input();
        let key = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a key from any seed");
        let signature = key.sign(input.as_bytes());
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }

    fn signing_input(&self) -> String {
        format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(self.header.to_string()),
            URL_SAFE_NO_PAD.encode(self.claims.to_string())
        )
    }
}

/// The raw bytes of the public keys in a JWKS.
pub fn public_keys(jwks: &Value) -> Vec<Vec<u8>> {
    jwks["keys"]
        .as_array()
        .expect("keys")
        .iter()
        .filter_map(|key| URL_SAFE_NO_PAD.decode(key["x"].as_str()?).ok())
        .collect()
}
