//! The capabilities as the component imports them.

use crate::bindings::vaxel::{
    blobs::blobs, clock::clock, config::config, crypto::crypto, events::events, http::http,
    identity::identity, interop::interop, log::log as host_log, schedule::schedule,
    step_up::step_up, storage::storage, types::types,
};
use crate::blobs::{Info, Upload};
use crate::http::{ConnectionState, Request, Response};
use crate::identity::{Caller, Profile};
use crate::log::Level;
use crate::step_up::Proof;
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

pub(crate) fn put_for(key: &[u8], value: &[u8], ttl_ms: u64, subject: Option<&str>) -> Result<()> {
    Ok(storage::put_for(key, value, ttl_ms, subject)?)
}

pub(crate) fn blind(purpose: &str, name: &[u8]) -> Result<Vec<u8>> {
    Ok(storage::blind(purpose, name)?)
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

pub(crate) fn metric(name: &str, value: f64) {
    host_log::metric(name, value);
}

pub(crate) fn seal(purpose: &str, data: &[u8], ttl_ms: u64) -> Result<String> {
    Ok(crypto::seal(purpose, data, ttl_ms)?)
}

pub(crate) fn unseal(purpose: &str, token: &str) -> Result<Vec<u8>> {
    Ok(crypto::unseal(purpose, token)?)
}

pub(crate) fn setting(name: &str) -> Option<String> {
    config::get(name)
}

pub(crate) fn settings() -> String {
    config::all()
}

pub(crate) fn schedule(job: &str, key: &str, when_ms: u64, payload: &[u8]) -> Result<()> {
    Ok(schedule::at(job, key, when_ms, payload)?)
}

pub(crate) fn cancel(job: &str, key: &str) -> Result<()> {
    Ok(schedule::cancel(job, key)?)
}

pub(crate) fn call(plugin: &str, method: &str, params: &[u8]) -> Result<Vec<u8>> {
    Ok(interop::call(plugin, method, params)?)
}

pub(crate) fn spend(purpose: &str) -> Result<Proof> {
    let proof = step_up::spend(purpose)?;
    Ok(Proof {
        method: proof.method,
        at_ms: proof.at_ms,
        pseudonym: proof.pseudonym,
    })
}

pub(crate) fn close(purpose: &str) -> Result<()> {
    Ok(step_up::close(purpose)?)
}

pub(crate) fn fetch(request: &Request) -> Result<Response> {
    Ok(http::fetch(&outgoing(request)).map(answer)?)
}

pub(crate) fn fetch_all(requests: &[Request]) -> Vec<Result<Response>> {
    let requests: Vec<_> = requests.iter().map(outgoing).collect();
    http::fetch_all(&requests)
        .into_iter()
        .map(|one| Ok(one.map(answer)?))
        .collect()
}

pub(crate) fn state_of(connection: &str) -> ConnectionState {
    match http::state_of(connection) {
        http::ConnectionState::Missing => ConnectionState::Missing,
        http::ConnectionState::Connected => ConnectionState::Connected,
        http::ConnectionState::Expired => ConnectionState::Expired,
    }
}

pub(crate) fn create_blob(media_type: &str, data: &[u8], subject: Option<&str>) -> Result<Info> {
    Ok(blobs::create(media_type, data, subject).map(info)?)
}

pub(crate) fn keep_blob(id: &str) -> Result<Info> {
    Ok(blobs::keep(id).map(info)?)
}

pub(crate) fn upload_url(media_type: &str, size_max: u64, subject: Option<&str>) -> Result<Upload> {
    let upload = blobs::upload_url(media_type, size_max, subject)?;
    Ok(Upload {
        id: upload.id,
        url: upload.url,
    })
}

pub(crate) fn stat_blob(id: &str) -> Result<Info> {
    Ok(blobs::stat(id).map(info)?)
}

pub(crate) fn read_blob(id: &str, offset: u64, len: u32) -> Result<Vec<u8>> {
    Ok(blobs::read(id, offset, len)?)
}

pub(crate) fn download_url(id: &str, ttl_ms: u32) -> Result<String> {
    Ok(blobs::download_url(id, ttl_ms)?)
}

pub(crate) fn delete_blob(id: &str) -> Result<()> {
    Ok(blobs::delete(id)?)
}

fn outgoing(request: &Request) -> http::Request {
    http::Request {
        method: request.method.clone(),
        url: request.url.clone(),
        headers: request.headers.clone(),
        body: request.body.clone(),
        connection: request.connection.clone(),
        timeout_ms: request.timeout_ms,
    }
}

fn answer(response: http::Response) -> Response {
    Response {
        status: response.status,
        headers: response.headers,
        body: response.body,
    }
}

fn info(info: blobs::Info) -> Info {
    Info {
        id: info.id,
        size: info.size,
        media_type: info.media_type,
        sha256: info.sha256,
    }
}

fn profile(profile: identity::Profile) -> Profile {
    Profile {
        id: profile.id,
        display_name: profile.display_name,
        active: profile.active,
    }
}
