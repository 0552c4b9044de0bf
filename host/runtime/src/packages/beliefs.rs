//! Whom the operator trusts now, and what was taken back: read from files, and never believed to be older than before.

use vaxel_core::{AlarmLevel, UnixMs};

use super::Inner;
use crate::RuntimeError;
use crate::vxp::{Package, PackageError, Revocations, Signer, Trust};

/// Whom the operator trusts, and what was taken back.
#[derive(Clone)]
pub(super) struct Beliefs {
    pub(super) trust: Trust,
    pub(super) revoked: Option<Revocations>,
    /// The trust file's text may say the same in another way; looking over everything again costs little.
    pub(super) stamp: (String, Option<u64>),
}

impl Inner {
    /// The trust file as it is now, and the newest revocation list that was ever seen.
    pub(super) async fn beliefs(&self) -> Result<Beliefs, RuntimeError> {
        let trust = Trust::load(&self.trust)?;
        let kept = self.rows.revocations()?;
        let revoked = match trust.revocations() {
            Ok(Some(list)) if kept.as_ref().is_none_or(|kept| list.number > kept.number) => {
                self.rows.keep_revocations(&list).await?;
                Some(list)
            }
            Ok(Some(list)) => {
                if kept.as_ref().is_some_and(|kept| list.number < kept.number) {
                    self.doubt("the revocation list is older than one that was seen before");
                }
                kept
            }
            Ok(None) => {
                if kept.is_some() {
                    self.doubt("the revocation list is gone");
                }
                kept
            }
            Err(error) if kept.is_some() => {
                self.doubt(&error.to_string());
                kept
            }
            Err(error) => return Err(error.into()),
        };
        let number = revoked.as_ref().map(|list| list.number);
        Ok(Beliefs {
            stamp: (format!("{trust:?}"), number),
            trust,
            revoked,
        })
    }

    fn doubt(&self, what: &str) {
        let detail = format!("{what}; the newest one that was seen still counts");
        self.say_once("packages.revocations", detail);
    }

    pub(super) fn say_once(&self, code: &'static str, detail: String) {
        if self.said.lock().get(code) != Some(&detail) {
            self.alarms.raise(AlarmLevel::Warning, code, &detail);
            self.said.lock().insert(code, detail);
        }
    }

    /// Who signed it; `None` only where unsigned packages may be used.
    pub(super) fn signer(
        &self,
        package: &Package,
        beliefs: &Beliefs,
        at: UnixMs,
    ) -> Result<Option<Signer>, PackageError> {
        if package.signature.is_none() && self.allow_unsigned {
            return Ok(None);
        }
        let revoked = beliefs.revoked.as_ref();
        beliefs.trust.check(package, revoked, at).map(Some)
    }
}
