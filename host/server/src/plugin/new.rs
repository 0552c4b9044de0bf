//! A new plugin: a small project that builds, with the SDK that this binary brings along.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use rust_embed::RustEmbed;
use serde_json::{Value, json};
use vaxel_core::PluginId;

#[derive(RustEmbed)]
#[folder = "$CARGO_MANIFEST_DIR/../../sdk/guest-rust/src"]
struct Sdk;

/// Where the SDK goes within a project.
const SDK_FOLDER: &str = ".vaxel/sdk";

const FILES: &[(&str, &str)] = &[
    ("Cargo.toml", include_str!("template/Cargo.toml.txt")),
    ("plugin.toml", include_str!("template/plugin.toml.txt")),
    ("src/lib.rs", include_str!("template/lib.rs.txt")),
    (
        "scenarios/notes.toml",
        include_str!("template/notes.toml.txt"),
    ),
    (".gitignore", include_str!("template/gitignore.txt")),
];

/// Writes the project to `dir`, or to a folder of its name; with an SDK elsewhere, or the one brought along.
pub(crate) fn new(name: &str, dir: Option<&Path>, sdk: Option<&Path>) -> anyhow::Result<Value> {
    let id: PluginId = name.parse()?;
    let dir = dir.map_or_else(|| PathBuf::from(id.as_str()), Path::to_path_buf);
    let shown = dir.display().to_string();
    ensure!(
        !dir.exists() || fs::read_dir(&dir).is_ok_and(|mut entries| entries.next().is_none()),
        "{shown} is there already and not empty"
    );
    let sdk = match sdk {
        Some(sdk) => fs::canonicalize(sdk)
            .with_context(|| format!("finding the SDK at {}", sdk.display()))?
            .display()
            .to_string(),
        None => {
            write_sdk(&dir.join(SDK_FOLDER))?;
            SDK_FOLDER.to_owned()
        }
    };
    for (path, text) in FILES {
        let text = text.replace("{name}", id.as_str()).replace("{sdk}", &sdk);
        write(&dir.join(path), text.as_bytes())?;
    }
    Ok(json!({
        "id": id.as_str(),
        "dir": shown,
        "text": format!(
            "{shown} is a plugin that keeps notes. Next:\n\n    cd {shown}\n    cargo test\n    vaxel plugin build\n    \
             vaxel plugin test\n    vaxel plugin check package"
        ),
    }))
}

fn write_sdk(dir: &Path) -> anyhow::Result<()> {
    let manifest = include_str!("template/sdk.toml.txt");
    let manifest = manifest.replace("{version}", env!("CARGO_PKG_VERSION"));
    write(&dir.join("Cargo.toml"), manifest.as_bytes())?;
    for path in Sdk::iter() {
        if let Some(file) = Sdk::get(&path) {
            write(&dir.join("src").join(&*path), &file.data)?;
        }
    }
    Ok(())
}

fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    }
    fs::write(path, bytes).with_context(|| format!("writing {}", path.display()))
}
