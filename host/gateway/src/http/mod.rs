//! HTTP: from an accepted connection to an answer.

pub(crate) mod listener;
pub(crate) mod connections;
pub(crate) mod edge;
pub(crate) mod host;
pub(crate) mod router;
pub(crate) mod calls;
pub(crate) mod body;
pub(crate) mod cookie;
pub(crate) mod problem;
pub(crate) mod headers;
pub(crate) mod assets;
pub(crate) mod encoding;
pub(crate) mod wellknown;
pub(crate) mod admin;

pub(crate) type Body = axum::body::Body;
pub(crate) type Response = http::Response<Body>;
