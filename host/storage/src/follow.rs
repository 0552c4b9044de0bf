//! Followers of all commits: the gateway's fan-out, and later other nodes.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::mpsc::{Sender, error::TrySendError};
use vaxel_core::{TenantId, UnixMs, UserId};

use crate::health::Health;
use crate::{AudienceId, Event};

/// How long to wait before asking a full follower again; only slow ones are ever asked twice.
const FULL_PAUSE: Duration = Duration::from_micros(200);

/// What a commit means to those who listen.
///
/// Joins come before the events and leaves behind them: who joins in the same commit sees its events, and
/// who leaves still does.
#[derive(Debug)]
pub struct Committed {
    /// Whose commit.
    pub tenant: TenantId,
    /// Its number; of ephemeral events alone, the number of the commit before them.
    pub seq: u64,
    /// Its time.
    pub at: UnixMs,
    /// Who became a member of which audience.
    pub joins: Vec<(AudienceId, UserId)>,
    /// Who ceased to be one.
    pub leaves: Vec<(AudienceId, UserId)>,
    /// What was published, durably.
    pub events: Vec<Event>,
    /// What was published for whoever is there now.
    pub ephemeral: Vec<Event>,
}

impl Committed {
    pub(crate) fn is_empty(&self) -> bool {
        self.joins.is_empty()
            && self.leaves.is_empty()
            && self.events.is_empty()
            && self.ephemeral.is_empty()
    }
}

/// Everybody who follows.
#[derive(Default)]
pub(crate) struct Followers(Mutex<Vec<Sender<Arc<Committed>>>>);

impl Followers {
    pub(crate) fn add(&self, follower: Sender<Arc<Committed>>) {
        self.0.lock().push(follower);
    }

    /// Hands the commit to every follower. A full one holds everything up until it has room or storage closes.
    pub(crate) fn tell(&self, committed: &Arc<Committed>, health: &Health) {
        let followers = self.0.lock().clone();
        let mut has_gone = false;
        for follower in &followers {
            let mut letter = Arc::clone(committed);
            loop {
                match follower.try_send(letter) {
                    Ok(()) => break,
                    Err(TrySendError::Closed(_)) => {
                        has_gone = true;
                        break;
                    }
                    Err(TrySendError::Full(_)) if health.is_closed() => break,
                    Err(TrySendError::Full(back)) => {
                        letter = back;
                        std::thread::sleep(FULL_PAUSE);
                    }
                }
            }
        }
        if has_gone {
            self.0.lock().retain(|follower| !follower.is_closed());
        }
    }
}
