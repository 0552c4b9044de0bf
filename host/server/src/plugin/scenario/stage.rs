//! Where a scenario is played: real keys, real storage and the real runtime in a folder that is gone afterwards, with a
//! clock that the scenario moves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::mpsc;
use vaxel_core::{
    Actor, Alarms, Clock, Locale, LogAlarms, OpCx, PluginId, Problem, RequestId, SimClock,
    TenantId, UnixMs, UserId,
};
use vaxel_crypto::{ErasureKey, Keyring, MasterKey};
use vaxel_runtime::{
    Caller, Deed, Directory, PackageFiles, Person, PluginCall, Runtime, RuntimeConfig,
};
use vaxel_storage::{Committed, Space, Storage, StorageConfig};

use super::{Came, Scenario, Step};

const TENANT: TenantId = TenantId::from_u128(1);

/// Events leave right behind their commit; this is for a busy machine, and is waited only once the last has come.
const EVENTS_WAIT: Duration = Duration::from_millis(50);

/// More than a step can tell.
const EVENTS_MAX: usize = 4_096;

#[derive(Clone)]
struct People(Arc<BTreeMap<UserId, String>>);

impl Directory for People {
    fn tenants(&self) -> Vec<TenantId> {
        vec![TENANT]
    }

    fn person(&self, _: TenantId, user: UserId) -> Result<Option<Person>, Problem> {
        Ok(self.0.get(&user).map(|name| person(user, name)))
    }

    fn people(
        &self,
        _: TenantId,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<Person>, Problem> {
        let beyond = self.0.iter().filter(|(user, _)| Some(**user) > after);
        Ok(beyond
            .take(limit)
            .map(|(user, name)| person(*user, name))
            .collect())
    }
}

fn person(id: UserId, name: &str) -> Person {
    Person {
        id,
        display_name: name.to_owned(),
        active: true,
    }
}

/// A scenario's host.
pub(crate) struct Stage {
    runtime: Runtime,
    storage: Storage,
    clock: Arc<SimClock>,
    plugin: PluginId,
    people: BTreeMap<String, UserId>,
    told: mpsc::Receiver<Arc<Committed>>,
    // Last, so that it goes after what writes into it.
    _dir: TempDir,
}

impl Stage {
    pub(crate) async fn set(scenario: &Scenario, package: PackageFiles) -> anyhow::Result<Self> {
        let dir = TempDir::new().context("making a folder for the scenario")?;
        let master = MasterKey::create_file(&dir.path().join("master.key"))?;
        let keyring = Arc::new(Keyring::open(&dir.path().join("keys"), master)?);
        keyring.create_tenant(TENANT)?;
        let clock = Arc::new(SimClock::at(UnixMs(scenario.now_ms)));
        let alarms: Arc<dyn Alarms> = Arc::new(LogAlarms);
        let storage = Storage::open(
            StorageConfig::new(dir.path().join("store")),
            Arc::clone(&keyring),
            Arc::clone(&clock) as Arc<dyn Clock>,
            Arc::clone(&alarms),
        )?;
        let people: BTreeMap<String, UserId> = (scenario.people.iter().zip(1_u128..))
            .map(|(name, number)| (name.clone(), UserId::from_u128(number)))
            .collect();
        let named = people.iter().map(|(name, id)| (*id, name.clone()));
        let mut config = RuntimeConfig::new(dir.path().join("cache"));
        let budget = &scenario.limits;
        let limits = &mut config.limits;
        limits.cpu_ms = budget.cpu_ms.unwrap_or(limits.cpu_ms);
        limits.storage_ops = budget.storage_ops.unwrap_or(limits.storage_ops);
        limits.memory_bytes = budget
            .memory_mib
            .map_or(limits.memory_bytes, |mib| mib << 20);
        let runtime = Runtime::new(
            config,
            storage.clone(),
            People(Arc::new(named.collect())),
            keyring,
            Arc::clone(&clock) as Arc<dyn Clock>,
            alarms,
        )?;
        let plugin = runtime.install(package).await?;
        let (tell, told) = mpsc::channel(EVENTS_MAX);
        let stage = Self {
            runtime,
            storage,
            clock,
            plugin,
            people,
            told,
            _dir: dir,
        };
        stage.prepare(scenario).await?;
        stage.storage.subscribe(tell);
        Ok(stage)
    }

    async fn prepare(&self, scenario: &Scenario) -> anyhow::Result<()> {
        let cx = self.cx(Actor::System);
        match &scenario.grants {
            None => self.runtime.enable(&cx, &self.plugin).await?,
            Some(grants) => {
                let grants: BTreeSet<String> = grants.iter().cloned().collect();
                self.runtime.enable_with(&cx, &self.plugin, &grants).await?;
            }
        }
        if !scenario.settings.is_empty() {
            let set = self
                .runtime
                .set_settings(&cx, &self.plugin, &scenario.settings);
            set.await.map_err(|problem| said(&problem))?;
        }
        let mut tx = self.storage.begin(TENANT);
        for (key, value) in &scenario.storage {
            let (key, value) = (self.text(key), self.named(value).to_string());
            let space = Space::plugin(&self.plugin);
            tx.put(
                space,
                key.as_bytes(),
                value.into_bytes(),
                ErasureKey::TENANT,
            )?;
        }
        self.storage.commit(tx).await?;
        Ok(())
    }

