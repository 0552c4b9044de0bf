//! What a call costs over bare wasmtime: the same component, the same three storage calls, a map instead of storage.
//!
//! Prints `name value unit` lines. `floor_*` is bare wasmtime, `storage_*` the same reads without a guest,
//! `handover_*` an empty task given to another thread and back; `call_*` is the runtime as the gateway calls it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a benchmark fails fast"
)]

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::runtime::Builder;
use vaxel_core::{
    Actor, Clock, Locale, LogAlarms, OpCx, PluginId, Problem, RequestId, SystemClock, TenantId,
    UserId,
};
use vaxel_crypto::{ErasureKey, Keyring, MasterKey};
use vaxel_runtime::{Caller, Directory, PackageFiles, Person, PluginCall, Runtime, RuntimeConfig};
use vaxel_storage::{Order, Space, Storage, StorageConfig};
use wasmtime::component::{Component, HasSelf, Linker};
use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store,
};

/// As in the server.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

mod bindings {
    //! The floor's own view of `wit/`.
    #![allow(unreachable_pub, clippy::large_futures, reason = "generated")]
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "vaxel:plugin/everything",
        imports: { default: trappable },
        exports: { default: async },
    });
}

use bindings::exports::vaxel::rpc::rpc::GuestIndices;
use bindings::vaxel::storage::storage::{Entry, Order as GuestOrder, Page};
use bindings::vaxel::types::types::Error;

const WARM_UP: usize = 2_000;
const SAMPLES: usize = 20_000;
const COMMITS: usize = 300;
const TENANTS: u128 = 4;
const CALLERS: u128 = 16;
const LOAD: Duration = Duration::from_secs(3);
const VALUE: &str =
    "A message of about a hundred bytes, as people write them when they agree on lunch.";

