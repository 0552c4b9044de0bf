//! The capabilities: one file each, and none takes a tenant.

pub(crate) mod bindings;
mod blobs;
mod clock;
mod config;
mod crypto;
mod events;
mod http;
mod identity;
mod interop;
mod log;
mod schedule;
mod step_up;
mod storage;

use sha2::{Digest as _, Sha256};
use vaxel_core::PluginId;
use vaxel_crypto::ErasureKey;
use wasmtime::component::{HasSelf, Linker};

use crate::RuntimeError;
use crate::guest::Guest;
use crate::manifest::Manifest;
use bindings::vaxel;

/// Gives a linker what the manifest asks for, and nothing else.
pub(crate) fn link(linker: &mut Linker<Guest>, manifest: &Manifest) -> Result<(), RuntimeError> {
    type Own = HasSelf<Guest>;
    vaxel::types::types::add_to_linker::<_, Own>(linker, |guest| guest)
        .map_err(RuntimeError::engine("linking types"))?;
    for capability in &manifest.capabilities {
        let linked = match capability.name.as_str() {
            "storage" => vaxel::storage::storage::add_to_linker::<_, Own>(linker, |guest| guest),
            "events" => vaxel::events::events::add_to_linker::<_, Own>(linker, |guest| guest),
            "identity" => vaxel::identity::identity::add_to_linker::<_, Own>(linker, |guest| guest),
            "clock" => vaxel::clock::clock::add_to_linker::<_, Own>(linker, |guest| guest),
            "crypto" => vaxel::crypto::crypto::add_to_linker::<_, Own>(linker, |guest| guest),
            "log" => vaxel::log::log::add_to_linker::<_, Own>(linker, |guest| guest),
            "blobs" => vaxel::blobs::blobs::add_to_linker::<_, Own>(linker, |guest| guest),
            "interop" => vaxel::interop::interop::add_to_linker::<_, Own>(linker, |guest| guest),
            "step-up" => vaxel::step_up::step_up::add_to_linker::<_, Own>(linker, |guest| guest),
            "http" => vaxel::http::http::add_to_linker::<_, Own>(linker, |guest| guest),
            "schedule" => vaxel::schedule::schedule::add_to_linker::<_, Own>(linker, |guest| guest),
            "config" => vaxel::config::config::add_to_linker::<_, Own>(linker, |guest| guest),
            // The manifest was checked against the list of capabilities.
            _ => Ok(()),
        };
        linked.map_err(RuntimeError::engine("linking a capability"))?;
    }
    Ok(())
}

/// The capability that an import belongs to: `vaxel:storage/storage@0.1.0` is `storage`.
pub(crate) fn capability_of(import: &str) -> Option<&str> {
    Some(import.strip_prefix("vaxel:")?.split_once('/')?.0)
}

/// The erasure key of a subject: the plugin's own, so that no plugin can name another's. An organization that erased the
/// plugin gets other keys the next time: those of before are gone for good.
pub(crate) fn subject_key(plugin: &PluginId, erased: u32, subject: &str) -> ErasureKey {
    let mut hash = Sha256::new();
    hash.update(b"vaxel.v1.subject\0");
    hash.update(plugin.as_str());
    hash.update([0]);
    hash.update(subject);
    if erased > 0 {
        hash.update([0]);
        hash.update(erased.to_be_bytes());
    }
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, ..]: [u8; 32] = hash.finalize().into();
    ErasureKey::named(u128::from_be_bytes([
        a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p,
    ]))
}

impl vaxel::types::types::Host for Guest {}
