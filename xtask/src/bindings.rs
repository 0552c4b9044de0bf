//! The Rust guests' side of `wit/`: generated once and committed, so that a plugin needs no macro at build time.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use wit_bindgen_core::wit_parser::Resolve;
use wit_bindgen_core::{Files, WorldGenerator};
use wit_bindgen_rust::{Opts, WithOption};

use crate::shell::root;

const HEAD: &str = "\
//! Generated from `wit/` by `cargo xtask bindings`, so that plugins need no macro at build time.

";

/// Where plugins find them.
const MODULE: &str = "vaxel_plugin::bindings";

/// The world whose module has the capabilities, which the others share.
const CAPABILITIES: &str = "described";

/// Every world, in the order of `wit/plugin.wit`: one module each, with a macro that exports it.
const WORLDS: [&str; 12] = [
    CAPABILITIES,
    "methods",
    "worker",
    "listener",
    "hooked-before",
    "hooked-after",
    "paged",
    "reachable",
    "installed",
    "switched",
    "migrated",
    "examined",
];

fn dir() -> PathBuf {
    root().join("sdk/guest-rust/src/bindings")
}

fn module(world: &str) -> String {
    world.replace('-', "_")
}

/// Writes the bindings anew.
pub(crate) fn write() -> Result<()> {
    for (file, source) in generated()? {
        std::fs::write(file, source).context("writing the bindings")?;
    }
    Ok(())
}

/// Whether the committed bindings are those of `wit/` as it is.
pub(crate) fn check() -> Result<()> {
    for (file, source) in generated()? {
        let committed = std::fs::read_to_string(&file).unwrap_or_default();
        if committed != source {
            bail!(
                "{} is not what wit/ gives; run `cargo xtask bindings`",
                file.display()
            );
        }
    }
    Ok(())
}

fn generated() -> Result<Vec<(PathBuf, String)>> {
    let mut modules = WORLDS.map(|world| format!("pub mod {};\n", module(world)));
    modules.sort();
    let index = format!(
        "{HEAD}{}\npub use {CAPABILITIES}::vaxel;\n",
        modules.concat()
    );
    let mut files = vec![(dir().join("mod.rs"), index)];
    for world in WORLDS {
        let file = dir().join(format!("{}.rs", module(world)));
        files.push((file, of_world(world)?));
    }
    Ok(files)
}

fn of_world(name: &str) -> Result<String> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve
        .push_dir(root().join("wit"))
        .context("reading wit/")?;
    let world = resolve
        .select_world(&[package], Some(name))
        .with_context(|| format!("finding the world {name}"))?;
    let mut files = Files::default();
    // What an export uses of the shared types stands as an import in its world.
    let shares = name != CAPABILITIES
        && resolve
            .worlds
            .get(world)
            .is_some_and(|world| !world.imports.is_empty());
    let types = || {
        let path = WithOption::Path("crate::bindings::vaxel::types::types".to_owned());
        ("vaxel:types/types@0.1.0".to_owned(), path)
    };
    let mut generator = Opts {
        format: true,
        generate_all: true,
        pub_export_macro: true,
        export_macro_name: Some(format!("export_{}", module(name))),
        default_bindings_module: Some(format!("{MODULE}::{}", module(name))),
        with: shares.then(types).into_iter().collect(),
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
