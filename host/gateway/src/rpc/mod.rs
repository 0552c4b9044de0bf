//! One registry of methods, called over HTTP and over a socket alike.

pub(crate) mod schema;
pub(crate) mod registry;
pub(crate) mod invoke;
pub(crate) mod plugin;
pub(crate) mod idempotency;
pub(crate) mod openapi;
pub(crate) mod session;
pub(crate) mod users;
pub(crate) mod invitations;
pub(crate) mod presence;
pub(crate) mod plugins;
pub(crate) mod tenant;
pub(crate) mod audit;
