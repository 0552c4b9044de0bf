//! Chance that two runs of one call share: the same ids and the same random bytes, so that answers can be compared.

use std::sync::Arc;

use parking_lot::Mutex;
use vaxel_crypto::random_bytes;

/// How many bytes are drawn at once.
const DRAWN_BYTES: usize = 256;

/// What was drawn so far, in order; whoever comes first draws for both.
#[derive(Default)]
pub(crate) struct Chance {
    ids: Mutex<Vec<u128>>,
    bytes: Mutex<Vec<u8>>,
}

/// How much of it one run has had.
#[derive(Default)]
pub(crate) struct Drawn {
    ids: usize,
    bytes: usize,
}

impl Chance {
    /// The run's next id; `new` makes one that nobody had yet.
    pub(crate) fn id(&self, drawn: &mut Drawn, new: impl FnOnce() -> u128) -> u128 {
        let mut ids = self.ids.lock();
        let id = match ids.get(drawn.ids) {
            Some(id) => *id,
            None => {
                let id = new();
                ids.push(id);
                id
            }
        };
        drawn.ids += 1;
        id
    }

    /// The run's next random bytes.
    pub(crate) fn bytes(&self, drawn: &mut Drawn, len: usize) -> Vec<u8> {
        let mut bytes = self.bytes.lock();
        let (from, to) = (drawn.bytes, drawn.bytes.saturating_add(len));
        while bytes.len() < to {
            bytes.extend(random_bytes::<DRAWN_BYTES>());
        }
        drawn.bytes = to;
        bytes.get(from..to).unwrap_or_default().to_vec()
    }
}

/// Chance for a call that is run twice.
pub(crate) fn shared() -> Arc<Chance> {
    Arc::default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_runs_draw_the_same_and_one_run_never_the_same_twice() {
        let chance = Chance::default();
        let (mut one, mut two) = (Drawn::default(), Drawn::default());
        let first = chance.bytes(&mut one, 16);
        let second = chance.bytes(&mut one, 300);
        assert_ne!(first, second[..16]);
        assert_eq!(chance.bytes(&mut two, 316), [first, second].concat());
        let mut next = 0;
        let mut new = || {
            next += 1;
            next
        };
        assert_eq!(chance.id(&mut two, &mut new), 1);
        assert_eq!(chance.id(&mut two, &mut new), 2);
        assert_eq!(chance.id(&mut one, &mut new), 1);
    }
}
