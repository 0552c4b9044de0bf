//! `vaxel doctor`: the log's chain, the keys and the machine, each finding with what to do about it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::Serialize;
use serde_json::{Value, json};
use vaxel_core::UnixMs;
use vaxel_crypto::MasterKeySource;
use vaxel_net::RENEW_BEFORE_DAYS;
use vaxel_storage::{Disk as _, RealDisk};

use crate::house::{self, House};
use crate::serve;

/// Bits of a file's mode that let others than its owner at it.
const OTHERS: u32 = 0o077;

/// The newest commit may seem so far ahead: a clock that is set by NTP is moved by less.
const CLOCK_SLACK_MS: u64 = 5_000;

/// Files that a server needs open beside its connections: the log, the state, listeners.
const OWN_FILES: u64 = 512;

/// Fewer open files than this serve nobody.
const FILES_MIN: u64 = 1_024;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Ok,
    Warning,
    Failure,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    about: &'static str,
    verdict: Verdict,
    /// What was found and, unless it is well, what to do.
    text: String,
}

impl Finding {
    fn new(about: &'static str, verdict: Verdict, text: impl Into<String>) -> Self {
        Self {
            about,
            verdict,
            text: text.into(),
        }
    }

    fn line(&self) -> String {
        let mark = match self.verdict {
            Verdict::Ok => "ok  ",
            Verdict::Warning => "WARN",
            Verdict::Failure => "FAIL",
        };
        format!("{mark}  {}: {}", self.about, self.text)
    }
}

/// Looks at everything. The answer's `ok` is false where something must be mended.
pub(crate) async fn examine(house: &House) -> anyhow::Result<Value> {
    let storage = house.storage.clone();
    let chain = tokio::task::spawn_blocking(move || storage.verify_chain())
        .await
        .context("the check ended early")?;
    let mut findings = vec![match &chain {
        Ok(report) => Finding::new(
            "log",
            Verdict::Ok,
            format!("{} records, every link of the chain holds", report.records),
        ),
        Err(error) => Finding::new(
            "log",
            Verdict::Failure,
            format!("{error}; stop the server, keep this directory and restore the newest backup"),
        ),
    }];
    let kept = house::recovery_copy_kept(&house.data);
    findings.push(recovery_copy(kept, &house.data));
    findings.push(modes(&private_files(house)));
    findings.push(space(
        RealDisk.free_bytes(&house.data).ok(),
        house.config.storage.free_bytes_min,
        house.storage.is_read_only(),
    ));
    findings.extend(certificates(house));
    findings.push(open_files(
        fs::read_to_string("/proc/self/limits").ok().as_deref(),
        house.config.limits.connections_max,
    ));
    findings.push(clock(house.clock.now(), house.storage.newest_commit_at()));
    let organizations = house.identity.tenants().len();
    findings.push(Finding::new(
        "organizations",
        Verdict::Ok,
        organizations.to_string(),
    ));
    let lines: Vec<String> = findings.iter().map(Finding::line).collect();
    let ok = findings
        .iter()
        .all(|finding| finding.verdict != Verdict::Failure);
    let chain = match chain {
        Ok(report) => json!({ "ok": true, "records": report.records, "tenants": organizations }),
        Err(_) => json!({ "ok": false }),
    };
    Ok(json!({
        "ok": ok,
        "chain": chain,
        "recovery_copy_kept": kept,
        "findings": findings,
        "text": lines.join("\n"),
    }))
}

fn recovery_copy(kept: bool, data: &Path) -> Finding {
    if kept {
        Finding::new("master key", Verdict::Ok, "its recovery copy is kept")
    } else {
        Finding::new(
            "master key",
            Verdict::Warning,
            format!(
                "nobody said that its recovery copy is kept; keep it away from this machine, then run \
                 `vaxel doctor --data {} --recovery-copy-kept`",
                data.display()
            ),
        )
    }
}

/// Everything that holds a key or a password, and the directory around it.
fn private_files(house: &House) -> Vec<PathBuf> {
    let data = &house.data;
    let mut files = vec![data.clone(), data.join("demo-password")];
    if let MasterKeySource::File(master) = house::master_source(data, &house.config) {
        files.push(master);
    }
    files_under(&house::keys_dir(data), &mut files);
    let mut tls = Vec::new();
    files_under(&data.join("tls"), &mut tls);
    // The authority's certificate is for everybody, who else would trust it; the rest are keys.
    files.extend(tls.into_iter().filter(|file| !file.ends_with("ca.pem")));
    files
}

