//! What a guest is asked to do, through whichever of its exports, and what it answers.

use bytes::Bytes;
use serde::de::IgnoredAny;
use vaxel_core::PluginId;
use wasmtime::component::{Instance, InstancePre};
use wasmtime::{Result, Store};

use crate::capability::bindings::exports::vaxel::{
    events_in::events_in, hooks::after, hooks::before, http_in::http_in, jobs::jobs,
    lifecycle::description, lifecycle::health, lifecycle::installation, lifecycle::migration,
    lifecycle::switching, pages::pages, rpc::rpc,
};
use crate::capability::bindings::vaxel::types::types::Error;
use crate::guest::Guest;
use crate::manifest::{Manifest, When};
use crate::outcome::Fault;
use crate::{Limits, RuntimeError};

/// What kinds of work there are, as the log, the ledger and rows name them.
const KINDS: [&str; 13] = [
    "method",
    "page",
    "http-in",
    "job",
    "event",
    "hook-before",
    "hook-after",
    "install",
    "uninstall",
    "enable",
    "disable",
    "migrate",
    "health",
];

/// The kind of that name, if there is one.
pub(crate) fn kind_named(name: &str) -> Option<&'static str> {
    KINDS.into_iter().find(|kind| *kind == name)
}

/// What a guest is asked to do.
#[derive(Clone, Debug)]
pub(crate) enum Work {
    Method {
        name: String,
        params: Bytes,
    },
    Page {
        page: String,
        request: pages::Request,
    },
    Http(http_in::Request),
    Job(jobs::Job),
    Event(events_in::Event),
    Before {
        plugin: PluginId,
        method: String,
        params: Bytes,
    },
    After(after::Happening),
    Install,
    Uninstall,
    Enable,
    Disable,
    Migrate {
        from: u32,
        cursor: Option<Vec<u8>>,
    },
    Health,
}

/// What a guest answered.
#[derive(Debug)]
pub(crate) enum Done {
    Json(Bytes),
    Http(http_in::Response),
    /// Where to go on, if there is more.
    More(Option<Vec<u8>>),
    Verdict(before::Verdict),
    Words(String),
    Nothing,
}

impl Work {
    /// What the log and the ledger call it.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Method { .. } => "method",
            Self::Page { .. } => "page",
            Self::Http(_) => "http-in",
            Self::Job(_) => "job",
            Self::Event(_) => "event",
            Self::Before { .. } => "hook-before",
            Self::After(_) => "hook-after",
            Self::Install => "install",
            Self::Uninstall => "uninstall",
            Self::Enable => "enable",
            Self::Disable => "disable",
            Self::Migrate { .. } => "migrate",
            Self::Health => "health",
        }
    }

    /// Whether an administrator turns something: that is done also when the day's budget is used up.
    pub(crate) const fn is_a_turn(&self) -> bool {
        matches!(
            self,
            Self::Install | Self::Uninstall | Self::Enable | Self::Disable | Self::Migrate { .. }
        )
    }

    /// Which one of its kind: a name that the manifest gave, nothing of a person's.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Method { name, .. } => name,
            Self::Page { page, .. } => page,
            Self::Job(job) => &job.name,
            Self::Event(event) => &event.topic,
            Self::Before { method, .. } => method,
            Self::After(happening) => &happening.method,
            _ => self.kind(),
        }
    }

    /// Whether somebody waits for it. What nobody waits for may take longer.
    fn is_waited_for(&self) -> bool {
        matches!(
            self,
            Self::Method { .. } | Self::Page { .. } | Self::Http(_) | Self::Before { .. }
        )
    }

    /// Processor time and time in all, in milliseconds.
    pub(crate) fn limits_ms(&self, limits: &Limits) -> (u64, u64) {
        if self.is_waited_for() {
            (limits.cpu_ms, limits.wall_ms)
        } else {
            (limits.work_cpu_ms, limits.work_wall_ms)
        }
    }
}

