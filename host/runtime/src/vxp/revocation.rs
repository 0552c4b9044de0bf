//! The revocation list: packages and keys that were taken back, signed, and numbered so that an older one never counts.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use vaxel_core::UnixMs;
use vaxel_crypto::{SigningKey, VerifyingKey};

use super::{PackageError, Statement};

const FORMAT: u32 = 1;
const PURPOSE: &str = "vaxel revocations";

/// The longest list: some 3000 entries. The last good one is kept in one row of storage.
const REVOCATIONS_BYTES_MAX: usize = 200 << 10;

/// A list as it stands in its file.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Revocations {
    format: u32,
    /// Grows with each list.
    pub number: u64,
    /// When it was made.
    pub issued_at: UnixMs,
    /// Hashes of packages.
    pub packages: BTreeSet<String>,
    /// Thumbprints of keys.
    pub keys: BTreeSet<String>,
    signature: String,
}

impl Revocations {
    /// The list that comes after `former`: with its entries and these.
    pub fn after(
        former: Option<Self>,
        packages: impl IntoIterator<Item = String>,
        keys: impl IntoIterator<Item = String>,
        signer: &SigningKey,
        issued_at: UnixMs,
    ) -> Self {
        let mut list = former.unwrap_or_else(|| Self {
            format: FORMAT,
            number: 0,
            issued_at,
            packages: BTreeSet::new(),
            keys: BTreeSet::new(),
            signature: String::new(),
        });
        list.number = list.number.saturating_add(1);
        list.issued_at = issued_at;
        list.packages.extend(packages);
        list.keys.extend(keys);
        list.signature = STANDARD.encode(signer.sign(&list.statement().0));
        list
    }

    /// Reads a list that one of these keys signed; `None` if there is no file.
    pub fn load(path: &Path, keys: &[VerifyingKey]) -> Result<Option<Self>, PackageError> {
        let refuse = |what: String| PackageError::Revocations {
            path: path.display().to_string(),
            what,
        };
        let file = match fs::File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(refuse(error.to_string())),
        };
        let mut bytes = Vec::new();
        file.take(REVOCATIONS_BYTES_MAX as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| refuse(error.to_string()))?;
        if bytes.len() > REVOCATIONS_BYTES_MAX {
            return Err(refuse("it is larger than 200 KiB".to_owned()));
        }
        let list: Self = serde_json::from_slice(&bytes).map_err(|e| refuse(e.to_string()))?;
        if list.format != FORMAT {
            return Err(refuse(format!("format {} is unknown", list.format)));
        }
        let (statement, signature) = (list.statement(), STANDARD.decode(&list.signature));
        let signed = signature.is_ok_and(|signature| {
            keys.iter()
                .any(|key| key.verifies(&statement.0, &signature))
        });
        if !signed {
            return Err(refuse(
                "its signature is of none of the keys that the trust file names for it".to_owned(),
            ));
        }
        Ok(Some(list))
    }

    /// As it is written down.
    pub fn to_bytes(&self) -> Result<Vec<u8>, PackageError> {
        let mut bytes = serde_json::to_vec_pretty(self).map_err(|error| PackageError::Io {
            doing: "writing the revocation list",
            why: error.to_string(),
        })?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    pub(super) fn check(&self, what: &'static str, which: &str) -> Result<(), PackageError> {
        let listed = match what {
            "key" => &self.keys,
            _ => &self.packages,
        };
        if listed.contains(which) {
            return Err(PackageError::Revoked {
                what,
                which: which.to_owned(),
                number: self.number,
            });
        }
        Ok(())
    }

    fn statement(&self) -> Statement {
        let mut statement = Statement::new(PURPOSE, 1);
        statement.number(self.number);
        statement.number(self.issued_at.0);
        for list in [&self.packages, &self.keys] {
            statement.number(list.len() as u64);
            list.iter()
                .for_each(|entry| statement.part(entry.as_bytes()));
        }
        statement
    }
}
