//! What an operator looks at: metrics, health and counted alarms.

mod alarms;
mod health;
mod metrics;

pub use alarms::CountedAlarms;
pub use health::{Health, HealthState};
pub use metrics::{Binding, Metrics, PluginUsed, Refusal};