impl Done {
    /// Whether it may leave the runtime.
    pub(crate) fn check(&self, limits: &Limits) -> std::result::Result<(), Fault> {
        let len = match self {
            Self::Json(json) => {
                if json.len() <= limits.reply_bytes
                    && serde_json::from_slice::<IgnoredAny>(json).is_err()
                {
                    return Err(Fault::Reply);
                }
                json.len()
            }
            Self::Http(response) => response.body.len(),
            Self::More(Some(cursor)) => cursor.len(),
            Self::Verdict(before::Verdict::Modify(params)) => params.len(),
            Self::Verdict(before::Verdict::Veto(words)) | Self::Words(words) => words.len(),
            Self::More(None) | Self::Verdict(before::Verdict::Allow) | Self::Nothing => 0,
        };
        if len > limits.reply_bytes {
            return Err(Fault::ReplyTooLarge);
        }
        Ok(())
    }
}

/// Where a component's exports are; each but the description is there or not.
pub(crate) struct Exports {
    description: description::GuestIndices,
    rpc: Option<rpc::GuestIndices>,
    pages: Option<pages::GuestIndices>,
    http_in: Option<http_in::GuestIndices>,
    jobs: Option<jobs::GuestIndices>,
    events_in: Option<events_in::GuestIndices>,
    before: Option<before::GuestIndices>,
    after: Option<after::GuestIndices>,
    installation: Option<installation::GuestIndices>,
    switching: Option<switching::GuestIndices>,
    migration: Option<migration::GuestIndices>,
    health: Option<health::GuestIndices>,
}

impl Exports {
    /// Finds them; one that is there and has another shape is the same as one that is not.
    pub(crate) fn new(pre: &InstancePre<Guest>) -> std::result::Result<Self, RuntimeError> {
        Ok(Self {
            description: description::GuestIndices::new(pre)
                .map_err(|error| RuntimeError::component(format!("{error:#}")))?,
            rpc: rpc::GuestIndices::new(pre).ok(),
            pages: pages::GuestIndices::new(pre).ok(),
            http_in: http_in::GuestIndices::new(pre).ok(),
            jobs: jobs::GuestIndices::new(pre).ok(),
            events_in: events_in::GuestIndices::new(pre).ok(),
            before: before::GuestIndices::new(pre).ok(),
            after: after::GuestIndices::new(pre).ok(),
            installation: installation::GuestIndices::new(pre).ok(),
            switching: switching::GuestIndices::new(pre).ok(),
            migration: migration::GuestIndices::new(pre).ok(),
            health: health::GuestIndices::new(pre).ok(),
        })
    }

    /// Whether the component has what its manifest offers.
    pub(crate) fn check(&self, manifest: &Manifest) -> std::result::Result<(), RuntimeError> {
        let hooks = |when| manifest.hooks.iter().any(|hook| hook.when == when);
        let promised = [
            (!manifest.methods.is_empty(), self.rpc.is_some(), "rpc"),
            (!manifest.pages.is_empty(), self.pages.is_some(), "pages"),
            (
                manifest.http_in.is_some(),
                self.http_in.is_some(),
                "http-in",
            ),
            (!manifest.jobs.is_empty(), self.jobs.is_some(), "jobs"),
            (
                !manifest.subscriptions.is_empty(),
                self.events_in.is_some(),
                "events-in",
            ),
            (hooks(When::Before), self.before.is_some(), "hooks/before"),
            (hooks(When::After), self.after.is_some(), "hooks/after"),
            (
                manifest.data_version > 1,
                self.migration.is_some(),
                "lifecycle/migration",
            ),
        ];
        match promised.iter().find(|(says, has, _)| *says && !has) {
            Some((.., name)) => Err(RuntimeError::component(format!(
                "its manifest offers what needs the export {name}, which it does not have"
            ))),
            None => Ok(()),
        }
    }

