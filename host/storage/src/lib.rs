//! Storage: the commit log is the truth, sled is the applied state, values are sealed before they reach either.

mod apply;
mod backup;
mod checkpoint;
mod codec;
mod commit;
mod disk;
mod engine;
mod error;
mod follow;
mod health;
mod ids;
mod keeper;
mod key;
mod layout;
pub mod limits;
mod log;
mod record;
mod recovery;
mod row;
mod scan;
mod snapshot;
mod stamp;
mod state;
mod storage;
mod sweep;
mod tail;
mod tenant;
mod transaction;
mod verify;
mod window;

pub use backup::{BackupReport, restore};
pub use commit::Commit;
pub use disk::{Disk, LogFile, RealDisk};
pub use error::{ReplayError, StorageError};
pub use follow::Committed;
pub use key::Space;
pub use scan::{Order, Page};
pub use stamp::{AudienceId, Cursor, Event, STAMP_LEN, Stamp};
pub use storage::{Storage, StorageConfig};
pub use transaction::Transaction;
/// Stands in the signatures of writes, so that callers need not know the crate that seals.
pub use vaxel_crypto::ErasureKey;
pub use verify::ChainReport;
