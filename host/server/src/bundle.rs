//! The plugin packages that this binary brings along, and those in a directory beside it.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use rust_embed::RustEmbed;
use vaxel_runtime::PackageFiles;

#[derive(RustEmbed)]
#[folder = "$CARGO_MANIFEST_DIR/../../stage/plugins"]
#[allow_missing = true]
struct Bundled;

const MANIFEST: &str = "plugin.toml";
const COMPONENT: &str = "component.wasm";

/// The largest component that is read: what a plugin may weigh.
const COMPONENT_BYTES_MAX: u64 = 32 << 20;

/// All packages: the bundled ones, then those of `dir`.
pub(crate) fn packages(dir: Option<&Path>) -> anyhow::Result<Vec<PackageFiles>> {
    let mut packages = Vec::new();
    for path in Bundled::iter() {
        let Some(folder) = path.strip_suffix(MANIFEST) else {
            continue;
        };
        let component = Bundled::get(&format!("{folder}{COMPONENT}"));
        let (Some(manifest), Some(component)) = (Bundled::get(&path), component) else {
            continue;
        };
        packages.push(PackageFiles {
            manifest: String::from_utf8(manifest.data.into_owned())
                .with_context(|| format!("bundled plugin {folder}: its manifest is not UTF-8"))?,
            component: component.data.into_owned(),
        });
    }
    if let Some(dir) = dir {
        let entries = fs::read_dir(dir)
            .with_context(|| format!("reading the plugin directory {}", dir.display()))?;
        for entry in entries {
            let folder = entry?.path();
            if folder.join(MANIFEST).is_file() {
                packages
                    .push(read(&folder).with_context(|| format!("plugin {}", folder.display()))?);
            }
        }
    }
    Ok(packages)
}

fn read(folder: &Path) -> anyhow::Result<PackageFiles> {
    let component = folder.join(COMPONENT);
    let size = fs::metadata(&component)
        .context("its component.wasm")?
        .len();
    anyhow::ensure!(
        size <= COMPONENT_BYTES_MAX,
        "its component is larger than 32 MiB"
    );
    Ok(PackageFiles {
        manifest: fs::read_to_string(folder.join(MANIFEST)).context("its plugin.toml")?,
        component: fs::read(component).context("its component.wasm")?,
    })
}
