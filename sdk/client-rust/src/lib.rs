//! A client for Växel's API: sign in, call methods over HTTP or one WebSocket, follow events.
//!
//! ```no_run
//! # async fn example() -> Result<(), vaxel_client::ClientError> {
//! use serde_json::json;
//! use vaxel_client::{Client, Endpoint};
//!
//! let client = Client::new(Endpoint::parse("http://acme.localhost:8080")?);
//! client.login("anna", "correct horse").await?;
//! let people = client.call("users/list", json!({})).await?;
//! let mut socket = client.socket(None).await?;
//! let event = socket.next_event().await?;
//! # Ok(()) }
//! ```

mod client;
mod cookies;
mod endpoint;
mod error;
mod pool;
mod socket;

pub use client::{Client, RequestOptions, Session};
pub use endpoint::{Endpoint, Wire};
pub use error::{ClientError, Problem};
pub use socket::{Bye, Event, Ready, ServerFrame, Socket};
