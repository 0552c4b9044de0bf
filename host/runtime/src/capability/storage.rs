//! Storage: the plugin's own rows in the caller's tenant, in the call's one transaction.

use vaxel_storage as storage;

use super::bindings::vaxel::storage::storage::{Entry, Host, Order, Page};
use super::bindings::vaxel::types::types::Error;
use crate::guest::{Guest, Reply, guest_error};
use crate::manifest::Cap;

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
        _key: Vec<u8>,
        _value: Vec<u8>,
        _ttl_ms: u64,
        _subject: Option<String>,
    ) -> Reply<()> {
        Ok(Err(guest_error("unavailable", "not yet")))
    }

    fn blind(&mut self, _purpose: String, _name: Vec<u8>) -> Reply<Vec<u8>> {
        Ok(Err(guest_error("unavailable", "not yet")))
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
