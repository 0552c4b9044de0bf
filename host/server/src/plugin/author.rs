//! What authors do, with files alone: keys, packing, signing, revoking.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, json};
use vaxel_core::{Clock as _, SystemClock, UnixMs};
use vaxel_crypto::SigningKey;
use vaxel_runtime::{File, PACKAGE_BYTES_MAX, Package, Revocations};

const DAY_MS: u64 = 86_400_000;

/// A key's file is one line.
const KEY_BYTES_MAX: u64 = 1_024;

/// The most that a folder may hold before it is even looked at as a package.
const FOLDER_FILES_MAX: usize = 256;

/// Makes a key.
pub(crate) fn keygen(file: &Path) -> anyhow::Result<Value> {
    let key = SigningKey::generate()?;
    let public = key.verifying_key()?;
    let mut out = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
        .with_context(|| format!("making the key file {}", file.display()))?;
    writeln!(out, "{}", key.to_text().expose())?;
    out.sync_all()?;
    Ok(json!({
        "key": public.id().to_string(),
        "public_key": public.to_string(),
        "text": format!(
            "The secret key is in {}: keep it, and keep it to yourself.\n\
             Operators put this into their trust file:\n\n    \
             [[publishers]]\n    name = \"YOUR NAME\"\n    keys = [\"{public}\"]\n    plugins = [\"YOUR-PLUGIN\"]\n\n\
             Its thumbprint is {}.",
            file.display(),
            public.id(),
        ),
    }))
}

pub(super) fn signing_key(file: &Path) -> anyhow::Result<SigningKey> {
    let shown = file.display();
    let opened = fs::File::open(file).with_context(|| format!("opening the key {shown}"))?;
    let mode = opened.metadata()?.mode();
    ensure!(
        mode & 0o077 == 0,
        "the key {shown} can be read by others (mode {:03o}); run: chmod 600 {shown}",
        mode & 0o777
    );
    let mut text = String::new();
    opened
        .take(KEY_BYTES_MAX)
        .read_to_string(&mut text)
        .with_context(|| format!("reading the key {shown}"))?;
    SigningKey::from_text(&text).with_context(|| format!("the key {shown}"))
}

/// Reads a package's file, never more of it than a package has.
pub(super) fn package_bytes(file: &Path) -> anyhow::Result<Vec<u8>> {
    let shown = file.display();
    let opened = fs::File::open(file).with_context(|| format!("opening {shown}"))?;
    ensure!(opened.metadata()?.is_file(), "{shown} is no file");
    let mut bytes = Vec::new();
    opened
        .take(PACKAGE_BYTES_MAX as u64 + 1)
        .read_to_end(&mut bytes)
        .with_context(|| format!("reading {shown}"))?;
    Ok(bytes)
}

/// Packs a folder.
pub(crate) fn pack(dir: &Path, output: &Path) -> anyhow::Result<Value> {
    let bytes = packed(dir)?;
    let package = Package::read(&bytes)?;
    replace(output, &bytes)?;
    Ok(json!({
        "id": package.id(),
        "version": package.manifest.version,
        "hash": package.hash(),
        "bytes": bytes.len(),
        "text": format!(
            "{} {}: {} files in {} KiB, written to {}.\n\
             It is not signed yet: vaxel plugin sign {} --key KEY",
            package.id(),
            package.manifest.version,
            package.files.len(),
            bytes.len().div_ceil(1_024),
            output.display(),
            output.display(),
        ),
    }))
}

fn packed(dir: &Path) -> anyhow::Result<Vec<u8>> {
    Ok(Package::pack(folder_files(dir)?)?)
}

/// The files of a folder that is to be a package.
pub(super) fn folder_files(dir: &Path) -> anyhow::Result<Vec<File>> {
    let mut files = Vec::new();
    gather(dir, "", &mut files)?;
    Ok(files)
}

fn gather(dir: &Path, prefix: &str, files: &mut Vec<File>) -> anyhow::Result<()> {
    for entry in
        fs::read_dir(dir).with_context(|| format!("reading the folder {}", dir.display()))?
    {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else {
            bail!("{} has a name that is not UTF-8", entry.path().display());
        };
        // What editors and version control leave is nobody's plugin.
        if name.starts_with('.') {
            continue;
        }
        let (name, kind) = (format!("{prefix}{name}"), entry.file_type()?);
        ensure!(
            files.len() < FOLDER_FILES_MAX,
            "{} holds more than a plugin does; pack the folder with plugin.toml and component.wasm",
            dir.display()
        );
        if kind.is_dir() {
            ensure!(
                name == "i18n",
                "the folder {name} is no part of a package; only i18n is"
            );
            gather(&entry.path(), "i18n/", files)?;
        } else if kind.is_file() {
            let content = package_bytes(&entry.path())?;
            files.push(File { name, content });
        } else {
            bail!("{name} is a link or a device; a package holds files only");
        }
    }
    Ok(())
}