fn files_under(dir: &Path, into: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(dir) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => files_under(&path, into),
            Ok(kind) if kind.is_file() => into.push(path),
            _ => {}
        }
    }
}

fn modes(files: &[PathBuf]) -> Finding {
    let exposed: Vec<&PathBuf> = files
        .iter()
        .filter(|file| fs::metadata(file).is_ok_and(|meta| meta.permissions().mode() & OTHERS != 0))
        .collect();
    match exposed.as_slice() {
        [] => Finding::new("key files", Verdict::Ok, "only their owner can read them"),
        [first, rest @ ..] => {
            let more = match rest.len() {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let first = first.display();
            Finding::new(
                "key files",
                Verdict::Failure,
                format!("others can get at {first}{more}; run `chmod go= {first}`"),
            )
        }
    }
}

fn space(free: Option<u64>, reserve: u64, read_only: bool) -> Finding {
    let mib = |bytes: u64| bytes >> 20;
    let verdict = |verdict, text| Finding::new("disk", verdict, text);
    if read_only {
        return verdict(
            Verdict::Failure,
            "a write failed and nothing is taken any more; look at the disk, then restart the server"
                .to_owned(),
        );
    }
    let Some(free) = free else {
        return verdict(
            Verdict::Failure,
            "the free space cannot be read; look at the disk".to_owned(),
        );
    };
    if free < reserve {
        return verdict(
            Verdict::Failure,
            format!(
                "{} MiB free, below the reserve of {} MiB, so writes are refused; make space",
                mib(free),
                mib(reserve)
            ),
        );
    }
    if free < reserve.saturating_mul(2) {
        return verdict(
            Verdict::Warning,
            format!(
                "{} MiB free; below {} MiB writes are refused; make space soon",
                mib(free),
                mib(reserve)
            ),
        );
    }
    verdict(Verdict::Ok, format!("{} MiB free", mib(free)))
}

/// What the doors show, or would show if they were opened now.
fn certificates(house: &House) -> Vec<Finding> {
    let tls = &house.config.tls;
    let made = tls.certificate.is_some() || house.data.join("tls/ca.pem").exists();
    if !made {
        return vec![Finding::new(
            "certificate",
            Verdict::Ok,
            "none yet; the first `vaxel serve` makes it",
        )];
    }
    let material = match serve::tls_material(&house.data, &house.config, house) {
        Ok(material) => material,
        Err(error) => {
            return vec![Finding::new(
                "certificate",
                Verdict::Failure,
                format!("{error:#}; mend or replace what it names"),
            )];
        }
    };
    if tls.acme.is_none() {
        let mend = match tls.certificate {
            Some(_) => "renew the files that tls.certificate and tls.key name",
            None => "move DATA/tls away and restart; devices need the new ca.pem",
        };
        return vec![ends("", Some(material.days_left()), mend)];
    }
    material
        .days_left_by_name()
        .into_iter()
        .map(|(name, days)| {
            ends(
                &name,
                days,
                "see the log for `tls.renewal`: port and name must be reachable from outside",
            )
        })
        .collect()
}

fn ends(name: &str, days: Option<u64>, mend: &str) -> Finding {
    let of = match name {
        "" => String::new(),
        name => format!("{name}: "),
    };
    let (verdict, text) = match days {
        None => (Verdict::Warning, format!("{of}none issued yet; {mend}")),
        Some(0) => (
            Verdict::Failure,
            format!("{of}has ended or ends today; {mend}"),
        ),
        Some(days) if days < RENEW_BEFORE_DAYS / 2 => {
            (Verdict::Warning, format!("{of}ends in {days} days; {mend}"))
        }
        Some(days) => (Verdict::Ok, format!("{of}{days} days left")),
    };
    Finding::new("certificate", verdict, text)
}

/// `limits` is what the kernel says of this process: the server itself where one runs.
fn open_files(limits: Option<&str>, connections_max: usize) -> Finding {
    let told = limits
        .and_then(|text| {
            text.lines()
                .find_map(|line| line.strip_prefix("Max open files"))
        })
        .and_then(|rest| rest.split_whitespace().next());
    let about = "open files";
    let limit = match told {
        Some("unlimited") => u64::MAX,
        Some(number) => number.parse().unwrap_or(0),
        None => {
            let text =
                "the limit cannot be read on this machine; see that it is above the connections";
            return Finding::new(about, Verdict::Warning, text);
        }
    };
    let wanted = u64::try_from(connections_max).unwrap_or(u64::MAX);
    let wanted = wanted.saturating_add(OWN_FILES);
    let mend = format!(
        "put LimitNOFILE={wanted} into the systemd unit, or run `ulimit -n {wanted}` in the shell before `vaxel serve`"
    );
    if limit < FILES_MIN {
        let text = format!("this process may open {limit} at once, too few to serve; {mend}");
        return Finding::new(about, Verdict::Failure, text);
    }
    if limit < wanted {
        let text = format!(
            "this process may open {limit} at once, and every connection is one: limits.connections_max = \
             {connections_max} wants {wanted}; {mend}, or lower limits.connections_max"
        );
        return Finding::new(about, Verdict::Warning, text);
    }
    Finding::new(about, Verdict::Ok, "enough for all connections")
}

fn clock(now: UnixMs, newest: UnixMs) -> Finding {
    let behind_ms = newest.since(now);
    if behind_ms > CLOCK_SLACK_MS {
        let text = format!(
            "{} s behind the newest commit, so tokens and links end at wrong times; set it (NTP), \
             then restart the server",
            behind_ms / 1_000
        );
        return Finding::new("clock", Verdict::Failure, text);
    }
    Finding::new("clock", Verdict::Ok, "not behind what was written")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_others_can_read_is_found_and_named() {
        let dir = tempfile::tempdir().unwrap();
        let key = dir.path().join("master.key");
        fs::write(&key, "x").unwrap();
        for (mode, verdict) in [
            (0o600, Verdict::Ok),
            (0o640, Verdict::Failure),
            (0o604, Verdict::Failure),
        ] {
            fs::set_permissions(&key, fs::Permissions::from_mode(mode)).unwrap();
            let found = modes(&[key.clone(), dir.path().join("not-there")]);
            assert_eq!(found.verdict, verdict, "{mode:o}: {}", found.text);
            if verdict == Verdict::Failure {
                assert!(found.text.contains("master.key"), "{}", found.text);
                assert!(found.text.contains("chmod"), "{}", found.text);
            }
        }
    }

    #[test]
    fn space_is_judged_against_the_reserve() {
        let reserve = 512 << 20;
        for (free, read_only, verdict) in [
            (Some(10 * reserve), false, Verdict::Ok),
            (Some(reserve + 1), false, Verdict::Warning),
            (Some(reserve - 1), false, Verdict::Failure),
            (None, false, Verdict::Failure),
            (Some(10 * reserve), true, Verdict::Failure),
        ] {
            assert_eq!(space(free, reserve, read_only).verdict, verdict, "{free:?}");
        }
    }

    #[test]
    fn a_certificate_is_told_of_before_it_ends() {
        for (days, verdict) in [
            (Some(60), Verdict::Ok),
            (Some(14), Verdict::Warning),
            (Some(0), Verdict::Failure),
            (None, Verdict::Warning),
        ] {
            let found = ends("chat.acme.example", days, "renew it");
            assert_eq!(found.verdict, verdict, "{days:?}");
            assert!(found.text.contains("chat.acme.example"));
            assert_eq!(found.text.contains("renew it"), verdict != Verdict::Ok);
        }
    }

    #[test]
    fn the_limit_of_open_files_is_read_as_the_kernel_writes_it() {
        let limits = |soft: &str| {
            format!(
                "Limit                     Soft Limit           Hard Limit           Units     \n\
                 Max open files            {soft}                 1048576              files     \n"
            )
        };
        for (soft, verdict) in [
            ("256", Verdict::Failure),
            ("1024", Verdict::Warning),
            ("1048576", Verdict::Ok),
            ("unlimited", Verdict::Ok),
        ] {
            let found = open_files(Some(&limits(soft)), 20_000);
            assert_eq!(found.verdict, verdict, "{soft}: {}", found.text);
        }
        assert_eq!(open_files(None, 20_000).verdict, Verdict::Warning);
    }

    #[test]
    fn a_clock_behind_the_newest_commit_is_found() {
        let newest = UnixMs(1_800_000_000_000);
        let told = |now: UnixMs| clock(now, newest).verdict;
        assert_eq!(told(newest), Verdict::Ok);
        assert_eq!(told(newest.plus_ms(1_000)), Verdict::Ok);
        assert_eq!(told(newest.minus_ms(1_000)), Verdict::Ok);
        assert_eq!(told(newest.minus_ms(60_000)), Verdict::Failure);
    }
}
