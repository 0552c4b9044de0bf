//! Electronic identity as the configuration has it: where the providers are and whom to trust.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use vaxel_core::{Alarms, Clock};
use vaxel_eid::{BankIdConfig, Judge};
use vaxel_identity::{EidBudget, EidConfig, Eids, Identity};

use crate::config::{BankId, Config};

/// What the gateway offers people to show who they are.
pub(crate) fn open(
    config: &Config,
    identity: &Identity,
    clock: &Arc<dyn Clock>,
    alarms: &Arc<dyn Alarms>,
) -> anyhow::Result<Eids> {
    let bankid = config.eid.bankid.as_ref();
    let bankid = bankid.map(|bankid| read(bankid, clock)).transpose()?;
    let config = EidConfig {
        bankid: bankid.map(Arc::new),
        budget: EidBudget {
            per_tenant: config.eid.orders_per_day,
            per_address: config.eid.orders_per_address_per_day,
        },
        alarms: Arc::clone(alarms),
    };
    Ok(Eids::new(identity.clone(), config))
}

fn read(bankid: &BankId, clock: &Arc<dyn Clock>) -> anyhow::Result<BankIdConfig> {
    let pem = |path: Option<&Path>, key: &str| {
        let path = path.with_context(|| format!("{key} is missing"))?;
        fs::read(path).with_context(|| format!("{key}: reading {}", path.display()))
    };
    let judge = pem(
        bankid.signature_root.as_deref(),
        "eid.bankid.signature_root",
    )?;
    Ok(BankIdConfig {
        url: bankid.url.clone(),
        api_root: pem(bankid.api_root.as_deref(), "eid.bankid.api_root")?,
        judge: Judge::new(&judge)
            .context("eid.bankid.signature_root holds no certificate of an authority")?,
        clock: Arc::clone(clock),
    })
}
