//! Which login sessions ended while their access tokens may still be around. Pure: asked for every frame, bounded.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use vaxel_core::{SessionId, UnixMs};

use crate::TokenError;
use crate::token::{ACCESS_TTL_MS, SKEW_MS};

/// After so long the last access token of an ended session has expired by itself.
pub(crate) const KEPT_MS: u64 = ACCESS_TTL_MS + SKEW_MS;
/// Sessions fall into so many parts by their random last byte; ending one copies one part.
const PARTS: usize = 256;
/// Sessions that one part remembers: a quarter of a million in all, ended within eleven minutes. The answer to one more
/// is that all access tokens of the part are fetched anew, which costs their holders a refresh and lets nobody in.
const PART_MAX: usize = 1_024;

/// Replaced as a whole, so that reading takes no lock.
#[derive(Clone, Default)]
struct Part {
    ended: HashMap<SessionId, UnixMs>,
    /// Tokens of this part that were issued up to then do not count any more.
    issued_after: UnixMs,
}

impl Part {
    fn forget(&mut self, now: UnixMs) {
        self.ended.retain(|_, at| now.since(*at) < KEPT_MS);
    }
}

/// What ended lately.
pub(crate) struct Ended {
    parts: Vec<ArcSwap<Part>>,
    changing: Mutex<()>,
}

impl Default for Ended {
    fn default() -> Self {
        Self {
            parts: (0..PARTS).map(|_| ArcSwap::default()).collect(),
            changing: Mutex::new(()),
        }
    }
}

impl Ended {
    fn part(&self, session: SessionId) -> Option<&ArcSwap<Part>> {
        let [.., byte] = session.to_bytes();
        self.parts.get(usize::from(byte))
    }

    /// Whether a token of this session still counts.
    pub(crate) fn check(&self, session: SessionId, issued_at: UnixMs) -> Result<(), TokenError> {
        let Some(part) = self.part(session) else {
            return Err(TokenError::Revoked);
        };
        let part = part.load();
        if part.ended.contains_key(&session) {
            return Err(TokenError::Revoked);
        }
        if issued_at <= part.issued_after {
            return Err(TokenError::Expired);
        }
        Ok(())
    }

    /// From here on no token of this session counts.
    pub(crate) fn add(&self, session: SessionId, at: UnixMs, now: UnixMs) {
        let Some(part) = self.part(session) else {
            return;
        };
        let _turn = self.changing.lock();
        let mut changed = Part::clone(&part.load());
        changed.forget(now);
        if changed.ended.len() >= PART_MAX {
            changed.ended.clear();
            changed.issued_after = now;
        }
        changed.ended.insert(session, at);
        part.store(Arc::new(changed));
    }

    /// Lets go of what has outlived its use.
    pub(crate) fn forget(&self, now: UnixMs) {
        let _turn = self.changing.lock();
        for part in &self.parts {
            let is_outlived = |at: &UnixMs| now.since(*at) >= KEPT_MS;
            if part.load().ended.values().any(is_outlived) {
                let mut changed = Part::clone(&part.load());
                changed.forget(now);
                part.store(Arc::new(changed));
            }
        }
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.parts.iter().map(|part| part.load().ended.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMs = UnixMs(1_800_000_000_000);
    const BEFORE: UnixMs = UnixMs(NOW.0 - 1);

    /// The nth session of a part.
    fn session(part: u8, n: u32) -> SessionId {
        SessionId::from_u128(u128::from(n) << 8 | u128::from(part))
    }

    #[test]
    fn an_ended_session_is_known_until_its_last_token_has_expired() {
        let ended = Ended::default();
        ended.add(session(1, 1), NOW, NOW);
        assert_eq!(ended.check(session(1, 1), BEFORE), Err(TokenError::Revoked));
        assert_eq!(ended.check(session(1, 2), BEFORE), Ok(()));
        ended.forget(NOW.plus_ms(KEPT_MS - 1));
        assert_eq!(ended.len(), 1);
        ended.forget(NOW.plus_ms(KEPT_MS));
        assert_eq!(ended.len(), 0);
    }

    #[test]
    fn what_is_outlived_makes_room_without_a_sweep() {
        let ended = Ended::default();
        let later = NOW.plus_ms(KEPT_MS);
        for n in 0..PART_MAX as u32 {
            ended.add(session(1, n), NOW, NOW);
        }
        ended.add(session(1, 1 << 20), later, later);
        assert_eq!(ended.len(), 1);
        assert_eq!(ended.check(session(1, 1 << 21), NOW), Ok(()));
    }

    #[test]
    fn a_flood_of_ended_sessions_stays_bounded_and_lets_none_of_them_back_in() {
        let ended = Ended::default();
        let flood = 3 * PART_MAX as u32 + 7;
        for n in 0..flood {
            ended.add(session(1, n), NOW, NOW);
            assert!(ended.len() <= PART_MAX);
        }
        for n in 0..flood {
            assert!(ended.check(session(1, n), BEFORE).is_err());
            assert!(ended.check(session(1, n), NOW).is_err());
        }
        // Others of the part refresh and go on; other parts never notice.
        let other = session(1, 1 << 20);
        assert_eq!(ended.check(other, BEFORE), Err(TokenError::Expired));
        assert_eq!(ended.check(other, NOW.plus_ms(1_000)), Ok(()));
        assert_eq!(ended.check(session(2, 1), BEFORE), Ok(()));
    }
}
