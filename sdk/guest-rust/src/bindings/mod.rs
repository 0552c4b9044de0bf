//! Generated from `wit/` by `cargo xtask bindings`, so that plugins need no macro at build time.

pub mod described;
pub mod examined;
pub mod hooked_after;
pub mod hooked_before;
pub mod installed;
pub mod listener;
pub mod methods;
pub mod migrated;
pub mod paged;
pub mod reachable;
pub mod switched;
pub mod worker;

pub use described::vaxel;
