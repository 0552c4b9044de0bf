//! PINs: made here, shown once, hashed under a key that storage does not hold, and guessed at a few times only.
//!
//! An attempt is counted in a commit of its own before the PIN is looked at: no crash, no trap of a plugin and no
//! crowd of attempts at once takes it back. A scope without a PIN counts and answers like one with.

use serde::{Deserialize, Serialize};
use vaxel_core::{OpCx, PluginId, TenantId, UnixMs};
use vaxel_crypto::{ErasureKey, Secret, random_bytes};
use vaxel_storage::Space;

use super::check_name;
use crate::IdentityError;
use crate::audit::{AuditEntry, Outcome};
use crate::identity::Identity;
use crate::store::{Row, STEP_UP, Tx};

/// How many digits a PIN has: with the few guesses that there are, one in fifty thousand is guessed.
pub const PIN_DIGITS: usize = 6;

/// Guesses before a pause.
const GUESSES: u32 = 5;

/// The pauses after each round of guesses; behind the last one only a new PIN helps.
const PAUSES_MS: [u64; 3] = [15 * 60_000, 3_600_000, 24 * 3_600_000];

/// In front of a PIN's key among the rows of step-up.
const KEY: &[u8] = b"pin/";

/// A PIN, or the guesses at one that is not there.
#[derive(Clone, Default, Serialize, Deserialize)]
struct PinRow {
    phc: Option<String>,
    /// Guesses since the last right one.
    guesses: u32,
    at: UnixMs,
}

impl Row for PinRow {
    const SPACE: Space = STEP_UP;
    const WHAT: &'static str = "PIN";
}

/// What may be guessed now.
#[derive(Debug, PartialEq, Eq)]
enum Guess {
    /// Go on; so many are left behind this one.
    Allowed { left: u32 },
    /// Not before then.
    Pause { until: UnixMs },
    /// Never again.
    Locked,
}

impl PinRow {
    fn guess(&self, now: UnixMs) -> Guess {
        let (rounds, used) = (self.guesses / GUESSES, self.guesses % GUESSES);
        let left = GUESSES - used - 1;
        if rounds == 0 || used > 0 {
            return Guess::Allowed { left };
        }
        let pause = usize::try_from(rounds - 1)
            .ok()
            .and_then(|n| PAUSES_MS.get(n));
        match pause {
            None => Guess::Locked,
            Some(pause) if now < self.at.plus_ms(*pause) => Guess::Pause {
                until: self.at.plus_ms(*pause),
            },
            Some(_) => Guess::Allowed { left },
        }
    }
}

impl Identity {
    /// Makes a PIN for a plugin's scope (one survey, one link) in the place of the one before, and shows it this once.
    pub async fn make_pin(
        &self,
        cx: &OpCx,
        plugin: &PluginId,
        scope: &str,
    ) -> Result<Secret<String>, IdentityError> {
        let key = self.pin_key(cx.tenant, plugin, scope)?;
        let pin = Secret::new(random_digits());
        let phc = self
            .inner
            .hasher
            .hash(self.peppered(cx.tenant, &key, pin.expose())?)
            .await?;
        let row = PinRow {
            phc: Some(phc),
            guesses: 0,
            at: self.now(),
        };
        let change = |tx: &mut Tx| {
            tx.put(&key, &row, ErasureKey::TENANT)?;
            tx.append(&AuditEntry::of(cx, "stepup.make_pin", Outcome::Done).about(plugin.as_str()))
        };
        self.inner.store.change(cx.tenant, change).await?;
        Ok(pin)
    }

