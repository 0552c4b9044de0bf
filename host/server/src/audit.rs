//! The audit's witness: heads of its chain, signed every hour and written where this server's operator takes them away.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use vaxel_core::{AlarmLevel, TenantId};
use vaxel_identity::{AuditFault, AuditHead};

use crate::house::House;

/// How often heads are signed: what is younger is covered by the log's own chain alone.
const SIGN_EVERY: Duration = Duration::from_secs(60 * 60);

/// Heads that are read from a file, a hundred years of hours for one organization.
const HEADS_BYTES_MAX: u64 = 512 << 20;

/// Signs the heads of all organizations every hour, the first time at once.
pub(crate) async fn keep_signing(house: Arc<House>, stop: CancellationToken) {
    let mut tick = tokio::time::interval(SIGN_EVERY);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tick.tick() => {}
        }
        sign(&house).await;
    }
}

/// Signs what came since the last heads; also the last thing before an orderly stop.
pub(crate) async fn sign(house: &House) {
    if let Err(error) = sign_all(house).await {
        let detail = format!("the audit could not be signed: {error:#}");
        let alarms = &house.alarms;
        alarms.raise(AlarmLevel::Warning, "audit.unsigned", &detail);
    }
}

async fn sign_all(house: &House) -> anyhow::Result<()> {
    let tenants = house.identity.tenants();
    let ids = tenants.iter().map(|tenant| tenant.id);
    for tenant in ids.chain([TenantId::SYSTEM]) {
        if let Some(head) = house.identity.sign_audit(tenant).await? {
            hand_out(&house.audit_heads, &head)?;
        }
    }
    Ok(())
}

/// Into the file and into the log: whoever collects either holds a witness.
fn hand_out(file: &Path, head: &AuditHead) -> anyhow::Result<()> {
    tracing::info!(
        tenant.id = %head.tenant, audit.count = head.count, audit.chain = head.chain,
        audit.signature = head.signature, audit.at = head.at.0, "audit head"
    );
    let mut line = serde_json::to_vec(head)?;
    line.push(b'\n');
    let mut file = std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(file)
        .with_context(|| format!("opening {}", file.display()))?;
    file.write_all(&line)?;
    file.sync_data()?;
    Ok(())
}

/// Checks the audit of one organization or of all against its chain and the heads in a file; without one, those that
/// this server wrote.
pub(crate) async fn verify(
    house: &House,
    tenant: Option<String>,
    heads: Option<PathBuf>,
) -> anyhow::Result<Value> {
    let heads = match heads {
        Some(file) => read_heads(&file)?,
        None if house.audit_heads.exists() => read_heads(&house.audit_heads)?,
        None => Vec::new(),
    };
    let mut tenants = house.identity.tenants();
    if let Some(slug) = &tenant {
        tenants.retain(|tenant| tenant.slug == *slug);
        if tenants.is_empty() {
            bail!("no organization is called {slug}; `vaxel tenant list` shows them");
        }
    }
    let (mut lines, mut items, mut is_whole) = (Vec::new(), Vec::new(), true);
    for tenant in tenants {
        let check = house.identity.verify_audit(tenant.id, &heads).await?;
        let word = if check.faults.is_empty() {
            "ok   "
        } else {
            "FAIL "
        };
        lines.push(format!(
            "{word} {}: {} entries in the chain, {} since, {} heads",
            tenant.slug, check.linked, check.pending, check.heads
        ));
        let faults: Vec<String> = check.faults.iter().map(ToString::to_string).collect();
        lines.extend(faults.iter().map(|fault| format!("      {fault}")));
        let is_behind = |fault: &AuditFault| matches!(fault, AuditFault::Truncated { .. });
        if check.faults.iter().any(is_behind) {
            lines.push(
                "      (expected if this was restored from a backup that is older than the heads)"
                    .to_owned(),
            );
        }
        is_whole &= faults.is_empty();
        items.push(json!({
            "tenant": tenant.slug, "linked": check.linked, "pending": check.pending,
            "heads": check.heads, "faults": faults,
        }));
    }
    let text = lines.join("\n");
    if is_whole {
        let key = house.identity.audit_public_key().await?;
        Ok(json!({ "items": items, "public_key": key, "text": text }))
    } else {
        bail!("the audit is not as it was written\n{text}")
    }
}

fn read_heads(file: &Path) -> anyhow::Result<Vec<AuditHead>> {
    let doing = || format!("reading the heads in {}", file.display());
    if std::fs::metadata(file).with_context(doing)?.len() > HEADS_BYTES_MAX {
        bail!("{} is too large for a file of heads", file.display());
    }
    let text = std::fs::read_to_string(file).with_context(doing)?;
    text.lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| serde_json::from_str(line).with_context(doing))
        .collect()
}
