//! Durable sealed messages at 1, 16 and 128 committers, beside raw append and fdatasync of the same bytes.
//!
//! `cargo run --release -p vaxel-storage --example commit_bench [SECONDS] [DIR]` prints `name value unit` lines.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a bench may stop"
)]

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use vaxel_core::{LogAlarms, SystemClock, TenantId};
use vaxel_crypto::{ErasureKey, Keyring, MasterKey};
use vaxel_storage::{Space, Storage, StorageConfig};

/// As in the server.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SPACE: Space = Space::host(0x7f);
const TENANT: TenantId = TenantId::from_u128(7);
const MESSAGE_LEN: usize = 300;

fn main() {
    let mut args = std::env::args().skip(1);
    let seconds = args.next().map_or(3, |text| text.parse().expect("seconds"));
    let dir = args.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let dir = tempfile::tempdir_in(dir).unwrap();
    let run_for = Duration::from_secs(seconds);
    for committers in [1, 16, 128] {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .unwrap();
        let root = dir.path().join(committers.to_string());
        let bytes_each = runtime.block_on(commits(&root, committers, run_for));
        raw(&root.join("raw"), committers, bytes_each, run_for);
    }
}

/// Answers how many bytes of log one message took.
async fn commits(root: &Path, committers: usize, run_for: Duration) -> usize {
    let keyring = Keyring::open(&root.join("keys"), MasterKey::generate()).unwrap();
    keyring.create_tenant(TENANT).unwrap();
    let config = StorageConfig::new(root.join("data"));
    let storage = Storage::open(
        config,
        Arc::new(keyring),
        Arc::new(SystemClock),
        Arc::new(LogAlarms),
    )
    .unwrap();
    let (cpu, began, counter) = (cpu_ms(), Instant::now(), Arc::new(AtomicU64::new(0)));
    let tasks: Vec<_> = (0..committers)
        .map(|_| {
            let (storage, counter) = (storage.clone(), Arc::clone(&counter));
            tokio::spawn(async move {
                let mut latencies = Vec::new();
                while began.elapsed() < run_for {
                    let start = Instant::now();
                    let mut tx = storage.begin(TENANT);
                    let id = tx.new_id().to_be_bytes();
                    let text = vec![b'x'; MESSAGE_LEN];
                    tx.append(
                        SPACE,
                        b"m/1234567890123456",
                        text.clone(),
                        Some(id.to_vec()),
                        ErasureKey::TENANT,
                    )
                    .unwrap();
                    tx.publish(
                        SPACE,
                        "c/1234567890123456",
                        "chat.message.created",
                        text,
                        ErasureKey::TENANT,
                    )
                    .unwrap();
                    storage.commit(tx).await.unwrap();
                    latencies.push(start.elapsed());
                    counter.fetch_add(1, Ordering::Relaxed);
                }
                latencies
            })
        })
        .collect();
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.extend(task.await.unwrap());
    }
    let count = counter.load(Ordering::Relaxed);
    let name = format!("storage_commit_{committers}");
    report(&name, count, began.elapsed(), &mut latencies);
    let cpu = cpu_ms() - cpu;
    println!(
        "{name}_per_cpu_second {:.0} messages/s",
        count as f64 * 1_000.0 / cpu as f64
    );
    println!("{name}_cpu {:.1} us", cpu as f64 * 1_000.0 / count as f64);
    storage.close().await;
    // Frame, header and three sealed rows, as the log has them.
    let log: u64 = log_bytes(&root.join("data/log"));
    println!("{name}_log_bytes {} bytes", log / count);
    usize::try_from(log / count).unwrap()
}

/// The same bytes in the same groups, with nothing but write and fdatasync.
fn raw(path: &Path, committers: usize, bytes_each: usize, run_for: Duration) {
    let file = File::create(path).unwrap();
    file.write_all_at(&vec![0; 64 << 20], 0).unwrap();
    file.sync_all().unwrap();
    let group = vec![7; bytes_each * committers];
    let (mut offset, mut count, mut latencies) = (0, 0, Vec::new());
    let began = Instant::now();
    while began.elapsed() < run_for {
        let start = Instant::now();
        file.write_all_at(&group, offset).unwrap();
        file.sync_data().unwrap();
        latencies.push(start.elapsed());
        count += committers as u64;
        offset = (offset + group.len() as u64) % (60 << 20);
    }
    report(
        &format!("raw_fdatasync_{committers}"),
        count,
        began.elapsed(),
        &mut latencies,
    );
}

fn report(name: &str, count: u64, took: Duration, latencies: &mut [Duration]) {
    latencies.sort_unstable();
    let at = |part: usize| latencies[(latencies.len() - 1) * part / 100].as_secs_f64() * 1_000.0;
    println!("{name} {:.0} messages/s", count as f64 / took.as_secs_f64());
    println!("{name}_p50 {:.3} ms", at(50));
    println!("{name}_p99 {:.3} ms", at(99));
}

fn log_bytes(dir: &Path) -> u64 {
    let used = |path: PathBuf| {
        let bytes = std::fs::read(path).unwrap();
        bytes
            .iter()
            .rposition(|byte| *byte != 0)
            .map_or(0, |last| last as u64 + 1)
    };
    std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| used(entry.unwrap().path()))
        .sum()
}

/// The processor time of this process, user and system.
fn cpu_ms() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let after_name = stat.rsplit(')').next().unwrap();
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    ticks * 10
}
