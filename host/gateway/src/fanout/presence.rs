//! Who is reachable right now, told only when it really changed.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use vaxel_core::UserId;

/// How long somebody may be without a socket before they count as gone: a reload, a lift, a change of network.
const GRACE: Duration = Duration::from_secs(10);

/// How reachable somebody is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    Online,
    Away,
    Offline,
}

#[derive(Debug)]
struct Seen {
    sockets: usize,
    away: bool,
    announced: Status,
    gone_since: Option<Instant>,
}

impl Seen {
    fn status(&self, now: Instant) -> Status {
        match self.gone_since {
            Some(since) if now.duration_since(since) >= GRACE => Status::Offline,
            _ if self.away => Status::Away,
            _ => Status::Online,
        }
    }
}

/// The presence of one tenant's people. As large as the number of people with a socket, now or a moment ago.
#[derive(Debug, Default)]
pub(crate) struct Presence {
    people: HashMap<UserId, Seen>,
    changed: HashSet<UserId>,
}

impl Presence {
    /// A socket of theirs came.
    pub(crate) fn arrived(&mut self, user: UserId, _now: Instant) {
        let seen = self.people.entry(user).or_insert(Seen {
            sockets: 0,
            away: false,
            announced: Status::Offline,
            gone_since: None,
        });
        seen.sockets += 1;
        seen.gone_since = None;
        self.changed.insert(user);
    }

    /// A socket of theirs went.
    pub(crate) fn left(&mut self, user: UserId, now: Instant) {
        let Some(seen) = self.people.get_mut(&user) else {
            return;
        };
        seen.sockets = seen.sockets.saturating_sub(1);
        if seen.sockets == 0 {
            seen.gone_since = Some(now);
            self.changed.insert(user);
        }
    }

    /// They say whether they are away.
    pub(crate) fn set_away(&mut self, user: UserId, away: bool) {
        if let Some(seen) = self.people.get_mut(&user) {
            seen.away = away;
            self.changed.insert(user);
        }
    }

    /// Everybody who is not offline.
    pub(crate) fn all(&self) -> Vec<(UserId, Status)> {
        self.people
            .iter()
            .map(|(user, seen)| {
                (
                    *user,
                    if seen.away {
                        Status::Away
                    } else {
                        Status::Online
                    },
                )
            })
            .collect()
    }

    /// What changed since the last call. Somebody in their time of grace stays in question until it ends.
    pub(crate) fn take_changes(&mut self, now: Instant) -> Vec<(UserId, Status)> {
        let mut changes = Vec::new();
        let people = &mut self.people;
        self.changed.retain(|user| {
            let Some(seen) = people.get_mut(user) else {
                return false;
            };
            let status = seen.status(now);
            if status != seen.announced {
                seen.announced = status;
                changes.push((*user, status));
            }
            if status == Status::Offline {
                people.remove(user);
                return false;
            }
            seen.gone_since.is_some()
        });
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANNA: UserId = UserId::from_u128(1);

    #[test]
    fn a_reload_is_no_news() {
        let mut presence = Presence::default();
        let start = Instant::now();
        presence.arrived(ANNA, start);
        assert_eq!(presence.take_changes(start), [(ANNA, Status::Online)]);
        presence.left(ANNA, start);
        assert!(
            presence
                .take_changes(start + Duration::from_secs(2))
                .is_empty()
        );
        presence.arrived(ANNA, start + Duration::from_secs(3));
        assert!(
            presence
                .take_changes(start + Duration::from_secs(60))
                .is_empty()
        );
    }

    #[test]
    fn who_stays_away_is_offline_after_the_grace() {
        let mut presence = Presence::default();
        let start = Instant::now();
        presence.arrived(ANNA, start);
        presence.take_changes(start);
        presence.left(ANNA, start);
        assert!(
            presence
                .take_changes(start + Duration::from_secs(9))
                .is_empty()
        );
        assert_eq!(
            presence.take_changes(start + GRACE),
            [(ANNA, Status::Offline)]
        );
        assert!(presence.all().is_empty());
        assert!(presence.take_changes(start + GRACE * 2).is_empty());
    }

    #[test]
    fn the_second_device_keeps_somebody_online() {
        let mut presence = Presence::default();
        let start = Instant::now();
        presence.arrived(ANNA, start);
        presence.arrived(ANNA, start);
        presence.left(ANNA, start);
        presence.set_away(ANNA, true);
        assert_eq!(presence.take_changes(start + GRACE), [(ANNA, Status::Away)]);
        assert_eq!(presence.all(), [(ANNA, Status::Away)]);
    }
}
