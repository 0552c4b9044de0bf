//! A host in memory for native tests: one per thread, with the same transactions as the real one.
//!
//! ```text
//! let mock = Mock::new(crate::handle);
//! let anna = mock.person("Anna");
//! let sent = mock.call_as(&anna, "messages.send", json!({ "text": "hej" }))?;
//! assert_eq!(mock.told()[0].topic, "chat.message.created");
//! ```

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::blobs::Info;
use crate::http::{ConnectionState, Request, Response};
use crate::identity::{Caller, Profile};
use crate::log::Level;
use crate::step_up::Proof;
use crate::{Error, Result};

/// One event that a call published.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    pub audience: String,
    pub topic: String,
    pub payload: Value,
    pub ephemeral: bool,
}

/// A run that a call scheduled.
#[derive(Debug, Clone, PartialEq)]
pub struct Scheduled {
    pub job: String,
    pub key: String,
    pub when_ms: u64,
    pub payload: Value,
}

/// What the capabilities see during a call; a copy of what is committed.
#[derive(Default, Clone)]
pub(crate) struct Call {
    pub(crate) rows: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(crate) appended: Vec<(Vec<u8>, Vec<u8>)>,
    pub(crate) audiences: BTreeMap<String, BTreeSet<String>>,
    pub(crate) told: Vec<Told>,
    pub(crate) people: BTreeMap<String, Profile>,
    pub(crate) caller: Caller,
    pub(crate) permissions: BTreeSet<String>,
    pub(crate) log: Vec<(Level, String)>,
    pub(crate) now_ms: u64,
    pub(crate) seq: u64,
    pub(crate) ids: u64,
    /// When rows that were put for a time are there no more.
    pub(crate) until: BTreeMap<Vec<u8>, u64>,
    pub(crate) scheduled: BTreeMap<(String, String), (u64, Vec<u8>)>,
    pub(crate) settings: BTreeMap<String, Value>,
    pub(crate) answers: BTreeMap<(String, String), Response>,
    pub(crate) requests: Vec<Request>,
    pub(crate) connections: BTreeMap<String, ConnectionState>,
    pub(crate) methods: BTreeMap<(String, String), Result<Value>>,
    pub(crate) proofs: BTreeMap<String, Proof>,
    pub(crate) closed: BTreeSet<String>,
    pub(crate) blobs: BTreeMap<String, (Info, Vec<u8>)>,
    pub(crate) metrics: BTreeMap<String, f64>,
}

impl Call {
    /// Rows that are still there.
    pub(crate) fn row(&self, key: &[u8]) -> Option<&Vec<u8>> {
        let is_over = self
            .until
            .get(key)
            .is_some_and(|until| self.now_ms >= *until);
        self.rows.get(key).filter(|_| !is_over)
    }
}

thread_local! {
    static CALL: RefCell<Call> = RefCell::default();
}

pub(crate) fn with_call<T>(act: impl FnOnce(&mut Call) -> T) -> T {
    CALL.with_borrow_mut(act)
}

type Handler = fn(&str, &[u8]) -> Result<Vec<u8>>;

/// The host of this thread, running one plugin.
pub struct Mock {
    handle: Handler,
}

impl Mock {
    /// An empty tenant at 2026-01-01 in which the caller of every method holds no permission yet.
    pub fn new(handle: Handler) -> Self {
        with_call(|call| {
            *call = Call {
                now_ms: 1_767_225_600_000,
                seq: 1,
                ..Call::default()
            };
        });
        Self { handle }
    }

    /// Adds an active person and answers their id.
    pub fn person(&self, display_name: &str) -> String {
        with_call(|call| {
            let id = format!("usr_{:032x}", call.people.len() + 1);
            let profile = Profile {
                id: id.clone(),
                display_name: display_name.to_owned(),
                active: true,
            };
            call.people.insert(id.clone(), profile);
            id
        })
    }

    /// Switches a person off or on.
    pub fn set_active(&self, user: &str, active: bool) {
        with_call(|call| {
            if let Some(person) = call.people.get_mut(user) {
                person.active = active;
            }
        });
    }

    /// What every caller holds from now on.
    pub fn grant(&self, permissions: &[&str]) {
        with_call(|call| call.permissions = permissions.iter().map(|&p| p.to_owned()).collect());
    }

    /// Moves the clock.
    pub fn advance_ms(&self, by: u64) {
        with_call(|call| call.now_ms += by);
    }

    /// Calls a method as this user: one transaction, undone where the method fails.
    pub fn call_as(&self, user: &str, method: &str, params: Value) -> Result<Value> {
        let caller = Caller {
            user: Some(user.to_owned()),
            assurance: "password".to_owned(),
            locale: "en".to_owned(),
            ..Caller::default()
        };
        self.call_by(caller, method, params)
    }

