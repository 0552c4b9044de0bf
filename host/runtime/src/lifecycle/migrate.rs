//! Rows get a new form: in steps of one transaction each, resumed after a crash, and put back where it fails for good.

use std::sync::Arc;
use std::time::Duration;

use vaxel_core::{AlarmLevel, OpCx, Problem, Reason};
use vaxel_storage::{Space, StorageError, Transaction};

use super::rows::{self, Migration, Standing};
use super::{may_pass, migrating, while_migrating};
use crate::Caller;
use crate::call::Errand;
use crate::outcome::{Failure, storage_problem};
use crate::registry::{Active, TenantPlugins};
use crate::runtime::Inner;
use crate::work::{Done, Work};

/// How often a step is tried before the migration has failed: calls wait meanwhile, so it is not long.
const TRIES_MAX: u32 = 3;

/// How long to wait behind the first try; twice that behind the second.
const TRY_PAUSE: Duration = Duration::from_millis(100);

/// How often a step is begun that the host could not run.
const BEGINNINGS_MAX: u32 = 100;

/// How long calls that run may take to end before it begins.
const CALLS_END: Duration = Duration::from_secs(60);

/// Rows that are put back in one transaction: each is three changes.
const BACK_MAX: usize = 200;

impl Inner {
    /// Brings a tenant's rows to the form that this version knows. No call of the plugin runs meanwhile. Goes on where
    /// a crash ended it; what another version has begun is undone first. Where it fails for good every row is as it
    /// was.
    pub(crate) async fn migrate(
        self: &Arc<Self>,
        cx: &OpCx,
        tenant: &Arc<TenantPlugins>,
        active: &Active,
    ) -> Result<(), Problem> {
        let manifest = &active.plugin.manifest;
        if active.gate.known().0 == manifest.data_version {
            return Ok(());
        }
        let going = Arc::clone(&active.gate.going);
        let alone = tokio::time::timeout(CALLS_END, going.write_owned()).await;
        let _alone = alone.map_err(|_| migrating())?;
        active.gate.forget();
        let mut standing = self.standing(cx, active)?;
        let is_ours =
            |migration: &Migration| migration.to == manifest.data_version && !migration.is_undone;
        if standing
            .migration
            .as_ref()
            .is_some_and(|migration| !is_ours(migration))
        {
            self.put_back(cx, active).await?;
            standing = self.standing(cx, active)?;
        }
        if standing.is_fit_for(manifest) {
            return Ok(());
        }
        if standing.data_version > manifest.data_version {
            let detail = "The data was brought to a newer form by a newer version.";
            return Err(Problem::new(Reason::Refused, detail).with_code("plugin-data-newer"));
        }
        if standing.migration.is_none() {
            // What an earlier migration left is no longer what was before.
            self.forget_before(cx, active).await?;
            self.note(cx, |tx| {
                let begun = Standing {
                    migration: Some(Migration {
                        to: manifest.data_version,
                        cursor: None,
                        is_undone: false,
                    }),
                    failed: None,
                    ..rows::read(tx, &manifest.id)?
                };
                rows::write(tx, &manifest.id, &begun)
            })
            .await?;
        }
        tracing::info!(plugin.id = %manifest.id, tenant.id = %cx.tenant, "bringing rows to a new form");
        loop {
            match self.step(cx, tenant, active).await {
                Ok(true) => {}
                Ok(false) => break,
                Err(failure) if may_pass(&failure) => return Err(failure.problem()),
                Err(failure) => {
                    self.give_up(cx, active).await?;
                    return Err(failure.problem());
                }
            }
        }
        self.forget_before(cx, active).await
    }

