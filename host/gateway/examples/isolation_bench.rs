//! What a broken plugin of one organization does to another organization, and what guarding every call costs.
//!
//! Prints `name value unit` lines. `quiet_*` is the other organization alone in the same run; `io_held_*` is the most
//! processor time that the thread of I/O spent in one go, which a guest on it would show in.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a benchmark fails fast"
)]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};
use tokio::runtime::Builder;
use vaxel_core::{
    Actor, Clock, Locale, LogAlarms, OpCx, PluginId, Problem, RequestId, SystemClock, TenantId,
    UserId,
};
use vaxel_crypto::{Keyring, MasterKey};
use vaxel_runtime::{Caller, Directory, PackageFiles, Person, PluginCall, Runtime, RuntimeConfig};
use vaxel_storage::{Storage, StorageConfig};

/// As in the server.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The one that is measured, and the one whose plugin is broken.
const OTHER: u128 = 1;
const BROKEN: u128 = 2;

/// Callers at one time, of either.
const CALLERS: u128 = 4;
const HOSTILE: u128 = 16;

const WARM_UP: Duration = Duration::from_millis(500);
const MEASURED: Duration = Duration::from_secs(3);
const HELD_FOR: Duration = Duration::from_secs(1);

/// The other's p99 may be so much of its quiet one, and so much more.
const TIMES: f64 = 2.0;
const MORE_MS: f64 = 6.0;

/// Longest time that I/O may be held up.
const HELD_MS: f64 = 1.0;

/// Everything that a plugin should not do.
const FAULTS: &[&str] = &[
    "trap",
    "loop",
    "loop_hostcalls",
    "bomb_memory",
    "deep_recursion",
    "write_too_much",
    "write_too_often",
    "big_reply",
    "big_value",
    "log_flood",
    "bad_json",
    "write_then_trap",
];

const CALLS: usize = 20_000;

fn main() {
    let main = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let dir = tempfile::tempdir().unwrap();
    let house = House::open(dir.path());
    main.block_on(async {
        let runtime = house.runtime();
        house.install(&runtime).await;
        guards(&house, &runtime).await;
        // In a task, so that the thread of I/O does all of it.
        let measuring = tokio::spawn(async move { isolation(&runtime).await });
        measuring.await.unwrap();
    });
}

/// The broken plugin is called as fast as it can be while the other organization's calls are measured.
async fn isolation(runtime: &Runtime) {
    let quiet = other(runtime).await;
    println!("quiet_p50 {:.2} ms", quiet.p50);
    println!("quiet_p99 {:.2} ms", quiet.p99);
    println!("quiet_io_held {:.2} ms", held().await);
    let bound = quiet.p99.mul_add(TIMES, MORE_MS);
    for fault in FAULTS {
        let stop = Arc::new(AtomicBool::new(false));
        let hostile: Vec<_> = (0..HOSTILE)
            .map(|user| {
                let (runtime, stop) = (runtime.clone(), Arc::clone(&stop));
                tokio::spawn(async move {
                    let mut calls = 0_u64;
                    while !stop.load(Ordering::Relaxed) {
                        let refused = runtime.call(call(BROKEN, 100 + user, fault)).await;
                        calls += 1;
                        let wait = refused.err().and_then(|problem| problem.retry_after_ms);
                        // A caller that is refused at once would measure itself.
                        let wait_ms = wait.map_or(0, |wait_ms| wait_ms.min(50));
                        tokio::time::sleep(Duration::from_millis(wait_ms.into())).await;
                    }
                    calls
                })
            })
            .collect();
        let harmed = other(runtime).await;
        let held = held().await;
        stop.store(true, Ordering::Relaxed);
        let mut calls = 0;
        for one in hostile {
            calls += one.await.unwrap();
        }
        println!("{fault}_calls {calls} calls");
        println!("{fault}_other_p50 {:.2} ms", harmed.p50);
        tell(&format!("{fault}_other_p99"), harmed.p99, "ms", bound);
        tell(&format!("{fault}_io_held"), held, "ms", HELD_MS);
        // The breaker would keep the next fault from being tried.
        let cx = OpCx::system(TenantId::from_u128(BROKEN), SystemClock.now());
        runtime.enable(&cx, &faulty()).await.unwrap();
    }
}

/// What the other organization met.
struct Met {
    p50: f64,
    p99: f64,
}

async fn other(runtime: &Runtime) -> Met {
    tokio::time::sleep(WARM_UP).await;
    let until = Instant::now() + MEASURED;
    let callers: Vec<_> = (0..CALLERS)
        .map(|user| {
            let runtime = runtime.clone();
            tokio::spawn(async move {
                let mut took = Vec::new();
                while Instant::now() < until {
                    let call = call(OTHER, user, "read_write_scan");
                    let began = Instant::now();
                    runtime.call(call).await.unwrap();
                    took.push(began.elapsed());
                }
                took
            })
        })
        .collect();
    let mut took = Vec::new();
    for caller in callers {
        took.extend(caller.await.unwrap());
    }
    took.sort();
    Met {
        p50: at(&took, 50) / 1e3,
        p99: at(&took, 99) / 1e3,
    }
}

