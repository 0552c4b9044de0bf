//! What a guest's instance holds on the host's side: its transaction, who calls, and what it has used up.

use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::time::Instant;
use vaxel_core::{Actor, OpCx, PluginId, Problem, TenantId, UserId};
use vaxel_crypto::{ErasureKey, Keyring, random_bytes};
use vaxel_identity::Proof;
use vaxel_storage::{Space, StorageError, Transaction};
use wasmtime::ResourceLimiter;

use crate::admission::{Suspect, TenantGate};
use crate::blobs::NewBlob;
use crate::capability::bindings::vaxel::types::types::Error;
use crate::directory::Directory;
use crate::life::{Chance, Drawn};
use crate::manifest::{Cap, Grants};
use crate::outcome::storage_problem;
use crate::outside::{Held, Tape, Within};
use crate::pace::Pace;
use crate::package::Plugin;
use crate::runtime::Inner;
use crate::settings::Settings;
use crate::usage::Usage;
use crate::{Caller, Limits};

/// Most new subjects of one call: each costs a durable key.
const NEW_SUBJECTS_MAX: usize = 16;

/// Most random bytes of one host call.
pub(crate) const RANDOM_BYTES_MAX: usize = 1_024;

/// Tables of one instance are for indirect calls, so this is thousands of functions.
const TABLE_ELEMENTS_MAX: usize = 20_000;

/// Who calls, in which tenant, for which plugin: fixed before the guest runs, never a guest's to choose.
pub(crate) struct Context {
    pub(crate) cx: OpCx,
    pub(crate) caller: Caller,
    pub(crate) plugin: Arc<Plugin>,
    /// What the tenant granted of what the manifest asks for.
    pub(crate) grants: Arc<Grants>,
    /// Nothing of it is committed: what has effects outside the transaction is `unavailable` then.
    pub(crate) is_rehearsal: bool,
    /// It brings rows to a new form, which may have to be undone: it can do nothing but change rows.
    pub(crate) is_migration: bool,
    /// Chance that it shares with another run of the same call.
    pub(crate) chance: Option<Arc<Chance>>,
    /// The proof that this call has spent, and for what: a re-run finds it here.
    pub(crate) spent: Mutex<Option<(String, Proof)>>,
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) directory: Arc<dyn Directory>,
    pub(crate) inner: Arc<Inner>,
    /// The tenant's gate, which counts what leaves.
    pub(crate) gate: Arc<TenantGate>,
    /// What was heard from outside, the same in all attempts of a call.
    pub(crate) tape: Tape,
    /// The calls that it is made within.
    pub(crate) within: Within,
}

impl Context {
    pub(crate) fn tenant(&self) -> TenantId {
        self.cx.tenant
    }

    /// Whose fault it would be.
    pub(crate) fn suspect(&self) -> Suspect {
        match (self.caller.user, &self.cx.actor) {
            (Some(user), _) => Suspect::User(user),
            (None, Actor::Anonymous) => Suspect::Stranger(self.caller.origin),
            (None, _) => Suspect::Host,
        }
    }
}

/// The data of one store.
pub(crate) struct Guest {
    pub(crate) plugin: PluginId,
    pub(crate) space: Space,
    /// None when a plugin is only asked what it is.
    pub(crate) context: Option<Arc<Context>>,
    pub(crate) tx: Option<Transaction>,
    pub(crate) limits: Arc<Limits>,
    /// How often the tenant erased the plugin.
    pub(crate) erased: u32,
    pub(crate) ops: usize,
    pub(crate) usage: Usage,
    pub(crate) log_bytes: usize,
    /// How much of the shared chance it has had.
    pub(crate) drawn: Drawn,
    pub(crate) new_subjects: BTreeSet<ErasureKey>,
    /// Blobs to be written before the commit.
    pub(crate) new_blobs: Vec<NewBlob>,
    /// Blobs whose files go once the commit is there.
    pub(crate) gone_blobs: Vec<u128>,
    pub(crate) was_refused_memory: bool,
    pub(crate) has_scheduled: bool,
    /// The plugin's settings, once it asked for them.
    pub(crate) settings: Option<Arc<Settings>>,
    /// Questions to the outside up to now.
    pub(crate) asked: usize,
    /// When the call must have ended.
    pub(crate) deadline: Option<Instant>,
    /// Its processor time, which rests while it waits for the outside.
    pub(crate) pace: Option<Arc<Pace>>,
    /// Its place among the calls of the tenant.
    pub(crate) held: Option<Held>,
    /// Why the host ended the call from within a host function.
    pub(crate) stop: Option<Stop>,
}

/// Why the host ended a call.
pub(crate) enum Stop {
    Conflict,
    Host(Problem),
}

/// What a capability answers the guest, unless the call is over.
pub(crate) type Reply<T> = wasmtime::Result<Result<T, Error>>;

