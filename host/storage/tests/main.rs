//! Storage over real files.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails fast"
)]

mod backup;
mod basics;
mod blobs;
mod common;
mod concurrency;
mod expiry;
mod formats;
mod full_disk;
mod power_loss;
mod recovery;
mod tail;
