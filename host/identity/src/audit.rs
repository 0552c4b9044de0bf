//! What administrators did and who was refused, in commit order. Ids only, never names.

use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use vaxel_core::{Actor, OpCx, PluginId, UnixMs, UserId};
use vaxel_storage::{Order, Space, StorageError, Transaction};

use crate::IdentityError;
use crate::audit_chain;
use crate::identity::Identity;
use crate::store::{AUDIT, Row, Tx, append_to, decode};

/// Entries on one page.
const PAGE_MAX: usize = 200;
/// The same refusal is written down once in so long: whoever is refused must not be able to fill the disk.
const SAME_REFUSAL_MS: u64 = 60_000;

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It was done.
    Done,
    /// It was not allowed.
    Refused,
    /// From here on further attempts have to wait.
    Throttled,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// When.
    pub at: UnixMs,
    /// Who: a user's id, `plugin:…`, `system` or `anonymous`.
    pub actor: String,
    /// What: `users.deactivate`.
    pub action: String,
    /// To whom or what, by id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// How it ended.
    pub outcome: Outcome,
    /// What a plugin used, where the entry is about that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<Used>,
    /// Random, so that the entry's hash in the chain tells nothing about it once it was erased.
    #[serde(default)]
    salt: String,
}

/// What a plugin used: one thing that matters, or how often each of those that are used all the time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Used {
    /// The version that used it.
    pub version: String,
    /// In which of its methods, jobs, …: `method messages.send`. Empty in totals.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub work: String,
    /// With what: a host, a method.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub what: String,
    /// How often, by capability.
    pub counts: std::collections::BTreeMap<String, u64>,
}

/// Appends, within a transaction of the host's, that a plugin used something. `target` is the person that it worked
/// for, if there was one.
pub fn append_use(
    tx: &mut Transaction,
    at: UnixMs,
    plugin: &PluginId,
    (action, outcome): (&str, Outcome),
    target: Option<UserId>,
    used: Used,
) -> Result<(), StorageError> {
    let actor = name(&Actor::Plugin(plugin.clone()));
    let entry = AuditEntry {
        target: target.map(|user| user.to_string()),
        used: Some(used),
        ..AuditEntry::new(at, actor, action, outcome)
    };
    append_to(tx, &entry)
}

impl Row for AuditEntry {
    const SPACE: Space = AUDIT;
    const WHAT: &'static str = "audit entry";
}

/// Some entries, newest first.
#[derive(Clone, Debug)]
pub struct AuditPage {
    /// Newest first.
    pub items: Vec<AuditEntry>,
    /// Pass it as `cursor` to go on; nothing at the end.
    pub next: Option<String>,
}

impl AuditEntry {
    fn new(at: UnixMs, actor: String, action: &str, outcome: Outcome) -> Self {
        Self {
            at,
            actor,
            action: action.to_owned(),
            target: None,
            outcome,
            used: None,
            salt: audit_chain::salt(),
        }
    }

    pub(crate) fn of(cx: &OpCx, action: &str, outcome: Outcome) -> Self {
        Self::new(cx.now, name(&cx.actor), action, outcome)
    }

    pub(crate) fn of_user(at: UnixMs, user: UserId, action: &str, outcome: Outcome) -> Self {
        Self::new(at, user.to_string(), action, outcome)
    }

    pub(crate) fn anonymous(at: UnixMs, action: &str, outcome: Outcome) -> Self {
        Self::new(at, name(&Actor::Anonymous), action, outcome)
    }

    pub(crate) fn about(mut self, target: impl ToString) -> Self {
        self.target = Some(target.to_string()).filter(|target| !target.is_empty());
        self
    }
}

fn name(actor: &Actor) -> String {
    match actor {
        Actor::User(user) => user.to_string(),
        Actor::Plugin(plugin) => format!("plugin:{plugin}"),
        Actor::Anonymous => "anonymous".to_owned(),
        Actor::System => "system".to_owned(),
    }
}

impl Identity {
    /// Writes down what an administrator did outside this crate: switched a plugin on, for example.
    pub async fn record_act(
        &self,
        cx: &OpCx,
        action: &str,
        target: &str,
    ) -> Result<(), IdentityError> {
        let entry = AuditEntry::of(cx, action, Outcome::Done).about(target);
        self.inner
            .store
            .change(cx.tenant, |tx| tx.append(&entry))
            .await
    }

    /// Writes down that somebody was refused outside this crate: a token of another tenant, for example. The same
    /// refusal within a minute is written down once.
    pub async fn record_refusal(
        &self,
        cx: &OpCx,
        action: &'static str,
        target: &str,
    ) -> Result<(), IdentityError> {
        if !self.is_fresh_refusal(cx, action) {
            return Ok(());
        }
        let entry = AuditEntry::of(cx, action, Outcome::Refused).about(target);
        self.inner
            .store
            .change_in_reserve(cx.tenant, |tx| tx.append(&entry))
            .await
    }

    /// The audit, newest first. Administrators only; a refusal is written into it.
    pub async fn audit(
        &self,
        cx: &OpCx,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<AuditPage, IdentityError> {
        let refusal = |tx: &mut Tx| self.refuse_non_admin(tx, cx, "audit.list", "");
        if let Some(refusal) = self.inner.store.change(cx.tenant, refusal).await? {
            return Err(refusal);
        }
        let after = cursor.map(parse_cursor).transpose()?;
        let limit = limit.clamp(1, PAGE_MAX);
        self.inner.store.look(cx.tenant, |tx| {
            let (rows, next) = tx.page(AUDIT, b"", after.as_deref(), limit, Order::Descending)?;
            let items = rows
                .iter()
                .map(|(_, bytes)| decode(bytes, AuditEntry::WHAT));
            Ok(AuditPage {
                items: items.collect::<Result<_, _>>()?,
                next: next.map(|key| print_cursor(&key)),
            })
        })
    }

    /// Whether a refusal is to be written down, or was a moment ago. The same request may ask twice: its transaction
    /// is run again after a conflict.
    pub(crate) fn is_fresh_refusal(&self, cx: &OpCx, action: &str) -> bool {
        static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        let key = HASHER.hash_one((cx.tenant, name(&cx.actor), action));
        let now = self.now();
        let last = self.inner.refusals.get(&key);
        let is_fresh = last
            .is_none_or(|(at, request)| request == cx.request || now.since(at) >= SAME_REFUSAL_MS);
        if is_fresh {
            self.inner.refusals.insert(key, (now, cx.request));
        }
        is_fresh
    }
}

/// Stands in front of a printed cursor.
const CURSOR_FORMAT: &str = "a1-";

fn print_cursor(key: &[u8]) -> String {
    key.iter().fold(CURSOR_FORMAT.to_owned(), |text, byte| {
        format!("{text}{byte:02x}")
    })
}

fn parse_cursor(text: &str) -> Result<Vec<u8>, IdentityError> {
    let malformed = || IdentityError::Malformed {
        what: "cursor",
        must: "one that a page answered",
    };
    let hex = text
        .strip_prefix(CURSOR_FORMAT)
        .ok_or_else(malformed)?
        .as_bytes();
    // A stamp and nothing else.
    if hex.len() != 20 {
        return Err(malformed());
    }
    let digit = |b: u8| {
        char::from(b)
            .to_digit(16)
            .and_then(|d| u8::try_from(d).ok())
    };
    hex.chunks_exact(2)
        .map(|two| match two {
            [a, b] => Some(digit(*a)? << 4 | digit(*b)?),
            _ => None,
        })
        .collect::<Option<Vec<u8>>>()
        .ok_or_else(malformed)
}
