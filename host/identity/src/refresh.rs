//! Refresh tokens: each is derived from its login session, so nothing that lies on the disk is one. Pure but for the
//! keyed hash.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde::{Deserialize, Serialize};
use vaxel_core::{SessionId, TenantId, UnixMs, UserId};
use vaxel_crypto::{Keyring, Secret, ct_eq, random_bytes};
use vaxel_storage::Space;

use crate::IdentityError;
use crate::store::{Row, SESSIONS};

/// The token before the good one still answers for so long: the reply may have been lost, or a second tab asked at
/// once.
pub(crate) const GRACE_MS: u64 = 10_000;
/// A login session that nobody used for so long has ended.
const IDLE_MS: u64 = 30 * 86_400_000;
/// However much it is used, a person signs in anew after so long.
const ABSOLUTE_MS: u64 = 90 * 86_400_000;
/// What a list of devices shows.
const DEVICE_CHARS_MAX: usize = 120;

const FORMAT: u8 = 1;
const TOKEN_BYTES: usize = 1 + 16 + 16 + 8 + 32;

/// A signed-in device.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct SessionRow {
    /// Makes the tokens of this session unguessable from those of others.
    nonce: [u8; 32],
    /// The number of the token that is good now.
    counter: u64,
    pub(crate) device: String,
    pub(crate) created_at: UnixMs,
    /// When the token before the good one was used up; at first, when the session began.
    pub(crate) refreshed_at: UnixMs,
}

impl Row for SessionRow {
    const SPACE: Space = SESSIONS;
    const WHAT: &'static str = "login session";
}

/// What presenting a token means for its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presented {
    /// The good one: the row now stands at the next.
    Rotated,
    /// The one before, just rotated: the same successor answers again.
    Again,
    /// A used one: somebody has a copy.
    Reused,
    /// The session's time is over.
    Over,
}

impl SessionRow {
    pub(crate) fn new(device: &str, now: UnixMs) -> Self {
        let device = device
            .chars()
            .filter(|c| !c.is_control())
            .take(DEVICE_CHARS_MAX)
            .collect();
        Self {
            nonce: random_bytes(),
            counter: 1,
            device,
            created_at: now,
            refreshed_at: now,
        }
    }

    pub(crate) fn ends_at(&self) -> UnixMs {
        self.refreshed_at
            .plus_ms(IDLE_MS)
            .min(self.created_at.plus_ms(ABSOLUTE_MS))
    }

    /// Takes a token that was found genuine.
    pub(crate) fn present(&mut self, counter: u64, now: UnixMs) -> Presented {
        if now >= self.ends_at() {
            return Presented::Over;
        }
        if counter == self.counter {
            self.counter += 1;
            self.refreshed_at = now;
            return Presented::Rotated;
        }
        let is_previous = counter.checked_add(1) == Some(self.counter);
        if is_previous && now.since(self.refreshed_at) <= GRACE_MS {
            Presented::Again
        } else {
            Presented::Reused
        }
    }
}

/// A token as it was sent to us; nothing in it is believed before [`Self::is_genuine`].
pub(crate) struct RefreshToken {
    pub(crate) user: UserId,
    pub(crate) session: SessionId,
    pub(crate) counter: u64,
    mac: [u8; 32],
}

impl RefreshToken {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; TOKEN_BYTES] = BASE64.decode(text).ok()?.try_into().ok()?;
        let (&[FORMAT], rest) = bytes.split_first_chunk::<1>()? else {
            return None;
        };
        let (user, rest) = rest.split_first_chunk::<16>()?;
        let (session, rest) = rest.split_first_chunk::<16>()?;
        let (counter, rest) = rest.split_first_chunk::<8>()?;
        Some(Self {
            user: UserId::from_bytes(*user),
            session: SessionId::from_bytes(*session),
            counter: u64::from_be_bytes(*counter),
            mac: rest.try_into().ok()?,
        })
    }

    /// Whether we made it for this session.
    pub(crate) fn is_genuine(
        &self,
        keyring: &Keyring,
        tenant: TenantId,
        row: &SessionRow,
    ) -> Result<bool, IdentityError> {
        let mac = mac(
            keyring,
            tenant,
            self.user,
            self.session,
            &row.nonce,
            self.counter,
        )?;
        Ok(ct_eq(&mac, &self.mac) && self.counter <= row.counter)
    }
}

