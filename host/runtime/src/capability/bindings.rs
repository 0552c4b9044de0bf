//! Rust's side of `wit/`, generated at compile time. Of the exports only the parts are used: each is optional.

#![allow(unreachable_pub, clippy::large_futures, reason = "generated")]

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "vaxel:plugin/everything",
    imports: {
        default: trappable,
        "vaxel:http/http.fetch": async | trappable,
        "vaxel:http/http.fetch-all": async | trappable,
        "vaxel:step-up/step-up.spend": async | trappable,
        "vaxel:step-up/step-up.close": async | trappable,
        "vaxel:interop/interop.call": async | trappable,
        "vaxel:blobs/blobs.read": async | trappable,
    },
    exports: { default: async },
});
