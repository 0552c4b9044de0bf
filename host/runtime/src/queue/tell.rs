//! What happens is written down, with its commit, for the plugins that are to be told of it.

use std::collections::{BTreeSet, HashMap};

use vaxel_core::{AlarmLevel, PluginId, UnixMs};
use vaxel_storage::{StorageError, Transaction};

use super::rows::{self, Happened, Lane};
use super::{DEPTH_MAX, WAITING_MAX};
use crate::guest::Context;
use crate::manifest::{Failing, When};
use crate::registry::Active;
use crate::runtime::Inner;
use crate::work::{Done, Work};

/// What is handed to all hooks of a call afterwards; larger parameters and answers are left out: they become a part of
/// the call's own commit, and may not make it too large.
const HAPPENING_BYTES_MAX: usize = 128 << 10;

/// Which plugins of a tenant take part in what others do. Nothing is looked up in it where it is empty.
#[derive(Default)]
pub(crate) struct TakingPart {
    /// By topic.
    listeners: HashMap<String, Vec<PluginId>>,
    /// By plugin, then method.
    hooked: HashMap<PluginId, HashMap<String, Hooked>>,
}

/// Who has a say in a method.
#[derive(Default)]
pub(crate) struct Hooked {
    pub(crate) before: Vec<BeforeHook>,
    pub(crate) after: Vec<PluginId>,
}

/// Who is asked before a method, and what holds without an answer.
pub(crate) struct BeforeHook {
    pub(crate) plugin: PluginId,
    pub(crate) deadline_ms: u32,
    pub(crate) on_failure: Failing,
}

impl TakingPart {
    /// What manifests ask for and the tenant granted.
    pub(crate) fn of(active: &HashMap<PluginId, Active>) -> Self {
        let mut taking = Self::default();
        let mut plugins: Vec<_> = active.iter().collect();
        plugins.sort_by_key(|(id, _)| *id);
        for (id, active) in plugins {
            let manifest = &active.plugin.manifest;
            for wanted in &manifest.subscriptions {
                if active.grants.has(&format!("events:{}", wanted.topic)) {
                    let listeners = taking.listeners.entry(wanted.topic.clone());
                    listeners.or_default().push(id.clone());
                }
            }
            for hook in &manifest.hooks {
                let Some((plugin, method)) = hook.on.split_once('/') else {
                    continue;
                };
                let Ok(plugin) = plugin.parse::<PluginId>() else {
                    continue;
                };
                let word = match hook.when {
                    When::Before => "before",
                    When::After => "after",
                };
                if plugin == *id || !active.grants.has(&format!("{word}:{}", hook.on)) {
                    continue;
                }
                let hooked = taking.hooked.entry(plugin).or_default();
                let hooked = hooked.entry(method.to_owned()).or_default();
                match hook.when {
                    When::Before => hooked.before.push(BeforeHook {
                        plugin: id.clone(),
                        deadline_ms: hook.deadline_ms,
                        on_failure: hook.on_failure,
                    }),
                    When::After => hooked.after.push(id.clone()),
                }
            }
        }
        taking
    }

    /// Who has a say in this method.
    pub(crate) fn in_method(&self, plugin: &PluginId, method: &str) -> Option<&Hooked> {
        if self.hooked.is_empty() {
            return None;
        }
        self.hooked.get(plugin)?.get(method)
    }
}

/// Whom a commit has given work.
#[derive(Default)]
pub(crate) struct Told(BTreeSet<PluginId>);

impl Told {
    pub(crate) fn add(&mut self, plugin: PluginId) {
        self.0.insert(plugin);
    }

    pub(crate) fn into_plugins(self) -> impl Iterator<Item = PluginId> {
        self.0.into_iter()
    }
}

impl Inner {
    /// Adds to a call's transaction what others are to be told of it.
    pub(crate) fn tell(
        &self,
        taking: &TakingPart,
        context: &Context,
        work: &Work,
        done: &Done,
        tx: &mut Transaction,
    ) -> Result<Told, StorageError> {
        let mut told = Told::default();
        let own = &context.plugin.manifest.id;
        if !taking.listeners.is_empty() {
            let mut events = Vec::new();
            for (ordinal, (audience, topic)) in tx.published().enumerate() {
                if let Some(listeners) = taking.listeners.get(topic) {
                    let ordinal = u16::try_from(ordinal).unwrap_or(u16::MAX);
                    events.push((ordinal, audience, listeners));
                }
            }
            for (ordinal, audience, listeners) in events {
                for listener in listeners.iter().filter(|listener| *listener != own) {
                    let happened = Happened::Event {
                        seq: None,
                        ordinal,
                        audience: audience.0,
                        depth: context.within.depth.saturating_add(1),
                    };
                    self.tell_one(context, tx, listener, Lane::Events, &happened, &mut told)?;
                }
            }
        }
        if let (Work::Method { name, params }, Done::Json(answer), false) =
            (work, done, context.within.is_hook)
            && let Some(hooked) = taking.in_method(own, name)
        {
            let bytes = params.len().saturating_add(answer.len());
            let fits = bytes.saturating_mul(hooked.after.len()) <= HAPPENING_BYTES_MAX;
            for listener in &hooked.after {
                let happened = Happened::After {
                    id: format!("{:032x}", tx.new_id()),
                    plugin: own.clone(),
                    method: name.clone(),
                    user: context.caller.user,
                    at: context.cx.now,
                    depth: context.within.depth.saturating_add(1),
                    params: if fits { params.to_vec() } else { Vec::new() },
                    answer: if fits { answer.to_vec() } else { Vec::new() },
                };
                self.tell_one(context, tx, listener, Lane::After, &happened, &mut told)?;
            }
        }
        Ok(told)
    }

    fn tell_one(
        &self,
        context: &Context,
        tx: &mut Transaction,
        listener: &PluginId,
        lane: Lane,
        happened: &Happened,
        told: &mut Told,
    ) -> Result<(), StorageError> {
        let tenant = context.tenant();
        let (Happened::Event { depth, .. } | Happened::After { depth, .. }) = happened;
        if *depth > DEPTH_MAX {
            let detail = format!(
                "in {tenant} plugins answer each other's events without end: {listener} is not told any more"
            );
            self.alarms
                .raise(AlarmLevel::Warning, "plugin.chain", &detail);
            return Ok(());
        }
        let pushed = if rows::waiting(tx, listener)? >= WAITING_MAX {
            None
        } else {
            match rows::push(tx, listener, lane, happened) {
                Ok(()) => Some(()),
                // The call itself changes as much as a transaction holds. It does not fail for who only listens.
                Err(StorageError::TooLarge { .. }) => None,
                Err(error) => return Err(error),
            }
        };
        if pushed.is_none() {
            let now: UnixMs = self.clock.now();
            if self.queue.may_complain(tenant, listener, now) {
                let detail = format!(
                    "too much waits for {listener} in {tenant}: it is not told of all that happens"
                );
                self.alarms
                    .raise(AlarmLevel::Critical, "plugin.queue_full", &detail);
            }
            return Ok(());
        }
        told.add(listener.clone());
        Ok(())
    }
}