/// The token that is good now. Two tabs that ask at once get the same.
pub(crate) fn token_of(
    keyring: &Keyring,
    tenant: TenantId,
    user: UserId,
    session: SessionId,
    row: &SessionRow,
) -> Result<Secret<String>, IdentityError> {
    let mac = mac(keyring, tenant, user, session, &row.nonce, row.counter)?;
    let bytes = Secret::new(
        [
            [FORMAT].as_slice(),
            &user.to_bytes(),
            &session.to_bytes(),
            &row.counter.to_be_bytes(),
            &mac,
        ]
        .concat(),
    );
    Ok(Secret::new(BASE64.encode(bytes.expose())))
}

fn mac(
    keyring: &Keyring,
    tenant: TenantId,
    user: UserId,
    session: SessionId,
    nonce: &[u8; 32],
    counter: u64,
) -> Result<[u8; 32], IdentityError> {
    let data = Secret::new(
        [
            &user.to_bytes(),
            &session.to_bytes(),
            nonce.as_slice(),
            &counter.to_be_bytes(),
        ]
        .concat(),
    );
    Ok(keyring.blind(tenant, "refresh-token", data.expose())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMs = UnixMs(1_000_000_000);

    #[test]
    fn a_used_token_answers_within_the_grace_and_gives_itself_away_after() {
        let mut row = SessionRow::new("test", NOW);
        assert_eq!(row.present(1, NOW), Presented::Rotated);
        assert_eq!(row.present(1, NOW.plus_ms(GRACE_MS)), Presented::Again);
        assert_eq!(row.present(1, NOW.plus_ms(GRACE_MS + 1)), Presented::Reused);
    }

    #[test]
    fn only_the_previous_token_has_a_grace() {
        let mut row = SessionRow::new("test", NOW);
        assert_eq!(row.present(1, NOW), Presented::Rotated);
        assert_eq!(row.present(2, NOW), Presented::Rotated);
        assert_eq!(row.present(2, NOW), Presented::Again);
        assert_eq!(row.present(1, NOW), Presented::Reused, "two rotations ago");
    }

    #[test]
    fn a_session_of_before_reads_as_one_of_today() {
        let mut old = serde_json::to_value(SessionRow::new("test", NOW)).unwrap();
        old["recent"] = serde_json::json!([[1, 1_000_000_000]]);
        old["counter"] = 2.into();
        let mut row: SessionRow = serde_json::from_value(old).unwrap();
        assert_eq!(row.present(1, NOW), Presented::Again);
    }

    #[test]
    fn a_session_ends_when_idle_and_at_last_in_any_case() {
        let mut row = SessionRow::new("test", NOW);
        assert_eq!(row.present(1, NOW.plus_ms(IDLE_MS)), Presented::Over);
        let mut counter = 1;
        for day in [20, 40, 60, 80] {
            assert_eq!(
                row.present(counter, NOW.plus_ms(day * 86_400_000)),
                Presented::Rotated
            );
            counter += 1;
        }
        assert_eq!(
            row.present(counter, NOW.plus_ms(ABSOLUTE_MS)),
            Presented::Over
        );
    }

    #[test]
    fn what_is_no_token_does_not_parse() {
        for text in [
            "",
            "a",
            "å",
            &BASE64.encode([1; TOKEN_BYTES - 1]),
            &BASE64.encode([2; TOKEN_BYTES]),
        ] {
            assert!(RefreshToken::parse(text).is_none());
        }
        assert!(RefreshToken::parse(&BASE64.encode([1; TOKEN_BYTES])).is_some());
    }
}
