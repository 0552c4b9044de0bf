//! Python tools from the package index, each in an environment of its own under target/.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::packages;
use crate::shell::{command, output, root, run, which};

/// Installs `package` at exactly `version` if it is not there, and answers its bin folder.
pub(crate) fn tool(package: &str, version: &str) -> Result<PathBuf> {
    tool_with(package, version, &[])
}

/// As [`tool`], beside other packages that it needs in certain versions.
pub(crate) fn tool_with(package: &str, version: &str, others: &[&str]) -> Result<PathBuf> {
    let folder = root()
        .join("target/python")
        .join(format!("{package}-{version}"));
    let bin = folder.join("bin");
    let done = folder.join("installed");
    if done.is_file() {
        return Ok(bin);
    }
    if which("python3").is_none() {
        packages::ensure(&["python3", "python3-venv"], package)?;
    }
    if output(command("python3").args(["-c", "import venv, ensurepip"])).is_err() {
        packages::ensure(&["python3-venv"], package)?;
    }
    println!("    installing {package} {version} under target/python");
    run(command("python3")
        .args(["-m", "venv", "--clear"])
        .arg(&folder))?;
    run(command(bin.join("python"))
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            &format!("{package}=={version}"),
        ])
        .args(others))?;
    std::fs::write(&done, version).context("noting the installation")?;
    Ok(bin)
}

/// Python 2.7, which the Autobahn suite still wants: on PATH, or one that pyenv built.
pub(crate) fn python2() -> Result<PathBuf> {
    if let Some(path) = which("python2.7").filter(|path| !path.to_string_lossy().contains("shims"))
    {
        return Ok(path);
    }
    let home = std::env::var_os("PYENV_ROOT")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".pyenv")));
    let mut found: Vec<PathBuf> = home
        .and_then(|home| std::fs::read_dir(home.join("versions")).ok())
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with("2.7."))
        })
        .map(|path| path.join("bin/python2.7"))
        .filter(|path| path.is_file())
        .collect();
    found.sort();
    match found.pop() {
        Some(path) => Ok(path),
        None => bail!(
            "Autobahn's suite runs on Python 2.7 only, and there is none on PATH or under pyenv; \
             install one with: pyenv install 2.7.18"
        ),
    }
}
