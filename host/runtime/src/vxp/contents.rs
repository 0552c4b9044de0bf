//! What a package holds: which files there are, what they may be called, how large each may be.

use semver::Version;
use sha2::{Digest as _, Sha256};
use vaxel_core::PluginId;
use vaxel_crypto::SigningKey;

use super::archive;
use super::signature::{self, Signature};
use super::{PackageError, Statement, hex};
use crate::compiler::COMPONENT_BYTES_MAX;
use crate::{Manifest, PackageFiles, RuntimeError};

pub(super) const MANIFEST: &str = "plugin.toml";
pub(super) const COMPONENT: &str = "component.wasm";
pub(super) const SIGNATURE: &str = "signature.json";

/// Texts that may lie beside them.
const TEXTS: &[&str] = &[
    "LICENSE",
    "LICENSE.md",
    "LICENSE.txt",
    "README",
    "README.md",
    "README.txt",
];

/// Manifests and texts: far more than anybody reads.
const TEXT_BYTES_MAX: usize = 256 << 10;

/// Translations of one language.
const LANGUAGE_BYTES_MAX: usize = 64 << 10;

/// A signature has few fields of fixed size.
const SIGNATURE_BYTES_MAX: usize = 4 << 10;

/// No file of a package has a name near this long.
const NAME_BYTES_MAX: usize = 100;

/// A version is part of a file name and of what people read.
const VERSION_BYTES_MAX: usize = 64;

/// The format of the list of files that is hashed and signed.
const LIST_FORMAT: u8 = 1;

/// How large a file may be; `None` for names that a package does not have.
pub(super) fn bytes_max(name: &str) -> Option<usize> {
    match name {
        COMPONENT => Some(COMPONENT_BYTES_MAX),
        MANIFEST => Some(TEXT_BYTES_MAX),
        SIGNATURE => Some(SIGNATURE_BYTES_MAX),
        text if TEXTS.contains(&text) => Some(TEXT_BYTES_MAX),
        other => {
            let language = other.strip_prefix("i18n/")?.strip_suffix(".toml")?;
            is_language(language).then_some(LANGUAGE_BYTES_MAX)
        }
    }
}

// A language tag as translations are named: sv, en-GB.
fn is_language(tag: &str) -> bool {
    let mut parts = tag.split('-');
    let first = parts.next().unwrap_or_default();
    (2..=3).contains(&first.len())
        && first.bytes().all(|b| b.is_ascii_lowercase())
        && tag.len() <= 20
        && parts.all(|part| {
            (2..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric())
        })
}

/// Refuses by its kind whatever is no plain relative name.
pub(super) fn check_name(name: &[u8]) -> Result<&str, PackageError> {
    let shown = || {
        let mut shown = String::from_utf8_lossy(name).into_owned();
        if let Some((end, _)) = shown.char_indices().nth(NAME_BYTES_MAX) {
            shown.truncate(end);
        }
        shown
    };
    let refuse = |why| Err(PackageError::Name { name: shown(), why });
    let text = match std::str::from_utf8(name) {
        Ok(text) if text.is_ascii() => text,
        _ => return refuse("it is not plain ASCII"),
    };
    if text.is_empty() || text.len() > NAME_BYTES_MAX {
        return refuse("it is empty or too long");
    }
    if text.bytes().any(|b| b.is_ascii_control()) {
        return refuse("it has a control character in it");
    }
    if text.contains('\\') {
        return refuse("it has a backslash in it");
    }
    if text.starts_with('/') || text.contains(':') {
        return refuse("it is an absolute path");
    }
    if text.ends_with('/') {
        return Err(PackageError::Special {
            name: text.to_owned(),
        });
    }
    if text.split('/').any(|part| part == "..") {
        return refuse("it leads out of the package");
    }
    if text.split('/').any(|part| part.is_empty() || part == ".") {
        return refuse("it has an empty part");
    }
    Ok(text)
}

/// One file of a package.
#[derive(Clone, Debug)]
pub struct File {
    /// Its name in the package.
    pub name: String,
    /// What it holds.
    pub content: Vec<u8>,
}

impl File {
    /// SHA-256 of what it holds, in hexadecimal.
    pub fn hash(&self) -> String {
        hex(&Sha256::digest(&self.content))
    }
}

/// A package that was read: its files are known and within their limits; nobody's trust was asked yet.
#[derive(Clone, Debug)]
pub struct Package {
    /// What its plugin.toml says.
    pub manifest: Manifest,
    /// Its version, comparable.
    pub version: Version,
    /// All its files but the signature, in their order.
    pub files: Vec<File>,
    /// Who says that it is theirs. Not yet checked.
    pub signature: Option<Signature>,
    /// SHA-256 of its packed form without the signature.
    pub(super) body_hash: [u8; 32],
}

