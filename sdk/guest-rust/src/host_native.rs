//! The capabilities outside a component: the [`mock`](crate::mock) of this thread, so that tests run natively.

use crate::identity::{Caller, PROFILES_MAX, Profile};
use crate::log::Level;
use crate::mock::{Told, with_call};
use crate::storage::{Order, Page, STAMP_LEN};
use crate::{Error, Result};

pub(crate) fn get(key: &[u8]) -> Result<Option<Vec<u8>>> {
    Ok(with_call(|call| call.rows.get(key).cloned()))
}

pub(crate) fn get_many(keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>> {
    keys.iter().map(|key| get(key)).collect()
}

pub(crate) fn put(key: &[u8], value: &[u8], _subject: Option<&str>) -> Result<()> {
    with_call(|call| call.rows.insert(key.to_vec(), value.to_vec()));
    Ok(())
}

pub(crate) fn delete(key: &[u8]) -> Result<()> {
    with_call(|call| call.rows.remove(key));
    Ok(())
}

pub(crate) fn scan(
    prefix: &[u8],
    after: Option<&[u8]>,
    limit: u32,
    order: Order,
) -> Result<Page<Vec<u8>>> {
    let limit = limit as usize;
    with_call(|call| {
        let within = call.rows.iter().filter(|(key, _)| key.starts_with(prefix));
        let beyond = |key: &[u8]| match (after, order) {
            (None, _) => true,
            (Some(after), Order::Ascending) => key > after,
            (Some(after), Order::Descending) => key < after,
        };
        let mut found: Vec<_> = within
            .filter(|(key, _)| beyond(key))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        if order == Order::Descending {
            found.reverse();
        }
        let more = found.len() > limit;
        found.truncate(limit);
        let next = if more {
            found.last().map(|(key, _)| key.clone())
        } else {
            None
        };
        Ok(Page {
            entries: found,
            next,
        })
    })
}

pub(crate) fn increment(key: &[u8], by: i64) -> Result<()> {
    with_call(|call| {
        let was = call
            .rows
            .get(key)
            .and_then(|row| row.as_slice().try_into().ok());
        let sum = was.map_or(0, i64::from_be_bytes).wrapping_add(by);
        call.rows.insert(key.to_vec(), sum.to_be_bytes().to_vec());
    });
    Ok(())
}

pub(crate) fn append(
    prefix: &[u8],
    value: &[u8],
    alias: Option<&[u8]>,
    _subject: Option<&str>,
) -> Result<()> {
    with_call(|call| {
        let mut key = prefix.to_vec();
        key.extend_from_slice(&call.seq.to_be_bytes());
        let ordinal = u16::try_from(call.appended.len()).unwrap_or(u16::MAX);
        key.extend_from_slice(&ordinal.to_be_bytes());
        debug_assert_eq!(key.len(), prefix.len() + STAMP_LEN);
        if let Some(alias) = alias {
            call.appended.push((alias.to_vec(), key.clone()));
        }
        call.appended.push((key, value.to_vec()));
    });
    Ok(())
}

pub(crate) fn new_id() -> String {
    with_call(|call| {
        call.ids += 1;
        format!("{:016x}{:016x}", call.now_ms, call.ids)
    })
}

pub(crate) fn join(audience: &str, user: &str) -> Result<()> {
    with_call(|call| {
        call.audiences
            .entry(audience.to_owned())
            .or_default()
            .insert(user.to_owned());
    });
    Ok(())
}

pub(crate) fn leave(audience: &str, user: &str) -> Result<()> {
    with_call(|call| {
        if let Some(members) = call.audiences.get_mut(audience) {
            members.remove(user);
        }
    });
    Ok(())
}

pub(crate) fn publish(
    audience: &str,
    topic: &str,
    payload: &[u8],
    _subject: Option<&str>,
) -> Result<()> {
    tell(audience, topic, payload, false)
}

pub(crate) fn publish_ephemeral(audience: &str, topic: &str, payload: &[u8]) -> Result<()> {
    tell(audience, topic, payload, true)
}

fn tell(audience: &str, topic: &str, payload: &[u8], ephemeral: bool) -> Result<()> {
    let payload = serde_json::from_slice(payload)
        .map_err(|error| Error::invalid(format!("payload: {error}")))?;
    with_call(|call| {
        call.told.push(Told {
            audience: audience.to_owned(),
            topic: topic.to_owned(),
            payload,
            ephemeral,
        });
    });
    Ok(())
}

pub(crate) fn caller() -> Caller {
    with_call(|call| call.caller.clone())
}

pub(crate) fn has_permission(permission: &str) -> bool {
    with_call(|call| call.permissions.contains(permission))
}

pub(crate) fn profiles(users: &[String]) -> Result<Vec<Option<Profile>>> {
    if users.len() > PROFILES_MAX {
        return Err(Error::limit("too many users at once"));
    }
    Ok(with_call(|call| {
        users
            .iter()
            .map(|user| call.people.get(user).cloned())
            .collect()
    }))
}

pub(crate) fn members(after: Option<&str>, limit: u32) -> Result<Vec<Profile>> {
    let limit = PROFILES_MAX.min(limit as usize);
    Ok(with_call(|call| {
        let beyond = call
            .people
            .values()
            .filter(|one| after.is_none_or(|id| one.id.as_str() > id));
        beyond.take(limit).cloned().collect()
    }))
}

pub(crate) fn now_ms() -> u64 {
    with_call(|call| call.now_ms)
}

pub(crate) fn random(len: u32) -> Result<Vec<u8>> {
    with_call(|call| {
        Ok((0..len)
            .map(|_| {
                call.ids = call
                    .ids
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                call.ids.to_be_bytes()[0]
            })
            .collect())
    })
}

pub(crate) fn log(level: Level, message: &str) {
    with_call(|call| call.log.push((level, message.to_owned())));
}