/// Signs in place.
pub(crate) fn sign(file: &Path, key: &Path, expires: Option<UnixMs>) -> anyhow::Result<Value> {
    let key = signing_key(key)?;
    let now = SystemClock.now();
    if let Some(expires) = expires {
        ensure!(
            expires > now,
            "a signature that has ended is of no use; give a day to come"
        );
    }
    let signed = Package::sign(&package_bytes(file)?, &key, now, expires)?;
    replace(file, &signed)?;
    let package = Package::read(&signed)?;
    let id = key.verifying_key()?.id().to_string();
    Ok(json!({
        "id": package.id(),
        "version": package.manifest.version,
        "hash": package.hash(),
        "key": id,
        "expires_at": expires,
        "text": format!("{} {} is signed by the key {id}.", package.id(), package.manifest.version),
    }))
}

/// Adds to a revocation list.
pub(crate) fn revoke(
    list: &Path,
    key: &Path,
    packages: &[String],
    signers: &[String],
) -> anyhow::Result<Value> {
    ensure!(
        !packages.is_empty() || !signers.is_empty(),
        "say what to revoke: --package FILE or HASH, --signer THUMBPRINT"
    );
    let key = signing_key(key)?;
    let former = Revocations::load(list, &[key.verifying_key()?])?;
    let hash_of = |package: &String| match is_hash(package) {
        true => Ok(package.clone()),
        false => anyhow::Ok(Package::read(&package_bytes(Path::new(package))?)?.hash()),
    };
    let packages: Vec<String> = packages.iter().map(hash_of).collect::<Result<_, _>>()?;
    if let Some(signer) = signers.iter().find(|signer| !is_hash(signer)) {
        bail!("{signer} is no thumbprint: 64 hexadecimal digits in lower case");
    }
    let new = Revocations::after(
        former,
        packages,
        signers.iter().cloned(),
        &key,
        SystemClock.now(),
    );
    replace(list, &new.to_bytes()?)?;
    Ok(json!({
        "number": new.number,
        "packages": new.packages,
        "keys": new.keys,
        "text": format!(
            "List {} revokes {} packages and {} keys.",
            new.number, new.packages.len(), new.keys.len()
        ),
    }))
}

fn is_hash(text: &str) -> bool {
    let hexadecimal = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    text.len() == 64 && text.bytes().all(hexadecimal)
}

/// Whole or not at all: a reader never meets half a file.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let shown = path.display();
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut unfinished = tempfile::NamedTempFile::new_in(folder)
        .with_context(|| format!("writing beside {shown}"))?;
    unfinished.write_all(bytes)?;
    unfinished.as_file().sync_all()?;
    use std::os::unix::fs::PermissionsExt as _;
    let mode = fs::Permissions::from_mode(0o644);
    unfinished.as_file().set_permissions(mode)?;
    unfinished
        .persist(path)
        .with_context(|| format!("writing {shown}"))?;
    Ok(())
}

/// Midnight (UTC) at which a day like 2027-12-31 begins.
pub(super) fn parse_day(text: &str) -> Result<UnixMs, String> {
    let refuse = || format!("{text:?} is no day; write it like 2027-12-31");
    let mut parts = text.split('-').map(str::parse::<u64>);
    let (Some(Ok(year)), Some(Ok(month)), Some(Ok(day)), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(refuse());
    };
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let month_days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return Err(refuse()),
    };
    if !(1970..=9999).contains(&year) || !(1..=month_days).contains(&day) {
        return Err(refuse());
    }
    // Years begin in March here, so that the leap day is a year's last.
    let (y, m) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let days = y * 365 + y / 4 - y / 100 + y / 400 + (m * 153 + 2) / 5 + day - 1;
    Ok(UnixMs((days - 719_468) * DAY_MS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_begins_at_midnight() {
        for (text, seconds) in [
            ("1970-01-01", 0),
            ("2000-02-29", 951_782_400),
            ("2024-03-01", 1_709_251_200),
            ("2027-12-31", 1_830_211_200),
        ] {
            assert_eq!(parse_day(text), Ok(UnixMs(seconds * 1_000)), "{text}");
        }
    }

    #[test]
    fn what_is_no_day_is_refused() {
        for text in [
            "",
            "tomorrow",
            "2027-02-29",
            "2027-13-01",
            "2027-04-31",
            "1969-12-31",
            "2027-1",
            "2027-01-01-01",
        ] {
            assert!(parse_day(text).is_err(), "{text}");
        }
    }
}
