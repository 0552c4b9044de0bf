//! The capabilities outside a component: the [`mock`](crate::mock) of this thread, so that tests run natively.

use sha2::{Digest as _, Sha256};

use crate::blobs::{Info, Upload};
use crate::http::{ConnectionState, Request, Response};
use crate::identity::{Caller, PROFILES_MAX, Profile};
use crate::log::Level;
use crate::mock::{Told, with_call};
use crate::step_up::Proof;
use crate::storage::{Order, Page, STAMP_LEN};
use crate::{Error, Result};

pub(crate) fn get(key: &[u8]) -> Result<Option<Vec<u8>>> {
    Ok(with_call(|call| call.row(key).cloned()))
}

pub(crate) fn get_many(keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>> {
    keys.iter().map(|key| get(key)).collect()
}

pub(crate) fn put(key: &[u8], value: &[u8], _subject: Option<&str>) -> Result<()> {
    with_call(|call| {
        call.until.remove(key);
        call.rows.insert(key.to_vec(), value.to_vec());
    });
    Ok(())
}

pub(crate) fn put_for(key: &[u8], value: &[u8], ttl_ms: u64, subject: Option<&str>) -> Result<()> {
    put(key, value, subject)?;
    with_call(|call| {
        let until = call.now_ms.saturating_add(ttl_ms);
        call.until.insert(key.to_vec(), until);
    });
    Ok(())
}

pub(crate) fn blind(purpose: &str, name: &[u8]) -> Result<Vec<u8>> {
    let whole = [purpose.as_bytes(), &[0], name].concat();
    let mut hash = sha256(&whole);
    hash.truncate(16);
    Ok(hash)
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
            .filter(|(key, _)| beyond(key) && call.row(key).is_some())
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

pub(crate) fn metric(name: &str, value: f64) {
    with_call(|call| *call.metrics.entry(name.to_owned()).or_default() += value);
}

pub(crate) fn sha256(bytes: &[u8]) -> Vec<u8> {
    Sha256::digest(bytes).to_vec()
}

/// Readable: a test may look into it, and nobody else ever sees it.
pub(crate) fn seal(purpose: &str, data: &[u8], ttl_ms: u64) -> Result<String> {
    let until = now_ms().saturating_add(ttl_ms);
    let hex: String = data.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("{until}.{hex}.{purpose}"))
}

pub(crate) fn unseal(purpose: &str, token: &str) -> Result<Vec<u8>> {
    let opened = || {
        let (until, rest) = token.split_once('.')?;
        let (hex, of) = rest.split_once('.')?;
        let until: u64 = until.parse().ok()?;
        if of != purpose || now_ms() >= until {
            return None;
        }
        let digits = hex.as_bytes().chunks(2);
        digits
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
            .collect()
    };
    opened().ok_or_else(|| Error::invalid("the token is not one, or its time is over"))
}

pub(crate) fn setting(name: &str) -> Option<String> {
    with_call(|call| call.settings.get(name).map(ToString::to_string))
}

pub(crate) fn settings() -> String {
    with_call(|call| serde_json::json!(call.settings).to_string())
}

pub(crate) fn schedule(job: &str, key: &str, when_ms: u64, payload: &[u8]) -> Result<()> {
    with_call(|call| {
        let run = (job.to_owned(), key.to_owned());
        call.scheduled.insert(run, (when_ms, payload.to_vec()));
    });
    Ok(())
}

pub(crate) fn cancel(job: &str, key: &str) -> Result<()> {
    with_call(|call| call.scheduled.remove(&(job.to_owned(), key.to_owned())));
    Ok(())
}

pub(crate) fn call(plugin: &str, method: &str, _params: &[u8]) -> Result<Vec<u8>> {
    let named = (plugin.to_owned(), method.to_owned());
    match with_call(|call| call.methods.get(&named).cloned()) {
        Some(answer) => Ok(answer?.to_string().into_bytes()),
        None => Err(Error::new("unavailable", "no such plugin is on")),
    }
}

pub(crate) fn spend(purpose: &str) -> Result<Proof> {
    with_call(|call| call.proofs.remove(purpose))
        .ok_or_else(|| Error::new("step-up-required", "no proof came with this call"))
}

pub(crate) fn close(purpose: &str) -> Result<()> {
    with_call(|call| {
        call.proofs.remove(purpose);
        call.closed.insert(purpose.to_owned());
    });
    Ok(())
}

pub(crate) fn fetch(request: &Request) -> Result<Response> {
    with_call(|call| {
        call.requests.push(request.clone());
        let asked = (request.method.clone(), request.url.clone());
        call.answers.get(&asked).cloned()
    })
    .ok_or_else(|| Error::new("unavailable", "nobody answers there"))
}

pub(crate) fn fetch_all(requests: &[Request]) -> Vec<Result<Response>> {
    requests.iter().map(fetch).collect()
}

pub(crate) fn state_of(connection: &str) -> ConnectionState {
    with_call(|call| {
        let state = call.connections.get(connection);
        state.copied().unwrap_or(ConnectionState::Missing)
    })
}

pub(crate) fn create_blob(media_type: &str, data: &[u8], _subject: Option<&str>) -> Result<Info> {
    let info = Info {
        id: new_id(),
        size: data.len() as u64,
        media_type: media_type.to_owned(),
        sha256: sha256(data),
    };
    with_call(|call| {
        call.blobs
            .insert(info.id.clone(), (info.clone(), data.to_vec()))
    });
    Ok(info)
}

pub(crate) fn upload_url(
    _media_type: &str,
    _size_max: u64,
    _subject: Option<&str>,
) -> Result<Upload> {
    let id = new_id();
    let url = format!("/api/v1/blobs/{id}");
    Ok(Upload { id, url })
}

pub(crate) fn keep_blob(id: &str) -> Result<Info> {
    stat_blob(id)
}

pub(crate) fn stat_blob(id: &str) -> Result<Info> {
    with_call(|call| call.blobs.get(id).map(|(info, _)| info.clone()))
        .ok_or_else(|| Error::not_found("there is no such blob"))
}

pub(crate) fn read_blob(id: &str, offset: u64, len: u32) -> Result<Vec<u8>> {
    let data = with_call(|call| call.blobs.get(id).map(|(_, data)| data.clone()))
        .ok_or_else(|| Error::not_found("there is no such blob"))?;
    let from = usize::try_from(offset).unwrap_or(usize::MAX);
    Ok(data.into_iter().skip(from).take(len as usize).collect())
}

pub(crate) fn download_url(id: &str, _ttl_ms: u32) -> Result<String> {
    stat_blob(id).map(|info| format!("/api/v1/blobs/{}", info.id))
}

pub(crate) fn delete_blob(id: &str) -> Result<()> {
    stat_blob(id)?;
    with_call(|call| call.blobs.remove(id));
    Ok(())
}
