//! What a package is made of and whether it would be trusted.

use std::path::Path;

use serde_json::{Value, json};
use vaxel_core::{Clock as _, SystemClock};
use vaxel_runtime::{Package, Trust};

use super::author::package_bytes;

/// Shows a package.
pub(crate) fn inspect(file: &Path, trust: &Path) -> anyhow::Result<Value> {
    let bytes = package_bytes(file)?;
    let package = Package::read(&bytes)?;
    let believed = Trust::load(trust).and_then(|trust| {
        let revoked = trust.revocations()?;
        trust.check(&package, revoked.as_ref(), SystemClock.now())
    });
    let mut lines = vec![
        format!(
            "{} {} ({})",
            package.id(),
            package.manifest.version,
            package.manifest.name
        ),
        format!("package  {}", package.hash()),
    ];
    match &package.signature {
        Some(signature) => {
            lines.push(format!("signer   {}", signature.key));
            if let Some(expires) = signature.expires_at {
                let days = expires.since(SystemClock.now()) / 86_400_000;
                lines.push(format!("         may be installed for {days} more days"));
            }
        }
        None => lines.push("signer   nobody".to_owned()),
    }
    lines.push(match &believed {
        Ok(signer) => format!("trust    ok: {} may publish it", signer.publisher),
        Err(error) => format!("trust    REFUSED: {error}"),
    });
    for file in &package.files {
        lines.push(format!(
            "{}  {:>9}  {}",
            file.hash(),
            file.content.len(),
            file.name
        ));
    }
    let trust = match believed {
        Ok(signer) => json!({ "ok": true, "publisher": signer.publisher }),
        Err(error) => json!({ "ok": false, "why": error.to_string() }),
    };
    let signature = package.signature.as_ref().map(|signature| {
        json!({
            "key": signature.key,
            "created_at": signature.created_at,
            "expires_at": signature.expires_at,
        })
    });
    Ok(json!({
        "id": package.id(),
        "version": package.manifest.version,
        "hash": package.hash(),
        "bytes": bytes.len(),
        "files": files(&package),
        "signature": signature,
        "trust": trust,
        "text": lines.join("\n"),
    }))
}

/// Names, sizes and hashes.
pub(super) fn files(package: &Package) -> Vec<Value> {
    let files = package.files.iter();
    files
        .map(
            |file| json!({ "name": file.name, "bytes": file.content.len(), "sha256": file.hash() }),
        )
        .collect()
}
