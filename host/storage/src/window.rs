//! What a tenant changed lately: the memory that commits and reads are validated against.
//!
//! It also knows the size and, for counters, the value of whatever was committed and perhaps not applied yet,
//! so that increments and the quota need not wait for the state.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use crate::limits::{WINDOW_COMMITS_MAX, WINDOW_KEYS_MAX};

/// The latest known change of a key.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Latest {
    /// The commit that made it.
    pub(crate) seq: u64,
    /// The last commit that deleted the key, 0 if none is remembered.
    pub(crate) deleted_at: u64,
    /// How many bytes the row takes with its key; 0 when there is no row.
    pub(crate) size: u64,
    /// The value, when it is a counter.
    pub(crate) counter: Option<i64>,
}

/// What one commit did to one key.
pub(crate) struct Change {
    pub(crate) key: Arc<[u8]>,
    /// The row's new size, 0 for a delete.
    pub(crate) size: u64,
    pub(crate) counter: Option<i64>,
}

/// A range of keys that a transaction read.
pub(crate) type KeyRange = (Bound<Vec<u8>>, Bound<Vec<u8>>);

/// The changes of the last commits of one tenant.
#[derive(Default)]
pub(crate) struct Window {
    latest: BTreeMap<Arc<[u8]>, Latest>,
    commits: VecDeque<(u64, Vec<Arc<[u8]>>)>,
    keys: usize,
    /// Nothing is known about commits up to this one.
    floor: u64,
}

impl Window {
    pub(crate) fn starting_at(seq: u64) -> Self {
        Self {
            floor: seq,
            ..Self::default()
        }
    }

    /// Remembers a commit. Forgets the oldest ones that are `applied` when it holds too many.
    pub(crate) fn note(&mut self, seq: u64, changes: Vec<Change>, applied: u64) {
        let mut keys = Vec::with_capacity(changes.len());
        for Change { key, size, counter } in changes {
            let latest = self.latest.entry(Arc::clone(&key)).or_default();
            latest.seq = seq;
            latest.size = size;
            latest.counter = counter;
            if size == 0 {
                latest.deleted_at = seq;
            }
            keys.push(key);
        }
        self.keys += keys.len();
        self.commits.push_back((seq, keys));
        self.forget(applied);
    }

    fn forget(&mut self, applied: u64) {
        while self.commits.len() > WINDOW_COMMITS_MAX || self.keys > WINDOW_KEYS_MAX {
            match self.commits.front() {
                Some((seq, _)) if *seq <= applied => {}
                _ => return,
            }
            let Some((seq, keys)) = self.commits.pop_front() else {
                return;
            };
            self.floor = seq;
            self.keys -= keys.len();
            for key in keys {
                if self
                    .latest
                    .get(&key)
                    .is_some_and(|latest| latest.seq == seq)
                {
                    self.latest.remove(&key);
                }
            }
        }
    }

    /// The latest change of a key, if it is remembered. If not, the state has it.
    pub(crate) fn latest(&self, key: &[u8]) -> Option<Latest> {
        self.latest.get(key).copied()
    }

    /// Whether all that was read is still as it was at `start`.
    pub(crate) fn is_unchanged<'a>(
        &self,
        start: u64,
        mut keys: impl Iterator<Item = &'a Vec<u8>>,
        mut ranges: impl Iterator<Item = &'a KeyRange>,
    ) -> bool {
        start >= self.floor
            && keys.all(|key| {
                self.latest
                    .get(key.as_slice())
                    .is_none_or(|l| l.seq <= start)
            })
            && ranges.all(|range| self.in_range(range).all(|latest| latest.seq <= start))
    }

    /// Whether the key may have been deleted after `start`.
    pub(crate) fn may_be_deleted_since(&self, start: u64, key: &[u8]) -> bool {
        start < self.floor
            || self
                .latest
                .get(key)
                .is_some_and(|latest| latest.deleted_at > start)
    }

    /// Whether any key of the range may have been deleted after `start`.
    pub(crate) fn may_lack_since(&self, start: u64, range: &KeyRange) -> bool {
        start < self.floor || self.in_range(range).any(|latest| latest.deleted_at > start)
    }

    fn in_range(&self, (low, high): &KeyRange) -> impl Iterator<Item = &Latest> {
        let bounds = (
            low.as_ref().map(Vec::as_slice),
            high.as_ref().map(Vec::as_slice),
        );
        let is_empty = match bounds {
            (Bound::Included(l), Bound::Included(h)) => l > h,
            (Bound::Included(l) | Bound::Excluded(l), Bound::Included(h) | Bound::Excluded(h)) => {
                l >= h
            }
            _ => false,
        };
        // An empty range would make the map panic.
        let found = (!is_empty).then(|| self.latest.range::<[u8], _>(bounds));
        found.into_iter().flatten().map(|(_, latest)| latest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(key: &[u8], size: u64) -> Change {
        Change {
            key: key.into(),
            size,
            counter: None,
        }
    }

    fn unchanged(window: &Window, start: u64, key: &[u8]) -> bool {
        window.is_unchanged(start, [key.to_vec()].iter(), [].iter())
    }

    #[test]
    fn a_later_change_of_a_read_key_is_seen() {
        let mut window = Window::starting_at(5);
        window.note(6, vec![change(b"a", 1)], 0);
        assert!(!unchanged(&window, 5, b"a"));
        assert!(unchanged(&window, 6, b"a"));
        assert!(unchanged(&window, 5, b"b"));
        assert!(
            !unchanged(&window, 4, b"b"),
            "nothing is known about commit 5"
        );
    }

    #[test]
    fn a_new_key_in_a_read_range_is_seen() {
        let mut window = Window::starting_at(0);
        window.note(1, vec![change(b"m", 1)], 0);
        let range = |low: &[u8], high: &[u8]| {
            (
                Bound::Included(low.to_vec()),
                Bound::Excluded(high.to_vec()),
            )
        };
        let seen = |r: KeyRange| !window.is_unchanged(0, [].iter(), [r].iter());
        assert!(seen(range(b"a", b"z")));
        assert!(!seen(range(b"n", b"z")));
        assert!(!seen(range(b"z", b"a")), "an empty range holds nothing");
    }

    #[test]
    fn a_deletion_is_remembered_behind_a_later_put() {
        let mut window = Window::starting_at(0);
        window.note(1, vec![change(b"a", 0)], 0);
        window.note(2, vec![change(b"a", 9)], 0);
        assert!(window.may_be_deleted_since(0, b"a"));
        assert!(!window.may_be_deleted_since(1, b"a"));
    }

    #[test]
    fn only_applied_commits_are_forgotten() {
        let mut window = Window::starting_at(0);
        for seq in 1..=(WINDOW_COMMITS_MAX as u64 + 10) {
            window.note(seq, vec![change(&seq.to_be_bytes(), 1)], 3);
        }
        assert_eq!(window.floor, 3);
        assert!(window.latest(&4_u64.to_be_bytes()).is_some());
        assert!(window.latest(&3_u64.to_be_bytes()).is_none());
    }
}