    pub(crate) fn advance(&self, by_ms: u64) {
        self.clock.advance_ms(by_ms);
    }

    pub(crate) async fn call(
        &mut self,
        step: &Step,
        method: &str,
        params: &Value,
    ) -> anyhow::Result<Came> {
        let methods = self.runtime.methods(TENANT);
        // As the gateway does: what does not fit never reaches the plugin.
        if let Some(known) = methods.iter().find(|known| known.name == method) {
            let schema = jsonschema::validator_for(&known.params).context("the method's schema")?;
            if let Err(fault) = schema.validate(params) {
                let at = fault.instance_path().to_string();
                return Ok(Came {
                    answer: Err(format!("invalid: {at} does not fit the method's schema")),
                    events: Vec::new(),
                });
            }
        }
        let (cx, caller) = self.caller(step)?;
        let call = PluginCall {
            cx,
            caller,
            plugin: self.plugin.clone(),
            method: method.to_owned(),
            params: params.to_string().into(),
            idempotency_key: None,
        };
        let answer = self.runtime.call(call).await;
        let answer = match answer {
            Ok(json) => Ok(serde_json::from_slice(&json).context("the reply")?),
            Err(problem) => Err(told_as(&problem)),
        };
        Ok(self.came(answer).await)
    }

    pub(crate) async fn perform(&mut self, step: &Step, deed: Deed) -> anyhow::Result<Came> {
        let (cx, caller) = self.caller(step)?;
        let answer = self.runtime.perform(cx, caller, &self.plugin, deed).await;
        let answer = answer.map_err(|problem| told_as(&problem));
        Ok(self.came(answer).await)
    }

    async fn came(&mut self, answer: Result<Value, String>) -> Came {
        let mut events = Vec::new();
        while let Ok(Some(committed)) = tokio::time::timeout(EVENTS_WAIT, self.told.recv()).await {
            let all = committed.events.iter().chain(&committed.ephemeral);
            events.extend(all.map(|event| {
                let data: Value = serde_json::from_slice(&event.payload).unwrap_or_default();
                json!({ "topic": &*event.topic, "data": data })
            }));
        }
        Came { answer, events }
    }

    /// A row as JSON; "-" where there is none.
    pub(crate) fn row(&self, key: &str) -> anyhow::Result<Value> {
        let mut tx = self.storage.begin(TENANT);
        let key = self.text(key);
        let row = tx.get(Space::plugin(&self.plugin), key.as_bytes())?;
        Ok(row.map_or_else(
            || json!("-"),
            |row| {
                serde_json::from_slice(&row)
                    .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&row).into_owned()))
            },
        ))
    }

    /// With people's ids in place of `$name`.
    pub(crate) fn named(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(text)),
            Value::Array(items) => items.iter().map(|item| self.named(item)).collect(),
            Value::Object(map) => {
                let named = map
                    .iter()
                    .map(|(key, value)| (self.text(key), self.named(value)));
                Value::Object(named.collect())
            }
            other => other.clone(),
        }
    }

    fn text(&self, text: &str) -> String {
        // Longest first, so that $anna does not stand in $annabel's way.
        let mut names: Vec<_> = self.people.iter().collect();
        names.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        names.iter().fold(text.to_owned(), |text, (name, id)| {
            text.replace(&format!("${name}"), &id.to_string())
        })
    }

    fn caller(&self, step: &Step) -> anyhow::Result<(OpCx, Caller)> {
        let user = match &step.caller {
            None => None,
            Some(name) => {
                let id = self.people.get(name);
                Some(*id.with_context(|| format!("{name} is not among `people`"))?)
            }
        };
        let caller = Caller {
            user,
            admin: step.admin,
            assurance: user.map_or("anonymous", |_| "password").to_owned(),
            ..Caller::default()
        };
        Ok((self.cx(user.map_or(Actor::Anonymous, Actor::User)), caller))
    }

    fn cx(&self, actor: Actor) -> OpCx {
        let now = self.clock.now();
        OpCx {
            tenant: TENANT,
            actor,
            now,
            request: RequestId::new(now),
            locale: Locale::En,
        }
    }
}

fn told_as(problem: &Problem) -> String {
    format!("{}: {}", problem.code, problem.detail)
}

fn said(problem: &Problem) -> anyhow::Error {
    anyhow::anyhow!("{}", told_as(problem))
}
