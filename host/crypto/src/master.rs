//! The master key: where it comes from and who may read it.

use std::ffi::OsString;
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

/// The variable in which systemd says where a service's credentials lie.
const CREDENTIALS_VARIABLE: &str = "CREDENTIALS_DIRECTORY";

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
        Self::detect_in(&environment, file)
    }

    fn detect_in(environment: Environment<'_>, file: &Path) -> Self {
        let credential = credential_path(environment).is_some_and(|path| path.exists());
        if credential {
            Self::Credential
        } else if environment(MASTER_VARIABLE).is_some() {
            Self::Env
        } else {
            Self::File(file.to_owned())
        }
    }
}

/// The value of a variable; a test's own, or the process's.
type Environment<'a> = &'a dyn Fn(&str) -> Option<OsString>;

fn environment(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

fn credential_path(environment: Environment<'_>) -> Option<PathBuf> {
    environment(CREDENTIALS_VARIABLE).map(|dir| Path::new(&dir).join(MASTER_CREDENTIAL))
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
        Self::load_in(&environment, source)
    }

    fn load_in(
        environment: Environment<'_>,
        source: &MasterKeySource,
    ) -> Result<Self, CryptoError> {
        match source {
            MasterKeySource::File(path) => Self::load_file(path),
            MasterKeySource::Env => {
                // What is not even text is not base64: it is refused as that below.
                let text = environment(MASTER_VARIABLE).unwrap_or_default();
                let text = Zeroizing::new(text.into_encoded_bytes());
                Self::parse(&String::from_utf8_lossy(&text), MASTER_VARIABLE)
            }
            MasterKeySource::Credential => {
                let path =
                    credential_path(environment).ok_or_else(|| CryptoError::MasterMissing {
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

    const TEXT: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    /// An environment of these variables only.
    fn with<'a>(variables: &'a [(&'a str, OsString)]) -> impl Fn(&str) -> Option<OsString> + 'a {
        move |name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| value.clone())
        }
    }

    #[test]
    fn a_key_in_the_variable_is_found_and_read() {
        let wanted = MasterKey::from_recovery_text(TEXT).unwrap();
        let file = Path::new("/nowhere/master.key");
        for text in [TEXT.to_owned(), format!(" {TEXT}\n")] {
            let variables = [(MASTER_VARIABLE, OsString::from(text))];
            let set = with(&variables);
            assert_eq!(MasterKeySource::detect_in(&set, file), MasterKeySource::Env);
            let read = MasterKey::load_in(&set, &MasterKeySource::Env).unwrap();
            assert_eq!(read.bytes(), wanted.bytes());
        }
        let nothing = with(&[]);
        assert_eq!(
            MasterKeySource::detect_in(&nothing, file),
            MasterKeySource::File(file.to_owned())
        );
    }

    #[test]
    fn a_variable_without_a_key_is_said_so_and_never_shown() {
        use std::os::unix::ffi::OsStringExt as _;

        let load = |value: Option<OsString>| {
            let variables: Vec<_> = value.map(|v| (MASTER_VARIABLE, v)).into_iter().collect();
            MasterKey::load_in(&with(&variables), &MasterKeySource::Env).unwrap_err()
        };
        for empty in [None, Some(OsString::new()), Some("  \n".into())] {
            assert!(matches!(load(empty), CryptoError::MasterMissing { .. }));
        }
        let short = TEXT.get(..40).unwrap();
        for wrong in ["hemligt", short, &format!("{TEXT}{TEXT}")] {
            let error = load(Some(wrong.into()));
            assert!(matches!(error, CryptoError::MasterMalformed { .. }));
            assert!(error.to_string().contains(MASTER_VARIABLE));
            assert!(!format!("{error} {error:?}").contains(wrong));
        }
        let no_text = OsString::from_vec(vec![0xff; 44]);
        assert!(matches!(
            load(Some(no_text)),
            CryptoError::MasterMalformed { .. }
        ));
    }

    #[test]
    fn a_credential_goes_before_the_variable_and_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("master.key");
        MasterKey::create_file(&file).unwrap();
        let variables = [
            (CREDENTIALS_VARIABLE, dir.path().as_os_str().to_owned()),
            (MASTER_VARIABLE, OsString::from("not looked at")),
        ];
        let set = with(&variables);
        // systemd says where credentials lie also to a service that was given others.
        assert_eq!(
            MasterKeySource::detect_in(&set, &file),
            MasterKeySource::Env
        );
        let load = || MasterKey::load_in(&set, &MasterKeySource::Credential);
        assert!(matches!(load(), Err(CryptoError::MasterMissing { .. })));

        let credential = dir.path().join(MASTER_CREDENTIAL);
        fs::write(&credential, format!("{TEXT}\n")).unwrap();
        // As systemd makes it: read by the service only, whatever the bits of its group say.
        fs::set_permissions(&credential, fs::Permissions::from_mode(0o440)).unwrap();
        assert_eq!(
            MasterKeySource::detect_in(&set, &file),
            MasterKeySource::Credential
        );
        assert_eq!(*load().unwrap().to_recovery_text(), TEXT);

        fs::set_permissions(&credential, fs::Permissions::from_mode(0o640)).unwrap();
        fs::write(&credential, "not a key").unwrap();
        assert!(matches!(load(), Err(CryptoError::MasterMalformed { .. })));
    }

    #[test]
    fn without_a_credentials_directory_there_is_no_credential() {
        assert!(matches!(
            MasterKey::load_in(&with(&[]), &MasterKeySource::Credential),
            Err(CryptoError::MasterMissing { .. })
        ));
    }
}
