//! Plugin packages over the operator's commands: who may publish what, what an interruption leaves, who compiles.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails fast"
)]

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::block_in_place;
use vaxel_tests::packages::{Publisher, offline, packed, path, trusts, with_publisher};
use vaxel_tests::{Answer, HostOptions, Person, TestHost, patiently};

fn install(host: &TestHost, file: &Path, more: &[&str]) -> Answer {
    let args = [&["plugin", "install", path(file)], more].concat();
    block_in_place(|| host.try_command(&args, ""))
}

fn installs(host: &TestHost, file: &Path, more: &[&str]) {
    let answer = install(host, file, more);
    assert!(answer.ok, "{}{}", answer.stdout, answer.stderr);
}

#[track_caller]
fn is_refused(host: &TestHost, file: &Path, says: &str) {
    let answer = install(host, file, &[]);
    assert!(!answer.ok, "{} was installed", file.display());
    assert!(answer.stderr.contains(says), "{says}: {}", answer.stderr);
}

fn state(host: &TestHost) -> Value {
    let list = block_in_place(|| host.command(&["plugin", "list", "--json"])).json();
    list["packages"][0].clone()
}

fn switch(host: &TestHost, to: &str) {
    block_in_place(|| host.command(&["plugin", to, "--tenant", "acme", "faulty"]));
}

