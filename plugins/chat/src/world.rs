//! All that chat needs of the host: one trait, so that every rule runs natively against memory.

use serde::Serialize;

use crate::ids::{ConversationId, UserId};

/// The host's refusal, handed on as it came.
pub(crate) use vaxel_plugin::Error as Fault;
pub(crate) use vaxel_plugin::storage::Order;

pub(crate) type Entry = (Vec<u8>, Vec<u8>);

/// What a value tells of: erasing the conversation makes it unreadable, in backups too.
/// `None` is for ids and counters, in which nobody said anything.
pub(crate) type About = Option<ConversationId>;

/// One invocation: its reads see one moment, its writes and events commit together or not at all.
pub(crate) trait World {
    /// Unix time of the call in ms, the same at every re-run.
    fn now(&self) -> u64;
    fn new_id(&self) -> Result<u128, Fault>;
    /// Whether each person exists in this organization and may sign in, in the order asked.
    fn are_active(&self, users: &[UserId]) -> Result<Vec<bool>, Fault>;
    /// Whether the caller holds a permission of this plugin.
    fn may(&self, permission: &str) -> bool;

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Fault>;
    /// Answers in the order of `keys`.
    fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, Fault>;
    /// Rows under `prefix`, beyond `after` in the direction of `order`.
    fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
        order: Order,
    ) -> Result<Vec<Entry>, Fault>;
    fn put(&self, key: &[u8], value: &[u8], about: About) -> Result<(), Fault>;
    fn delete(&self, key: &[u8]) -> Result<(), Fault>;
    /// Commutative; the sum reads as 8 bytes big-endian.
    fn increment(&self, key: &[u8], by: i64) -> Result<(), Fault>;
    /// Stores at prefix‖stamp of the commit; the row at `alias` then holds that key.
    fn append(&self, prefix: &[u8], value: &[u8], alias: &[u8], about: About) -> Result<(), Fault>;

    fn join(&self, audience: &str, user: UserId) -> Result<(), Fault>;
    fn leave(&self, audience: &str, user: UserId) -> Result<(), Fault>;
    fn publish(
        &self,
        audience: &str,
        topic: &str,
        payload: &impl Serialize,
        about: About,
    ) -> Result<(), Fault>;
    /// Never stored, dropped first.
    fn publish_ephemeral(
        &self,
        audience: &str,
        topic: &str,
        payload: &impl Serialize,
    ) -> Result<(), Fault>;
}
