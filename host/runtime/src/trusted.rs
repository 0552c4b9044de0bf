//! The one unsafe step: taking machine code from memory that this host wrote.

use wasmtime::Engine;
use wasmtime::component::Component;

/// Machine code that our compiler answered just now, or whose MAC was right; only [`crate::compiled`] makes one.
pub(crate) struct Trusted<'a>(pub(super) &'a [u8]);

/// Loads what this host compiled.
#[allow(
    unsafe_code,
    reason = "the bytes are the compiler's answer or those that the MAC was checked on, in memory: only what this host compiled gets here"
)]
pub(crate) fn load(engine: &Engine, code: Trusted<'_>) -> wasmtime::Result<Component> {
    // SAFETY: a Trusted holds what `Engine::precompile_component` or `Component::serialize` answered on this
    // host, unchanged since.
    unsafe { Component::deserialize(engine, code.0) }
}
