//! What plugins take that are there and do nothing, and how soon one answers whose code lies compiled on the disk.
//!
//! Prints `name value unit` lines. `floor_*` is bare wasmtime: the same code loaded, instantiated and called.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a benchmark fails fast"
)]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::runtime::Builder;
use vaxel_core::{
    Actor, Clock, Locale, LogAlarms, OpCx, PluginId, Problem, RequestId, SystemClock, TenantId,
    UserId,
};
use vaxel_crypto::{Keyring, MasterKey};
use vaxel_runtime::{Caller, Directory, PackageFiles, Person, PluginCall, Runtime, RuntimeConfig};
use vaxel_storage::{Storage, StorageConfig};
use wasmtime::Engine;
use wasmtime::component::Component;

/// As in the server.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const TENANT: TenantId = TenantId::from_u128(1);
const STARTS: usize = 15;
const RESIDENT: usize = 64;
const RUNNING: u128 = 8;

fn main() {
    let main = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let package = package();
    floor(&package.component);
    let dir = tempfile::tempdir().unwrap();
    let house = House::open(dir.path());
    main.block_on(async {
        cold_starts(&house, &package).await;
        residents(&house, &package).await;
    });
}

fn package() -> PackageFiles {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../stage/fixtures/faulty");
    PackageFiles {
        manifest: std::fs::read_to_string(folder.join("plugin.toml"))
            .expect("run `cargo xtask build-plugins` first"),
        component: std::fs::read(folder.join("component.wasm"))
            .expect("run `cargo xtask build-plugins` first"),
    }
}

/// Loading compiled code, without checking who wrote it.
fn floor(wasm: &[u8]) {
    let engine = Engine::default();
    let code = engine.precompile_component(wasm).unwrap();
    let mut samples = Vec::new();
    for _ in 0..STARTS {
        let began = Instant::now();
        #[allow(unsafe_code, reason = "compiled two lines above")]
        // SAFETY: the bytes are what this engine compiled just now.
        let component = unsafe { Component::deserialize(&engine, &code) }.unwrap();
        samples.push(began.elapsed());
        drop(component);
    }
    report("floor_load", samples);
}

/// From a compiled component on the disk to the first answer.
async fn cold_starts(house: &House, package: &PackageFiles) {
    drop(house.with(package).await);
    let (mut installs, mut answers) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        let runtime = house.runtime();
        let began = Instant::now();
        let id = runtime.install(package.clone()).await.unwrap();
        installs.push(began.elapsed());
        runtime.enable(&cx(), &id).await.unwrap();
        let began = Instant::now();
        runtime.call(call(&id, 1, "ok")).await.unwrap();
        answers.push(began.elapsed());
    }
    report("install_from_cache", installs);
    report("first_call", answers);
}

/// Resident memory of installed plugins and of calls that run.
async fn residents(house: &House, package: &PackageFiles) {
    let runtime = house.with(package).await;
    let before = resident_kib();
    for n in 0..RESIDENT {
        let mut another = package.clone();
        another.manifest = another
            .manifest
            .replace("id = \"faulty\"", &format!("id = \"faulty-{n}\""))
            .replace("\"faulty.", &format!("\"faulty-{n}."));
        runtime.install(another).await.unwrap();
    }
    let each = resident_kib().saturating_sub(before) as f64 / RESIDENT as f64;
    println!("resident_plugin {each:.0} KiB");
    println!("component {} KiB", package.component.len() >> 10);
    let id: PluginId = "faulty".parse().unwrap();
    let before = resident_kib();
    let calls: Vec<_> = (0..RUNNING)
        .map(|user| {
            let (runtime, call) = (runtime.clone(), call(&id, user, "endless"));
            tokio::spawn(async move { runtime.call(call).await.is_err() })
        })
        .collect();
    let mut most = before;
    while calls.iter().any(|call| !call.is_finished()) {
        most = most.max(resident_kib());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let each = most.saturating_sub(before) as f64 / RUNNING as f64;
    println!("running_call {each:.0} KiB");
}

/// A tenant without people.
struct Nobody;

impl Directory for Nobody {
    fn tenants(&self) -> Vec<TenantId> {
        Vec::new()
    }

    fn person(&self, _: TenantId, _: UserId) -> Result<Option<Person>, Problem> {
        Ok(None)
    }

    fn people(&self, _: TenantId, _: Option<UserId>, _: usize) -> Result<Vec<Person>, Problem> {
        Ok(Vec::new())
    }
}

struct House {
    storage: Storage,
    keyring: Arc<Keyring>,
    cache_dir: std::path::PathBuf,
}

impl House {
    fn open(dir: &Path) -> Self {
        let master = MasterKey::create_file(&dir.join("master.key")).unwrap();
        let keyring = Arc::new(Keyring::open(&dir.join("keys"), master).unwrap());
        keyring.create_tenant(TENANT).unwrap();
        let storage = Storage::open(
            StorageConfig::new(dir.join("store")),
            Arc::clone(&keyring),
            Arc::new(SystemClock),
            Arc::new(LogAlarms),
        )
        .unwrap();
        Self {
            storage,
            keyring,
            cache_dir: dir.join("cache"),
        }
    }

    fn runtime(&self) -> Runtime {
        Runtime::new(
            RuntimeConfig::new(&self.cache_dir),
            self.storage.clone(),
            Nobody,
            Arc::clone(&self.keyring),
            Arc::new(SystemClock),
            Arc::new(LogAlarms),
        )
        .unwrap()
    }

    async fn with(&self, package: &PackageFiles) -> Runtime {
        let runtime = self.runtime();
        let id = runtime.install(package.clone()).await.unwrap();
        runtime.enable(&cx(), &id).await.unwrap();
        runtime
    }
}

fn cx() -> OpCx {
    OpCx::system(TENANT, SystemClock.now())
}

fn call(plugin: &PluginId, user: u128, method: &str) -> PluginCall {
    let now = SystemClock.now();
    let user = UserId::from_u128(user);
    PluginCall {
        cx: OpCx {
            tenant: TENANT,
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
        plugin: plugin.clone(),
        method: method.to_owned(),
        params: json!({}).to_string().into_bytes().into(),
        idempotency_key: None,
    }
}

/// Resident memory of this process.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1));
    kib.unwrap().parse().unwrap()
}

fn report(name: &str, mut samples: Vec<Duration>) {
    samples.sort();
    println!(
        "{name}_p50 {:.2} ms",
        samples[samples.len() / 2].as_secs_f64() * 1e3
    );
}
