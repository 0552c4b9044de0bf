//! The doors of the host: HTTP, WebSocket, one method registry for both, fan-out to sockets, and the web client.

mod auth;
mod config;
mod error;
mod fanout;
mod gateway;
mod http;
mod pages;
mod rate;
mod rpc;
mod socket;

pub use config::{DemoInfo, DemoLink, DemoOrganization, DemoPerson, GatewayConfig, GatewayLimits};
pub use error::GatewayError;
pub use gateway::Gateway;
pub use socket::accept::{accept_socket, socket_options};
pub use socket::close::part_after;
