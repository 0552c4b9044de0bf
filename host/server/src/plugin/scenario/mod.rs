//! Scenarios: files that say what a plugin is given, what it is asked, and what must come of it. Each is told against the
//! component itself, in the runtime itself, over storage that is empty before and gone after.

mod compare;
mod stage;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use vaxel_runtime::{Deed, PackageFiles};

use super::build::PACKAGE_FOLDER;
use stage::Stage;

/// 2026-01-01, unless a scenario says otherwise.
const NOW_MS: u64 = 1_767_225_600_000;

/// One file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scenario {
    /// What it shows, as a sentence.
    pub(crate) name: String,
    #[serde(default = "now_ms")]
    pub(crate) now_ms: u64,
    /// Who belongs to the organization: `$anna` in any text becomes her id.
    #[serde(default)]
    pub(crate) people: Vec<String>,
    /// What an administrator set.
    #[serde(default)]
    pub(crate) settings: Map<String, Value>,
    /// Rows that are there before: JSON by key.
    #[serde(default)]
    pub(crate) storage: BTreeMap<String, Value>,
    /// What the organization granted, by the ids that `vaxel plugin check` shows; all that is asked if not said.
    #[serde(default)]
    pub(crate) grants: Option<Vec<String>>,
    /// Budgets below the server's own.
    #[serde(default)]
    pub(crate) limits: Budget,
    pub(crate) steps: Vec<Step>,
}

/// What every step must do with.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Budget {
    #[serde(default)]
    pub(crate) cpu_ms: Option<u64>,
    #[serde(default)]
    pub(crate) storage_ops: Option<usize>,
    #[serde(default)]
    pub(crate) memory_mib: Option<usize>,
}

/// One thing that is asked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Step {
    /// Who calls; nobody if not said.
    #[serde(default, rename = "as")]
    pub(crate) caller: Option<String>,
    #[serde(default)]
    pub(crate) admin: bool,
    /// Before the step.
    #[serde(default)]
    pub(crate) advance_ms: u64,
    /// A method of the plugin, and its parameters.
    #[serde(default)]
    pub(crate) method: Option<String>,
    #[serde(default)]
    pub(crate) params: Option<Value>,
    /// Anything else: `{ job = { name = ".." } }`, `{ event = .. }`, `{ page = .. }`, `{ http = .. }`, `{ moment = "health" }`, ...
    #[serde(default, rename = "do")]
    pub(crate) deed: Option<Value>,
    #[serde(default)]
    pub(crate) expect: Expect,
}

/// What must come of it. What is not said may be anything, but a step without `error` must succeed.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expect {
    /// Objects may hold more than is said; "*" is anything.
    #[serde(default)]
    pub(crate) reply: Option<Value>,
    /// The code.
    #[serde(default)]
    pub(crate) error: Option<String>,
    /// All events that the step told, in order.
    #[serde(default)]
    pub(crate) events: Option<Vec<Value>>,
    /// Rows afterwards: JSON by key; "-" for one that is not there.
    #[serde(default)]
    pub(crate) storage: BTreeMap<String, Value>,
}

fn now_ms() -> u64 {
    NOW_MS
}

/// What came of a step.
pub(crate) struct Came {
    pub(crate) answer: Result<Value, String>,
    pub(crate) events: Vec<Value>,
}

/// Tells all scenarios of a project, or the given files.
pub(crate) async fn test(dir: &Path, files: &[PathBuf], json: bool) -> anyhow::Result<Value> {
    let package = read_package(dir)?;
    let files = if files.is_empty() {
        find(&dir.join("scenarios"))?
    } else {
        files.to_vec()
    };
    let (mut told, mut lines, mut failed) = (Vec::new(), Vec::new(), 0_usize);
    for (index, file) in files.iter().enumerate() {
        if !json {
            eprintln!("[{}/{}] {}", index + 1, files.len(), file.display());
        }
        let text =
            fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
        let scenario: Scenario =
            toml::from_str(&text).with_context(|| format!("in {}", file.display()))?;
        let faults = tell(&scenario, &package)
            .await
            .with_context(|| format!("in {}", file.display()))?;
        let is_well = faults.is_empty();
        failed += usize::from(!is_well);
        lines.push(format!(
            "{}  {}",
            if is_well { "ok    " } else { "FAILED" },
            scenario.name
        ));
        lines.extend(faults.iter().map(|fault| format!("        {fault}")));
        told.push(json!({
            "file": file.display().to_string(), "name": scenario.name, "ok": is_well, "faults": faults,
        }));
    }
    lines.push(format!("{} scenarios, {failed} failed", files.len()));
    Ok(json!({ "ok": failed == 0, "scenarios": told, "text": lines.join("\n") }))
}

fn read_package(dir: &Path) -> anyhow::Result<PackageFiles> {
    let built = dir.join(PACKAGE_FOLDER);
    let folder = if built.is_dir() { &built } else { dir };
    let component = folder.join("component.wasm");
    Ok(PackageFiles {
        manifest: fs::read_to_string(folder.join("plugin.toml"))
            .with_context(|| format!("reading plugin.toml in {}", folder.display()))?,
        component: fs::read(&component).with_context(|| {
            format!(
                "reading {}; run vaxel plugin build first",
                component.display()
            )
        })?,
    })
}

fn find(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)
        .with_context(|| format!("looking for scenarios in {}", folder.display()))?;
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|kind| kind == "toml"))
        .collect();
    files.sort();
    ensure!(
        !files.is_empty(),
        "there is no scenario in {}",
        folder.display()
    );
    Ok(files)
}

/// Tells one, and answers what was not as expected.
async fn tell(scenario: &Scenario, package: &PackageFiles) -> anyhow::Result<Vec<String>> {
    let mut stage = Stage::set(scenario, package.clone()).await?;
    let mut faults = Vec::new();
    for (index, step) in scenario.steps.iter().enumerate() {
        let came = play(&mut stage, step)
            .await
            .with_context(|| format!("step {}", index + 1))?;
        let what = step.method.as_deref().unwrap_or("do");
        let mut found = compare::step(&step.expect, &came, &stage);
        for (key, wanted) in &step.expect.storage {
            let stored = stage.row(key)?;
            compare::value(
                &format!("storage[{key}]"),
                &stage.named(wanted),
                &stored,
                &mut found,
            );
        }
        let place = |fault: String| format!("step {} ({what}): {fault}", index + 1);
        faults.extend(found.into_iter().map(place));
    }
    Ok(faults)
}

async fn play(stage: &mut Stage, step: &Step) -> anyhow::Result<Came> {
    stage.advance(step.advance_ms);
    match (&step.method, &step.deed) {
        (Some(method), None) => {
            let params = step.params.clone().unwrap_or_else(|| json!({}));
            let params = stage.named(&params);
            stage.call(step, method, &params).await
        }
        (None, Some(deed)) => {
            let deed: Deed = serde_json::from_value(stage.named(deed)).context("`do`")?;
            stage.perform(step, deed).await
        }
        _ => bail!("a step has either `method` or `do`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scenario_that_new_writes_is_one() {
        let scenario: Scenario =
            toml::from_str(include_str!("../template/notes.toml.txt")).unwrap();
        assert_eq!(scenario.steps.len(), 4);
        assert_eq!(scenario.steps[3].expect.error.as_deref(), Some("invalid"));
    }

    #[test]
    fn a_word_that_a_scenario_does_not_know_is_refused() {
        let text = "name = \"x\"\nsteps = [{ method = \"a\", expct = {} }]";
        assert!(toml::from_str::<Scenario>(text).is_err());
    }
}
