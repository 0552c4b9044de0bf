//! Budgets: what an organization's plugins may use up in a day, and what one of them may store.

use vaxel_core::{AlarmLevel, Alarms, Problem, Reason, UnixMs};

use super::account::{Account, TenantAccount};
use super::rows::{MS_PER_DAY, day_of};

/// What an operator grants each organization.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Processor time of all plugins of one organization from midnight to midnight (UTC), in milliseconds.
    pub processor_ms_per_day: u64,
    /// Requests of all plugins of one organization to the outside from midnight to midnight (UTC).
    pub requests_per_day: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            // A sixth of one processor: hundreds of times what a busy organization was seen to need.
            processor_ms_per_day: 4 * 60 * 60 * 1_000,
            // A request a second, all day; the rate allows five times as many for a while.
            requests_per_day: 100_000,
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
        let detail = "The organization's plugins have used up their processor time for today.";
        Err(Problem::new(Reason::LimitReached, detail)
            .with_code("plugin-budget")
            .retry_after_ms(left_of_day_ms(now)))
    }

    /// Takes a request to the outside off the day's, or says how long it takes until there are new ones. The operator
    /// is told once a day.
    pub(crate) fn take_request(
        &self,
        tenant: &TenantAccount,
        now: UnixMs,
        alarms: &dyn Alarms,
    ) -> Result<(), u32> {
        let sent = tenant.requests.add(day_of(now), 1);
        if sent <= self.requests_per_day {
            return Ok(());
        }
        if tenant.requests.is_first() {
            let detail = format!(
                "plugins have sent as many requests in {} as they may today",
                tenant.tenant
            );
            alarms.raise(AlarmLevel::Warning, "plugin.requests", &detail);
        }
        Err(left_of_day_ms(now))
    }
}

fn left_of_day_ms(now: UnixMs) -> u32 {
    u32::try_from(MS_PER_DAY - now.0 % MS_PER_DAY).unwrap_or(u32::MAX)
}