    /// One step; whether there is another.
    async fn step(
        self: &Arc<Self>,
        cx: &OpCx,
        tenant: &Arc<TenantPlugins>,
        active: &Active,
    ) -> Result<bool, Failure> {
        let (mut tried, mut begun) = (0, 0);
        loop {
            let standing = self.standing(cx, active).map_err(Failure::Host)?;
            let cursor = standing.migration.and_then(|migration| migration.cursor);
            let from = standing.data_version;
            let work = Work::Migrate {
                from,
                cursor: cursor.clone(),
            };
            let (plugin, space) = (
                active.plugin.manifest.id.clone(),
                Space::plugin(&active.plugin.manifest.id),
            );
            let before = cursor.clone();
            let alongside = move |tx: &mut Transaction, done: &Done| {
                let standing = rows::read(tx, &plugin)?;
                let migration = standing.migration.clone();
                let Some(migration) = migration.filter(|m| m.cursor == before && !m.is_undone)
                else {
                    return Err(StorageError::Conflict);
                };
                rows::keep_before(tx, &plugin, space)?;
                let next = match done {
                    Done::More(Some(cursor)) => Standing {
                        migration: Some(Migration {
                            cursor: Some(cursor.clone()),
                            ..migration
                        }),
                        ..standing
                    },
                    _ => Standing {
                        data_version: migration.to,
                        migration: None,
                        ..standing
                    },
                };
                rows::write(tx, &plugin, &next)
            };
            let errand = Errand {
                cx: OpCx {
                    now: self.clock.now(),
                    ..cx.clone()
                },
                caller: Caller::default(),
                work,
                alongside: Some(Arc::new(alongside)),
            };
            match self
                .errand_as(tenant, active, errand, while_migrating())
                .await
            {
                Ok(Done::More(Some(next))) if Some(&next) == cursor.as_ref() => {
                    let detail = "A step of the migration came no further.";
                    return Err(Failure::Refused(Problem::new(Reason::Internal, detail)));
                }
                Ok(Done::More(Some(_))) => return Ok(true),
                Ok(_) => return Ok(false),
                // Too much for one transaction: that will not change.
                Err(Failure::Host(problem)) if problem.reason == Reason::TooLarge => {
                    return Err(Failure::Refused(problem));
                }
                Err(failure) if may_pass(&failure) => {
                    begun += 1;
                    if begun >= BEGINNINGS_MAX {
                        return Err(failure);
                    }
                    tokio::time::sleep(TRY_PAUSE).await;
                }
                Err(failure) => {
                    tried += 1;
                    if tried >= TRIES_MAX {
                        return Err(failure);
                    }
                    tokio::time::sleep(TRY_PAUSE * tried).await;
                }
            }
        }
    }

    async fn give_up(&self, cx: &OpCx, active: &Active) -> Result<(), Problem> {
        let manifest = &active.plugin.manifest;
        let detail = format!(
            "{} {} could not bring its data in {} to its form: it is put back",
            manifest.id, manifest.version, cx.tenant
        );
        self.alarms
            .raise(AlarmLevel::Critical, "plugin.migration_failed", &detail);
        self.note(cx, |tx| {
            let standing = rows::read(tx, &manifest.id)?;
            let migration = standing.migration.clone().map(|migration| Migration {
                is_undone: true,
                ..migration
            });
            let failed = Standing {
                migration,
                failed: Some((manifest.version.clone(), manifest.data_version)),
                ..standing
            };
            rows::write(tx, &manifest.id, &failed)
        })
        .await?;
        self.put_back(cx, active).await
    }

    /// Every row as it was before the migration began.
    async fn put_back(&self, cx: &OpCx, active: &Active) -> Result<(), Problem> {
        let plugin = &active.plugin.manifest.id;
        let space = Space::plugin(plugin);
        let mut is_more = true;
        while is_more {
            self.note(cx, |tx| {
                let standing = rows::read(tx, plugin)?;
                is_more = rows::put_back_some(tx, plugin, space, BACK_MAX)?;
                let migration = standing.migration.clone().map(|migration| Migration {
                    is_undone: true,
                    ..migration
                });
                let next = Standing {
                    migration: migration.filter(|_| is_more),
                    ..standing
                };
                rows::write(tx, plugin, &next)
            })
            .await?;
        }
        Ok(())
    }

    async fn forget_before(&self, cx: &OpCx, active: &Active) -> Result<(), Problem> {
        let plugin = &active.plugin.manifest.id;
        let mut is_more = true;
        while is_more {
            self.note(cx, |tx| {
                is_more = rows::forget_before(tx, plugin, BACK_MAX)?;
                Ok(())
            })
            .await?;
        }
        Ok(())
    }

    fn standing(&self, cx: &OpCx, active: &Active) -> Result<Standing, Problem> {
        rows::read(
            &mut self.storage.begin(cx.tenant),
            &active.plugin.manifest.id,
        )
        .map_err(|error| storage_problem(&error))
    }
}
