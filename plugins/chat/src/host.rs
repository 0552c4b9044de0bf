//! The host behind the SDK, as chat sees it.

use serde::Serialize;
use vaxel_plugin::identity::PROFILES_MAX;
use vaxel_plugin::{clock, events, identity, storage};

use crate::ids::UserId;
use crate::world::{About, Entry, Fault, Order, World};

pub(crate) struct Host;

impl World for Host {
    fn now(&self) -> u64 {
        clock::now_ms()
    }

    fn new_id(&self) -> Result<u128, Fault> {
        let id = storage::new_id("");
        u128::from_str_radix(id.trim_start_matches('_'), 16)
            .map_err(|_| Fault::internal("the host gave an id that is none"))
    }

    fn are_active(&self, users: &[UserId]) -> Result<Vec<bool>, Fault> {
        let mut active = Vec::with_capacity(users.len());
        for some in users.chunks(PROFILES_MAX) {
            let asked: Vec<String> = some.iter().map(UserId::to_string).collect();
            let found = identity::profiles(&asked)?;
            active.extend(
                found
                    .iter()
                    .map(|one| one.as_ref().is_some_and(|one| one.active)),
            );
        }
        Ok(active)
    }

    fn may(&self, permission: &str) -> bool {
        identity::has_permission(permission)
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        storage::get(key)
    }

    fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, Fault> {
        storage::get_many(keys)
    }

    fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
        order: Order,
    ) -> Result<Vec<Entry>, Fault> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut after = after.map(<[u8]>::to_vec);
        // The host ends a page early where it grows beyond some megabytes.
        while entries.len() < limit {
            let wanted = u32::try_from(limit - entries.len()).unwrap_or(u32::MAX);
            let page = storage::scan(prefix, after.as_deref(), wanted, order)?;
            entries.extend(page.entries);
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        Ok(entries)
    }

    fn put(&self, key: &[u8], value: &[u8], about: About) -> Result<(), Fault> {
        match about {
            Some(conversation) => storage::put_about(key, value, &conversation.to_string()),
            None => storage::put(key, value),
        }
    }

    fn delete(&self, key: &[u8]) -> Result<(), Fault> {
        storage::delete(key)
    }

    fn increment(&self, key: &[u8], by: i64) -> Result<(), Fault> {
        storage::increment(key, by)
    }

    fn append(&self, prefix: &[u8], value: &[u8], alias: &[u8], about: About) -> Result<(), Fault> {
        match about {
            Some(conversation) => {
                storage::append_about(prefix, value, Some(alias), &conversation.to_string())
            }
            None => storage::append(prefix, value, Some(alias)),
        }
    }

    fn join(&self, audience: &str, user: UserId) -> Result<(), Fault> {
        events::join(audience, &user.to_string())
    }

    fn leave(&self, audience: &str, user: UserId) -> Result<(), Fault> {
        events::leave(audience, &user.to_string())
    }

    fn publish(
        &self,
        audience: &str,
        topic: &str,
        payload: &impl Serialize,
        about: About,
    ) -> Result<(), Fault> {
        match about {
            Some(conversation) => {
                events::publish_about(audience, topic, payload, &conversation.to_string())
            }
            None => events::publish(audience, topic, payload),
        }
    }

    fn publish_ephemeral(
        &self,
        audience: &str,
        topic: &str,
        payload: &impl Serialize,
    ) -> Result<(), Fault> {
        events::publish_ephemeral(audience, topic, payload)
    }
}
