//! Budgets: what an organization's plugins may use up in a day, and what one of them may store.

use vaxel_core::{AlarmLevel, Alarms, Problem, Reason, UnixMs};

use super::account::Account;
use super::rows::{MS_PER_DAY, day_of};

/// What an operator grants each organization.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Processor time of all plugins of one organization from midnight to midnight (UTC), in milliseconds.
    pub processor_ms_per_day: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            // A sixth of one processor: hundreds of times what a busy organization was seen to need.
            processor_ms_per_day: 4 * 60 * 60 * 1_000,
        }
    }
}

impl Budget {
    /// Whether the plugin may run now. The operator is told once a day when it may not.
    pub(crate) fn admit(
        &self,
        account: &Account,
        now: UnixMs,
        alarms: &dyn Alarms,
    ) -> Result<(), Problem> {
        let today = &account.tenant.today;
        if today.get(day_of(now)) / 1_000 < self.processor_ms_per_day {
            return Ok(());
        }
        if today.is_first() {
            let detail = format!(
                "{} has used up the processor time of its plugins for today",
                account.tenant.tenant
            );
            alarms.raise(AlarmLevel::Warning, "plugin.budget", &detail);
        }
        let left_ms = MS_PER_DAY - now.0 % MS_PER_DAY;
        let detail = "The organization's plugins have used up their processor time for today.";
        Err(Problem::new(Reason::LimitReached, detail)
            .with_code("plugin-budget")
            .retry_after_ms(u32::try_from(left_ms).unwrap_or(u32::MAX)))
    }
}
