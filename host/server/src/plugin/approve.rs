//! Approvals, as those make them who are asked before a version goes further.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use anyhow::Context as _;
use serde_json::{Value, json};
use vaxel_core::{Clock as _, SystemClock};
use vaxel_runtime::{APPROVAL_BYTES_MAX, Approval, Package, Stage};

use super::author::{package_bytes, replace, signing_key};

/// Signs that a package may go as far as a stage.
pub(crate) fn approve(
    file: &Path,
    stage: Stage,
    key: &Path,
    output: Option<&Path>,
) -> anyhow::Result<Value> {
    let package = Package::read(&package_bytes(file)?)?;
    let approval = Approval::make(&package, stage, &signing_key(key)?, SystemClock.now())?;
    let beside = || {
        let short = approval.key.get(..8).unwrap_or_default();
        let name = format!(
            "{}-{}.{}.{short}.approval",
            approval.plugin,
            approval.version,
            stage.as_str()
        );
        file.with_file_name(name)
    };
    let output = output.map_or_else(beside, Path::to_owned);
    replace(&output, &approval.to_bytes()?)?;
    let (plugin, version) = (&approval.plugin, &approval.version);
    Ok(json!({
        "approval": approval,
        "file": output,
        "text": format!(
            "{plugin} {version} may go as far as {}: the approval is in {}.\n\
             With enough of them: vaxel plugin promote {plugin} {version} --approval FILE …",
            stage.as_str(),
            output.display()
        ),
    }))
}

/// Reads an approval.
pub(crate) fn approval(file: &Path) -> anyhow::Result<Approval> {
    let shown = file.display();
    let opened = fs::File::open(file).with_context(|| format!("opening {shown}"))?;
    let mut bytes = Vec::new();
    opened
        .take(APPROVAL_BYTES_MAX as u64 + 1)
        .read_to_end(&mut bytes)
        .with_context(|| format!("reading {shown}"))?;
    Approval::read(&bytes).with_context(|| shown.to_string())
}
