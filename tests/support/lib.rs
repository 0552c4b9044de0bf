//! What the black-box tests stand on: the built server, and people who use it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails fast"
)]

pub mod bankid;
mod binary;
pub mod blind;
pub mod browser;
mod host;
pub mod oauth;
pub mod outside;
pub mod packages;
mod person;
mod process;
pub mod scan;
mod surveys;
mod template;
pub mod tokens;

pub use binary::{Answer, Vaxel};
pub use host::{HostOptions, PASSWORD, SMALL_LOG, TestHost};
pub use person::{Person, patiently};
pub use surveys::{Asked, Opened, Visitor};
pub use vaxel_client::{
    Client, ClientError, Endpoint, Event, Problem, RequestOptions, ServerFrame, Session, Socket,
};
