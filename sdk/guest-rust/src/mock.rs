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

use crate::identity::{Caller, Profile};
use crate::log::Level;
use crate::{Error, Result};

/// One event that a call published.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    pub audience: String,
    pub topic: String,
    pub payload: Value,
    pub ephemeral: bool,
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
        let before = with_call(|call| {
            call.caller = caller;
            call.clone()
        });
        let answer = (self.handle)(method, params.to_string().as_bytes());
        with_call(|call| match &answer {
            Ok(_) => {
                call.rows.extend(std::mem::take(&mut call.appended));
                call.seq += 1;
            }
            Err(_) => {
                let log = std::mem::take(&mut call.log);
                *call = Call { log, ..before };
            }
        });
        serde_json::from_slice(&answer?).map_err(|error| Error::internal(error.to_string()))
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
