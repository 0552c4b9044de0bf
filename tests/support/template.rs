//! A data directory made once per build with the operator's own commands, and copied for each test.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, UNIX_EPOCH};

use crate::PASSWORD;
use crate::binary::Vaxel;
use crate::host::SMALL_LOG;
use crate::process::{Running, tail};

/// Stopping a server that served nobody.
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// No run of the tests takes longer.
const KEPT: Duration = Duration::from_secs(3_600);

/// Copies the template to `to`, which is not there yet: the tenant `acme` with anna (admin) and bertil.
pub(crate) fn copy_to(vaxel: &Vaxel, to: &Path) {
    static TEMPLATE: OnceLock<PathBuf> = OnceLock::new();
    let template = TEMPLATE.get_or_init(|| made(vaxel));
    copy(template, to);
}

/// The template of this very binary. The test programs run one after the other and share it; those that run at
/// once wait for each other.
fn made(vaxel: &Vaxel) -> PathBuf {
    let meta = fs::metadata(vaxel.path()).expect("the binary");
    let built = meta.modified().expect("a time").duration_since(UNIX_EPOCH);
    let name = format!("{}-{}", built.expect("a time").as_nanos(), meta.len());
    let folder = vaxel.path().with_file_name("e2e-template");
    fs::create_dir_all(&folder).expect("the template's folder");
    let lock = File::create(folder.join("lock")).expect("the template's lock");
    lock.lock().expect("locking the template");
    let template = folder.join(&name);
    if template.is_dir() {
        return template;
    }
    // Those of earlier builds, unless a test may still be copying them.
    for entry in fs::read_dir(&folder).expect("a folder").flatten() {
        let age = entry
            .metadata()
            .and_then(|meta| meta.modified()?.elapsed().map_err(io::Error::other));
        if entry.path().is_dir() && age.is_ok_and(|age| age > KEPT) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    let _ = fs::remove_dir_all(folder.join("unfinished"));
    let unfinished = folder.join("unfinished");
    make(vaxel, &unfinished, &folder.join("vaxel.toml"));
    fs::rename(&unfinished, &template).expect("naming the template");
    template
}

fn make(vaxel: &Vaxel, data: &Path, config: &Path) {
    fs::write(config, SMALL_LOG).expect("the configuration");
    let place = [
        "--data",
        data.to_str().expect("a path in UTF-8"),
        "--config",
        config.to_str().expect("a path in UTF-8"),
    ];
    let with_place = |args: &[&'static str]| [args, &place[..]].concat();
    let init = [
        "init",
        "--tenant",
        "acme",
        "--name",
        "Acme AB",
        "--host",
        "acme.localhost",
        "--admin",
        "anna",
        "--password-stdin",
    ];
    vaxel.expect(&with_place(&init), PASSWORD);
    // Once served, it has certificates and the compiled plugins, and is closed in good order.
    let mut command = Command::new(vaxel.path());
    command.args(with_place(&[
        "serve",
        "--https-port",
        "0",
        "--admin-port",
        "0",
    ]));
    let log = config.with_file_name("server.log");
    let mut running = Running::start(command, &log);
    let bertil = [
        "user",
        "add",
        "--tenant",
        "acme",
        "bertil",
        "--name",
        "Bertil Berg",
        "--password-stdin",
    ];
    vaxel.expect(&with_place(&bertil), PASSWORD);
    let status = running.terminate(STOP_LIMIT);
    assert!(status.success(), "{status}:\n{}", tail(&log));
}

/// Copies files and folders with their modes.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder").flatten() {
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &to);
        } else {
            fs::copy(&path, &to).expect("copying a file");
        }
    }
    let mode = fs::metadata(from).expect("a folder").permissions();
    fs::set_permissions(to, mode).expect("the folder's mode");
}
