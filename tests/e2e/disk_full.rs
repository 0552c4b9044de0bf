//! A full disk: writes fail with a clear error and an alarm, reads go on, nothing is corrupt after.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails fast"
)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::json;
use vaxel_tests::{HostOptions, SMALL_LOG, TestHost, patiently};

/// Enough for the server's own reserve of 512 MiB and its files.
const SIZE_MIB: u64 = 1600;

/// A file system in memory, mounted for one test and taken away after it.
struct SmallDisk {
    path: PathBuf,
}

impl SmallDisk {
    fn mount() -> Self {
        let path = std::env::temp_dir().join(format!("vaxel-small-disk-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        let mounted = Command::new("mount")
            .args([
                "-t",
                "tmpfs",
                "-o",
                &format!("size={SIZE_MIB}m,mode=0700"),
                "tmpfs",
            ])
            .arg(&path)
            .status()
            .unwrap();
        assert!(
            mounted.success(),
            "mounting a file system in memory needs root"
        );
        Self { path }
    }

    fn free_mib(&self) -> u64 {
        let df = Command::new("df")
            .args(["--block-size=1M", "--output=avail"])
            .arg(&self.path)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&df.stdout).into_owned();
        said.lines().last().unwrap().trim().parse().unwrap()
    }

    /// Leaves this much free.
    fn fill(&self, leave_mib: u64) -> PathBuf {
        let ballast = self.path.join("ballast");
        let size = self.free_mib() - leave_mib;
        let filled = Command::new("fallocate")
            .args(["-l", &format!("{size}MiB")])
            .arg(&ballast)
            .status()
            .unwrap();
        assert!(filled.success());
        ballast
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily, because a failing test may have left the server running.
        let _ = Command::new("umount")
            .arg("--lazy")
            .arg(&self.path)
            .status();
        let _ = std::fs::remove_dir(&self.path);
    }
}

fn is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    status
        .lines()
        .any(|line| line.starts_with("Uid:") && line.split_whitespace().nth(2) == Some("0"))
}

#[tokio::test]
async fn a_full_disk_refuses_writes_serves_reads_and_recovers() {
    if !is_root() {
        // Who may not mount gets the same course of events from the configured reserve.
        return the_reserve_refuses_writes_too().await;
    }
    let disk = SmallDisk::mount();
    let host = TestHost::start_with(HostOptions {
        data: Some(disk.path.join("data")),
        ..HostOptions::default()
    })
    .await;
    let anna = host.sign_in("acme", "anna").await;
    let bertil = host.sign_in("acme", "bertil").await;
    let conversation = anna.direct_with(&bertil).await;
    anna.says("före").in_conversation(&conversation).await;

    let ballast = disk.fill(100);
    let send = |text: &str| json!({"conversation": conversation, "text": text, "local_id": text});
    let refused = patiently("a refused write", async {
        let mut number = 0;
        loop {
            number += 1;
            let text = format!("trångt {number}");
            if let Err(error) = anna.try_chat("messages.send", send(&text)).await {
                break error;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    assert!(matches!(refused.status(), 503 | 507), "{refused:?}");
    assert!(!refused.code().is_empty());
    let kept = bertil.history(&conversation).await;
    assert_eq!(kept[0]["text"], "före", "reads go on");
    alarm_says(&host, "storage.disk_full");
    assert!(!host.log().contains("storage.disk_back"));

    std::fs::remove_file(ballast).unwrap();
    patiently("writes after space returned", async {
        while anna.try_chat("messages.send", send("efter")).await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    alarm_says(&host, "storage.disk_back");
    all_is_well(&host, &anna, &conversation, kept.len() + 1).await;
}

fn alarm_says(host: &TestHost, code: &str) {
    let raised = format!("\"alarm.code\":\"{code}\"");
    assert!(
        host.log().contains(&raised),
        "no alarm {code}:\n{}",
        host.log_tail()
    );
}

async fn the_reserve_refuses_writes_too() {
    let (host, anna, bertil) = TestHost::with_two_users().await;
    let conversation = anna.direct_with(&bertil).await;
    anna.says("före").in_conversation(&conversation).await;
    host.stop();
    let reserve = "free_bytes_min = 1000000000000000\n";
    host.configures(&format!("{SMALL_LOG}{reserve}"));
    host.serve();
    let params = json!({"conversation": conversation, "text": "trångt", "local_id": "x"});
    let refused = anna.try_chat("messages.send", params).await.unwrap_err();
    assert!(matches!(refused.status(), 503 | 507), "{refused:?}");
    assert_eq!(bertil.history(&conversation).await.len(), 1, "reads go on");
    alarm_says(&host, "storage.disk_full");
    host.configures(SMALL_LOG);
    host.restart();
    anna.says("efter").in_conversation(&conversation).await;
    all_is_well(&host, &anna, &conversation, 2).await;
}

#[tokio::test]
async fn below_the_reserve_writes_are_refused_from_the_start() {
    the_reserve_refuses_writes_too().await;
}

async fn all_is_well(
    host: &TestHost,
    anna: &vaxel_tests::Person,
    conversation: &str,
    count: usize,
) {
    host.command(&["doctor", "--json"]);
    let before = anna.history(conversation).await;
    assert_eq!(before.len(), count);
    host.kill9();
    host.serve();
    assert_eq!(anna.history(conversation).await, before);
    assert!(Path::new(host.data()).exists());
}
