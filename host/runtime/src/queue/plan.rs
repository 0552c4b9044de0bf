//! Jobs are planned: once, by a plugin's own call, or again and again, as its manifest says.

use vaxel_core::{OpCx, PluginId, TenantId, UnixMs};
use vaxel_storage::{StorageError, Transaction};

use super::every::{Every, moment};
use super::rows::{self, Job};
use super::{DEPTH_MAX, WAITING_MAX};
use crate::capability::bindings::vaxel::types::types::Error;
use crate::guest::{Context, guest_error};
use crate::manifest::Manifest;
use crate::runtime::Inner;

/// The longest key of a run: a name and an id.
const KEY_BYTES_MAX: usize = 512;

/// What a run gets along; more belongs into the plugin's own rows.
const PAYLOAD_BYTES_MAX: usize = 64 << 10;

/// What is due sooner than this is a part of what scheduled it, and so may not go on without end.
const SAME_CHAIN_MS: u64 = 1_000;

/// How far ahead work is planned: ten years.
const AHEAD_MS_MAX: u64 = 10 * 366 * 24 * 60 * 60 * 1_000;

/// A run that a plugin wants, if it may be planned.
pub(crate) fn schedulable(
    context: &Context,
    name: &str,
    key: &str,
    at: UnixMs,
    payload: Vec<u8>,
) -> Result<Job, Error> {
    let manifest = &context.plugin.manifest;
    if !manifest.jobs.iter().any(|job| job.name == name) {
        return Err(guest_error("invalid", "the manifest has no such job"));
    }
    if key.is_empty() || key.len() > KEY_BYTES_MAX {
        return Err(guest_error("invalid", "a key has 1 to 512 bytes"));
    }
    if payload.len() > PAYLOAD_BYTES_MAX {
        return Err(guest_error("too-large", "a payload has at most 64 KiB"));
    }
    let now = context.cx.now;
    if at.since(now) > AHEAD_MS_MAX {
        return Err(guest_error("invalid", "that is more than ten years ahead"));
    }
    let depth = if at.since(now) < SAME_CHAIN_MS {
        context.within.depth.saturating_add(1)
    } else {
        0
    };
    if depth > DEPTH_MAX {
        return Err(guest_error(
            "limit",
            "a job that was scheduled by a job, and so on: at most 8 at once; schedule it for later",
        ));
    }
    Ok(Job {
        name: name.to_owned(),
        key: key.to_owned(),
        due: at.max(now),
        failed: 0,
        cursor: None,
        payload,
        depth,
        every: None,
    })
}

/// Plans a run in the plugin's transaction; whether there was room for it.
pub(crate) fn schedule(
    tx: &mut Transaction,
    plugin: &PluginId,
    job: &Job,
) -> Result<bool, StorageError> {
    if rows::waiting(tx, plugin)? >= WAITING_MAX {
        return Ok(false);
    }
    let id = rows::job_id(&job.name, &job.key);
    rows::put_job(tx, plugin, &id, job)?;
    Ok(true)
}

/// Cancels a run.
pub(crate) fn cancel(
    tx: &mut Transaction,
    plugin: &PluginId,
    name: &str,
    key: &str,
) -> Result<(), StorageError> {
    rows::remove_job(tx, plugin, &rows::job_id(name, key))
}

/// How a repeated job stands from now on: what was missed is not made up for.
pub(crate) fn again(job: &Job, now: UnixMs) -> Option<Job> {
    let every = job.every.as_ref()?;
    let due = every.next(now)?;
    Some(Job {
        key: moment(due),
        due,
        failed: 0,
        cursor: None,
        ..job.clone()
    })
}

impl Inner {
    /// Plans what a manifest repeats and takes away what it no longer does. Where it was planned already it stays,
    /// unless everything is to begin anew.
    pub(crate) async fn plan_repeated(
        &self,
        tenant: TenantId,
        manifest: &Manifest,
        anew: bool,
    ) -> Result<(), StorageError> {
        let mut tx = self.storage.begin(tenant);
        self.plan_in(&mut tx, manifest, anew)?;
        if !tx.is_read_only() {
            self.storage.commit(tx).await?;
        }
        Ok(())
    }

    fn plan_in(
        &self,
        tx: &mut Transaction,
        manifest: &Manifest,
        anew: bool,
    ) -> Result<(), StorageError> {
        let now = self.clock.now();
        for job in &manifest.jobs {
            let id = rows::repeated_id(&job.name);
            let before = rows::job(tx, &manifest.id, &id)?;
            let every = job.every.as_ref().and_then(|fields| {
                // The manifest was refused otherwise.
                Every::new(fields, job.timezone.as_deref()).ok()
            });
            let Some(every) = every else {
                if before.is_some() {
                    rows::remove_job(tx, &manifest.id, &id)?;
                }
                continue;
            };
            if !anew && before.is_some_and(|before| before.every.as_ref() == Some(&every)) {
                continue;
            }
            let wanted = Job {
                name: job.name.clone(),
                key: String::new(),
                due: now,
                failed: 0,
                cursor: None,
                payload: Vec::new(),
                depth: 0,
                every: Some(every),
            };
            match again(&wanted, now) {
                Some(planned) => rows::put_job(tx, &manifest.id, &id, &planned)?,
                None => rows::remove_job(tx, &manifest.id, &id)?,
            }
        }
        Ok(())
    }

    /// What the host does in the name of a plugin.
    pub(crate) fn on_behalf_of(&self, tenant: TenantId, plugin: &PluginId) -> OpCx {
        OpCx {
            actor: vaxel_core::Actor::Plugin(plugin.clone()),
            ..OpCx::system(tenant, self.clock.now())
        }
    }
}
