//! From an author's project to a package's folder: compiled, wrapped as a component, and measured against its manifest.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, json};
use vaxel_runtime::Manifest;
use wit_component::{ComponentEncoder, DecodedWasm};

const TARGET: &str = "wasm32-unknown-unknown";

/// The profile of the template's Cargo.toml.
const PROFILE: &str = "guest";

/// What is packed: `vaxel plugin pack package`.
pub(crate) const PACKAGE_FOLDER: &str = "package";

/// Debian builds the standard library along: rustc-web, cargo-web, rust-web-src and lld-22.
const DEBIAN_LINKER: &str = "wasm-ld-22";

/// Builds the project in `dir`.
pub(crate) fn build(dir: &Path) -> anyhow::Result<Value> {
    let text = read(&dir.join("plugin.toml"))?;
    let manifest = Manifest::parse(&text)?;
    let module = compiled(dir)?;
    let module = fs::read(&module).with_context(|| format!("reading {}", module.display()))?;
    let component = ComponentEncoder::default()
        .module(&module)
        .and_then(|encoder| encoder.validate(true).encode())
        .context("making a component; does src/lib.rs have vaxel_plugin::export!?")?;
    check_imports(&imports(&component)?, &manifest)?;
    let package = dir.join(PACKAGE_FOLDER);
    fs::create_dir_all(&package).with_context(|| format!("making {}", package.display()))?;
    fs::write(package.join("component.wasm"), &component).context("writing component.wasm")?;
    fs::write(package.join("plugin.toml"), &text).context("writing plugin.toml")?;
    Ok(json!({
        "id": manifest.id.as_str(),
        "version": manifest.version,
        "module_bytes": module.len(),
        "component_bytes": component.len(),
        "dir": package.display().to_string(),
        "text": format!(
            "{} {}: {} KiB in {}/component.wasm",
            manifest.id,
            manifest.version,
            component.len().div_ceil(1_024),
            package.display(),
        ),
    }))
}

fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))
}

/// Has cargo compile, with its own progress on stderr, and answers where the module is.
fn compiled(dir: &Path) -> anyhow::Result<PathBuf> {
    let is_debian = !active_has_target();
    let mut cargo = if is_debian {
        debian()?
    } else {
        Command::new("cargo")
    };
    cargo
        .current_dir(dir)
        .args(["build", "--lib", "--profile", PROFILE, "--target", TARGET])
        .args(["--message-format", "json-render-diagnostics"])
        .stdout(Stdio::piped());
    if is_debian {
        cargo.arg("-Zbuild-std=std,panic_abort");
    }
    let built = cargo
        .spawn()
        .and_then(std::process::Child::wait_with_output)
        .context("running cargo")?;
    ensure!(built.status.success(), "cargo could not build it");
    // The last artifact is the project's own library.
    let messages = String::from_utf8_lossy(&built.stdout);
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter_map(|message| {
            let files = message.get("filenames")?.as_array()?.clone();
            let wasm = |file: &Value| Some(PathBuf::from(file.as_str()?));
            files
                .iter()
                .filter_map(wasm)
                .find(|file| file.extension().is_some_and(|kind| kind == "wasm"))
        })
        .next_back()
        .context("cargo built no module; Cargo.toml needs crate-type = [\"cdylib\", \"rlib\"]")
}

fn active_has_target() -> bool {
    let sysroot = Command::new("rustc").args(["--print", "sysroot"]).output();
    sysroot.is_ok_and(|sysroot| {
        let path = String::from_utf8_lossy(&sysroot.stdout).trim().to_owned();
        let lib = Path::new(&path)
            .join("lib/rustlib")
            .join(TARGET)
            .join("lib");
        lib.is_dir()
    })
}

fn debian() -> anyhow::Result<Command> {
    let is_there = Path::new("/usr/bin").join(DEBIAN_LINKER).is_file()
        && Path::new("/usr/lib/rustlib/src").is_dir()
        && Path::new("/usr/bin/rustc").is_file();
    ensure!(
        is_there,
        "the target {TARGET} is missing. With rustup: rustup target add {TARGET}. On Debian: apt install rustc-web \
         cargo-web rust-web-src lld-22"
    );
    let mut cargo = Command::new("/usr/bin/cargo");
    for name in [
        "CARGO",
        "RUSTUP_TOOLCHAIN",
        "RUSTDOC",
        "RUSTC_WRAPPER",
        "RUSTFLAGS",
        "CARGO_ENCODED_RUSTFLAGS",
    ] {
        cargo.env_remove(name);
    }
    cargo.env("RUSTC", "/usr/bin/rustc");
    cargo.env("RUSTC_BOOTSTRAP", "1");
    cargo.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", DEBIAN_LINKER);
    Ok(cargo)
}

/// What a component imports.
pub(super) fn imports(component: &[u8]) -> anyhow::Result<Vec<String>> {
    let decoded = wit_component::decode(component).context("reading the component")?;
    let DecodedWasm::Component(resolve, world) = decoded else {
        bail!("this is no component");
    };
    let world = resolve.worlds.get(world).context("it has no world")?;
    let imports = world.imports.keys();
    Ok(imports.map(|key| resolve.name_world_key(key)).collect())
}

/// Every import is a capability that the manifest asks for; says by name what to add.
fn check_imports(imports: &[String], manifest: &Manifest) -> anyhow::Result<()> {
    let asked = manifest.capabilities.iter().map(|it| it.name.as_str());
    let asked: Vec<&str> = asked.collect();
    imports.iter().try_for_each(|it| check_import(it, &asked))
}

/// One import, by the capabilities that are asked for.
pub(super) fn check_import(import: &str, asked: &[&str]) -> anyhow::Result<()> {
    let capability = capability_of(import).with_context(|| {
        format!("the component imports {import}, which no host offers; a library brought it along")
    })?;
    let version = import.rsplit_once('@').map_or("0.1.0", |(_, it)| it);
    ensure!(
        capability == "types" || asked.contains(&capability),
        "the component uses {capability} ({import}), which plugin.toml does not ask for. Add to it:\n\n    \
         [[capabilities]]\n    name = \"{capability}\"\n    reason = \"WHY AN ADMINISTRATOR SHOULD AGREE\"\n\n\
         and under [wit]: {capability} = \"{version}\""
    );
    Ok(())
}

/// `storage` of `vaxel:storage/storage@0.1.0`.
pub(super) fn capability_of(import: &str) -> Option<&str> {
    import.strip_prefix("vaxel:")?.split('/').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        let text = include_str!("template/plugin.toml.txt").replace("{name}", "notes");
        Manifest::parse(&text).unwrap()
    }

    #[test]
    fn what_the_manifest_asks_for_may_be_imported() {
        let imports = ["vaxel:types/types@0.1.0", "vaxel:storage/storage@0.1.0"];
        check_imports(&imports.map(str::to_owned), &manifest()).unwrap();
    }

    #[test]
    fn an_import_beyond_the_manifest_is_refused_and_says_what_to_add() {
        let refused = check_imports(&["vaxel:http/http@0.1.0".to_owned()], &manifest());
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains("name = \"http\""), "{refused}");
        let refused = check_imports(&["wasi:cli/environment@0.2.0".to_owned()], &manifest());
        assert!(refused.unwrap_err().to_string().contains("wasi:cli"));
    }
}
