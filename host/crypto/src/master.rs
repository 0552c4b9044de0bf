//! The master key: where it comes from and who may read it.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use zeroize::Zeroizing;

use crate::{CryptoError, Secret, random_bytes};

/// The variable that may hold the master key, in base64.
const MASTER_VARIABLE: &str = "VAXEL_MASTER_KEY";

/// The systemd credential that may hold the master key, in base64.
const MASTER_CREDENTIAL: &str = "vaxel-master-key";

/// Where the master key is read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MasterKeySource {
    /// A file of mode 0600 with 32 bytes in base64.
    File(PathBuf),
    /// The variable `VAXEL_MASTER_KEY`.
    Env,
    /// The systemd credential `vaxel-master-key` (`LoadCredential=`).
    Credential,
}

impl MasterKeySource {
    /// The credential or the variable where one of them is set, else the file.
    pub fn detect(file: &Path) -> Self {
        let credential = credential_path().is_some_and(|path| path.exists());
        if credential {
            Self::Credential
        } else if std::env::var_os(MASTER_VARIABLE).is_some() {
            Self::Env
        } else {
            Self::File(file.to_owned())
        }
    }
}

fn credential_path() -> Option<PathBuf> {
    std::env::var_os("CREDENTIALS_DIRECTORY").map(|dir| Path::new(&dir).join(MASTER_CREDENTIAL))
}

/// The key that wraps all tenants' keys. It is in no backup.
#[derive(Clone, Debug)]
pub struct MasterKey(Secret<[u8; 32]>);

impl MasterKey {
    /// A new key.
    pub fn generate() -> Self {
        Self(Secret::new(random_bytes()))
    }

    /// Reads the key; a file that others can read is refused.
    pub fn load(source: &MasterKeySource) -> Result<Self, CryptoError> {
        match source {
            MasterKeySource::File(path) => Self::load_file(path),
            MasterKeySource::Env => {
                let text = Zeroizing::new(std::env::var(MASTER_VARIABLE).unwrap_or_default());
                Self::parse(&text, MASTER_VARIABLE)
            }
            MasterKeySource::Credential => {
                let path = credential_path().ok_or_else(|| CryptoError::MasterMissing {
                    place: format!("credential {MASTER_CREDENTIAL}"),
                })?;
                Self::parse(&read(&path)?, MASTER_CREDENTIAL)
            }
        }
    }

    fn load_file(path: &Path) -> Result<Self, CryptoError> {
        let text = read(path)?;
        let mode = fs::metadata(path)
            .map_err(|source| CryptoError::Io {
                doing: "looking at",
                path: path.to_owned(),
                source,
            })?
            .mode()
            & 0o777;
        if mode & 0o077 != 0 {
            return Err(CryptoError::MasterExposed {
                path: path.to_owned(),
                mode,
            });
        }
        Self::parse(&text, &path.display().to_string())
    }

    /// Makes a new key in a new file of mode 0600; an existing file is never overwritten.
    pub fn create_file(path: &Path) -> Result<Self, CryptoError> {
        let fail = |source| CryptoError::Io {
            doing: "creating",
            path: path.to_owned(),
            source,
        };
        let key = Self::generate();
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(fail)?;
        file.write_all(key.to_recovery_text().as_bytes())
            .map_err(fail)?;
        file.write_all(b"\n").map_err(fail)?;
        file.sync_all().map_err(fail)?;
        if let Some(dir) = path.parent() {
            fs::File::open(dir)
                .and_then(|dir| dir.sync_all())
                .map_err(fail)?;
        }
        Ok(key)
    }

    /// The key in base64, for the recovery copy that its owner keeps elsewhere.
    pub fn to_recovery_text(&self) -> Zeroizing<String> {
        Zeroizing::new(BASE64.encode(self.0.expose()))
    }

    /// Reads what [`Self::to_recovery_text`] printed.
    pub fn from_recovery_text(text: &str) -> Result<Self, CryptoError> {
        Self::parse(text, "recovery copy")
    }

    pub(crate) const fn bytes(&self) -> &[u8; 32] {
        self.0.expose()
    }

    fn parse(text: &str, place: &str) -> Result<Self, CryptoError> {
        if text.trim().is_empty() {
            return Err(CryptoError::MasterMissing {
                place: place.to_owned(),
            });
        }
        let malformed = || CryptoError::MasterMalformed {
            place: place.to_owned(),
        };
        let bytes = Zeroizing::new(BASE64.decode(text.trim()).map_err(|_| malformed())?);
        let key: [u8; 32] = bytes.as_slice().try_into().map_err(|_| malformed())?;
        Ok(Self(Secret::new(key)))
    }
}

fn read(path: &Path) -> Result<Zeroizing<String>, CryptoError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Zeroizing::new(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(CryptoError::MasterMissing {
            place: path.display().to_string(),
        }),
        Err(source) => Err(CryptoError::Io {
            doing: "reading",
            path: path.to_owned(),
            source,
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_key_file_is_private_and_reads_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("master.key");
        let made = MasterKey::create_file(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let read = MasterKey::load(&MasterKeySource::File(path.clone())).unwrap();
        assert_eq!(made.bytes(), read.bytes());
        assert!(
            MasterKey::create_file(&path).is_err(),
            "an existing key is never overwritten"
        );
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("master.key");
        MasterKey::create_file(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(
            MasterKey::load(&MasterKeySource::File(path)),
            Err(CryptoError::MasterExposed { mode: 0o640, .. })
        ));
    }

    #[test]
    fn a_missing_or_malformed_key_is_said_so() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("master.key");
        let load = || MasterKey::load(&MasterKeySource::File(path.clone()));
        assert!(matches!(load(), Err(CryptoError::MasterMissing { .. })));
        fs::write(&path, "not a key").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(matches!(load(), Err(CryptoError::MasterMalformed { .. })));
    }
}
