//! Storage: the plugin's own rows in the caller's tenant, in the call's one transaction.

use vaxel_storage as storage;

use super::bindings::vaxel::storage::storage::{Entry, Host, Order, Page};
use super::bindings::vaxel::types::types::Error;
use crate::guest::{Guest, Reply, guest_error, not_in_a_migration};
use crate::manifest::Cap;

/// The longest time for which a value is there: ten years.
const TTL_MS_MAX: u64 = 10 * 366 * 24 * 60 * 60 * 1_000;
/// Of a keyed hash, what a key is made of: enough that nobody finds two names with the same.
const BLIND_BYTES: usize = 16;

impl Host for Guest {
    fn get(&mut self, key: Vec<u8>) -> Reply<Option<Vec<u8>>> {
        self.with_storage(Cap::Storage, 1, |tx, space| tx.get(space, &key))
    }

    fn get_many(&mut self, keys: Vec<Vec<u8>>) -> Reply<Vec<Option<Vec<u8>>>> {
        self.with_storage(Cap::Storage, keys.len(), |tx, space| {
            keys.iter().map(|key| tx.get(space, key)).collect()
        })
    }

    fn put(&mut self, key: Vec<u8>, value: Vec<u8>, subject: Option<String>) -> Reply<()> {
        let erasure = match self.erasure(subject.as_deref()) {
            Ok(erasure) => erasure,
            Err(error) => return Ok(Err(error)),
        };
        self.with_storage(Cap::Storage, 1, |tx, space| {
            tx.put(space, &key, value, erasure)
        })
    }

    fn put_for(
        &mut self,
        key: Vec<u8>,
        value: Vec<u8>,
        ttl_ms: u64,
        subject: Option<String>,
    ) -> Reply<()> {
        if ttl_ms == 0 || ttl_ms > TTL_MS_MAX {
            let refused = guest_error("invalid", "a value is there for 1 ms to ten years");
            return Ok(self.may_use(Cap::Storage).and(Err(refused)));
        }
        let erasure = match self.erasure(subject.as_deref()) {
            Ok(erasure) => erasure,
            Err(error) => return Ok(Err(error)),
        };
        let now = self.context.as_ref().map(|context| context.cx.now);
        let until = now.unwrap_or_default().plus_ms(ttl_ms);
        self.with_storage(Cap::Storage, 2, |tx, space| {
            tx.put_until(space, &key, value, erasure, until)
        })
    }

    fn blind(&mut self, purpose: String, name: Vec<u8>) -> Reply<Vec<u8>> {
        Ok(self.blinded(&purpose, &name))
    }

    fn delete(&mut self, key: Vec<u8>) -> Reply<()> {
        self.with_storage(Cap::Storage, 1, |tx, space| tx.delete(space, &key))
    }

    fn scan(
        &mut self,
        prefix: Vec<u8>,
        after: Option<Vec<u8>>,
        limit: u32,
        order: Order,
    ) -> Reply<Page> {
        let order = match order {
            Order::Ascending => storage::Order::Ascending,
            Order::Descending => storage::Order::Descending,
        };
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        self.with_storage(Cap::Storage, 1, |tx, space| {
            let page = tx.scan(space, &prefix, after.as_deref(), limit, order)?;
            let entries = page.entries.into_iter();
            Ok(Page {
                entries: entries.map(|(key, value)| Entry { key, value }).collect(),
                next: page.next,
            })
        })
    }

    fn increment(&mut self, key: Vec<u8>, by: i64) -> Reply<()> {
        self.with_storage(Cap::Storage, 1, |tx, space| tx.increment(space, &key, by))
    }

    fn append(
        &mut self,
        prefix: Vec<u8>,
        value: Vec<u8>,
        alias: Option<Vec<u8>>,
        subject: Option<String>,
    ) -> Reply<()> {
        // Where it lands is not known before the commit, so nobody could take it away again.
        if self
            .context
            .as_ref()
            .is_some_and(|context| context.is_migration)
        {
            return Ok(self.may_use(Cap::Storage).and(Err(not_in_a_migration())));
        }
        let erasure = match self.erasure(subject.as_deref()) {
            Ok(erasure) => erasure,
            Err(error) => return Ok(Err(error)),
        };
        self.with_storage(Cap::Storage, 1, |tx, space| {
            tx.append(space, &prefix, value, alias, erasure)
        })
    }

    fn new_id(&mut self) -> wasmtime::Result<String> {
        let chance = self.context.as_ref().and_then(|c| c.chance.clone());
        let mut drawn = std::mem::take(&mut self.drawn);
        let id = self.with_storage(Cap::Storage, 1, |tx, _| {
            Ok(match &chance {
                Some(chance) => chance.id(&mut drawn, || tx.new_id()),
                None => tx.new_id(),
            })
        });
        self.drawn = drawn;
        let id = id?;
        // WIT lets this one not fail, so a guest that wants ids without end is ended.
        let id = id.map_err(|Error { code, .. }| wasmtime::Error::msg(code))?;
        Ok(format!("{id:032x}"))
    }
}

impl Guest {
    fn blinded(&mut self, purpose: &str, name: &[u8]) -> Result<Vec<u8>, Error> {
        self.may_use(Cap::Storage)?;
        self.ops = self.ops.saturating_add(1);
        if self.ops > self.limits.storage_ops {
            return Err(guest_error("limit", "too many operations in one call"));
        }
        let Some(context) = &self.context else {
            return Err(guest_error("unavailable", "there is no tenant here"));
        };
        // A plugin's id has no colon, so no plugin names another's purpose.
        let purpose = format!("plugin:{}:{purpose}", self.plugin);
        let blinded = context.keyring.blind(context.tenant(), &purpose, name);
        match blinded {
            Ok(blinded) => Ok(blinded.into_iter().take(BLIND_BYTES).collect()),
            Err(error) => {
                tracing::error!(plugin.id = %self.plugin, %error, "blinding for a plugin");
                Err(guest_error("unavailable", "nothing can be blinded now"))
            }
        }
    }
}
