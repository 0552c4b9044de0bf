//! Rust's side of `wit/`, generated at compile time.

#![allow(unreachable_pub, clippy::large_futures, reason = "generated")]

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "vaxel:plugin/plugin",
    imports: { default: trappable },
    exports: { default: async },
});
