//! Storage over real files.

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
