//! The named maxima of storage and why each of them is what it is.

/// The longest key: ids and short paths; longer ones would fill the pages of the state with keys.
pub const KEY_LEN_MAX: usize = 1024;
/// The largest value: what is bigger belongs into a blob.
pub const VALUE_LEN_MAX: usize = 256 * 1024;
/// The most changes in one transaction: keeps the tenant's lock short. Twice what a plugin's call may make, so that what
/// the host adds to the same commit has room.
pub const OPS_MAX: usize = 2_000;
/// The most bytes that a transaction may hold before it is committed.
pub const WRITTEN_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The most keys and ranges that a transaction may read: each is checked again under the tenant's lock.
pub const READS_MAX: usize = 10_000;
/// The largest sealed record: a message of a clustered log is at most 1 MiB.
pub const RECORD_LEN_MAX: usize = 768 * 1024;
/// The most rows that one page of a scan brings.
pub const SCAN_LIMIT_MAX: usize = 1_000;
/// The most bytes that one page of a scan brings; the page ends early and says where to go on.
pub const SCAN_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The longest topic of an event.
pub const TOPIC_LEN_MAX: usize = 128;
/// How many commits of a tenant are remembered for validation; a transaction that began before conflicts.
pub const WINDOW_COMMITS_MAX: usize = 10_000;
/// How many changed keys of a tenant are remembered; large commits shorten the window instead of memory.
pub const WINDOW_KEYS_MAX: usize = 200_000;
/// One slot of the queue to the log, in bytes; a commit takes as many as its writes need.
pub const QUEUE_SLOT_BYTES: usize = 16 * 1024;
/// How many slots the queue has; a commit that finds none waits. Must stay below [`WINDOW_COMMITS_MAX`].
pub const QUEUE_SLOTS: usize = 4_096;
/// The most bytes that go to the disk in one write.
pub const GROUP_BYTES_MAX: usize = 8 * 1024 * 1024;
/// How often a read gives way to the thread that is just applying what it met, before it is stale.
pub const APPLY_YIELDS_MAX: usize = 1_000;
/// The most rows that reach the state in one step: none of its callers is answered before.
pub const SLICE_ROWS_MAX: usize = 256;
/// The smallest log segment: the largest record and the header must fit.
pub const SEGMENT_BYTES_MIN: u64 = 1024 * 1024;
/// The largest log segment: offsets inside it are 32 bits wide.
pub const SEGMENT_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// How long events are kept for those who were away: seven days.
pub const TAIL_KEPT_MS: u64 = 7 * 24 * 60 * 60 * 1_000;
/// The most events that one round of the sweeper deletes in one tenant.
pub const SWEEP_ROWS_MAX: usize = 10_000;
/// How often a read may move its transaction's start forward before it is stale.
pub const EXTENSIONS_MAX: usize = 4;
/// What part of the kept free space stays for the state when security writes use the rest of it: one in so many bytes.
pub const RESERVE_FLOOR_PART: u64 = 4;
/// The most bytes that one transaction may write at the cost of the reserve: a person's sign-in or sign-out.
pub const RESERVE_WRITTEN_BYTES_MAX: usize = 64 * 1024;
/// What security writes may take beyond a tenant's quota: a full organization can still be signed in to.
pub const QUOTA_RESERVE_BYTES: u64 = 16 * 1024 * 1024;
