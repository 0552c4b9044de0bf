//! One piece of work of a plugin at a time, outside queues and hooks: what scenarios of authors drive it with.

use serde::Deserialize;
use serde_json::{Value, json};
use vaxel_core::{OpCx, PluginId, Problem, Reason};

use crate::call::Errand;
use crate::capability::bindings::exports::vaxel::{
    events_in::events_in, hooks::after, hooks::before, http_in::http_in, jobs::jobs, pages::pages,
};
use crate::outcome::storage_problem;
use crate::work::{Done, Work};
use crate::{Caller, Runtime};

/// What a plugin is asked to do, other than a method.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Deed {
    /// One step of a job.
    Job {
        /// Its name in the manifest.
        name: String,
        /// What it was scheduled under.
        #[serde(default)]
        key: String,
        /// What it was scheduled with.
        #[serde(default)]
        payload: Value,
        /// What the step before left.
        #[serde(default)]
        cursor: Option<String>,
    },
    /// An event of another plugin.
    Event {
        /// Its topic.
        topic: String,
        /// What it says.
        #[serde(default)]
        payload: Value,
    },
    /// Whether another plugin's method may run.
    Before {
        /// Whose.
        plugin: PluginId,
        /// Which.
        method: String,
        /// With what.
        params: Value,
    },
    /// That another plugin's method has run.
    After {
        /// Whose.
        plugin: String,
        /// Which.
        method: String,
        /// With what.
        params: Value,
        /// And what it answered.
        answer: Value,
    },
    /// A page, looked at or sent.
    Page {
        /// Its name.
        name: String,
        /// Behind its address.
        #[serde(default)]
        path: String,
        /// Behind the question mark.
        #[serde(default)]
        query: Vec<(String, String)>,
        /// {"action":…,"inputs":{…}}.
        #[serde(default)]
        sent: Option<Value>,
    },
    /// A request to /hooks/.
    Http {
        /// Its method.
        method: String,
        /// Behind /hooks/PLUGIN/.
        #[serde(default)]
        path: String,
        /// Behind the question mark.
        #[serde(default)]
        query: String,
        /// Its headers.
        #[serde(default)]
        headers: Vec<(String, String)>,
        /// Its body.
        #[serde(default)]
        body: String,
    },
    /// A step of a migration.
    Migrate {
        /// The data version to come from.
        from: u32,
        /// What the step before left.
        #[serde(default)]
        cursor: Option<String>,
    },
    /// A moment of its life, without more to say of it.
    Moment(Moment),
}

/// A moment in a plugin's life.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Moment {
    /// The first time on.
    Install,
    /// Before its data is erased.
    Uninstall,
    /// On.
    Enable,
    /// Off.
    Disable,
    /// Asked how it is.
    Health,
}

impl Deed {
    fn into_work(self, cx: &OpCx, caller: &Caller) -> Work {
        let bytes = |json: Value| json.to_string().into_bytes();
        let id = cx.request.to_string();
        match self {
            Self::Job {
                name,
                key,
                payload,
                cursor,
            } => Work::Job(jobs::Job {
                name,
                key,
                attempt: 1,
                payload: bytes(payload),
                cursor: cursor.map(String::into_bytes),
            }),
            Self::Event { topic, payload } => Work::Event(events_in::Event {
                id,
                topic,
                at_ms: cx.now.0,
                attempt: 1,
                payload: bytes(payload),
            }),
            Self::Before {
                plugin,
                method,
                params,
            } => Work::Before {
                plugin,
                method,
                params: bytes(params).into(),
            },
            Self::After {
                plugin,
                method,
                params,
                answer,
            } => Work::After(after::Happening {
                id,
                plugin,
                method,
                user: caller.user.map(|user| user.to_string()),
                at_ms: cx.now.0,
                attempt: 1,
                params: bytes(params),
                answer: bytes(answer),
            }),
            Self::Page {
                name,
                path,
                query,
                sent,
            } => Work::Page {
                page: name,
                request: pages::Request {
                    path,
                    query,
                    sent: sent.map(bytes),
                },
            },
            Self::Http {
                method,
                path,
                query,
                headers,
                body,
            } => Work::Http(http_in::Request {
                method,
                path,
                query,
                headers,
                body: body.into_bytes(),
            }),
            Self::Migrate { from, cursor } => Work::Migrate {
                from,
                cursor: cursor.map(String::into_bytes),
            },
            Self::Moment(Moment::Install) => Work::Install,
            Self::Moment(Moment::Uninstall) => Work::Uninstall,
            Self::Moment(Moment::Enable) => Work::Enable,
            Self::Moment(Moment::Disable) => Work::Disable,
            Self::Moment(Moment::Health) => Work::Health,
        }
    }
}

impl Runtime {
    /// Has a plugin that is on do one thing, committed when this answers, and says as JSON what came of it.
    pub async fn perform(
        &self,
        cx: OpCx,
        caller: Caller,
        plugin: &PluginId,
        deed: Deed,
    ) -> Result<Value, Problem> {
        let found = self.inner.registry.tenant(cx.tenant);
        let tenant = found.map_err(|error| storage_problem(&error))?;
        let active = tenant
            .active
            .get(plugin)
            .ok_or_else(|| Problem::new(Reason::NotFound, "The plugin is not on."))?;
        let work = deed.into_work(&cx, &caller);
        if !active.plugin.exports.can(&work) {
            return Err(Problem::new(
                Reason::NotFound,
                format!("The plugin does not export what a {} needs.", work.kind()),
            ));
        }
        let errand = Errand {
            cx,
            caller,
            work,
            alongside: None,
        };
        let done = self.inner.errand(&tenant, active, errand).await?;
        told(done)
    }
}

fn told(done: Done) -> Result<Value, Problem> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(match done {
        Done::Json(json) => {
            serde_json::from_slice(&json).map_err(|_| Problem::from(Reason::Internal))?
        }
        Done::Http(response) => json!({
            "status": response.status,
            "headers": response.headers,
            "body": text(&response.body),
        }),
        Done::More(Some(cursor)) => json!({ "more": text(&cursor) }),
        Done::More(None) => json!("done"),
        Done::Verdict(before::Verdict::Allow) => json!("allow"),
        Done::Verdict(before::Verdict::Veto(why)) => json!({ "veto": why }),
        Done::Verdict(before::Verdict::Modify(params)) => {
            let params: Value = serde_json::from_slice(&params).unwrap_or_default();
            json!({ "modify": params })
        }
        Done::Words(words) => json!(words),
        Done::Nothing => Value::Null,
    })
}
