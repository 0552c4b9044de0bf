//! What is kept of ACME: the account and each name's certificate with its key, per directory, for the owner only.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustls::crypto::CryptoProvider;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::certificate::{self, Origin, Usable};
use crate::{TlsError, files};

const ACCOUNT_FILE: &str = "account.json";
/// The account file's format; another number is refused.
const FORMAT: u32 = 1;

/// A chain and its key as they came out of an order.
pub(crate) struct Issued {
    pub(crate) chain_pem: String,
    pub(crate) key_pem: String,
}

/// The account at one directory.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SavedAccount {
    format: u32,
    pub(crate) contact: Option<String>,
    /// As the library writes them: address, key and directory.
    pub(crate) credentials: Value,
}

impl SavedAccount {
    pub(crate) fn new(contact: Option<String>, credentials: Value) -> Self {
        Self {
            format: FORMAT,
            contact,
            credentials,
        }
    }
}

/// One directory's folder, so that moving from a staging to the real directory mixes nothing up.
pub(crate) struct Store {
    dir: PathBuf,
}

impl Store {
    pub(crate) fn open(tls_dir: &Path, directory_url: &str) -> Result<Self, TlsError> {
        let folder: String = directory_url
            .trim_start_matches("https://")
            .trim_end_matches('/')
            .chars()
            .map(|c| match c {
                'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '-' => c,
                _ => '_',
            })
            .collect();
        // In front, so that no address can make it `..` or hidden.
        let dir = tls_dir.join("acme").join(format!("at_{folder}"));
        files::private_dir(&dir)?;
        Ok(Self { dir })
    }

    pub(crate) fn account(&self) -> Result<Option<SavedAccount>, TlsError> {
        let path = self.account_path();
        if !exists(&path)? {
            return Ok(None);
        }
        let account = serde_json::from_slice::<SavedAccount>(&files::read_private(&path)?)
            .ok()
            .filter(|account| account.format == FORMAT);
        account.map(Some).ok_or(TlsError::Unusable {
            path,
            wanted: "ACME account",
        })
    }

    pub(crate) fn save_account(&self, account: &SavedAccount) -> Result<(), TlsError> {
        let path = self.account_path();
        let text = serde_json::to_vec_pretty(account)
            .map_err(|error| TlsError::file(&path, io::Error::other(error)))?;
        files::write_durably(&path, &text, 0o600)
    }

    /// Drops an account that the directory does not know any more.
    pub(crate) fn forget_account(&self) -> Result<(), TlsError> {
        let path = self.account_path();
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(TlsError::file(&path, error))
            }
            _ => Ok(()),
        }
    }

    /// The certificate that is kept for `name`.
    pub(crate) fn certificate(
        &self,
        provider: &CryptoProvider,
        name: &str,
    ) -> Result<Option<Usable>, TlsError> {
        let path = self.certificate_path(name)?;
        if !exists(&path)? {
            return Ok(None);
        }
        let pem = files::read_private(&path)?;
        read(provider, name, &pem, &path).map(Some)
    }

    /// Keeps a certificate once it proved usable for `name`. Key and chain are one file: they change together.
    pub(crate) fn save(
        &self,
        provider: &CryptoProvider,
        name: &str,
        issued: &Issued,
    ) -> Result<Usable, TlsError> {
        let path = self.certificate_path(name)?;
        let pem = format!("{}{}", issued.key_pem, issued.chain_pem);
        let usable = read(provider, name, pem.as_bytes(), &path)?;
        files::write_durably(&path, pem.as_bytes(), 0o600)?;
        Ok(usable)
    }

    fn account_path(&self) -> PathBuf {
        self.dir.join(ACCOUNT_FILE)
    }

    fn certificate_path(&self, name: &str) -> Result<PathBuf, TlsError> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
        if name.is_empty() || name.len() > 253 || name.starts_with('.') || !name.chars().all(plain)
        {
            return Err(TlsError::Name);
        }
        Ok(self.dir.join(format!("{name}.pem")))
    }
}

fn read(
    provider: &CryptoProvider,
    name: &str,
    pem: &[u8],
    path: &Path,
) -> Result<Usable, TlsError> {
    let origin = Origin {
        certificate: path,
        key: path,
    };
    let usable = certificate::from_pem(provider, pem, pem, origin)?;
    if usable.names(name) {
        return Ok(usable);
    }
    Err(TlsError::Unusable {
        path: path.to_owned(),
        wanted: "certificate for its host name",
    })
}

fn exists(path: &Path) -> Result<bool, TlsError> {
    path.try_exists()
        .map_err(|error| TlsError::file(path, error))
}
