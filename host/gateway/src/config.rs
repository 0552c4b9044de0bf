//! What an operator decides about the doors: limits, proxies, the demo, and the clock they go by.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use vaxel_core::{Alarms, Clock, LogAlarms, SystemClock, UserId};
use vaxel_identity::Eids;

/// How much each door lets in. Every number is a maximum with an answer of its own when it is reached.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct GatewayLimits {
    /// Open connections in all; each costs a file descriptor and some 20 KiB. More are closed at once. Where the
    /// process may not open so many files, fewer.
    pub connections_max: usize,
    /// Open connections from one address (a /64 in IPv6); enough for an office behind one NAT. Loopback is exempt:
    /// that is the operator's own machine or a proxy in front of us.
    pub connections_per_address_max: usize,
    /// How long a client may take to send its request head.
    pub header_timeout_ms: u64,
    /// How long a client may take to send its request body.
    pub body_timeout_ms: u64,
    /// The largest request body; a message is at most 8,000 characters, attachments go elsewhere.
    pub body_bytes_max: usize,
    /// The largest inbound frame on a socket.
    pub frame_bytes_max: usize,
    /// Calls of one socket that may be under way at once.
    pub calls_per_socket_max: usize,
    /// Frames that may wait for a socket's reader: a burst of a busy channel, not an absence.
    pub queue_frames_max: usize,
    /// Bytes that may wait for a socket's reader.
    pub queue_bytes_max: usize,
    /// Bytes of answers that may lie unsent on one connection: two of the largest. Further requests on it wait.
    pub unsent_bytes_max: usize,
    /// Calls of one user over HTTP that may be under way at once, over however many connections.
    pub calls_per_user_max: usize,
    /// How long a new socket may take to say who it is.
    pub auth_timeout_ms: u64,
    /// After so much silence a socket is asked whether it is still there.
    pub ping_after_ms: u64,
    /// After so much silence it is not. Also how long one write may be stuck, and an HTTP/2 connection idle.
    pub silence_max_ms: u64,
    /// Missed events that a returning socket is sent; who missed more fetches anew.
    pub replay_events_max: usize,
    /// Garbage frames, and tokens that do not hold, that a socket may send before it is closed.
    pub malformed_frames_max: u32,
    /// Calls without a token that one address may make: so many per second, with this burst.
    pub address_per_s: u32,
    /// See [`Self::address_per_s`].
    pub address_burst: u32,
    /// Calls that one user may make: so many per second, with this burst.
    pub user_per_s: u32,
    /// See [`Self::user_per_s`].
    pub user_burst: u32,
    /// Calls that all users of one tenant together may make: so many per second, with this burst.
    pub tenant_per_s: u32,
    /// See [`Self::tenant_per_s`].
    pub tenant_burst: u32,
    /// How long a drain waits for what is under way.
    pub drain_ms: u64,
}

impl Default for GatewayLimits {
    fn default() -> Self {
        Self {
            connections_max: 20_000,
            connections_per_address_max: 512,
            header_timeout_ms: 10_000,
            body_timeout_ms: 30_000,
            body_bytes_max: 1024 * 1024,
            frame_bytes_max: 256 * 1024,
            calls_per_socket_max: 32,
            queue_frames_max: 1_024,
            queue_bytes_max: 1024 * 1024,
            unsent_bytes_max: 2 * 1024 * 1024,
            calls_per_user_max: 32,
            auth_timeout_ms: 5_000,
            ping_after_ms: 30_000,
            silence_max_ms: 75_000,
            replay_events_max: 1_000,
            malformed_frames_max: 8,
            address_per_s: 50,
            address_burst: 500,
            user_per_s: 500,
            user_burst: 2_000,
            tenant_per_s: 50_000,
            tenant_burst: 100_000,
            drain_ms: 20_000,
        }
    }
}

/// One person of a demo organization, as the start page shows them.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct DemoPerson {
    /// Who.
    #[schemars(schema_with = "crate::rpc::schema::user_id")]
    pub id: UserId,
    /// Their name.
    pub display_name: String,
    /// Whether they administer the organization.
    pub admin: bool,
    /// What they do there.
    pub title: String,
}

/// One demo organization.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct DemoOrganization {
    /// Its short name.
    pub slug: String,
    /// Its name.
    pub name: String,
    /// Where it is served on the loopback listener.
    pub url: String,
    /// Who can be signed in as with one click.
    pub people: Vec<DemoPerson>,
    /// What can be looked at there without signing in.
    pub links: Vec<DemoLink>,
}

/// A page of a demo organization that is open to everybody.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct DemoLink {
    /// What it is, by language.
    pub title: BTreeMap<String, String>,
    /// Where it is.
    pub url: String,
}

/// What the start page shows; its presence switches one-click sign-in on (on the loopback HTTP listener only).
#[derive(Clone, Debug, Default, Serialize)]
pub struct DemoInfo {
    /// The organizations, in the order in which they are shown.
    pub organizations: Vec<DemoOrganization>,
}

/// Everything a gateway is told when it is made.
#[derive(Clone)]
pub struct GatewayConfig {
    /// The maxima.
    pub limits: GatewayLimits,
    /// Proxies whose forwarded headers count. From anybody else they are ignored.
    pub proxies: Vec<IpAddr>,
    /// The port people type for HTTPS, where it is not the listener's own (port forwarding).
    pub https_port: Option<u16>,
    /// Whether sockets may compress (permessage-deflate); some 300 KiB for each that does.
    pub socket_deflate: bool,
    /// The demo, if this is one.
    pub demo: Option<DemoInfo>,
    /// What the product calls its version.
    pub version: String,
    /// The time that requests carry.
    pub clock: Arc<dyn Clock>,
    /// Where faults are reported that a person must look at.
    pub alarms: Arc<dyn Alarms>,
    /// Electronic identity for step-up on public pages.
    pub eids: Option<Eids>,
}

impl Default for GatewayConfig {
    fn default() -> Self {
        Self {
            limits: GatewayLimits::default(),
            proxies: Vec::new(),
            https_port: None,
            socket_deflate: false,
            demo: None,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            clock: Arc::new(SystemClock),
            alarms: Arc::new(LogAlarms),
            eids: None,
        }
    }
}
