//! The life of a plugin in an organization: on and off, what it is granted, and from one version to another.

mod chance;
mod controller;
mod differences;
mod measure;
mod rollout;
mod rows;
mod shadow;
mod status;
mod turn;
mod verdict;

pub(crate) use chance::{Chance, Drawn, shared};
pub use controller::{NewRollout, Steered};
pub(crate) use measure::Measured;
pub(crate) use rollout::Rollout;
pub use rollout::{RolloutState, Target};
pub(crate) use shadow::{Report, Shadowing};
pub use status::{RolloutStatus, ShadowStatus, Tallied};
pub(crate) use turn::Turn;