    /// Calls a method as anybody.
    pub fn call_by(&self, caller: Caller, method: &str, params: Value) -> Result<Value> {
        with_call(|call| call.caller = caller);
        let answer = self.run(|| (self.handle)(method, params.to_string().as_bytes()))?;
        serde_json::from_slice(&answer).map_err(|error| Error::internal(error.to_string()))
    }

    /// Runs any other export as nobody, or as who called last: one transaction, undone where it fails.
    /// `mock.run(|| crate::on_job(job))`
    pub fn run<T>(&self, act: impl FnOnce() -> Result<T>) -> Result<T> {
        let before = with_call(|call| call.clone());
        let answer = act();
        with_call(|call| match &answer {
            Ok(_) => {
                call.rows.extend(std::mem::take(&mut call.appended));
                call.seq += 1;
            }
            Err(_) => {
                // What left the house stays outside, and a spent proof is spent.
                let log = std::mem::take(&mut call.log);
                let requests = std::mem::take(&mut call.requests);
                let proofs = std::mem::take(&mut call.proofs);
                let closed = std::mem::take(&mut call.closed);
                *call = Call {
                    log,
                    requests,
                    proofs,
                    closed,
                    ..before
                };
            }
        });
        answer
    }

    /// What an administrator set.
    pub fn set(&self, setting: &str, value: Value) {
        with_call(|call| call.settings.insert(setting.to_owned(), value));
    }

    /// What the outside answers to a request from now on; without one it is `unavailable`.
    pub fn answer(&self, method: &str, url: &str, response: Response) {
        with_call(|call| {
            call.answers
                .insert((method.to_owned(), url.to_owned()), response)
        });
    }

    /// The requests that were sent, oldest first; emptied by asking.
    pub fn requests(&self) -> Vec<Request> {
        with_call(|call| std::mem::take(&mut call.requests))
    }

    /// How it is with a connection; without this it is missing.
    pub fn connect(&self, connection: &str, state: ConnectionState) {
        with_call(|call| call.connections.insert(connection.to_owned(), state));
    }

    /// What another plugin's method answers from now on; without this it is `unavailable`.
    pub fn other_plugin(&self, plugin: &str, method: &str, answer: Result<Value>) {
        with_call(|call| {
            call.methods
                .insert((plugin.to_owned(), method.to_owned()), answer)
        });
    }

    /// A proof that the next call may spend, once.
    pub fn proven(&self, purpose: &str, method: &str, pseudonym: Option<&str>) {
        with_call(|call| {
            let proof = Proof {
                method: method.to_owned(),
                at_ms: call.now_ms,
                pseudonym: pseudonym.map(str::to_owned),
            };
            call.proofs.insert(purpose.to_owned(), proof)
        });
    }

    /// Whether a purpose of step-up was closed.
    pub fn is_closed(&self, purpose: &str) -> bool {
        with_call(|call| call.closed.contains(purpose))
    }

    /// Makes an upload happen: what a client sends to the address of a file.
    pub fn upload(&self, id: &str, media_type: &str, data: &[u8]) {
        with_call(|call| {
            let info = Info {
                id: id.to_owned(),
                size: data.len() as u64,
                media_type: media_type.to_owned(),
                sha256: crate::host::sha256(data),
            };
            call.blobs.insert(id.to_owned(), (info, data.to_vec()))
        });
    }

    /// The runs that wait, by time.
    pub fn scheduled(&self) -> Vec<Scheduled> {
        let mut waiting: Vec<_> = with_call(|call| {
            let runs = call.scheduled.iter();
            runs.map(|((job, key), (when_ms, payload))| Scheduled {
                job: job.clone(),
                key: key.clone(),
                when_ms: *when_ms,
                payload: serde_json::from_slice(payload).unwrap_or_default(),
            })
            .collect()
        });
        waiting.sort_by_key(|run| run.when_ms);
        waiting
    }

    /// The sum of a metric.
    pub fn metric(&self, name: &str) -> f64 {
        with_call(|call| call.metrics.get(name).copied().unwrap_or_default())
    }

    /// The events published so far, oldest first; emptied by asking.
    pub fn told(&self) -> Vec<Told> {
        with_call(|call| std::mem::take(&mut call.told))
    }

    /// Who is in an audience.
    pub fn audience(&self, name: &str) -> Vec<String> {
        with_call(|call| {
            call.audiences
                .get(name)
                .map(|members| members.iter().cloned().collect())
                .unwrap_or_default()
        })
    }

    /// The keys that are stored, for tests of a layout.
    pub fn keys(&self) -> Vec<Vec<u8>> {
        with_call(|call| call.rows.keys().cloned().collect())
    }
}
