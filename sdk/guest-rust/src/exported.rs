//! What stands between the exports of a component and the plain functions of a plugin.

use serde::Serialize;

use crate::bindings::hooked_after::exports::vaxel::hooks::after;
use crate::bindings::hooked_before::exports::vaxel::hooks::before;
use crate::bindings::listener::exports::vaxel::events_in::events_in;
use crate::bindings::migrated::exports::vaxel::lifecycle::migration;
use crate::bindings::paged::exports::vaxel::pages::pages;
use crate::bindings::reachable::exports::vaxel::http_in::http_in;
use crate::bindings::vaxel::types::types;
use crate::bindings::worker::exports::vaxel::jobs::jobs;
use crate::hooks::{Asked, Happening, Verdict};
use crate::http::{Incoming, Response};
use crate::schedule::{Job, Progress};
use crate::{Result, events, log, method, pages as page};

pub type Answer<T> = std::result::Result<T, types::Error>;

/// What takes no parameters.
pub fn plain<T>(act: impl FnOnce() -> Result<T>) -> Answer<T> {
    log::install_panic_hook();
    act().map_err(Into::into)
}

pub fn job(run: impl FnOnce(Job) -> Result<Progress>, job: jobs::Job) -> Answer<jobs::Progress> {
    plain(|| {
        run(Job {
            name: job.name,
            key: job.key,
            attempt: job.attempt,
            payload: job.payload,
            cursor: job.cursor,
        })
    })
    .map(|progress| match progress {
        Progress::Done => jobs::Progress::Done,
        Progress::More(cursor) => jobs::Progress::More(cursor),
    })
}

pub fn event(on: impl FnOnce(events::Event) -> Result<()>, event: events_in::Event) -> Answer<()> {
    plain(|| {
        on(events::Event {
            id: event.id,
            topic: event.topic,
            at_ms: event.at_ms,
            attempt: event.attempt,
            payload: event.payload,
        })
    })
}

pub fn before(
    check: impl FnOnce(Asked) -> Result<Verdict>,
    plugin: String,
    method: String,
    params: Vec<u8>,
) -> Answer<before::Verdict> {
    let asked = Asked {
        plugin,
        method,
        params,
    };
    plain(|| check(asked)).map(|verdict| match verdict {
        Verdict::Allow => before::Verdict::Allow,
        Verdict::Veto(why) => before::Verdict::Veto(why),
        Verdict::Modify(params) => before::Verdict::Modify(params),
    })
}

pub fn after(
    told: impl FnOnce(Happening) -> Result<()>,
    happening: after::Happening,
) -> Answer<()> {
    plain(|| {
        told(Happening {
            id: happening.id,
            plugin: happening.plugin,
            method: happening.method,
            user: happening.user,
            at_ms: happening.at_ms,
            attempt: happening.attempt,
            params: happening.params,
            answer: happening.answer,
        })
    })
}

pub fn page<P: Serialize>(
    show: impl FnOnce(&str, page::Request) -> Result<P>,
    name: &str,
    request: pages::Request,
) -> Answer<Vec<u8>> {
    plain(|| {
        let sent = request.sent.as_deref();
        let request = page::Request {
            path: request.path,
            query: request.query,
            sent: sent
                .map(|sent| method::read(sent, "the form"))
                .transpose()?,
        };
        method::write(&show(name, request)?, "page")
    })
}

pub fn http(
    serve: impl FnOnce(Incoming) -> Result<Response>,
    request: http_in::Request,
) -> Answer<http_in::Response> {
    plain(|| {
        let answer = serve(Incoming {
            method: request.method,
            path: request.path,
            query: request.query,
            headers: request.headers,
            body: request.body,
        })?;
        Ok(http_in::Response {
            status: answer.status,
            headers: answer.headers,
            body: answer.body,
        })
    })
}

pub fn migrate(
    step: impl FnOnce(u32, Option<Vec<u8>>) -> Result<Progress>,
    from: u32,
    cursor: Option<Vec<u8>>,
) -> Answer<migration::Progress> {
    plain(|| step(from, cursor)).map(|progress| match progress {
        Progress::Done => migration::Progress::Done,
        Progress::More(cursor) => migration::Progress::More(cursor),
    })
}
