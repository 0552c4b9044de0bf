//! Guests: compiled to WebAssembly, wrapped as components, staged beside their manifests.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use wit_component::{ComponentEncoder, DecodedWasm};

use crate::shell::{cargo, command, output, root, run, succeeds_within, which};
use crate::{fingerprint, packages};

const TARGET: &str = "wasm32-unknown-unknown";

/// Small and quick to compile, see the workspace's Cargo.toml.
const PROFILE: &str = "guest";

/// A reachable mirror answers in a few seconds; an unreachable one would hold us for minutes.
const RUSTUP_LIMIT: Duration = Duration::from_secs(60);

const DEBIAN_PACKAGES: &[&str] = &["rustc-web", "cargo-web", "rust-web-src", "lld-22"];

/// What every guest is made from beside its own folder.
const SHARED_INPUTS: &[&str] = &["Cargo.toml", "Cargo.lock", "sdk/guest-rust", "wit"];

/// Which compiler makes the guests; both ways give the same plugins.
pub(crate) enum Toolchain {
    /// The active toolchain, with its wasm target installed.
    Active,
    /// Debian's compiler, which builds the standard library along.
    Debian,
}

impl Toolchain {
    pub(crate) fn find_or_install() -> Result<Self> {
        if active_has_target() {
            return Ok(Self::Active);
        }
        let have_debian = Path::new("/usr/bin/wasm-ld-22").is_file()
            && Path::new("/usr/lib/rustlib/src").is_dir()
            && Path::new("/usr/bin/rustc").is_file();
        if !have_debian {
            if which("rustup").is_some() {
                println!("    the {TARGET} target is missing: asking rustup for it");
                let mut rustup = command("rustup");
                rustup.args(["target", "add", TARGET]);
                if succeeds_within(&mut rustup, RUSTUP_LIMIT) && active_has_target() {
                    return Ok(Self::Active);
                }
                println!("    rustup cannot fetch it here: using Debian's compiler");
            }
            packages::ensure(DEBIAN_PACKAGES, "building guests")?;
        }
        Ok(Self::Debian)
    }

    fn cargo(&self) -> Command {
        match self {
            Self::Active => cargo(),
            Self::Debian => {
                let mut cargo = command("/usr/bin/cargo");
                // The cargo that runs us exports its own toolchain to its children.
                for name in ["CARGO", "RUSTUP_TOOLCHAIN", "RUSTDOC", "RUSTC_WRAPPER"] {
                    cargo.env_remove(name);
                }
                cargo.env_remove("RUSTFLAGS");
                cargo.env_remove("CARGO_ENCODED_RUSTFLAGS");
                cargo.env("RUSTC", "/usr/bin/rustc");
                cargo.env("RUSTC_BOOTSTRAP", "1");
                cargo.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", "wasm-ld-22");
                cargo
            }
        }
    }

    fn build_flags(&self) -> &'static [&'static str] {
        match self {
            Self::Active => &[],
            Self::Debian => &["-Zbuild-std=std,panic_abort"],
        }
    }

    fn version(&self) -> Result<String> {
        let mut cargo = self.cargo();
        output(cargo.arg("-V"))
    }
}

/// One guest: a folder with Cargo.toml and, if it is a package, plugin.toml.
struct Guest {
    folder: PathBuf,
    id: String,
    package: String,
    stage: PathBuf,
}

/// Builds what is out of date among plugins and test guests.
pub(crate) fn stage_all() -> Result<()> {
    let guests = find()?;
    let toolchain = Toolchain::find_or_install()?;
    let version = toolchain.version()?;
    let mut stale = Vec::new();
    for guest in &guests {
        let made_from = guest.fingerprint(&version)?;
        let staged = guest.stage.join("component.wasm").is_file();
        if !staged || !fingerprint::is_current(&guest.note(), &made_from) {
            stale.push((guest, made_from));
        }
    }
    if stale.is_empty() {
        println!("    {} guests are up to date", guests.len());
        return Ok(());
    }
    let mut cargo = toolchain.cargo();
    cargo
        .args(["build", "--profile", PROFILE, "--target", TARGET])
        .args(["--target-dir", "target/guests"])
        .args(toolchain.build_flags());
    for (guest, _) in &stale {
        cargo.args(["-p", &guest.package]);
    }
    run(&mut cargo)?;
    for (guest, made_from) in stale {
        guest.stage()?;
        fingerprint::note_current(&guest.note(), &made_from)?;
    }
    Ok(())
}

