//! Compiled components: kept on disk under a MAC, so that only what this host compiled is ever run.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use sha2::{Digest as _, Sha256};
use vaxel_crypto::{Keyring, ct_eq};
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::RuntimeError;
use crate::compiler::{COMPONENT_BYTES_MAX, Compiler};
use crate::engine::{Engines, compatibility};
use crate::trusted::{Trusted, load};

/// The first byte of a cache file.
const FORMAT: u8 = 1;
/// Files that stay although nobody uses them.
const UNUSED_MAX: usize = 16;

const MAC_LEN: usize = 32;
const MAC_PURPOSE: &str = "compiled-component";

/// The cache directory and the key that vouches for it.
pub(crate) struct Cache<'a> {
    pub(crate) dir: &'a Path,
    pub(crate) keyring: &'a Keyring,
    pub(crate) compiler: &'a Compiler,
}

impl Cache<'_> {
    /// The component, from the cache if its code is there and ours, else compiled; and the name of its file. Blocks.
    pub(crate) fn component(
        &self,
        engines: &Engines,
        wasm: &[u8],
    ) -> Result<(Component, OsString), RuntimeError> {
        if wasm.len() > COMPONENT_BYTES_MAX {
            return Err(RuntimeError::TooLarge {
                max: COMPONENT_BYTES_MAX,
            });
        }
        let engine = &engines.calls;
        let source: [u8; 32] = Sha256::digest(wasm).into();
        let name = file_name(engine, &source);
        let path = self.dir.join(&name);
        if let Some(component) = self.load(engine, &source, &path)? {
            return Ok((component, name));
        }
        let (component, code) = compiled(self.compiler, engines, wasm)?;
        let mac = self.mac(engine, &source, &code)?;
        if let Err(error) = write(&path, &mac, &code) {
            // The next start compiles again; that is all it costs.
            tracing::warn!(error = %error, "compiled component not kept");
        }
        Ok((component, name))
    }

    fn load(
        &self,
        engine: &Engine,
        source: &[u8; 32],
        path: &Path,
    ) -> Result<Option<Component>, RuntimeError> {
        let Ok(file) = fs::read(path) else {
            return Ok(None);
        };
        let Some((mac, code)) = split(&file) else {
            tracing::warn!("a compiled component has an unknown format: compiling again");
            return Ok(None);
        };
        if !ct_eq(mac, &self.mac(engine, source, code)?) {
            tracing::warn!("a compiled component is not as this host wrote it: compiling again");
            return Ok(None);
        }
        match load(engine, Trusted(code)) {
            Ok(component) => Ok(Some(component)),
            Err(error) => {
                tracing::warn!(error = format!("{error:#}"), "compiling a component again");
                Ok(None)
            }
        }
    }

    // Over the source and the engine too, so that code cannot be passed off under another name.
    fn mac(
        &self,
        engine: &Engine,
        source: &[u8; 32],
        code: &[u8],
    ) -> Result<[u8; MAC_LEN], RuntimeError> {
        let mut hash = Sha256::new();
        hash.update([FORMAT]);
        hash.update(source);
        hash.update(compatibility(engine).to_be_bytes());
        hash.update(code);
        Ok(self.keyring.mac_host(MAC_PURPOSE, &hash.finalize())?)
    }
}

fn file_name(engine: &Engine, source: &[u8; 32]) -> OsString {
    let name: String = source.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{name}-{:016x}.cwasm", compatibility(engine)).into()
}

/// Removes files that nobody uses, but for the newest of them: what was removed may come back, and costs nothing then.
pub(crate) fn sweep(dir: &Path, in_use: &BTreeSet<OsString>) {
    let Ok(files) = fs::read_dir(dir) else {
        return;
    };
    let unused = files
        .flatten()
        .filter(|it| !in_use.contains(&it.file_name()));
    let mut unused: Vec<_> = unused
        .filter_map(|file| Some((file.metadata().ok()?.modified().ok()?, file.path())))
        .collect();
    unused.sort();
    let too_many = unused.len().saturating_sub(UNUSED_MAX);
    for (_, path) in unused.into_iter().take(too_many) {
        if let Err(error) = fs::remove_file(path) {
            tracing::warn!(%error, "compiled code that nobody uses stays");
        }
    }
}

/// The component as the compiler makes it now, and its code.
pub(crate) fn compiled(
    compiler: &Compiler,
    engines: &Engines,
    wasm: &[u8],
) -> Result<(Component, Vec<u8>), RuntimeError> {
    let code = compiler.compile(&engines.calls, engines.reservation, wasm)?;
    let component = load(&engines.calls, Trusted(&code))
        .map_err(RuntimeError::engine("loading a component"))?;
    Ok((component, code))
}

/// The same component in another engine of this host, without compiling it again.
pub(crate) fn moved(component: &Component, engine: &Engine) -> Result<Component, RuntimeError> {
    let code = component
        .serialize()
        .map_err(RuntimeError::engine("serializing a component"))?;
    load(engine, Trusted(&code)).map_err(RuntimeError::engine("loading a component"))
}

fn split(file: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = file.strip_prefix(&[FORMAT])?;
    rest.split_at_checked(MAC_LEN)
}

fn write(path: &Path, mac: &[u8], code: &[u8]) -> std::io::Result<()> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    let unfinished = path.with_extension("new");
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&unfinished)?;
    file.write_all(&[FORMAT])?;
    file.write_all(mac)?;
    file.write_all(code)?;
    file.sync_all()?;
    fs::rename(&unfinished, path)
}

#[cfg(test)]
mod tests {
    use vaxel_crypto::MasterKey;

    use super::*;
    use crate::compiler::CompilerError;
    use crate::{Limits, engine};

    #[test]
    fn a_compiler_that_is_killed_refuses_one_component_and_the_next_try_compiles_it() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let former = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/former-1");
        let wasm = fs::read(former.join("component.wasm")).unwrap();
        let engines = engine::start(1, &Limits::default()).unwrap();
        let code = Compiler::Here.compile(&engines.calls, engines.reservation, &wasm);
        fs::write(at("answer"), [&[0], code.unwrap().as_slice()].concat()).unwrap();
        // The first one is killed in the middle of its answer; the second gives it whole.
        let script = format!(
            "if mkdir {killed}; then head -c 1000 {answer}; kill -9 $$; fi; cat {answer}",
            killed = at("killed").display(),
            answer = at("answer").display(),
        );
        let compiler = Compiler::Child {
            program: "/bin/sh".into(),
            args: vec!["-c".to_owned(), script],
            limit_ms: 600_000,
        };
        let keyring = Keyring::open(&at("keys"), MasterKey::generate()).unwrap();
        let cache = Cache {
            dir: &at("cache"),
            keyring: &keyring,
            compiler: &compiler,
        };
        match cache.component(&engines, &wasm).map(|(_, name)| name) {
            Err(RuntimeError::Compiler(CompilerError::Died { how })) => assert_eq!(how, "signal 9"),
            other => panic!("{other:?}"),
        }
        assert!(!at("cache").exists(), "nothing of it is kept");
        let (_, name) = cache.component(&engines, &wasm).unwrap();
        assert!(at("cache").join(name).exists());
    }
}
