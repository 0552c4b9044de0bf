//! What an operator looks at: metrics, health and counted alarms.

mod metrics;
mod health;
mod alarms;

pub use alarms::CountedAlarms;
pub use health::{Health, HealthState};
pub use metrics::{Binding, Metrics, Refusal};