impl Guest {
    fn note(&self) -> String {
        format!("guest-{}", self.package)
    }

    fn fingerprint(&self, compiler: &str) -> Result<String> {
        let folder = self.folder.to_string_lossy().into_owned();
        let mut inputs = SHARED_INPUTS.to_vec();
        inputs.push(&folder);
        fingerprint::of(&inputs, compiler)
    }

    fn stage(&self) -> Result<()> {
        let built = root()
            .join("target/guests")
            .join(TARGET)
            .join(PROFILE)
            .join(format!("{}.wasm", self.package.replace('-', "_")));
        let module = fs::read(&built).with_context(|| format!("reading {}", built.display()))?;
        let component = ComponentEncoder::default()
            .module(&module)
            .and_then(|encoder| encoder.validate(true).encode())
            .with_context(|| format!("making a component of {}", self.id))?;
        self.check_imports(&component)?;
        fs::create_dir_all(&self.stage).context("making the stage folder")?;
        fs::write(self.stage.join("component.wasm"), &component)
            .with_context(|| format!("staging {}", self.id))?;
        let manifest = root().join(&self.folder).join("plugin.toml");
        if manifest.is_file() {
            fs::copy(&manifest, self.stage.join("plugin.toml"))
                .with_context(|| format!("staging the manifest of {}", self.id))?;
        }
        println!("    staged {} ({} KiB)", self.id, component.len() / 1024);
        Ok(())
    }
}

impl Guest {
    /// Whatever a guest imports must be a capability; anything else came in through a library.
    fn check_imports(&self, component: &[u8]) -> Result<()> {
        let DecodedWasm::Component(resolve, world) = wit_component::decode(component)
            .with_context(|| format!("reading the component {}", self.id))?
        else {
            bail!("{} is no component", self.id);
        };
        let world = resolve
            .worlds
            .get(world)
            .context("the component has a world")?;
        for key in world.imports.keys() {
            let name = resolve.name_world_key(key);
            if !name.starts_with("vaxel:") {
                bail!("{} imports {name}, which no host offers", self.id);
            }
        }
        Ok(())
    }
}

fn find() -> Result<Vec<Guest>> {
    let mut guests = Vec::new();
    for (parent, stage) in [
        ("plugins", "stage/plugins"),
        ("sdk/templates", "stage/demo"),
        ("tests/fixtures", "stage/fixtures"),
    ] {
        let folder = root().join(parent);
        if !folder.is_dir() {
            continue;
        }
        let mut entries: Vec<PathBuf> = fs::read_dir(&folder)
            .with_context(|| format!("listing {parent}"))?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.join("Cargo.toml").is_file())
            .collect();
        entries.sort();
        for path in entries {
            guests.push(read(&path, parent, stage)?);
        }
    }
    if guests.is_empty() {
        bail!("there is no guest under plugins/");
    }
    Ok(guests)
}

fn read(path: &Path, parent: &str, stage: &str) -> Result<Guest> {
    let folder_name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let toml_at = |name: &str| -> Result<toml::Table> {
        fs::read_to_string(path.join(name))
            .with_context(|| format!("reading {parent}/{folder_name}/{name}"))?
            .parse()
            .with_context(|| format!("reading {parent}/{folder_name}/{name}"))
    };
    let package = toml_at("Cargo.toml")?
        .get("package")
        .and_then(|package| package.get("name")?.as_str())
        .with_context(|| format!("{parent}/{folder_name}/Cargo.toml names no package"))?
        .to_owned();
    let id = match toml_at("plugin.toml") {
        Ok(manifest) => manifest
            .get("id")
            .and_then(|id| id.as_str())
            .unwrap_or(&folder_name)
            .to_owned(),
        Err(_) => folder_name.clone(),
    };
    Ok(Guest {
        folder: Path::new(parent).join(&folder_name),
        stage: root().join(stage).join(&id),
        id,
        package,
    })
}

fn active_has_target() -> bool {
    let mut rustc = command("rustc");
    let Ok(sysroot) = output(rustc.args(["--print", "sysroot"])) else {
        return false;
    };
    Path::new(sysroot.trim())
        .join("lib/rustlib")
        .join(TARGET)
        .join("lib")
        .is_dir()
}
