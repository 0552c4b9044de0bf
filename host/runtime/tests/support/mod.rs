//! A host around the runtime: real keys, real storage, a real component, and people in memory.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    reason = "shared by several tests"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tempfile::TempDir;
use vaxel_core::{
    Actor, AlarmLevel, Alarms, Clock, Locale, OpCx, PluginId, Problem, RequestId, SimClock,
    TenantId, UnixMs, UserId,
};
use vaxel_crypto::{Keyring, MasterKey};
use vaxel_runtime::{Caller, Directory, PackageFiles, Person, PluginCall, Runtime, RuntimeConfig};
use vaxel_storage::{Storage, StorageConfig};

pub const ACME: TenantId = TenantId::from_u128(0xac);
pub const GLOBEX: TenantId = TenantId::from_u128(0x91);

/// What happens in the host when a plugin asks for somebody.
pub type Asked = Arc<dyn Fn(UserId) + Send + Sync>;

/// People by tenant.
#[derive(Clone, Default)]
pub struct People(
    pub Arc<Mutex<BTreeMap<(TenantId, UserId), String>>>,
    pub Arc<Mutex<Option<Asked>>>,
);

impl Directory for People {
    fn tenants(&self) -> Vec<TenantId> {
        vec![ACME, GLOBEX]
    }

    fn person(&self, tenant: TenantId, user: UserId) -> Result<Option<Person>, Problem> {
        let asked = self.1.lock().unwrap().clone();
        if let Some(asked) = asked {
            asked(user);
        }
        let people = self.0.lock().unwrap();
        let name = people.get(&(tenant, user));
        Ok(name.map(|name| Person {
            id: user,
            display_name: name.clone(),
            active: true,
        }))
    }