impl Guest {
    pub(crate) fn new(plugin: PluginId, limits: Arc<Limits>) -> Self {
        Self {
            space: Space::plugin(&plugin),
            plugin,
            context: None,
            tx: None,
            limits,
            erased: 0,
            ops: 0,
            usage: Usage::default(),
            log_bytes: 0,
            drawn: Drawn::default(),
            new_subjects: BTreeSet::new(),
            new_blobs: Vec::new(),
            gone_blobs: Vec::new(),
            was_refused_memory: false,
            has_scheduled: false,
            settings: None,
            asked: 0,
            deadline: None,
            pace: None,
            held: None,
            stop: None,
        }
    }

    /// Whether the tenant lets the plugin use this, which is counted either way. What a manifest does not name is not
    /// even linked.
    pub(crate) fn may_use(&mut self, cap: Cap) -> Result<(), Error> {
        self.may_use_for(cap, "")
    }

    /// The same, with what the audit says about it: a host or a method, never data of people.
    pub(crate) fn may_use_for(&mut self, cap: Cap, what: &str) -> Result<(), Error> {
        self.usage.count(cap);
        let Some(context) = &self.context else {
            return Ok(());
        };
        if !context.grants.allows(cap) {
            self.usage.was_refused = true;
            self.usage.note(cap, what, true);
            return Err(guest_error(
                "forbidden",
                &format!("the organization did not grant {}", cap.name()),
            ));
        }
        if context.is_migration && !cap.can_be_undone() {
            return Err(not_in_a_migration());
        }
        if cap.is_audited_one_by_one() {
            self.usage.note(cap, what, false);
        }
        Ok(())
    }

    /// Runs an operation of storage on behalf of a capability. It may end the call.
    pub(crate) fn with_storage<T>(
        &mut self,
        cap: Cap,
        ops: usize,
        act: impl FnOnce(&mut Transaction, Space) -> Result<T, StorageError>,
    ) -> Reply<T> {
        if let Err(refused) = self.may_use(cap) {
            return Ok(Err(refused));
        }
        self.ops = self.ops.saturating_add(ops);
        if self.ops > self.limits.storage_ops {
            return Ok(Err(guest_error("limit", "too many operations in one call")));
        }
        let Some(tx) = self.tx.as_mut() else {
            return Ok(Err(guest_error("unavailable", "there is no tenant here")));
        };
        match act(tx, self.space) {
            Ok(value) => Ok(Ok(value)),
            Err(StorageError::TooLarge { what, max }) => Ok(Err(guest_error(
                "too-large",
                &format!("{what} is larger than {max}"),
            ))),
            Err(StorageError::Invalid { what }) => Ok(Err(guest_error("invalid", what))),
            Err(error) if error.is_conflict() => Err(self.end(Stop::Conflict)),
            Err(error) => {
                tracing::error!(plugin.id = %self.plugin, error = %error, "storage failed under a plugin");
                Err(self.end(Stop::Host(storage_problem(&error))))
            }
        }
    }

    /// The erasure key of what a value is about; keys that are new are made before the commit.
    pub(crate) fn erasure(&mut self, subject: Option<&str>) -> Result<ErasureKey, Error> {
        let (Some(subject), Some(context)) = (subject, self.context.as_ref()) else {
            return Ok(ErasureKey::TENANT);
        };
        let key = crate::capability::subject_key(&self.plugin, self.erased, subject);
        if !self.new_subjects.contains(&key) && !context.keyring.has_key(context.tenant(), key) {
            if self.new_subjects.len() >= NEW_SUBJECTS_MAX {
                return Err(guest_error("limit", "too many new subjects in one call"));
            }
            self.new_subjects.insert(key);
        }
        Ok(key)
    }

    /// Random bytes: its own, or those of the call that it is compared with.
    pub(crate) fn random(&mut self, len: usize) -> Vec<u8> {
        let chance = self
            .context
            .as_ref()
            .and_then(|context| context.chance.as_ref());
        match chance {
            Some(chance) => chance.bytes(&mut self.drawn, len),
            None => {
                let mut bytes = random_bytes::<RANDOM_BYTES_MAX>().to_vec();
                bytes.truncate(len);
                bytes
            }
        }
    }

    /// Notes why and gives the error that unwinds the guest.
    pub(crate) fn end(&mut self, stop: Stop) -> wasmtime::Error {
        self.stop = Some(stop);
        wasmtime::Error::msg("the host ended the call")
    }
}

/// An error as a guest reads it.
pub(crate) fn guest_error(code: &str, message: &str) -> Error {
    Error {
        code: code.to_owned(),
        message: message.to_owned(),
        retry_after_ms: None,
    }
}

/// What a guest reads that wants more than to change rows while it migrates.
pub(crate) fn not_in_a_migration() -> Error {
    guest_error("unavailable", "a migration can do nothing but change rows")
}

/// A user's id from a guest.
pub(crate) fn parsed_user(user: &str) -> Result<UserId, Error> {
    user.parse()
        .map_err(|_| guest_error("invalid", "not a user id"))
}

impl ResourceLimiter for Guest {
    fn memory_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if desired > self.limits.memory_bytes {
            self.was_refused_memory = true;
            // Ends the call: a guest that limps on without the memory it asked for helps nobody.
            return Err(wasmtime::Error::msg("memory used up"));
        }
        self.usage.memory_bytes = self.usage.memory_bytes.max(desired);
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= TABLE_ELEMENTS_MAX)
    }
}