/// The most processor time between two looks from this thread, in ms. Real time would count what other processes take.
/// Looks without a pause, so nothing else is measured meanwhile.
async fn held() -> f64 {
    let mut most = Duration::ZERO;
    let mut before = (thread(), thread_time());
    let until = Instant::now() + HELD_FOR;
    while Instant::now() < until {
        tokio::task::yield_now().await;
        let now = (thread(), thread_time());
        if now.0 == before.0 {
            most = most.max(now.1.saturating_sub(before.1));
        }
        before = now;
    }
    most.as_secs_f64() * 1e3
}

fn thread() -> std::thread::ThreadId {
    std::thread::current().id()
}

fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let (seconds, nanos) = (time.tv_sec.cast_unsigned(), time.tv_nsec.cast_unsigned());
    Duration::from_secs(seconds) + Duration::from_nanos(nanos)
}

/// What stands around a guest in every call: the whole call less an instance that does nothing, the way to another
/// thread and back and a transaction that read nothing; and the two checks of what goes in and comes out.
async fn guards(house: &House, runtime: &Runtime) {
    let call_p50 = each(async || {
        runtime.call(call(OTHER, 1, "ok")).await.unwrap();
    });
    let call_p50 = call_p50.await;
    println!("call_of_nothing_p50 {call_p50:.1} us");
    let processor = {
        // What the runtime itself counts for the guest: its instance made, called, and the host's functions.
        let before = processor_us(runtime);
        let count = AtomicU64::new(0);
        each(async || {
            runtime.call(call(OTHER, 1, "ok")).await.unwrap();
            count.fetch_add(1, Ordering::Relaxed);
        })
        .await;
        (processor_us(runtime) - before) as f64 / count.load(Ordering::Relaxed) as f64
    };
    println!("guest_of_nothing {processor:.1} us");
    let workers = Builder::new_multi_thread()
        .worker_threads(1)
        .build()
        .unwrap();
    let handover = each(async || workers.spawn(async {}).await.unwrap()).await;
    workers.shutdown_background();
    println!("handover_p50 {handover:.1} us");
    let transaction = each(async || {
        let tx = house.storage.begin(TenantId::from_u128(OTHER));
        house.storage.commit(tx).await.unwrap();
    });
    let transaction = transaction.await;
    println!("transaction_of_nothing_p50 {transaction:.1} us");
    let tenant = TenantId::from_u128(OTHER);
    let methods = runtime.methods(tenant);
    let method = methods.iter().find(|method| method.name == "publish");
    let method = method.unwrap();
    let schema = jsonschema::validator_for(&method.params).unwrap();
    let text = json!({"text": "We meet at ten on Thursday, in the large room."}).to_string();
    let checks = each(async || {
        // In and out.
        for _ in 0..2 {
            let params: Value = serde_json::from_str(&text).unwrap();
            assert!(schema.is_valid(&params));
        }
    });
    let checks = checks.await;
    println!("schema_checks_p50 {checks:.1} us");
    let guards = (call_p50 - processor - handover - transaction).max(0.0) + checks;
    tell("guards", guards, "us", 15.0);
}

fn processor_us(runtime: &Runtime) -> u64 {
    let used = runtime.used_in_life();
    used.iter().map(|used| used.processor_us).sum()
}

async fn each(mut act: impl AsyncFnMut()) -> f64 {
    for _ in 0..CALLS / 10 {
        act().await;
    }
    let mut took = Vec::with_capacity(CALLS);
    for _ in 0..CALLS {
        let began = Instant::now();
        act().await;
        took.push(began.elapsed());
    }
    took.sort();
    at(&took, 50)
}

/// In microseconds.
fn at(sorted: &[Duration], percent: usize) -> f64 {
    let at = (sorted.len() * percent / 100).min(sorted.len() - 1);
    sorted[at].as_secs_f64() * 1e6
}

/// A number and whether it is what it should be. A miss does not fail: the machine may be busy.
fn tell(name: &str, value: f64, unit: &str, most: f64) {
    let word = if value <= most { "met" } else { "MISSED" };
    println!("{name} {value:.2} {unit} (goal ≤ {most:.2}: {word})");
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
        for tenant in [OTHER, BROKEN] {
            keyring.create_tenant(TenantId::from_u128(tenant)).unwrap();
        }
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
        let mut config = RuntimeConfig::new(&self.cache_dir);
        // One that never ends is not to end for the day either.
        config.budget.processor_ms_per_day = u64::MAX;
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

    async fn install(&self, runtime: &Runtime) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../stage/fixtures/faulty");
        let package = PackageFiles {
            manifest: std::fs::read_to_string(folder.join("plugin.toml"))
                .expect("run `cargo xtask build-plugins` first"),
            component: std::fs::read(folder.join("component.wasm"))
                .expect("run `cargo xtask build-plugins` first"),
        };
        let id = runtime.install(package).await.unwrap();
        for tenant in [OTHER, BROKEN] {
            let cx = OpCx::system(TenantId::from_u128(tenant), SystemClock.now());
            runtime.enable(&cx, &id).await.unwrap();
        }
    }
}

fn call(tenant: u128, user: u128, method: &str) -> PluginCall {
    let now = SystemClock.now();
    let user = UserId::from_u128(user);
    let params = match method {
        "read_write_scan" => json!({"text": "value"}),
        "write_then_trap" => json!({"key": "left"}),
        _ => json!({}),
    };
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
        params: params.to_string().into_bytes().into(),
        idempotency_key: None,
    }
}

fn faulty() -> PluginId {
    "faulty".parse().unwrap()
}
