//! Requests of a call to the outside: judged by what was granted, counted, sent side by side, and kept for a re-run.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use vaxel_core::{Reason, TenantId};
use vaxel_identity as identity;
use vaxel_net::{Egress, EgressError, Incoming, Outgoing};

use super::connections::{self, Carried};
use super::tape::{self, ASKED_MAX, Asked, Heard, Look, Tape};
use crate::capability::bindings::vaxel::http::http::{ConnectionState, Request, Response};
use crate::capability::bindings::vaxel::types::types::Error;
use crate::guest::{Context, Guest, guest_error};
use crate::manifest::Cap;

/// Requests of one `fetch-all`.
pub(crate) const AT_ONCE_MAX: usize = 8;

/// How long a request may take if nothing else is said; also the most.
const TIMEOUT_MS: u32 = 10_000;

/// What a call keeps of its time to say that there was no answer.
const LAST_WORDS: Duration = Duration::from_millis(250);

type Answer = Result<Response, Error>;

/// What becomes of a request.
enum Prepared {
    Heard(Answer),
    Leaving(Ticket, Box<Leaving>),
}

/// A request that goes out, and the credential that it carries.
struct Leaving {
    outgoing: Outgoing,
    carried: Option<Carried>,
}

/// Where a question stands on the tape.
#[derive(Clone, Copy)]
pub(crate) struct Ticket {
    place: usize,
    asked: Asked,
}

impl Guest {
    /// The answers to these requests, in their order.
    pub(crate) async fn asks_outside(
        &mut self,
        requests: Vec<Request>,
    ) -> wasmtime::Result<Vec<Answer>> {
        let mut answers = Vec::with_capacity(requests.len());
        let (mut slots, mut leaving) = (Vec::new(), Vec::new());
        for (slot, request) in requests.into_iter().enumerate() {
            answers.push(match self.prepared(slot, request) {
                Ok(Prepared::Heard(answer)) => answer,
                Ok(Prepared::Leaving(ticket, outgoing)) => {
                    slots.push((slot, ticket));
                    leaving.push(*outgoing);
                    // Until it has its own.
                    Err(guest_error("unavailable", "no answer"))
                }
                Err(refused) => Err(refused),
            });
        }
        let (Some(context), false) = (self.context.as_ref().map(Arc::clone), slots.is_empty())
        else {
            return Ok(answers);
        };
        let sent = match context.inner.outside.egress.clone() {
            Some(egress) => {
                self.while_aside(send_all(egress, context.tenant(), leaving))
                    .await?
            }
            None => Err(guest_error("unavailable", "there is no way out here")),
        };
        let incoming = sent.unwrap_or_else(|refused| vec![Err(refused); slots.len()]);
        for ((slot, ticket), answer) in slots.into_iter().zip(incoming) {
            let kept = ticket.keep(&context.tape, answer);
            if let Some(slot) = answers.get_mut(slot) {
                *slot = kept;
            }
        }
        Ok(answers)
    }

    fn prepared(&mut self, slot: usize, request: Request) -> Result<Prepared, Error> {
        let asked = fingerprint(&request);
        let host = vaxel_net::host_of(&request.url).unwrap_or_default();
        self.may_ask_for(Cap::Http, &host, &asked)?;
        let unavailable = |what| Err(guest_error("unavailable", what));
        let Some(context) = self.context.as_ref().map(Arc::clone) else {
            return unavailable("there is no tenant here");
        };
        if context.is_rehearsal {
            return unavailable("nothing leaves in a rehearsal");
        }
        if slot >= AT_ONCE_MAX {
            return Err(guest_error("limit", "at most eight requests at once"));
        }
        let (ticket, heard) = self.looks(&context, asked)?;
        if let Some(Heard::Http(answer)) = heard {
            return Ok(Prepared::Heard(answer));
        }
        let leaving = context.gate.takes_request();
        let leaving = leaving.and_then(|()| context.inner.takes_request(context.tenant()));
        Ok(
            match leaving.and_then(|()| self.outgoing(&context, request)) {
                Ok(leaving) => Prepared::Leaving(ticket, Box::new(leaving)),
                Err(refused) => Prepared::Heard(ticket.keep(&context.tape, Err(refused))),
            },
        )
    }

