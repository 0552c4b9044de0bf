//! From the tail of commits to every socket whose user may see them.

pub(crate) mod registry;
pub(crate) mod hub;
pub(crate) mod presence;
pub(crate) mod replay;
#[cfg(test)]
mod hub_tests;
