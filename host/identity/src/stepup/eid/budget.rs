//! Each order costs the organization money: so many a day, and so many from one address.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use vaxel_core::TenantId;
use vaxel_crypto::ErasureKey;
use vaxel_storage::{Order, Space};

use super::{Eids, StepUpError};
use crate::attempts::network;
use crate::store::{PAGE, Row, STEP_UP, decode};
use crate::{Identity, IdentityError};

const DAY_MS: u64 = 24 * 3_600_000;

/// In front of a count's key among the rows of step-up.
const KEY: &[u8] = b"eid-count/";

/// How many orders a day (UTC).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EidBudget {
    /// Of one organization.
    pub per_tenant: u32,
    /// Of one organization from one address (a /64 in IPv6).
    pub per_address: u32,
}

/// Orders of a day.
#[derive(Default, Serialize, Deserialize)]
struct CountRow {
    day: u64,
    orders: u32,
}

impl Row for CountRow {
    const SPACE: Space = STEP_UP;
    const WHAT: &'static str = "count of orders";
}

impl Eids {
    /// Counts one more order, or refuses it.
    pub(super) async fn spend(
        &self,
        tenant: TenantId,
        address: Option<IpAddr>,
    ) -> Result<(), StepUpError> {
        let identity = &self.0.identity;
        let now = self.now();
        let day = now.0 / DAY_MS;
        let budget = self.0.config.budget;
        let key = |what: &[u8]| -> Result<Vec<u8>, IdentityError> {
            let blinded = identity.inner.keyring.blind(tenant, "eid-count", what)?;
            Ok([KEY, &blinded].concat())
        };
        let mut counts = vec![(key(b"tenant")?, budget.per_tenant)];
        if let Some(address) = address {
            let address = [b"address/".as_slice(), &network(address)].concat();
            counts.push((key(&address)?, budget.per_address));
        }
        let fits = identity
            .inner
            .store
            .change(tenant, |tx| {
                for (key, max) in &counts {
                    let row: CountRow = tx.get(key)?.unwrap_or_default();
                    let orders = if row.day == day { row.orders } else { 0 };
                    if orders >= *max {
                        return Ok(false);
                    }
                    let row = CountRow {
                        day,
                        orders: orders + 1,
                    };
                    tx.put(key, &row, ErasureKey::TENANT)?;
                }
                Ok(true)
            })
            .await?;
        if fits {
            return Ok(());
        }
        tracing::warn!(tenant.id = %tenant, "the day's budget of eID orders is spent, or an address's share of it");
        let tomorrow = DAY_MS - now.0 % DAY_MS;
        Err(StepUpError::Spent {
            retry_after_ms: u32::try_from(tomorrow).unwrap_or(u32::MAX),
        })
    }
}

impl Identity {
    /// Removes counts of days that are over.
    pub(crate) async fn sweep_eid_counts(&self, tenant: TenantId) -> Result<usize, IdentityError> {
        let day = self.now().0 / DAY_MS;
        let mut swept = 0;
        let mut after: Option<Vec<u8>> = None;
        loop {
            let (over, next) = self
                .inner
                .store
                .change(tenant, |tx| {
                    let from = after.as_deref();
                    let (rows, next) = tx.page(STEP_UP, KEY, from, PAGE, Order::Ascending)?;
                    let mut over = 0;
                    for (key, row) in rows {
                        let row: CountRow = decode(&row, CountRow::WHAT)?;
                        if row.day < day {
                            tx.delete(STEP_UP, &key)?;
                            over += 1;
                        }
                    }
                    Ok((over, next))
                })
                .await?;
            swept += over;
            match next {
                Some(next) => after = Some(next),
                None => return Ok(swept),
            }
        }
    }
}