    /// Whether the tenant lets the plugin ask this. What an earlier attempt of this call has asked was counted then.
    pub(crate) fn may_ask_for(&mut self, cap: Cap, what: &str, asked: &Asked) -> Result<(), Error> {
        let context = self.context.as_ref();
        if context.is_some_and(|context| context.tape.has(self.asked, asked)) {
            return Ok(());
        }
        self.may_use_for(cap, what)
    }

    /// What an earlier attempt of this call heard here. Counts the question.
    pub(crate) fn looks(
        &mut self,
        context: &Context,
        asked: Asked,
    ) -> Result<(Ticket, Option<Heard>), Error> {
        let place = self.asked;
        if place >= ASKED_MAX {
            return Err(guest_error("limit", "at most 16 requests in one call"));
        }
        self.asked += 1;
        let ticket = Ticket { place, asked };
        match context.tape.look(place, &asked) {
            Look::New => Ok((ticket, None)),
            Look::Heard(heard) => Ok((ticket, Some(heard))),
            Look::Differs => Err(guest_error(
                "conflict",
                "an earlier attempt of this call asked for something else",
            )),
        }
    }

    fn outgoing(&self, context: &Context, request: Request) -> Result<Leaving, Error> {
        let left = self.deadline.map_or(LAST_WORDS, |deadline| {
            deadline
                .saturating_duration_since(Instant::now())
                .saturating_sub(LAST_WORDS)
        });
        let wanted = request.timeout_ms.unwrap_or(TIMEOUT_MS).min(TIMEOUT_MS);
        let carried = match &request.connection {
            Some(name) => Some(carried(context, name)?),
            None => None,
        };
        let outgoing = Outgoing {
            method: request.method,
            url: request.url,
            headers: request.headers,
            body: request.body.unwrap_or_default().into(),
            timeout: left.min(Duration::from_millis(u64::from(wanted))),
            hosts: Arc::new(hosts(context)),
            credential: None,
        };
        Ok(Leaving { outgoing, carried })
    }

    /// How a connection is for who calls.
    pub(crate) fn connection_state(&mut self, name: &str) -> ConnectionState {
        let context = self.context.as_ref().map(Arc::clone);
        let Some(context) = context else {
            return ConnectionState::Missing;
        };
        // It asks nobody: only what was not granted is noted.
        let may_use = context.grants.allows(Cap::Http) && !context.is_migration;
        if !may_use && self.may_use(Cap::Http).is_err() {
            return ConnectionState::Missing;
        }
        let state = carried(&context, name).map(|carried| {
            let Carried {
                connections,
                spec,
                user,
            } = carried;
            connections.state(context.tenant(), user, &spec)
        });
        match state {
            Ok(Ok(identity::ConnectionState::Connected)) => ConnectionState::Connected,
            Ok(Ok(identity::ConnectionState::Expired)) => ConnectionState::Expired,
            Ok(Ok(identity::ConnectionState::Missing)) | Err(_) => ConnectionState::Missing,
            Ok(Err(error)) => {
                tracing::error!(plugin.id = %self.plugin, %error, "a connection cannot be read");
                ConnectionState::Missing
            }
        }
    }
}

/// The connection of this name in the manifest, and whose it is.
fn carried(context: &Context, name: &str) -> Result<Carried, Error> {
    let manifest = &context.plugin.manifest;
    let mut all = manifest.connections.iter();
    let Some(connection) = all.find(|connection| connection.name == name) else {
        return Err(guest_error(
            "invalid",
            "the manifest has no such connection",
        ));
    };
    let Some(connections) = context.inner.outside.connections.clone() else {
        return Err(guest_error("unavailable", "the connection is missing"));
    };
    Ok(Carried {
        connections,
        spec: connections::spec(&manifest.id, connection),
        user: context.caller.user,
    })
}

