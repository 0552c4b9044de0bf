//! The web client: packages, checks, and the build that the server embeds.

use anyhow::{Result, bail};

use crate::fingerprint;
use crate::shell::{command, output, root, run, run_reading, which};

const FOLDER: &str = "sdk/web";

/// Vite 8 and the test tools need this much.
const NODE_MAJOR_MIN: u32 = 20;

/// Installs a folder's packages if its lock file changed since the last time.
pub(crate) fn install(folder: &str) -> Result<()> {
    check_node()?;
    let lock = format!("{folder}/package-lock.json");
    let manifest = format!("{folder}/package.json");
    let note = format!("npm-{}", folder.replace('/', "-"));
    let made_from = fingerprint::of(&[&lock, &manifest], "")?;
    let installed = root().join(folder).join("node_modules").is_dir();
    if installed && fingerprint::is_current(&note, &made_from) {
        println!("    {folder}: packages are up to date");
        return Ok(());
    }
    println!("    {folder}: installing packages from package-lock.json");
    run(npm(folder).args(["ci", "--no-audit", "--no-fund", "--loglevel=error"]))?;
    fingerprint::note_current(&note, &made_from)
}

/// Builds the client into stage/web if anything it is made from changed.
pub(crate) fn stage() -> Result<()> {
    install(FOLDER)?;
    let made_from = fingerprint::of(&[FOLDER, "sdk/client-js"], "")?;
    let stage = root().join("stage/web");
    if stage.join("index.html").is_file() && fingerprint::is_current("web", &made_from) {
        println!("    the web client is up to date");
        return Ok(());
    }
    run(npm(FOLDER).args(["run", "build"]))?;
    if !stage.join("index.html").is_file() {
        bail!("`npm run build` in {FOLDER} left no index.html");
    }
    fingerprint::note_current("web", &made_from)
}

/// Runs a script of the folder's package.json.
pub(crate) fn script(folder: &str, name: &str, read: &mut dyn FnMut(&str)) -> Result<()> {
    run_reading(npm(folder).args(["run", "--silent", name]), read)
}

fn npm(folder: &str) -> std::process::Command {
    let mut npm = command("npm");
    npm.current_dir(root().join(folder));
    npm
}

fn check_node() -> Result<()> {
    if which("node").is_none() || which("npm").is_none() {
        bail!("the web client needs Node.js {NODE_MAJOR_MIN} or newer with npm");
    }
    let version = output(command("node").arg("--version"))?;
    let major = version
        .trim()
        .trim_start_matches('v')
        .split('.')
        .next()
        .and_then(|major| major.parse::<u32>().ok());
    if major.is_none_or(|major| major < NODE_MAJOR_MIN) {
        bail!(
            "the web client needs Node.js {NODE_MAJOR_MIN} or newer; this is {}",
            version.trim()
        );
    }
    Ok(())
}
