//! Packages (`.vxp`): what one may hold, who signed it, and whom the operator trusts.

mod approval;
mod archive;
mod contents;
mod error;
mod revocation;
mod signature;
mod trust;

pub use approval::{APPROVAL_BYTES_MAX, Approval};
pub use contents::{File, Package};
pub use error::PackageError;
pub use revocation::Revocations;
pub use signature::Signature;
pub use trust::{Signer, Trust};

/// The largest package file: the largest component and everything beside it.
pub const PACKAGE_BYTES_MAX: usize = archive::ARCHIVE_BYTES_MAX;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A message to be signed: parts behind their lengths, so that no two lists of parts read the same.
struct Statement(Vec<u8>);

impl Statement {
    fn new(what: &str, format: u8) -> Self {
        let mut statement = Self(Vec::new());
        statement.part(what.as_bytes());
        statement.0.push(format);
        statement
    }

    fn part(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn number(&mut self, number: u64) {
        self.0.extend_from_slice(&number.to_be_bytes());
    }
}
