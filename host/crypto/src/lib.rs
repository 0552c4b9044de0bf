//! Keys and what they seal: master, tenant and erasure keys, purposes, secrets, signatures and password hashes.

mod blind_signature;
mod error;
mod keydisk;
mod keyring;
mod keyset;
mod master;
pub mod password;
mod seal;
mod secret;
mod signing;

pub use blind_signature::{BlindSigner, verify_unblinded};
pub use error::CryptoError;
pub use keyring::{ErasureKey, Keyring};
pub use master::{MasterKey, MasterKeySource};
pub use seal::Purpose;
pub use secret::{Secret, ct_eq, random_bytes};
pub use signing::{KeyId, SigningKey, VerifyingKey};