impl Package {
    /// Reads a `.vxp` file.
    pub fn read(bytes: &[u8]) -> Result<Self, RuntimeError> {
        let contents = archive::read(bytes)?;
        let mut names = contents.files.iter().map(|(name, _)| name.as_str());
        for expected in [MANIFEST, COMPONENT] {
            match names.next() {
                Some(name) if name == expected => {}
                _ if contents.files.iter().all(|(name, _)| name != expected) => {
                    return Err(PackageError::Missing { name: expected }.into());
                }
                _ => return Err(unordered().into()),
            }
        }
        let rest: Vec<&str> = names.collect();
        if !rest.is_sorted() {
            return Err(unordered().into());
        }
        let signature = contents.signature.as_deref().map(Signature::read);
        let body_hash = Sha256::digest(contents.body).into();
        Self::checked(contents.files, signature.transpose()?, body_hash)
    }

    /// The files of a `.vxp` file, whatever they say.
    pub fn unpack(bytes: &[u8]) -> Result<Vec<File>, RuntimeError> {
        let files = archive::read(bytes)?.files.into_iter();
        Ok(files
            .map(|(name, content)| File { name, content })
            .collect())
    }

    /// Makes a `.vxp` file of these files, unsigned.
    pub fn pack(mut files: Vec<File>) -> Result<Vec<u8>, RuntimeError> {
        files.retain(|file| file.name != SIGNATURE);
        let place = |name: &str| match name {
            MANIFEST => 0,
            COMPONENT => 1,
            _ => 2,
        };
        files.sort_by(|a, b| (place(&a.name), &a.name).cmp(&(place(&b.name), &b.name)));
        let files: Vec<_> = files.into_iter().map(|f| (f.name, f.content)).collect();
        let bytes = archive::pack(&files)?;
        // What was packed must be what can be read: the author learns of a limit, not the operator.
        Self::read(&bytes)?;
        Ok(bytes)
    }

    /// The same package, signed.
    pub fn sign(
        bytes: &[u8],
        key: &SigningKey,
        created_at: vaxel_core::UnixMs,
        expires_at: Option<vaxel_core::UnixMs>,
    ) -> Result<Vec<u8>, RuntimeError> {
        let package = Self::read(bytes)?;
        let signature = Signature::make(&package, key, created_at, expires_at)?;
        Ok(archive::read(bytes)?.signed(&signature.to_bytes()?)?)
    }

    fn checked(
        files: Vec<(String, Vec<u8>)>,
        signature: Option<Signature>,
        body_hash: [u8; 32],
    ) -> Result<Self, RuntimeError> {
        let files: Vec<File> = files
            .into_iter()
            .map(|(name, content)| File { name, content })
            .collect();
        let manifest = Manifest::parse(text(&files, MANIFEST)?)?;
        let version = Version::parse(&manifest.version).ok();
        let version = version
            .filter(|_| manifest.version.len() <= VERSION_BYTES_MAX)
            .ok_or_else(|| PackageError::Content {
                name: MANIFEST.to_owned(),
                what: format!(
                    "the version {:?} of a package must be like 1.4.0",
                    manifest.version
                ),
            })?;
        for file in &files {
            if file.name.starts_with("i18n/") {
                let language = text(&files, &file.name)?;
                toml::from_str::<toml::Table>(language).map_err(|error| PackageError::Content {
                    name: file.name.clone(),
                    what: error.message().to_owned(),
                })?;
            }
        }
        Ok(Self {
            manifest,
            version,
            files,
            signature,
            body_hash,
        })
    }

    /// The plugin that it is a version of.
    pub fn id(&self) -> &PluginId {
        &self.manifest.id
    }

    /// What names this package and no other, signed or not: SHA-256 over the list of its files, in hexadecimal.
    pub fn hash(&self) -> String {
        hex(&Sha256::digest(self.list().0))
    }

    /// Format, id, version, and name, size and hash of each file: what a signature is about.
    pub(super) fn list(&self) -> Statement {
        let mut list = Statement::new(signature::PURPOSE, LIST_FORMAT);
        list.part(self.manifest.id.as_str().as_bytes());
        list.part(self.manifest.version.as_bytes());
        list.number(self.files.len() as u64);
        for file in &self.files {
            list.part(file.name.as_bytes());
            list.number(file.content.len() as u64);
            list.part(&Sha256::digest(&file.content));
        }
        list
    }

    /// What the runtime makes a plugin of.
    pub fn to_files(&self) -> Result<PackageFiles, RuntimeError> {
        let component = self.files.iter().find(|file| file.name == COMPONENT);
        Ok(PackageFiles {
            manifest: text(&self.files, MANIFEST)?.to_owned(),
            component: component
                .map(|file| file.content.clone())
                .ok_or(PackageError::Missing { name: COMPONENT })?,
        })
    }
}

fn unordered() -> PackageError {
    PackageError::Layout {
        what: "its files are not in their order",
    }
}

fn text<'f>(files: &'f [File], name: &str) -> Result<&'f str, PackageError> {
    let file = files.iter().find(|file| file.name == name);
    let content = file.map(|file| file.content.as_slice()).unwrap_or_default();
    std::str::from_utf8(content).map_err(|_| PackageError::Content {
        name: name.to_owned(),
        what: "it is not UTF-8".to_owned(),
    })
}
