//! Numbers: server CPU and memory from /proc, percentiles, and lines that say them.

use std::path::Path;
use std::time::{Duration, Instant};

use vaxel_tests::{HostOptions, TestHost};

/// /proc counts in these, on every Linux we run on.
const TICKS_PER_S: f64 = 100.0;

/// One measured number on a line of its own.
pub(crate) fn tell(name: &str, value: f64, unit: &str) {
    println!("{name} {value:.3} {unit}");
}

/// What a number should be.
#[derive(Clone, Copy)]
pub(crate) enum Goal {
    AtLeast(f64),
    AtMost(f64),
}

/// A measured number and whether it is what it should be. A miss does not fail: the machine may be busy.
pub(crate) fn tell_goal(name: &str, value: f64, unit: &str, goal: Goal) {
    let (is_met, sign, bound) = match goal {
        Goal::AtLeast(bound) => (value >= bound, '≥', bound),
        Goal::AtMost(bound) => (value <= bound, '≤', bound),
    };
    let word = if is_met { "met" } else { "MISSED" };
    println!("{name} {value:.3} {unit} (goal {sign} {bound}: {word})");
}

/// A server without rate limits that would measure themselves, plain HTTP beside HTTPS.
pub(crate) async fn server(data: &Path) -> TestHost {
    TestHost::start_with(HostOptions {
        data: Some(data.join("server")),
        config: "[listen]\nhttp = \"127.0.0.1:0\"\nhttps = \"127.0.0.1:0\"\n\
                 [limits]\nuser_per_s = 1000000\nuser_burst = 1000000\n\
                 tenant_per_s = 1000000\ntenant_burst = 1000000\n\
                 address_per_s = 1000000\naddress_burst = 1000000\n\
                 calls_per_user_max = 1000000\n"
            .to_owned(),
        ..HostOptions::default()
    })
    .await
}

/// CPU seconds that a process (or "thread-self") has used so far, user and system.
pub(crate) fn cpu_s(process: &str) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("/proc");
    let after_name = stat.rsplit_once(')').expect("a name").1;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks = |at: usize| fields[at].parse::<f64>().expect("a number");
    (ticks(11) + ticks(12)) / TICKS_PER_S
}

/// A field of a process's status in KiB, for example VmRSS.
pub(crate) fn status_kib(pid: u32, field: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("/proc");
    status
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))
        .and_then(|value| value.split_whitespace().next()?.parse().ok())
        .expect("a number")
}

/// The value below which `percent` of the sorted samples lie, in ms.
pub(crate) fn percentile_ms(sorted: &[Duration], percent: usize) -> f64 {
    let at = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted
        .get(at)
        .map_or(f64::NAN, |d| d.as_secs_f64() * 1000.0)
}

/// The floor under durable writes: append and fdatasync of so many bytes, as often as it goes.
pub(crate) fn append_floor(folder: &Path, bytes: usize, limit: Duration) -> Vec<Duration> {
    use std::io::Write;
    let path = folder.join("floor");
    let mut file = std::fs::File::create(&path).expect("a file");
    // Preallocated, as a log's segment is: only the data has to reach the disk.
    file.write_all(&vec![0; 64 << 20]).expect("space");
    file.sync_all().expect("sync");
    use std::os::unix::fs::FileExt;
    let buffer = vec![7_u8; bytes];
    let mut took = Vec::new();
    let began = Instant::now();
    let mut at = 0;
    while began.elapsed() < limit {
        let one = Instant::now();
        file.write_all_at(&buffer, at).expect("writing");
        file.sync_data().expect("fdatasync");
        took.push(one.elapsed());
        at = (at + bytes as u64) % (32 << 20);
    }
    took.sort();
    std::fs::remove_file(path).expect("removing the floor's file");
    took
}
