//! HTTP: from an accepted connection to an answer.

pub(crate) mod admin;
pub(crate) mod assets;
pub(crate) mod blobs;
pub(crate) mod body;
pub(crate) mod calls;
pub(crate) mod connected;
pub(crate) mod connections;
pub(crate) mod cookie;
pub(crate) mod edge;
pub(crate) mod encoding;
pub(crate) mod framing;
pub(crate) mod headers;
pub(crate) mod host;
pub(crate) mod json;
pub(crate) mod listener;
pub(crate) mod nobody;
mod patience;
pub(crate) mod problem;
pub(crate) mod router;
pub(crate) mod traffic;
pub(crate) mod wellknown;

pub(crate) type Body = axum::body::Body;
pub(crate) type Response = http::Response<Body>;