impl Ticket {
    pub(super) fn keep_plugin(
        self,
        tape: &Tape,
        answer: Result<Vec<u8>, Error>,
    ) -> Result<Vec<u8>, Error> {
        let too_much = guest_error("too-large", "the answers of one call are too large");
        let too_much = Heard::Plugin(Err(too_much));
        match tape.keep(self.place, self.asked, Heard::Plugin(answer), too_much) {
            Heard::Plugin(answer) => answer,
            Heard::Http(_) => Err(guest_error("unavailable", "no answer")),
        }
    }

    fn keep(self, tape: &Tape, answer: Answer) -> Answer {
        let too_much = guest_error("too-large", "the answers of one call are too large");
        let too_much = Heard::Http(Err(too_much));
        match tape.keep(self.place, self.asked, Heard::Http(answer), too_much) {
            Heard::Http(answer) => answer,
            Heard::Plugin(_) => Err(guest_error("unavailable", "no answer")),
        }
    }
}

/// Hosts that the manifest asks for and the organization granted.
fn hosts(context: &Context) -> BTreeSet<String> {
    let asks = context.plugin.asks.iter();
    let asked = asks.filter(|ask| ask.id == Cap::Http.name());
    let hosts = asked.flat_map(|ask| &ask.details);
    hosts
        .filter(|host| context.grants.has_detail(Cap::Http.name(), host))
        .cloned()
        .collect()
}

async fn send_all(egress: Egress, tenant: TenantId, leaving: Vec<Leaving>) -> Vec<Answer> {
    let mut running = tokio::task::JoinSet::new();
    let mut answers: Vec<Answer> = Vec::new();
    for (at, one) in leaving.into_iter().enumerate() {
        answers.push(Err(guest_error("unavailable", "no answer")));
        let egress = egress.clone();
        running.spawn(async move { (at, send(&egress, tenant, one).await) });
    }
    while let Some(done) = running.join_next().await {
        if let Ok((at, answer)) = done
            && let Some(slot) = answers.get_mut(at)
        {
            *slot = answer;
        }
    }
    answers
}

async fn send(egress: &Egress, tenant: TenantId, leaving: Leaving) -> Answer {
    let Leaving {
        mut outgoing,
        carried,
    } = leaving;
    let ready = match carried {
        Some(carried) => Some(carried.ready(tenant).await?),
        None => None,
    };
    outgoing.credential = ready.as_ref().map(|ready| ready.credential.clone());
    let incoming = egress.fetch(tenant, outgoing).await;
    let incoming = incoming.map_err(|error| refused(&error))?;
    Ok(response(match ready {
        Some(ready) => ready.hide(incoming),
        None => incoming,
    }))
}

fn response(incoming: Incoming) -> Response {
    Response {
        status: incoming.status,
        headers: incoming.headers,
        body: incoming.body.into(),
    }
}

fn refused(error: &EgressError) -> Error {
    let code = match error.reason() {
        Reason::Invalid => "invalid",
        Reason::Forbidden => "forbidden",
        Reason::TooLarge => "too-large",
        Reason::LimitReached => "limit",
        _ => "unavailable",
    };
    guest_error(code, &error.to_string())
}

fn fingerprint(request: &Request) -> Asked {
    let headers = request
        .headers
        .iter()
        .flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]);
    let parts = [
        request.method.as_bytes(),
        request.url.as_bytes(),
        request.body.as_deref().unwrap_or_default(),
        request.connection.as_deref().unwrap_or_default().as_bytes(),
    ];
    tape::asked("http", parts.into_iter().chain(headers))
}
