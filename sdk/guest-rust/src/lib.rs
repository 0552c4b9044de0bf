//! What a Växel plugin in Rust is written with: methods from plain functions, and typed access to the capabilities.
//!
//! ```
//! use vaxel_plugin::{Error, identity, storage};
//!
//! #[derive(serde::Deserialize, schemars::JsonSchema)]
//! struct NoteParams { text: String }
//! #[derive(serde::Serialize, schemars::JsonSchema)]
//! struct NoteSaved { id: String }
//!
//! fn save(params: NoteParams) -> Result<NoteSaved, Error> {
//!     let id = storage::new_id("nte");
//!     storage::put_json(format!("note/{}/{id}", identity::user()?), &params.text)?;
//!     Ok(NoteSaved { id })
//! }
//!
//! vaxel_plugin::export! { "notes.save" => save }
//! ```
//!
//! One call is one transaction: it commits when the method returns `Ok`, and leaves nothing behind otherwise. The
//! instance is gone after the call, so nothing kept in a static survives.

#[cfg(target_arch = "wasm32")]
mod arena;
#[cfg(target_arch = "wasm32")]
#[allow(
    unsafe_code,
    unreachable_pub,
    missing_docs,
    reason = "generated: the canonical ABI is written with raw pointers"
)]
pub mod bindings;
pub mod blobs;
pub mod clock;
pub mod config;
pub mod crypto;
mod error;
pub mod events;
mod export;
#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod exported;
pub mod hooks;
#[cfg(target_arch = "wasm32")]
#[path = "host_component.rs"]
mod host;
#[cfg(not(target_arch = "wasm32"))]
#[path = "host_native.rs"]
mod host;
pub mod http;
pub mod identity;
pub mod interop;
pub mod log;
pub mod method;
#[cfg(not(target_arch = "wasm32"))]
pub mod mock;
pub mod pages;
pub mod schedule;
pub mod step_up;
pub mod storage;

pub use error::{Error, Result};
pub use method::Empty;
pub use schedule::Progress;

#[doc(hidden)]
pub mod reexport {
    pub use serde_json;
}
