//! Blobs of plugins: rows that say which there are, addresses for clients, and the sweep of what nobody kept.
//!
//! The bytes lie in files beside the log ([`vaxel_storage::BlobWriter`]); a row is committed only when its file is
//! whole. What a client uploads passes the plugin by: it learns length, hash and type from the host.

mod address;
mod kind;
mod rows;
mod sweep;
mod transfer;

pub use transfer::{Download, Upload};
pub(crate) use transfer::{has_room, remove_gone, write_new};

pub(crate) use address::{ADDRESS_MS_MAX, Address, Deed};
pub(crate) use kind::media_type;
pub(crate) use rows::{Row, State, account, list, read, sum, write};

/// A blob that a guest made in its call: written before the call's commit.
pub(crate) struct NewBlob {
    pub(crate) id: u128,
    pub(crate) erasure: vaxel_crypto::ErasureKey,
    pub(crate) data: Vec<u8>,
}

/// A blob's id as plugins and clients write it.
pub(crate) fn parsed_id(id: &str) -> Option<u128> {
    u128::from_str_radix(id, 16)
        .ok()
        .filter(|_| id.len() == 32 && id.bytes().all(|b| !b.is_ascii_uppercase()))
}