async fn answers(person: &Person) -> bool {
    person
        .client
        .call("plugins/faulty/ok", json!({}))
        .await
        .is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_package_is_installed_on_a_running_server_used_and_there_after_a_restart() {
    let (host, acme) = with_publisher().await;
    let anna = host.sign_in("acme", "anna").await;
    let file = acme.package("1.0.0");
    let checked = offline(&host, &["check", path(&file), "--json"]).json();
    let reasons = checked["asks"].as_array().unwrap();
    assert!(
        reasons
            .iter()
            .any(|asked| asked["reason"] == "the tests use it")
    );
    let methods = checked["methods"].as_array().unwrap();
    assert!(
        methods
            .iter()
            .any(|method| method["name"] == "counter" && method["params"].is_object())
    );
    let inspect = ["plugin", "inspect", path(&file), "--json"];
    let inspected = host.command(&inspect).json();
    assert_eq!(
        inspected["trust"],
        json!({"ok": true, "publisher": "Acme AB"})
    );
    assert_eq!(inspected["signature"]["key"], acme.thumbprint.as_str());
    assert_eq!(inspected["files"][1]["name"], "component.wasm");

    installs(&host, &file, &[]);
    assert!(!answers(&anna).await, "nobody switched it on");
    switch(&host, "enable");
    assert!(answers(&anna).await);
    host.restart();
    anna.client
        .login("anna", vaxel_tests::PASSWORD)
        .await
        .unwrap();
    assert!(answers(&anna).await);
    let kept = host.data().join("packages/faulty/1.0.0.vxp");
    assert_eq!(
        fs::metadata(&kept).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(fs::read(&kept).unwrap(), fs::read(&file).unwrap());

    // A backup has it, and what is restored from it too.
    let (backup, restored) = (host.scratch("backup"), host.scratch("restored"));
    block_in_place(|| host.command(&["backup", path(&backup)]));
    let key = host.data().join("master.key");
    let restore = [
        "restore",
        path(&backup),
        "--data",
        path(&restored),
        "--master-key",
        path(&key),
    ];
    block_in_place(|| host.vaxel().expect(&restore, ""));
    let again = restored.join("packages/faulty/1.0.0.vxp");
    assert_eq!(fs::read(again).unwrap(), fs::read(&file).unwrap());

    // An organization made later starts without it.
    let cecilia = host.tenant("globex", "cecilia").await;
    assert!(!answers(&cecilia).await);
    // A new version comes beside it; removing waits for the last organization.
    installs(&host, &acme.package("1.1.0"), &[]);
    assert!(answers(&anna).await);
    assert!(kept.exists());
    let refused = block_in_place(|| host.try_command(&["plugin", "remove", "faulty"], ""));
    assert!(
        refused.stderr.contains("switched on for 1"),
        "{}",
        refused.stderr
    );
    switch(&host, "disable");
    block_in_place(|| host.command(&["plugin", "remove", "faulty"]));
    assert!(state(&host).is_null());
    assert!(!host.data().join("packages/faulty").exists());
    // Gone is not forgotten.
    is_refused(&host, &file, "--downgrade");
    installs(&host, &file, &["--downgrade"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_must_not_be_installed_is_refused_by_name() {
    let (host, acme) = with_publisher().await;
    let good = acme.package("2.0.0");
    let bytes = fs::read(&good).unwrap();
    let odd = |name: &str, bytes: &[u8]| {
        let file = host.scratch(name);
        fs::write(&file, bytes).unwrap();
        file
    };

    is_refused(&host, &packed(&host, "unsigned", "2.0.0"), "not signed");
    is_refused(&host, &odd("cut", &bytes[..bytes.len() / 2]), "cut off");
    is_refused(&host, &odd("none", b"#!/bin/sh\n"), "no package");
    is_refused(&host, &host.scratch("nowhere.vxp"), "nowhere.vxp");
    is_refused(
        &host,
        &odd("path", &zip("../../etc/cron.d/x", b"x", 1)),
        "leads out",
    );
    is_refused(
        &host,
        &odd("absolute", &zip("/etc/passwd", b"x", 1)),
        "absolute",
    );
    is_refused(&host, &odd("unknown", &zip("evil.so", b"x", 1)), "evil.so");
    is_refused(
        &host,
        &odd("bomb", &zip("component.wasm", b"x", 1 << 31)),
        "larger",
    );
    let mut forged = bytes.clone();
    let at = forged.len() / 2;
    forged[at] ^= 1;
    assert!(!install(&host, &odd("flipped", &forged), &[]).ok);

    // Another's key, though it says it is of this plugin.
    let mallory = Publisher::new(&host, "mallory");
    let theirs = mallory.package("2.0.0");
    is_refused(&host, &theirs, &mallory.thumbprint);
    // A signature of another package.
    let stolen = with_signature_of(&fs::read(packed(&host, "stolen", "2.0.1")).unwrap(), &bytes);
    is_refused(&host, &odd("stolen.vxp", &stolen), "does not fit");
    // Trusted, though with something else.
    let trust = fs::read_to_string(host.data().join("trust.toml")).unwrap();
    fs::write(
        host.data().join("trust.toml"),
        trust.replace("'faulty'", "'other'"),
    )
    .unwrap();
    is_refused(&host, &acme.package("2.0.0"), "may not publish faulty");
    trusts(&host, &[("Acme AB", &acme), ("Mallory", &mallory)], "");

    installs(&host, &acme.package("2.0.0"), &[]);
    let changed = packed(&host, "changed", "2.0.0");
    let folder = host.scratch("changed");
    fs::write(folder.join("README.md"), "# Other\n").unwrap();
    offline(&host, &["pack", path(&folder), "-o", path(&changed)]);
    acme.sign(&changed);
    is_refused(&host, &changed, "other contents");
    is_refused(&host, &acme.package("1.9.9"), "--downgrade");
    // It is whose it was first, also for others who may publish it.
    is_refused(
        &host,
        &mallory.package("3.0.0"),
        "first installed from Acme AB",
    );
    let old = acme.package("1.9.9");
    installs(&host, &old, &["--downgrade"]);
    assert_eq!(state(&host)["version"], "1.9.9");
    let builtin = packed(&host, "builtin", "9.0.0");
    let folder = host.scratch("builtin");
    let manifest = fs::read_to_string(folder.join("plugin.toml")).unwrap();
    let manifest = manifest
        .replace("id = \"faulty\"", "id = \"chat\"")
        .replace("\"faulty.", "\"chat.");
    fs::write(folder.join("plugin.toml"), manifest).unwrap();
    offline(&host, &["pack", path(&folder), "-o", path(&builtin)]);
    acme.sign(&builtin);
    let trust = fs::read_to_string(host.data().join("trust.toml")).unwrap();
    let trust = trust.replacen("'faulty'", "'faulty', 'chat'", 1);
    fs::write(host.data().join("trust.toml"), trust).unwrap();
    is_refused(&host, &builtin, "comes with the server");

    // Not asked for in the manifest, though imported: by name, here and at the author's.
    let lying = packed(&host, "lying", "4.0.0");
    let folder = host.scratch("lying");
    let manifest = fs::read_to_string(folder.join("plugin.toml")).unwrap();
    let asks = "[[capabilities]]\nname = \"crypto\"\nreason = \"the tests use it\"\n";
    assert!(manifest.contains(asks));
    fs::write(folder.join("plugin.toml"), manifest.replace(asks, "")).unwrap();
    offline(&host, &["pack", path(&folder), "-o", path(&lying)]);
    acme.sign(&lying);
    is_refused(&host, &lying, "vaxel:crypto/crypto");
    let checked = host.vaxel().run(&["plugin", "check", path(&lying)], "");
    assert!(
        !checked.ok && checked.stdout.contains("vaxel:crypto/crypto"),
        "{}",
        checked.stdout
    );
    // A component that is none, compiled by the child.
    fs::write(folder.join("component.wasm"), b"\0asm\x0d\0\x01\0\x07\xff").unwrap();
    offline(&host, &["pack", path(&folder), "-o", path(&lying)]);
    acme.sign(&lying);
    is_refused(&host, &lying, "component:");
    assert_eq!(state(&host)["version"], "1.9.9", "what was there stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_that_ended_installs_nothing_more_and_stops_nothing() {
    let host = TestHost::start_with(HostOptions::with_own_clock()).await;
    let acme = Publisher::new(&host, "acme");
    trusts(&host, &[("Acme AB", &acme)], "");
    let file = packed(&host, "short", "1.0.0");
    let today = fs::metadata(&file).unwrap().modified().unwrap();
    let days = today
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs()
        / 86_400;
    let sign = [
        "sign",
        path(&file),
        "--key",
        path(&acme.key),
        "--expires",
        &day(days + 3),
    ];
    offline(&host, &sign);
    installs(&host, &file, &[]);
    host.moves_clock(Duration::from_secs(4 * 86_400)).await;
    is_refused(&host, &file, "the signature ended on");
    block_in_place(|| host.restart());
    assert_eq!(state(&host)["unavailable"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_revoked_or_no_longer_trusted_goes_out_of_use_while_the_server_runs() {
    let (host, acme) = with_publisher().await;
    let anna = host.sign_in("acme", "anna").await;
    let root = Publisher::new(&host, "root");
    let revocations = format!(
        "[revocations]\nfile = 'revoked.json'\nkeys = ['{}']\n",
        root.public
    );
    let list = host.data().join("revoked.json");
    trusts(&host, &[("Acme AB", &acme)], &revocations);
    let (old, new) = (acme.package("1.0.0"), acme.package("1.0.1"));
    installs(&host, &old, &[]);
    switch(&host, "enable");
    assert!(answers(&anna).await);

    offline(
        &host,
        &[
            "revoke",
            path(&list),
            "--key",
            path(&root.key),
            "--package",
            path(&old),
        ],
    );
    patiently("the revoked package to go", async {
        while answers(&anna).await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    is_refused(&host, &old, "was revoked");
    let why = state(&host)["unavailable"].as_str().unwrap().to_owned();
    assert!(why.contains("was revoked (list number 1)"), "{why}");
    // The list is gone; what it said is not.
    fs::remove_file(&list).unwrap();
    block_in_place(|| host.restart());
    is_refused(&host, &old, "was revoked");
    assert!(!answers(&anna).await);
    // A good version makes it work again, where somebody goes on with it.
    installs(&host, &new, &[]);
    assert!(!answers(&anna).await);
    block_in_place(|| host.command(&["plugin", "upgrade", "--tenant", "acme", "faulty", "1.0.1"]));
    assert!(answers(&anna).await);
    // A list that somebody else wrote is no list.
    fs::write(&list, "{}").unwrap();
    let refused = install(&host, &new, &[]);
    assert!(
        refused.ok,
        "the newest good list counts: {}",
        refused.stderr
    );

    // The key is revoked, by the next list.
    fs::remove_file(&list).unwrap();
    for _ in 0..2 {
        offline(
            &host,
            &[
                "revoke",
                path(&list),
                "--key",
                path(&root.key),
                "--signer",
                &acme.thumbprint,
            ],
        );
    }
    is_refused(&host, &acme.package("1.0.2"), "was revoked");

    // Nobody is trusted any more: the server starts, the plugin does not.
    fs::remove_file(host.data().join("trust.toml")).unwrap();
    block_in_place(|| host.restart());
    let why = state(&host)["unavailable"].as_str().unwrap().to_owned();
    assert!(why.contains(&acme.thumbprint), "{why}");
    let shown = block_in_place(|| host.command(&["plugin", "list", "--tenant", "acme"]));
    assert!(shown.stdout.contains(&acme.thumbprint), "{}", shown.stdout);
    anna.client
        .login("anna", vaxel_tests::PASSWORD)
        .await
        .unwrap();
    assert!(!answers(&anna).await);
    anna.chat("conversations.list", json!({})).await;
    switch(&host, "disable");
    block_in_place(|| host.command(&["plugin", "remove", "faulty"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unsigned_package_is_for_those_who_make_plugins() {
    let host = TestHost::start().await;
    let file = packed(&host, "unsigned", "1.0.0");
    is_refused(&host, &file, "--dev");
    host.stop();
    let mut serving = Command::new(host.vaxel().path())
        .args([
            "serve",
            "--dev",
            "--https-port",
            "0",
            "--admin-port",
            "0",
            "--data",
            path(host.data()),
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(serving.stdout.take().unwrap()).lines();
    assert!(said.any(|line| line.unwrap().starts_with("ready admin")));
    installs(&host, &file, &[]);
    assert_eq!(state(&host)["publisher"], Value::Null);
    serving.kill().unwrap();
    serving.wait().unwrap();
    // What was tried out is not what is served.
    host.serve();
    let why = state(&host)["unavailable"].as_str().unwrap().to_owned();
    assert!(why.contains("not signed"), "{why}");
    // Whoever may publish it may take its name.
    let acme = Publisher::new(&host, "acme");
    trusts(&host, &[("Acme AB", &acme)], "");
    acme.sign(&file);
    installs(&host, &file, &[]);
    assert_eq!(state(&host)["publisher"], "Acme AB");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_or_missing_package_keeps_no_server_from_starting() {
    let (host, acme) = with_publisher().await;
    let file = acme.package("1.0.0");
    installs(&host, &file, &[]);
    switch(&host, "enable");
    let kept = host.data().join("packages/faulty/1.0.0.vxp");
    let other = fs::read(acme.package("1.0.1")).unwrap();
    let good = fs::read(&kept).unwrap();
    for (damage, says) in [
        (Some(good[..good.len() - 9].to_vec()), "cut off"),
        (Some(other), "not the one that was installed"),
        (None, "missing"),
    ] {
        host.stop();
        match damage {
            Some(bytes) => fs::write(&kept, bytes).unwrap(),
            None => fs::remove_file(&kept).unwrap(),
        }
        block_in_place(|| host.serve());
        let why = state(&host)["unavailable"].as_str().unwrap().to_owned();
        assert!(why.contains(says), "{why}");
        let anna = host.sign_in("acme", "anna").await;
        assert!(!answers(&anna).await);
        installs(&host, &file, &[]);
        assert!(answers(&anna).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_in_the_middle_of_an_installation_leaves_the_old_or_the_new() {
    let (host, acme) = with_publisher().await;
    installs(&host, &acme.package("1.0.0"), &[]);
    switch(&host, "enable");
    let folder = host.data().join("packages/faulty");

    // Every state that the order of writing can leave on the disk.
    let next = acme.package("1.0.1");
    host.kill9();
    fs::write(folder.join(".new"), b"half of it").unwrap();
    block_in_place(|| host.serve());
    assert_eq!(state(&host)["version"], "1.0.0");
    assert!(!folder.join(".new").exists());
    host.kill9();
    fs::copy(&next, folder.join("1.0.1.vxp")).unwrap();
    block_in_place(|| host.serve());
    assert_eq!(state(&host)["version"], "1.0.0", "the row is what counts");
    assert!(!folder.join("1.0.1.vxp").exists());
    installs(&host, &next, &[]);
    assert_eq!(files(&folder), ["1.0.0.vxp", "1.0.1.vxp"]);
    let swept = acme.package("1.0.2");
    installs(&host, &swept, &[]);
    installs(&host, &acme.package("1.0.3"), &[]);
    // Nobody runs 1.0.1, and there are two newer ones.
    assert_eq!(files(&folder), ["1.0.0.vxp", "1.0.2.vxp", "1.0.3.vxp"]);
    host.kill9();
    fs::copy(&next, folder.join("1.0.1.vxp")).unwrap();
    block_in_place(|| host.serve());
    assert_eq!(state(&host)["version"], "1.0.3");
    assert!(!folder.join("1.0.1.vxp").exists());

    // And wherever it happens to be.
    let (mut version, mut kept_old) = ("1.0.3".to_owned(), 0);
    for round in 0..12_u64 {
        let next = format!("1.1.{round}");
        let file = acme.package(&next);
        let data = host.data().to_owned();
        let mut installing = Command::new(host.vaxel().path())
            .args(["plugin", "install", path(&file), "--data", path(&data)])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        if round % 2 == 0 {
            tokio::time::sleep(Duration::from_millis(10 + round * round * 6)).await;
        } else {
            // As soon as anything of it is on the disk.
            let before = files(&folder);
            let began = || files(&folder) != before;
            patiently("the installation to begin writing", async {
                while !began() {
                    tokio::task::yield_now().await;
                }
            })
            .await;
        }
        block_in_place(|| host.kill9());
        let acknowledged = installing.wait().unwrap().success();
        block_in_place(|| host.serve());
        let found = state(&host);
        let now = found["version"].as_str().unwrap().to_owned();
        assert!(
            now == version || now == next,
            "{now} after {version} to {next}"
        );
        assert!(now == next || !acknowledged, "{next} was acknowledged");
        assert_eq!(found["unavailable"], Value::Null);
        // What it runs, the newest, and nothing that no row names.
        let versions = found["versions"].as_array().unwrap().iter();
        let named = versions.map(|one| format!("{}.vxp", one["version"].as_str().unwrap()));
        assert_eq!(files(&folder), named.collect::<Vec<_>>());
        assert!(folder.join("1.0.0.vxp").exists(), "somebody runs it");
        assert!(
            (2..=4).contains(&files(&folder).len()),
            "{:?}",
            files(&folder)
        );
        kept_old += usize::from(now == version);
        version = now;
    }
    println!("{kept_old} of 12 interrupted installations left the old version");
    let anna = host.sign_in("acme", "anna").await;
    assert!(answers(&anna).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_compiler_has_no_environment_no_files_no_privileges_and_few_system_calls() {
    let host = TestHost::prepare(HostOptions::default());
    // Started by somebody careless, who leaves descriptors open.
    let careless =
        "exec 7</dev/zero 8>/dev/null; exec /usr/bin/env -i \"$0\" compile-component 4294967296";
    let mut child = Command::new("/bin/sh")
        .args(["-c", careless, path(host.vaxel().path())])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let of = |what: &str| PathBuf::from(format!("/proc/{}/{what}", child.id()));
    // It is confined before it has read a byte; it waits for the rest.
    stdin.write_all(b"\0asm").unwrap();
    let status = patiently("the compiler to be confined", async {
        loop {
            let status = fs::read_to_string(of("status")).unwrap();
            if status.contains("Seccomp:\t2") {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    assert!(status.contains("NoNewPrivs:\t1"), "{status}");
    assert!(status.contains("Threads:\t1"), "{status}");
    assert_eq!(fs::read(of("environ")).unwrap(), b"");
    let mut open: Vec<_> = fs::read_dir(of("fd"))
        .unwrap()
        .flatten()
        .map(|fd| fd.file_name())
        .collect();
    open.sort();
    assert_eq!(open, ["0", "1", "2"]);
    let limits = fs::read_to_string(of("limits")).unwrap();
    for limit in [
        "Max open files",
        "Max core file size",
        "Max file size",
        "Max processes",
    ] {
        let line = limits.lines().find(|line| line.starts_with(limit)).unwrap();
        let numbers: Vec<&str> = line[limit.len()..].split_whitespace().take(2).collect();
        assert_eq!(numbers, ["0", "0"], "{line}");
    }
    for limit in ["Max cpu time", "Max address space"] {
        let line = limits.lines().find(|line| line.starts_with(limit)).unwrap();
        assert!(!line.contains("unlimited"), "{line}");
    }
    // The rest of an empty component: code comes out of it.
    stdin.write_all(b"\x0d\0\x01\0").unwrap();
    drop(stdin);
    let answer = child.wait_with_output().unwrap();
    assert!(answer.status.success());
    assert_eq!(answer.stdout[0], 0);
    assert!(answer.stdout.len() > 100);
}

/// The names of the files in a folder, in their order.
fn files(folder: &Path) -> Vec<String> {
    let files = fs::read_dir(folder).unwrap().flatten();
    let mut names: Vec<_> = files
        .map(|file| file.file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// A day, as `--expires` takes it, by days since 1970.
fn day(days: u64) -> String {
    let date = httpdate_of(days * 86_400);
    let mut parts = date.split(' ');
    let (_, day, month, year) = (parts.next(), parts.next(), parts.next(), parts.next());
    let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let month = months.iter().position(|name| Some(*name) == month).unwrap() + 1;
    format!("{}-{month:02}-{}", year.unwrap(), day.unwrap())
}

fn httpdate_of(seconds: u64) -> String {
    httpdate::fmt_http_date(std::time::UNIX_EPOCH + Duration::from_secs(seconds))
}

/// An archive with one stored file of that name, which says it unpacks to `len` bytes.
fn zip(name: &str, content: &[u8], len: u32) -> Vec<u8> {
    let mut head = Vec::new();
    for number in [20_u16, 0, 0, 0, 0x21] {
        head.extend(number.to_le_bytes());
    }
    for number in [0x8cdc_1683_u32, content.len() as u32, len] {
        head.extend(number.to_le_bytes());
    }
    head.extend((name.len() as u16).to_le_bytes());
    head.extend([0, 0]);
    let mut bytes = [b"PK\x03\x04", head.as_slice(), name.as_bytes(), content].concat();
    let start = bytes.len() as u32;
    let mut directory = [b"PK\x01\x02\x14\x03".as_slice(), &head, &[0; 6]].concat();
    directory.extend((0o100_644_u32 << 16).to_le_bytes());
    directory.extend([0; 4]);
    directory.extend_from_slice(name.as_bytes());
    let len = directory.len() as u32;
    bytes.extend(directory);
    bytes.extend(b"PK\x05\x06\0\0\0\0\x01\0\x01\0");
    bytes.extend(len.to_le_bytes());
    bytes.extend(start.to_le_bytes());
    bytes.extend([0, 0]);
    bytes
}

/// The unsigned package with the signature entry of another, and a directory that lists both.
fn with_signature_of(unsigned: &[u8], signed: &[u8]) -> Vec<u8> {
    let at = |bytes: &[u8], mark: &[u8]| bytes.windows(mark.len()).position(|w| w == mark).unwrap();
    let entry_at = at(signed, b"signature.json") - 30;
    let entry = &signed[entry_at..at(signed, b"PK\x01\x02")];
    let in_directory = {
        let tail = &signed[at(signed, b"PK\x01\x02")..];
        let name = at(tail, b"signature.json");
        tail[name - 46..name + 14].to_vec()
    };
    let (body_end, end) = (at(unsigned, b"PK\x01\x02"), at(unsigned, b"PK\x05\x06"));
    let directory = &unsigned[body_end..end];
    let files = u16::from_le_bytes([unsigned[end + 8], unsigned[end + 9]]) + 1;
    let mut moved = in_directory;
    moved[42..46].copy_from_slice(&(body_end as u32).to_le_bytes());
    let mut bytes = [&unsigned[..body_end], entry].concat();
    let start = bytes.len() as u32;
    bytes.extend_from_slice(directory);
    bytes.extend_from_slice(&moved);
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    bytes.extend(files.to_le_bytes());
    bytes.extend(files.to_le_bytes());
    bytes.extend(((directory.len() + moved.len()) as u32).to_le_bytes());
    bytes.extend(start.to_le_bytes());
    bytes.extend([0, 0]);
    bytes
}