    /// Whether there is somebody to ask.
    pub(crate) fn can(&self, work: &Work) -> bool {
        match work {
            Work::Method { .. } => self.rpc.is_some(),
            Work::Page { .. } => self.pages.is_some(),
            Work::Http(_) => self.http_in.is_some(),
            Work::Job(_) => self.jobs.is_some(),
            Work::Event(_) => self.events_in.is_some(),
            Work::Before { .. } => self.before.is_some(),
            Work::After(_) => self.after.is_some(),
            Work::Install | Work::Uninstall => self.installation.is_some(),
            Work::Enable | Work::Disable => self.switching.is_some(),
            Work::Migrate { .. } => self.migration.is_some(),
            Work::Health => self.health.is_some(),
        }
    }

    pub(crate) async fn describe(
        &self,
        store: &mut Store<Guest>,
        instance: &Instance,
    ) -> Result<Vec<u8>> {
        let guest = self.description.load(&mut *store, instance)?;
        guest.call_describe(store).await
    }

    /// Does it. Without the export there is nothing to do.
    pub(crate) async fn answer(
        &self,
        store: &mut Store<Guest>,
        instance: &Instance,
        work: &Work,
    ) -> Result<std::result::Result<Done, Error>> {
        macro_rules! export {
            ($name:ident) => {
                match &self.$name {
                    Some(indices) => indices.load(&mut *store, instance)?,
                    None => return Ok(Ok(Done::Nothing)),
                }
            };
        }
        Ok(match work {
            Work::Method { name, params } => {
                let guest = export!(rpc);
                let reply = guest.call_handle(store, name, params).await?;
                reply.map(|json| Done::Json(json.into()))
            }
            Work::Page { page, request } => {
                let guest = export!(pages);
                let reply = guest.call_show(store, page, request).await?;
                reply.map(|json| Done::Json(json.into()))
            }
            Work::Http(request) => {
                let guest = export!(http_in);
                guest.call_handle(store, request).await?.map(Done::Http)
            }
            Work::Job(job) => {
                let guest = export!(jobs);
                guest.call_run(store, job).await?.map(|progress| {
                    Done::More(match progress {
                        jobs::Progress::Done => None,
                        jobs::Progress::More(cursor) => Some(cursor),
                    })
                })
            }
            Work::Event(event) => {
                let guest = export!(events_in);
                guest
                    .call_handle(store, event)
                    .await?
                    .map(|()| Done::Nothing)
            }
            Work::Before {
                plugin,
                method,
                params,
            } => {
                let guest = export!(before);
                let verdict = guest
                    .call_before(store, plugin.as_str(), method, params)
                    .await?;
                verdict.map(Done::Verdict)
            }
            Work::After(happening) => {
                let guest = export!(after);
                guest
                    .call_after(store, happening)
                    .await?
                    .map(|()| Done::Nothing)
            }
            Work::Install => {
                let guest = export!(installation);
                guest.call_install(store).await?.map(|()| Done::Nothing)
            }
            Work::Uninstall => {
                let guest = export!(installation);
                guest.call_uninstall(store).await?.map(|()| Done::Nothing)
            }
            Work::Enable => {
                let guest = export!(switching);
                guest.call_enable(store).await?.map(|()| Done::Nothing)
            }
            Work::Disable => {
                let guest = export!(switching);
                guest.call_disable(store).await?.map(|()| Done::Nothing)
            }
            Work::Migrate { from, cursor } => {
                let guest = export!(migration);
                let progress = guest.call_migrate(store, *from, cursor.as_deref()).await?;
                progress.map(|progress| {
                    Done::More(match progress {
                        migration::Progress::Done => None,
                        migration::Progress::More(cursor) => Some(cursor),
                    })
                })
            }
            Work::Health => {
                let guest = export!(health);
                guest.call_health(store).await?.map(Done::Words)
            }
        })
    }
}
