//! The life of a plugin in an organization: on and off, what it is granted, and from one version to another.

mod rollout;
mod turn;

pub use rollout::RolloutState;
pub(crate) use rollout::{Rollout, Target};
pub(crate) use turn::Turn;
