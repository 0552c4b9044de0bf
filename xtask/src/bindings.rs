//! The Rust guests' side of `wit/`: generated once and committed, so that a plugin needs no macro at build time.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use wit_bindgen_core::wit_parser::Resolve;
use wit_bindgen_core::{Files, WorldGenerator};
use wit_bindgen_rust::Opts;

use crate::shell::root;

const HEAD: &str = "\
//! Generated from `wit/` by `cargo xtask bindings`, so that plugins need no macro at build time.

";

/// Where plugins find them.
const MODULE: &str = "vaxel_plugin::bindings";

fn path() -> PathBuf {
    root().join("sdk/guest-rust/src/bindings.rs")
}

/// Writes the bindings anew.
pub(crate) fn write() -> Result<()> {
    std::fs::write(path(), generated()?).context("writing the bindings")
}

/// Whether the committed bindings are those of `wit/` as it is.
pub(crate) fn check() -> Result<()> {
    let committed = std::fs::read_to_string(path()).context("reading the bindings")?;
    if committed == generated()? {
        return Ok(());
    }
    bail!("sdk/guest-rust/src/bindings.rs is not what wit/ gives; run `cargo xtask bindings`")
}

fn generated() -> Result<String> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve
        .push_dir(root().join("wit"))
        .context("reading wit/")?;
    let world = resolve
        .select_world(&[package], Some("plugin"))
        .context("finding the world `plugin`")?;
    let mut files = Files::default();
    let mut generator = Opts {
        format: true,
        generate_all: true,
        pub_export_macro: true,
        default_bindings_module: Some(MODULE.to_owned()),
        ..Opts::default()
    }
    .build();
    generator
        .generate(&mut resolve, world, &mut files)
        .context("generating the bindings")?;
    let (_, source) = files.iter().next().context("nothing was generated")?;
    let source = std::str::from_utf8(source).context("the bindings are text")?;
    Ok(format!("{HEAD}{source}"))
}