    fn people(
        &self,
        tenant: TenantId,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<Person>, Problem> {
        let people = self.0.lock().unwrap();
        let own = people
            .iter()
            .filter(|((t, user), _)| *t == tenant && Some(*user) > after);
        let person = |((_, id), name): (&(TenantId, UserId), &String)| Person {
            id: *id,
            display_name: name.clone(),
            active: true,
        };
        Ok(own.take(limit).map(person).collect())
    }
}

/// Alarms that were raised.
#[derive(Default)]
pub struct Raised(pub Mutex<Vec<(AlarmLevel, &'static str)>>);

impl Alarms for Raised {
    fn raise(&self, level: AlarmLevel, code: &'static str, _detail: &str) {
        self.0.lock().unwrap().push((level, code));
    }
}

pub struct House {
    pub runtime: Runtime,
    pub storage: Storage,
    pub keyring: Arc<Keyring>,
    pub clock: Arc<SimClock>,
    pub people: People,
    pub alarms: Arc<Raised>,
    pub dir: TempDir,
}

impl House {
    /// A host with the fixture on in both tenants.
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub async fn with(change: impl FnOnce(&mut RuntimeConfig)) -> Self {
        let dir = TempDir::new().unwrap();
        let master = MasterKey::create_file(&dir.path().join("master.key")).unwrap();
        let keyring = Arc::new(Keyring::open(&dir.path().join("keys"), master).unwrap());
        for tenant in [ACME, GLOBEX] {
            keyring.create_tenant(tenant).unwrap();
        }
        let clock = Arc::new(SimClock::at(UnixMs(1_800_000_000_000)));
        let alarms = Arc::new(Raised::default());
        let storage = Storage::open(
            StorageConfig::new(dir.path().join("store")),
            Arc::clone(&keyring),
            Arc::clone(&clock) as Arc<dyn Clock>,
            Arc::clone(&alarms) as Arc<dyn Alarms>,
        )
        .unwrap();
        let people = People::default();
        let mut config = RuntimeConfig::new(dir.path().join("cache"));
        // Host functions are slow in test builds, on machines that do other things too.
        config.limits.cpu_ms = 500;
        config.limits.wall_ms = 60_000;
        change(&mut config);
        let runtime = Runtime::new(
            config,
            storage.clone(),
            people.clone(),
            Arc::clone(&keyring),
            Arc::clone(&clock) as Arc<dyn Clock>,
            Arc::clone(&alarms) as Arc<dyn Alarms>,
        )
        .unwrap();
        let house = Self {
            runtime,
            storage,
            keyring,
            clock,
            people,
            alarms,
            dir,
        };
        let plugin = house.runtime.install(faulty()).await.unwrap();
        for tenant in [ACME, GLOBEX] {
            house
                .runtime
                .enable(&house.cx(tenant), &plugin)
                .await
                .unwrap();
        }
        house
    }

    /// Another runtime over the same storage, as after a restart.
    pub fn restarted(&self, keyring: Arc<Keyring>) -> Runtime {
        Runtime::new(
            RuntimeConfig::new(self.cache_dir()),
            self.storage.clone(),
            self.people.clone(),
            keyring,
            Arc::clone(&self.clock) as Arc<dyn Clock>,
            Arc::clone(&self.alarms) as Arc<dyn Alarms>,
        )
        .unwrap()
    }

    pub fn cache_dir(&self) -> PathBuf {
        self.dir.path().join("cache")
    }

    pub fn cx(&self, tenant: TenantId) -> OpCx {
        OpCx::system(tenant, self.clock.now())
    }

    pub async fn call(
        &self,
        tenant: TenantId,
        method: &str,
        params: Value,
    ) -> Result<Value, Problem> {
        self.call_as(tenant, user(1), method, params).await
    }

    pub async fn call_as(
        &self,
        tenant: TenantId,
        user: UserId,
        method: &str,
        params: Value,
    ) -> Result<Value, Problem> {
        let call = plugin_call(self.clock.now(), tenant, user, method, params);
        Ok(serde_json::from_slice(&self.runtime.call(call).await?).unwrap())
    }

    /// A call of another plugin than the fixture of faults.
    pub async fn call_of(
        &self,
        plugin: &str,
        method: &str,
        params: Value,
    ) -> Result<Value, Problem> {
        let mut call = plugin_call(self.clock.now(), ACME, user(1), method, params);
        call.plugin = plugin.parse().unwrap();
        Ok(serde_json::from_slice(&self.runtime.call(call).await?).unwrap())
    }

    /// Installs a package and switches it on in the first tenant.
    pub async fn with_on(&self, package: PackageFiles) -> PluginId {
        let plugin = self.runtime.install(package).await.unwrap();
        self.runtime.enable(&self.cx(ACME), &plugin).await.unwrap();
        plugin
    }

    pub async fn call_with_key(
        &self,
        user: UserId,
        method: &str,
        params: Value,
        key: &str,
    ) -> Result<Value, Problem> {
        let mut call = plugin_call(self.clock.now(), ACME, user, method, params);
        call.idempotency_key = Some(key.to_owned());
        Ok(serde_json::from_slice(&self.runtime.call(call).await?).unwrap())
    }
}

pub fn plugin_call(
    now: UnixMs,
    tenant: TenantId,
    user: UserId,
    method: &str,
    params: Value,
) -> PluginCall {
    PluginCall {
        cx: OpCx {
            tenant,
            actor: Actor::User(user),
            now,
            request: RequestId::new(now),
            locale: Locale::En,
        },
        caller: Caller {
            user: Some(user),
            assurance: "password".to_owned(),
            ..Caller::default()
        },
        plugin: faulty_id(),
        method: method.to_owned(),
        params: params.to_string().into_bytes().into(),
        idempotency_key: None,
    }
}

pub fn user(n: u128) -> UserId {
    UserId::from_u128(n)
}

pub fn faulty_id() -> PluginId {
    "faulty".parse().unwrap()
}

/// The fixture of faults, as the guest build staged it.
pub fn faulty() -> PackageFiles {
    staged("faulty")
}

/// The fixture that does what nobody waits for.
pub fn worker() -> PackageFiles {
    staged("worker")
}

/// The fixture that uses every capability as a plugin should.
pub fn conformance() -> PackageFiles {
    staged("conformance")
}

/// The plugin that was built against a frozen contract and is kept as it came out then.
pub fn former(contract: &str) -> PackageFiles {
    kept(&format!("former-{contract}"))
}

/// The one that grows its table.
pub fn tables() -> PackageFiles {
    kept("tables")
}

fn kept(fixture: &str) -> PackageFiles {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures");
    let folder = folder.join(fixture);
    PackageFiles {
        manifest: std::fs::read_to_string(folder.join("plugin.toml")).unwrap(),
        component: std::fs::read(folder.join("component.wasm")).unwrap(),
    }
}

fn staged(fixture: &str) -> PackageFiles {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../stage/fixtures");
    let folder = folder.join(fixture);
    let component = std::fs::read(folder.join("component.wasm")).unwrap_or_else(|_| {
        panic!(
            "{} is missing: run `cargo xtask build-plugins` first",
            folder.join("component.wasm").display()
        )
    });
    let manifest = std::fs::read_to_string(folder.join("plugin.toml")).unwrap();
    PackageFiles {
        manifest,
        component,
    }
}