    /// Whether it is the PIN. Counts first and looks then.
    pub async fn check_pin(
        &self,
        tenant: TenantId,
        plugin: &PluginId,
        scope: &str,
        pin: Secret<String>,
    ) -> Result<(), IdentityError> {
        let key = self.pin_key(tenant, plugin, scope)?;
        let now = self.now();
        let counted = self
            .inner
            .store
            .change_in_reserve(tenant, |tx| {
                let mut row: PinRow = tx.get(&key)?.unwrap_or_default();
                let guess = row.guess(now);
                if matches!(guess, Guess::Allowed { .. }) {
                    row.guesses = row.guesses.saturating_add(1);
                    row.at = now;
                    tx.put(&key, &row, ErasureKey::TENANT)?;
                    if row.guesses.is_multiple_of(GUESSES) {
                        let paused = AuditEntry::anonymous(now, "stepup.pin", Outcome::Throttled);
                        tx.append(&paused)?;
                    }
                }
                Ok((guess, row.phc))
            })
            .await?;
        let (left, phc) = match counted {
            (Guess::Allowed { left }, phc) => (left, phc),
            (Guess::Pause { until }, _) => {
                let ms = u32::try_from(until.since(now)).unwrap_or(u32::MAX);
                return Err(IdentityError::Throttled { retry_after_ms: ms });
            }
            (Guess::Locked, _) => return Err(IdentityError::PinLocked),
        };
        let peppered = self.peppered(tenant, &key, pin.expose())?;
        if !self.inner.hasher.verify(peppered, phc.clone()).await? {
            return Err(IdentityError::WrongPin { left });
        }
        self.inner
            .store
            .change_in_reserve(tenant, |tx| {
                let row: PinRow = tx.get(&key)?.unwrap_or_default();
                // Another one was made meanwhile.
                if row.phc != phc {
                    return Err(IdentityError::WrongPin { left });
                }
                let right = PinRow { guesses: 0, ..row };
                tx.put(&key, &right, ErasureKey::TENANT)
            })
            .await
    }

    fn pin_key(
        &self,
        tenant: TenantId,
        plugin: &PluginId,
        scope: &str,
    ) -> Result<Vec<u8>, IdentityError> {
        check_name(scope)?;
        let name = [plugin.as_str().as_bytes(), b"\0", scope.as_bytes()].concat();
        let blinded = self.inner.keyring.blind(tenant, "pin", &name)?;
        Ok([KEY, &blinded].concat())
    }

    /// A PIN has few values: whoever takes the disk must not be able to try them all, so what is hashed is its MAC
    /// under the host's own key.
    fn peppered(
        &self,
        tenant: TenantId,
        key: &[u8],
        pin: &str,
    ) -> Result<Secret<String>, IdentityError> {
        let data = [&tenant.to_bytes(), key, pin.as_bytes()].concat();
        let mac = self.inner.keyring.mac_host("pin", &data)?;
        Ok(Secret::new(
            mac.iter().map(|byte| format!("{byte:02x}")).collect(),
        ))
    }
}

/// Digits, each as likely as any other.
fn random_digits() -> String {
    let mut digits = String::new();
    while digits.len() < PIN_DIGITS {
        let [byte] = random_bytes::<1>();
        // 250 is a multiple of ten; what lies above would make low digits likelier.
        if byte < 250 {
            digits.push(char::from(b'0' + byte % 10));
        }
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(guesses: u32) -> PinRow {
        PinRow {
            phc: None,
            guesses,
            at: UnixMs(1_000),
        }
    }

    #[test]
    fn a_few_guesses_then_longer_and_longer_pauses_and_then_never() {
        let soon = UnixMs(2_000);
        assert_eq!(row(0).guess(soon), Guess::Allowed { left: 4 });
        assert_eq!(row(4).guess(soon), Guess::Allowed { left: 0 });
        for (round, pause) in PAUSES_MS.into_iter().enumerate() {
            let guesses = GUESSES * (u32::try_from(round).unwrap() + 1);
            let until = UnixMs(1_000 + pause);
            assert_eq!(row(guesses).guess(soon), Guess::Pause { until });
            assert_eq!(row(guesses).guess(until), Guess::Allowed { left: 4 });
            assert_eq!(row(guesses + 1).guess(soon), Guess::Allowed { left: 3 });
        }
        let far = UnixMs(u64::MAX / 2);
        assert_eq!(row(GUESSES * 4).guess(far), Guess::Locked);
    }

    #[test]
    fn a_pin_is_digits_and_not_always_the_same() {
        let pins: std::collections::BTreeSet<String> = (0..50).map(|_| random_digits()).collect();
        assert!(pins.len() > 40);
        assert!(
            pins.iter()
                .all(|pin| pin.len() == PIN_DIGITS && pin.bytes().all(|b| b.is_ascii_digit()))
        );
    }
}
