//! Writing the accounts down: one transaction per plugin, with what the audit gets in the same one.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use vaxel_core::{PluginId, UnixMs};
use vaxel_identity::{Outcome, Used, append_use};
use vaxel_storage::{StorageError, Transaction};

use super::Ledger;
use super::account::{Account, Noted, Part, TenantAccount};
use super::rows::{self, DAYS, DayRow, KEPT_DAYS, Key, METHODS, day_of};
use super::sums::{Sums, Uses, add_metric, add_uses};
use crate::manifest::Cap;
use crate::runtime::Inner;

/// How often accounts are written down: what a kill -9 loses at most.
const EVERY: Duration = Duration::from_secs(10);

/// How often a transaction that met a conflict is run again.
const RERUNS: u32 = 8;

const MS_PER_HOUR: u64 = 60 * 60 * 1_000;

/// Writes down what was noted, until the runtime is gone.
pub(crate) async fn keep_writing(inner: Weak<Inner>) {
    loop {
        let Some(there) = inner.upgrade() else {
            return;
        };
        let now = there.clock.now();
        there.ledger.write_all(now, false).await;
        drop(there);
        // Not while waiting: a runtime that nobody holds any more ends.
        tokio::time::sleep(EVERY).await;
    }
}

impl Ledger {
    /// Writes everything down; at the end the totals too.
    pub(crate) async fn write_all(&self, now: UnixMs, is_end: bool) {
        for tenant in self.tenants() {
            self.write_tenant(&tenant, now, is_end).await;
        }
    }

    pub(super) async fn write_tenant(&self, tenant: &TenantAccount, now: UnixMs, is_end: bool) {
        for account in tenant.accounts() {
            let hour = now.0 / MS_PER_HOUR;
            let is_due = is_end || account.totals_hour.load(Ordering::Relaxed) != hour;
            if !(account.is_waiting() || is_end) {
                continue;
            }
            if let Err(error) = self.write(&account, now, is_due).await {
                tracing::warn!(tenant.id = %tenant.tenant, plugin.id = %account.plugin, %error, "what a plugin used is not written down yet");
            } else if is_due {
                account.totals_hour.store(hour, Ordering::Relaxed);
            }
        }
        let today = day_of(now);
        if tenant.forgot_day.swap(today, Ordering::Relaxed) != today
            && let Err(error) = self.forget(tenant, today).await
        {
            tracing::warn!(tenant.id = %tenant.tenant, %error, "forgetting what plugins used long ago");
        }
    }

    /// Writes one account down, at once where a refusal must not be lost.
    pub(crate) async fn write(
        &self,
        account: &Arc<Account>,
        now: UnixMs,
        with_totals: bool,
    ) -> Result<(), StorageError> {
        let tenant = &account.tenant;
        let _writing = tenant.writing.lock().await;
        let parts = account.take();
        if parts.is_empty() && !with_totals {
            return Ok(());
        }
        let mut reruns = 0;
        loop {
            let mut tx = self.storage.begin(tenant.tenant);
            // Refusals are written down also while the disk counts as full.
            tx.use_reserve();
            let written = match write_parts(&mut tx, &account.plugin, &parts, now, with_totals) {
                Ok(()) if tx.is_read_only() => Ok(()),
                Ok(()) => self.storage.commit(tx).await.map(|_| ()),
                Err(error) => Err(error),
            };
            match written {
                Ok(()) => {
                    account.was_written(&parts);
                    return Ok(());
                }
                Err(error) if error.is_conflict() && reruns < RERUNS => {
                    reruns += 1;
                    tokio::time::sleep(Duration::from_millis(1 << reruns)).await;
                }
                Err(error) => {
                    account.put_back(parts);
                    return Err(error);
                }
            }
        }
    }

    async fn forget(&self, tenant: &TenantAccount, today: u64) -> Result<(), StorageError> {
        loop {
            let mut tx = self.storage.begin(tenant.tenant);
            let is_more = rows::forget_some(&mut tx, today)?;
            if !tx.is_read_only() {
                self.storage.commit(tx).await?;
            }
            if !is_more {
                return Ok(());
            }
        }
    }
}

fn write_parts(
    tx: &mut Transaction,
    plugin: &PluginId,
    parts: &[Part],
    now: UnixMs,
    with_totals: bool,
) -> Result<(), StorageError> {
    for part in parts {
        let mut key = Key {
            day: part.day,
            plugin: plugin.clone(),
            version: part.version.clone(),
            work: None,
        };
        let mut row: DayRow = rows::get(tx, DAYS, &key)?;
        row.sums.add(&part.sums);
        add_uses(&mut row.uses, Cap::ALL.into_iter().zip(part.uses));
        for noted in &part.acts {
            add_uses(&mut row.in_rows, [(noted.act.cap, noted.count)]);
            append_act(tx, plugin, &part.version, noted)?;
        }
        let mut is_dropped = part.dropped_metrics;
        for (name, metric) in &part.metrics {
            is_dropped |= !add_metric(&mut row.metrics, name, *metric);
        }
        if is_dropped {
            tracing::warn!(plugin.id = %plugin, "a plugin has more sums of its own than it may; the rest is dropped");
        }
        rows::put(tx, DAYS, &key, &row)?;
        for (kind, names) in &part.works {
            for (name, sums) in names {
                key.work = Some(((*kind).to_owned(), name.clone()));
                let mut row: Sums = rows::get(tx, METHODS, &key)?;
                row.add(sums);
                rows::put(tx, METHODS, &key, &row)?;
            }
        }
    }
    if with_totals {
        append_totals(tx, plugin, now)?;
    }
    Ok(())
}

/// One use that matters.
fn append_act(
    tx: &mut Transaction,
    plugin: &PluginId,
    version: &str,
    noted: &Noted,
) -> Result<(), StorageError> {
    let Noted {
        at,
        user,
        work,
        act,
        count,
    } = noted;
    let outcome = if act.is_refused {
        Outcome::Refused
    } else {
        Outcome::Done
    };
    let used = Used {
        version: version.to_owned(),
        work: work.clone(),
        what: act.what.clone(),
        counts: Uses::from([(act.cap.name().to_owned(), *count)]),
    };
    append_use(tx, *at, plugin, ("plugins.used", outcome), *user, used)
}

/// What was used since the last totals and has no row of its own, by version and day: also of days before, where the
/// server ended before it could.
fn append_totals(tx: &mut Transaction, plugin: &PluginId, now: UnixMs) -> Result<(), StorageError> {
    let first = day_of(now).saturating_sub(KEPT_DAYS);
    for (key, mut row) in rows::since::<DayRow>(tx, DAYS, first)? {
        let counts = row.not_audited();
        if key.plugin != *plugin || counts.is_empty() {
            continue;
        }
        for (name, count) in &counts {
            *row.in_totals.entry(name.clone()).or_default() += count;
        }
        rows::put(tx, DAYS, &key, &row)?;
        let used = Used {
            version: key.version,
            what: rows::date_of(key.day),
            counts,
            ..Used::default()
        };
        append_use(
            tx,
            now,
            plugin,
            ("plugins.used_in_all", Outcome::Done),
            None,
            used,
        )?;
    }
    Ok(())
}
