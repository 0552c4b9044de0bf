//! One registry of methods, called over HTTP and over a socket alike.

pub(crate) mod approvals;
pub(crate) mod audit;
pub(crate) mod dead_letters;
pub(crate) mod groups;
pub(crate) mod idempotency;
pub(crate) mod invitations;
pub(crate) mod invoke;
pub(crate) mod numbers;
pub(crate) mod openapi;
pub(crate) mod outside;
pub(crate) mod pages;
pub(crate) mod plugin;
pub(crate) mod plugin_use;
pub(crate) mod plugins;
pub(crate) mod presence;
pub(crate) mod registry;
pub(crate) mod roles;
pub(crate) mod schema;
pub(crate) mod session;
pub(crate) mod stepup;
mod stepup_people;
pub(crate) mod tenant;
pub(crate) mod users;
