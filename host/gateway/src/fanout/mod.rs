//! From the tail of commits to every socket whose user may see them.

pub(crate) mod hub;
#[cfg(test)]
mod hub_tests;
pub(crate) mod presence;
pub(crate) mod registry;
pub(crate) mod replay;