fn main() {
    let package = package();
    let main = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let floor = main.block_on(floor(&package.component));
    report("floor_instantiate_call", &floor);
    let dir = tempfile::tempdir().unwrap();
    let house = House::open(dir.path());
    let reads = house.reads();
    report("storage_three_reads", &reads);
    let handed = main.block_on(handover());
    report("handover", &handed);
    let one = house.runtime(1);
    main.block_on(house.install(&one, &package));
    let call = main.block_on(sequential(&one, "three_reads", SAMPLES));
    report("call_three_reads", &call);
    println!(
        "call_over_floor_p50 {:.2} ratio",
        median(&call) / median(&floor)
    );
    // What nothing built this way can avoid: the instance, the real reads, and a worker woken and awaited.
    let unavoidable = median(&floor) + median(&reads) + median(&handed);
    println!(
        "call_over_floor_reads_and_handover_p50 {:.2} ratio",
        median(&call) / unavoidable
    );
    let committed = main.block_on(sequential(&one, "read_write_scan", COMMITS));
    report("call_with_durable_commit", &committed);
    let with_one = main.block_on(load(&one));
    with_one.report("load_1_worker");
    drop(one);
    let two = house.runtime(2);
    main.block_on(house.install(&two, &package));
    let with_two = main.block_on(load(&two));
    with_two.report("load_2_workers");
    println!(
        "load_scaling {:.2} ratio",
        with_two.per_second / with_one.per_second
    );
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

/// What the floor's guest reads.
struct Rows(BTreeMap<Vec<u8>, Vec<u8>>);

impl bindings::vaxel::types::types::Host for Rows {}

impl bindings::vaxel::storage::storage::Host for Rows {
    fn get(&mut self, key: Vec<u8>) -> wasmtime::Result<Result<Option<Vec<u8>>, Error>> {
        Ok(Ok(self.0.get(&key).cloned()))
    }

    fn scan(
        &mut self,
        prefix: Vec<u8>,
        _after: Option<Vec<u8>>,
        limit: u32,
        _order: GuestOrder,
    ) -> wasmtime::Result<Result<Page, Error>> {
        let from = (Bound::Included(prefix.clone()), Bound::Unbounded);
        let rows = self
            .0
            .range(from)
            .take_while(|(key, _)| key.starts_with(&prefix));
        let entries = rows
            .take(limit as usize)
            .map(|(key, value)| Entry {
                key: key.clone(),
                value: value.clone(),
            })
            .collect();
        Ok(Ok(Page {
            entries,
            next: None,
        }))
    }

    fn get_many(
        &mut self,
        _: Vec<Vec<u8>>,
    ) -> wasmtime::Result<Result<Vec<Option<Vec<u8>>>, Error>> {
        unreachable!()
    }
    fn put(
        &mut self,
        _: Vec<u8>,
        _: Vec<u8>,
        _: Option<String>,
    ) -> wasmtime::Result<Result<(), Error>> {
        unreachable!()
    }
    fn put_for(
        &mut self,
        _: Vec<u8>,
        _: Vec<u8>,
        _: u64,
        _: Option<String>,
    ) -> wasmtime::Result<Result<(), Error>> {
        unreachable!()
    }
    fn blind(&mut self, _: String, _: Vec<u8>) -> wasmtime::Result<Result<Vec<u8>, Error>> {
        unreachable!()
    }
    fn delete(&mut self, _: Vec<u8>) -> wasmtime::Result<Result<(), Error>> {
        unreachable!()
    }
    fn increment(&mut self, _: Vec<u8>, _: i64) -> wasmtime::Result<Result<(), Error>> {
        unreachable!()
    }
    fn append(
        &mut self,
        _: Vec<u8>,
        _: Vec<u8>,
        _: Option<Vec<u8>>,
        _: Option<String>,
    ) -> wasmtime::Result<Result<(), Error>> {
        unreachable!()
    }
    fn new_id(&mut self) -> wasmtime::Result<String> {
        unreachable!()
    }
}

async fn floor(wasm: &[u8]) -> Vec<f64> {
    let mut pool = PoolingAllocationConfig::default();
    if PoolingAllocationConfig::is_pagemap_scan_available() {
        pool.pagemap_scan(Enabled::Yes)
            .linear_memory_keep_resident(1 << 20);
    }
    pool.total_component_instances(16)
        .total_core_instances(64)
        .total_memories(16)
        .total_tables(64)
        .total_stacks(16)
        .max_memory_size(32 << 20);
    let mut config = Config::new();
    config
        .concurrency_support(false)
        .epoch_interruption(true)
        .max_wasm_stack(512 << 10)
        .async_stack_size(2 << 20)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    let engine = Engine::new(&config).unwrap();
    let component = Component::new(&engine, wasm).unwrap();
    let mut linker = Linker::<Rows>::new(&engine);
    bindings::vaxel::types::types::add_to_linker::<_, HasSelf<Rows>>(&mut linker, |r| r).unwrap();
    bindings::vaxel::storage::storage::add_to_linker::<_, HasSelf<Rows>>(&mut linker, |r| r)
        .unwrap();
    linker.define_unknown_imports_as_traps(&component).unwrap();
    let pre = linker.instantiate_pre(&component).unwrap();
    let rpc = GuestIndices::new(&pre).unwrap();
    let mut rows: BTreeMap<_, _> = rows().into_iter().collect();
    let params = json!({ "text": "value" }).to_string().into_bytes();
    let mut samples = Vec::with_capacity(SAMPLES);
    for n in 0..WARM_UP + SAMPLES {
        let began = Instant::now();
        let mut store = Store::new(&engine, Rows(std::mem::take(&mut rows)));
        store.set_epoch_deadline(u64::MAX / 2);
        let instance = pre.instantiate_async(&mut store).await.unwrap();
        let reply = rpc
            .load(&mut store, &instance)
            .unwrap()
            .call_handle(&mut store, "three_reads", &params)
            .await;
        assert_eq!(reply.unwrap().unwrap(), br#"{"value":12}"#);
        rows = store.into_data().0;
        if n >= WARM_UP {
            samples.push(micros(began.elapsed()));
        }
    }
    samples
}

/// An empty task on another runtime: what any work on other threads costs.
async fn handover() -> Vec<f64> {
    let other = Builder::new_multi_thread()
        .worker_threads(1)
        .build()
        .unwrap();
    let mut samples = Vec::with_capacity(SAMPLES);
    for _ in 0..SAMPLES {
        let began = Instant::now();
        other.spawn(async {}).await.unwrap();
        samples.push(micros(began.elapsed()));
    }
    other.shutdown_background();
    samples
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
        for tenant in 1..=TENANTS {
            keyring.create_tenant(TenantId::from_u128(tenant)).unwrap();
        }
        let storage = Storage::open(
            StorageConfig::new(dir.join("store")),
            Arc::clone(&keyring),
            Arc::new(SystemClock),
            Arc::new(LogAlarms),
        )
        .unwrap();
        let seeding = Builder::new_current_thread().enable_all().build().unwrap();
        for tenant in 1..=TENANTS {
            let mut tx = storage.begin(TenantId::from_u128(tenant));
            for (key, value) in rows() {
                tx.put(Space::plugin(&faulty()), &key, value, ErasureKey::TENANT)
                    .unwrap();
            }
            seeding.block_on(storage.commit(tx)).unwrap();
        }
        Self {
            storage,
            keyring,
            cache_dir: dir.join("cache"),
        }
    }

    fn runtime(&self, workers: usize) -> Runtime {
        let mut config = RuntimeConfig::new(&self.cache_dir);
        config.workers = workers;
        config.limits.tenant_calls_per_second = 10_000_000;
        config.limits.tenant_calls_burst = 10_000_000;
        Runtime::new(
            config,
            self.storage.clone(),
            Nobody,
            Arc::clone(&self.keyring),
            Arc::new(SystemClock),
            Arc::new(LogAlarms),
        )
        .unwrap()
    }

    async fn install(&self, runtime: &Runtime, package: &PackageFiles) {
        let id = runtime.install(package.clone()).await.unwrap();
        for tenant in 1..=TENANTS {
            let cx = OpCx::system(TenantId::from_u128(tenant), SystemClock.now());
            runtime.enable(&cx, &id).await.unwrap();
        }
    }

    /// The reads of `three_reads`, natively.
    fn reads(&self) -> Vec<f64> {
        let space = Space::plugin(&faulty());
        let mut samples = Vec::with_capacity(SAMPLES);
        for _ in 0..SAMPLES {
            let began = Instant::now();
            let mut tx = self.storage.begin(TenantId::from_u128(1));
            tx.get(space, b"three/value").unwrap().unwrap();
            tx.get(space, b"three/value").unwrap().unwrap();
            let page = tx
                .scan(space, b"three/row/", None, 10, Order::Ascending)
                .unwrap();
            assert_eq!(page.entries.len(), 10);
            drop(tx);
            samples.push(micros(began.elapsed()));
        }
        samples
    }
}

async fn sequential(runtime: &Runtime, method: &str, count: usize) -> Vec<f64> {
    for _ in 0..count.min(WARM_UP) {
        runtime.call(call(1, 1, method)).await.unwrap();
    }
    let mut samples = Vec::with_capacity(count);
    for _ in 0..count {
        let call = call(1, 1, method);
        let began = Instant::now();
        runtime.call(call).await.unwrap();
        samples.push(micros(began.elapsed()));
    }
    samples
}

/// What many callers got, and what it cost: on a busy machine only the cost says whether workers scale.
struct Load {
    per_second: f64,
    cpu_us: f64,
}

impl Load {
    fn report(&self, name: &str) {
        println!("{name} {:.0} calls/s", self.per_second);
        println!("{name}_cpu {:.1} us/call", self.cpu_us);
    }
}

async fn load(runtime: &Runtime) -> Load {
    let done = Arc::new(AtomicU64::new(0));
    let cpu = cpu_time();
    let until = Instant::now() + LOAD;
    let callers: Vec<_> = (0..CALLERS)
        .map(|n| {
            let (runtime, done) = (runtime.clone(), Arc::clone(&done));
            tokio::spawn(async move {
                while Instant::now() < until {
                    runtime
                        .call(call(1 + n % TENANTS, n, "three_reads"))
                        .await
                        .unwrap();
                    done.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    let done = done.load(Ordering::Relaxed) as f64;
    Load {
        per_second: done / LOAD.as_secs_f64(),
        cpu_us: (cpu_time() - cpu) / done,
    }
}

/// Processor time of this process in microseconds.
fn cpu_time() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
}

fn call(tenant: u128, user: u128, method: &str) -> PluginCall {
    let now = SystemClock.now();
    let user = UserId::from_u128(user);
    PluginCall {
        cx: OpCx {
            tenant: TenantId::from_u128(tenant),
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
        plugin: faulty(),
        method: method.to_owned(),
        params: json!({ "text": "value" }).to_string().into_bytes().into(),
        idempotency_key: None,
    }
}

fn rows() -> Vec<(Vec<u8>, Vec<u8>)> {
    let value = json!({ "text": VALUE }).to_string().into_bytes();
    let mut rows = vec![(b"three/value".to_vec(), value.clone())];
    rows.extend((0..10).map(|n| (format!("three/row/{n}").into_bytes(), value.clone())));
    rows
}

fn faulty() -> PluginId {
    "faulty".parse().unwrap()
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn median(samples: &[f64]) -> f64 {
    quantile(samples, 50)
}

fn quantile(samples: &[f64], percent: usize) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
}

fn report(name: &str, samples: &[f64]) {
    println!("{name}_p50 {:.1} us", median(samples));
    println!("{name}_p99 {:.1} us", quantile(samples, 99));
}
