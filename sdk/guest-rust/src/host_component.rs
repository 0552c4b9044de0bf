//! The capabilities as the component imports them.

use crate::bindings::vaxel::{
    clock::clock, crypto::crypto, events::events, identity::identity, log::log as host_log,
    storage::storage, types::types,
};
use crate::identity::{Caller, Profile};
use crate::log::Level;
use crate::storage::{Order, Page};
use crate::{Error, Result};

impl From<types::Error> for Error {
    fn from(error: types::Error) -> Self {
        Self {
            code: error.code.into(),
            message: error.message,
            retry_after_ms: error.retry_after_ms,
        }
    }
}

impl From<Error> for types::Error {
    fn from(error: Error) -> Self {
        Self {
            code: error.code.into_owned(),
            message: error.message,
            retry_after_ms: error.retry_after_ms,
        }
    }
}

pub(crate) fn get(key: &[u8]) -> Result<Option<Vec<u8>>> {
    Ok(storage::get(key)?)
}

pub(crate) fn get_many(keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>> {
    Ok(storage::get_many(keys)?)
}

pub(crate) fn put(key: &[u8], value: &[u8], subject: Option<&str>) -> Result<()> {
    Ok(storage::put(key, value, subject)?)
}

pub(crate) fn delete(key: &[u8]) -> Result<()> {
    Ok(storage::delete(key)?)
}

pub(crate) fn scan(
    prefix: &[u8],
    after: Option<&[u8]>,
    limit: u32,
    order: Order,
) -> Result<Page<Vec<u8>>> {
    let order = match order {
        Order::Ascending => storage::Order::Ascending,
        Order::Descending => storage::Order::Descending,
    };
    let page = storage::scan(prefix, after, limit, order)?;
    Ok(Page {
        entries: page
            .entries
            .into_iter()
            .map(|entry| (entry.key, entry.value))
            .collect(),
        next: page.next,
    })
}

pub(crate) fn increment(key: &[u8], by: i64) -> Result<()> {
    Ok(storage::increment(key, by)?)
}

pub(crate) fn append(
    prefix: &[u8],
    value: &[u8],
    alias: Option<&[u8]>,
    subject: Option<&str>,
) -> Result<()> {
    Ok(storage::append(prefix, value, alias, subject)?)
}

pub(crate) fn new_id() -> String {
    storage::new_id()
}

pub(crate) fn join(audience: &str, user: &str) -> Result<()> {
    Ok(events::join(audience, user)?)
}

pub(crate) fn leave(audience: &str, user: &str) -> Result<()> {
    Ok(events::leave(audience, user)?)
}

pub(crate) fn publish(
    audience: &str,
    topic: &str,
    payload: &[u8],
    subject: Option<&str>,
) -> Result<()> {
    Ok(events::publish(audience, topic, payload, subject)?)
}

pub(crate) fn publish_ephemeral(audience: &str, topic: &str, payload: &[u8]) -> Result<()> {
    Ok(events::publish_ephemeral(audience, topic, payload)?)
}

pub(crate) fn caller() -> Caller {
    let caller = identity::current();
    Caller {
        user: caller.user,
        admin: caller.admin,
        assurance: caller.assurance,
        locale: caller.locale,
        request_id: caller.request_id,
    }
}

pub(crate) fn has_permission(permission: &str) -> bool {
    identity::has_permission(permission)
}

pub(crate) fn profiles(users: &[String]) -> Result<Vec<Option<Profile>>> {
    let found = identity::profiles(users)?;
    Ok(found.into_iter().map(|one| one.map(profile)).collect())
}

pub(crate) fn members(after: Option<&str>, limit: u32) -> Result<Vec<Profile>> {
    let found = identity::members(after, limit)?;
    Ok(found.into_iter().map(profile).collect())
}

pub(crate) fn now_ms() -> u64 {
    clock::now()
}

pub(crate) fn random(len: u32) -> Result<Vec<u8>> {
    Ok(crypto::random(len)?)
}

pub(crate) fn log(level: Level, message: &str) {
    let level = match level {
        Level::Debug => host_log::Level::Debug,
        Level::Info => host_log::Level::Info,
        Level::Warn => host_log::Level::Warn,
        Level::Error => host_log::Level::Error,
    };
    host_log::log(level, message);
}

fn profile(profile: identity::Profile) -> Profile {
    Profile {
        id: profile.id,
        display_name: profile.display_name,
        active: profile.active,
    }
}
