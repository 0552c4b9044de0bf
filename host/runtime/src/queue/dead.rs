//! Dead letters as a tenant's administrators see them: what failed for good, to be tried once more or let go.

use vaxel_core::{PluginId, Problem, Reason, TenantId, UnixMs};
use vaxel_storage::{StorageError, Transaction};

use super::rows::{self, Dead, Was};
use crate::Runtime;
use crate::outcome::storage_problem;

/// Work that failed for good. What it was about is not said: it may be somebody's words.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    /// Its id in the tenant.
    pub id: u128,
    /// `job`, `event` or `hook-after`.
    pub kind: String,
    /// Which job, topic or method.
    pub name: String,
    /// How often it was tried.
    pub attempts: u32,
    /// A code of the plugin's own, or in which way it broke.
    pub error: String,
    /// When it was given up.
    pub at: UnixMs,
}

impl Runtime {
    /// What failed for good, oldest first.
    pub fn dead_letters(
        &self,
        tenant: TenantId,
        plugin: &PluginId,
    ) -> Result<Vec<DeadLetter>, Problem> {
        let mut tx = self.inner.storage.begin(tenant);
        let found = rows::dead(&mut tx, plugin).map_err(|error| storage_problem(&error))?;
        let letters = found.into_iter().map(|(id, dead)| DeadLetter {
            id,
            kind: dead.kind.into_owned(),
            name: dead.name,
            attempts: dead.attempts,
            error: dead.error,
            at: dead.at,
        });
        Ok(letters.collect())
    }

    /// Puts a dead letter back into the queue, behind what waits there.
    pub async fn retry_dead_letter(
        &self,
        tenant: TenantId,
        plugin: &PluginId,
        id: u128,
    ) -> Result<(), Problem> {
        let now = self.inner.clock.now();
        self.with_dead_letter(tenant, plugin, id, |tx, dead| match dead.was {
            Was::Happened(lane, happened) => rows::push(tx, plugin, lane, &happened),
            Was::Job(mut job) => {
                job.due = now;
                rows::put_job(tx, plugin, &id.to_be_bytes(), &job)
            }
        })
        .await?;
        self.inner.queue.mark(tenant, plugin.clone());
        Ok(())
    }

    /// Lets a dead letter go.
    pub async fn discard_dead_letter(
        &self,
        tenant: TenantId,
        plugin: &PluginId,
        id: u128,
    ) -> Result<(), Problem> {
        self.with_dead_letter(tenant, plugin, id, |_, _| Ok(()))
            .await
    }

    async fn with_dead_letter(
        &self,
        tenant: TenantId,
        plugin: &PluginId,
        id: u128,
        act: impl FnOnce(&mut Transaction, Dead) -> Result<(), StorageError>,
    ) -> Result<(), Problem> {
        let problem = |error: StorageError| storage_problem(&error);
        let mut tx = self.inner.storage.begin(tenant);
        let Some(dead) = rows::exhume(&mut tx, plugin, id).map_err(problem)? else {
            let detail = "There is no such dead letter.";
            return Err(Problem::new(Reason::NotFound, detail));
        };
        act(&mut tx, dead).map_err(problem)?;
        self.inner.storage.commit(tx).await.map_err(problem)?;
        Ok(())
    }
}
