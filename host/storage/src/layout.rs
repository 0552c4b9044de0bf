//! What lies where in a data directory.

/// Says which format the directory has.
pub(crate) const FORMAT_FILE: &str = "FORMAT";
/// What the format file holds; the number is the format that this version writes.
pub(crate) const FORMAT_PREFIX: &str = "vaxel-storage ";
pub(crate) const FORMAT: u64 = 1;
/// Which history this is: a restore begins a new one.
pub(crate) const EPOCH_FILE: &str = "EPOCH";
/// Locked by the process that has the directory open.
pub(crate) const LOCK_FILE: &str = "LOCK";
/// Up to where the state is durable.
pub(crate) const CHECKPOINT_FILE: &str = "CHECKPOINT";
pub(crate) const LOG_DIR: &str = "log";
pub(crate) const STATE_DIR: &str = "state";
/// A state that was found damaged, until its successor stands.
pub(crate) const DAMAGED_STATE_DIR: &str = "state.damaged";
pub(crate) const SNAPSHOT_DIR: &str = "snapshots";
/// Where the key set lies unless the configuration says otherwise, and where backups put it.
pub(crate) const KEYS_DIR: &str = "keys";
