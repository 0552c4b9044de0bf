//! Password and PIN hashes: Argon2id (RFC 9106) as PHC strings.

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version};

use crate::CryptoError;

/// What one hash costs an attacker, and us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
}

impl Default for Cost {
    /// OWASP's choice for Argon2id: 19 MiB, two passes, one lane.
    fn default() -> Self {
        Self {
            memory_kib: 19 * 1_024,
            passes: 2,
        }
    }
}

impl Cost {
    /// The least that Argon2 takes, for tests that hash by the hundred.
    pub const CHEAP: Self = Self {
        memory_kib: 8,
        passes: 1,
    };

    fn hasher(self) -> Result<Argon2<'static>, CryptoError> {
        let params = Params::new(self.memory_kib, self.passes, 1, None)
            .map_err(|_| CryptoError::Password)?;
        Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
    }
}

/// Hashes a password under a fresh salt. Takes tens of milliseconds: call it where blocking is allowed.
pub fn hash(password: &str, cost: Cost) -> Result<String, CryptoError> {
    let hash = cost
        .hasher()?
        .hash_password(password.as_bytes())
        .map_err(|_| CryptoError::Password)?;
    Ok(hash.to_string())
}

/// Whether this is the password. The cost is the one written in the hash.
pub fn verify(password: &str, phc: &str) -> bool {
    PasswordHash::new(phc).is_ok_and(|parsed| {
        Argon2::default()
            .verify_password(password.as_bytes(), &parsed)
            .is_ok()
    })
}

/// Does the work of a verification and fails, so that an unknown login takes as long as a known one.
pub fn dummy_verify(password: &str, cost: Cost) {
    let mut out = [0_u8; 32];
    if let Ok(hasher) = cost.hasher() {
        // The outcome does not matter; the time does.
        let _ = hasher.hash_password_into(password.as_bytes(), b"no such person..", &mut out);
    }
    std::hint::black_box(out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_password_verifies() {
        let phc = hash("rätt häst batteri", Cost::CHEAP).unwrap();
        assert!(phc.starts_with("$argon2id$"));
        assert!(verify("rätt häst batteri", &phc));
        assert!(!verify("fel", &phc));
        assert!(!verify("rätt häst batteri", "not a hash"));
    }

    #[test]
    fn the_same_password_hashes_differently_each_time() {
        assert_ne!(
            hash("x", Cost::CHEAP).unwrap(),
            hash("x", Cost::CHEAP).unwrap()
        );
    }
}
