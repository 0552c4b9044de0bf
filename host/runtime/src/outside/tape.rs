//! What a call heard from outside its transaction, kept over its re-runs: to ask again could do a thing twice.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};

use crate::capability::bindings::vaxel::http::http::Response;
use crate::capability::bindings::vaxel::types::types::Error;

/// Questions of one call, over all its attempts at once: each may cost somebody else something.
pub(crate) const ASKED_MAX: usize = 16;

/// Answers of one call together, in bytes: they are kept until it ends.
const ANSWERED_BYTES_MAX: usize = 4 << 20;

/// The fingerprint of a question.
pub(crate) type Asked = [u8; 32];

/// Makes the fingerprint of a question from its parts.
pub(crate) fn asked<'a>(kind: &'a str, parts: impl IntoIterator<Item = &'a [u8]>) -> Asked {
    let mut hash = Sha256::new();
    for part in std::iter::once(kind.as_bytes()).chain(parts) {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// An answer as the guest got it.
#[derive(Clone)]
pub(crate) enum Heard {
    Http(Result<Response, Error>),
    Plugin(Result<Vec<u8>, Error>),
}

/// What the tape has for a question.
pub(crate) enum Look {
    /// It was not asked yet.
    New,
    /// It was asked, and this was the answer.
    Heard(Heard),
    /// Something else was asked in its place.
    Differs,
}

/// The answers of one call, by the place of their question in it.
#[derive(Default)]
pub(crate) struct Tape(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    heard: BTreeMap<usize, (Asked, Heard)>,
    bytes: usize,
}

impl Tape {
    /// What an earlier attempt heard at this place.
    pub(crate) fn look(&self, place: usize, asked: &Asked) -> Look {
        match self.0.lock().heard.get(&place) {
            None => Look::New,
            Some((before, heard)) if before == asked => Look::Heard(heard.clone()),
            Some(_) => Look::Differs,
        }
    }

    /// Whether an earlier attempt heard the answer to this.
    pub(crate) fn has(&self, place: usize, asked: &Asked) -> bool {
        let kept = self.0.lock();
        kept.heard
            .get(&place)
            .is_some_and(|(before, _)| before == asked)
    }

    /// Keeps an answer; where there is no room for its bytes, one that says so. Answers what was kept.
    pub(crate) fn keep(&self, place: usize, asked: Asked, heard: Heard, too_much: Heard) -> Heard {
        let mut kept = self.0.lock();
        let bytes = kept.bytes.saturating_add(heard.bytes());
        let heard = if bytes > ANSWERED_BYTES_MAX {
            too_much
        } else {
            kept.bytes = bytes;
            heard
        };
        kept.heard.insert(place, (asked, heard.clone()));
        heard
    }
}

impl Heard {
    fn bytes(&self) -> usize {
        match self {
            Self::Http(Ok(response)) => response.body.len(),
            Self::Plugin(Ok(json)) => json.len(),
            Self::Http(Err(_)) | Self::Plugin(Err(_)) => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(text: &str) -> Heard {
        Heard::Plugin(Ok(text.as_bytes().to_vec()))
    }

    fn text(look: Look) -> Option<Vec<u8>> {
        match look {
            Look::Heard(Heard::Plugin(Ok(text))) => Some(text),
            _ => None,
        }
    }

    #[test]
    fn the_same_question_at_the_same_place_has_its_answer() {
        let tape = Tape::default();
        let (first, second) = (asked("x", [&b"a"[..]]), asked("x", [&b"b"[..]]));
        assert!(matches!(tape.look(0, &first), Look::New));
        tape.keep(0, first, heard("one"), heard(""));
        tape.keep(1, second, heard("two"), heard(""));
        assert_eq!(text(tape.look(0, &first)).unwrap(), b"one");
        assert_eq!(text(tape.look(1, &second)).unwrap(), b"two");
        assert!(matches!(tape.look(0, &second), Look::Differs));
        assert!(matches!(tape.look(2, &first), Look::New));
    }

    #[test]
    fn parts_of_a_question_do_not_run_into_each_other() {
        let ab_c = asked("x", [&b"ab"[..], b"c"]);
        assert_ne!(ab_c, asked("x", [&b"a"[..], b"bc"]));
        assert_ne!(ab_c, asked("y", [&b"ab"[..], b"c"]));
    }

    #[test]
    fn what_is_kept_has_a_limit() {
        let tape = Tape::default();
        let large = || Heard::Plugin(Ok(vec![0; ANSWERED_BYTES_MAX / 2 + 1]));
        let question = asked("x", [&b"a"[..]]);
        tape.keep(0, question, large(), heard("much"));
        let second = tape.keep(1, question, large(), heard("much"));
        assert_eq!(text(Look::Heard(second)).unwrap(), b"much");
    }
}
