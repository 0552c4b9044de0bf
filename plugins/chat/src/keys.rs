//! Where everything lies: one byte for the family, then opaque ids, never a name.
//!
//! | key | value |
//! |---|---|
//! | `c` conversation | the conversation, with the number and the first of its members |
//! | `x` conversation | present for each public channel |
//! | `d` lower user, higher user | the direct conversation of two people |
//! | `j` conversation, stamp | one member, in the order of joining |
//! | `p` conversation, user | alias of the `j` row: a person's place; present = member |
//! | `u` user, conversation | present for each conversation of a person; holds their read mark: full key of the last read message, then its id |
//! | `q` user | number of conversations of a person |
//! | `m` conversation, stamp | one message |
//! | `i` message | alias of the `m` row |
//! | `h` message | former texts |

use crate::ids::{ConversationId, MessageId, UserId};

const ID_LEN: usize = 16;
/// Commit position: u64 and an ordinal within the commit.
const STAMP_LEN: usize = 10;
const LOG_KEY_LEN: usize = 1 + ID_LEN + STAMP_LEN;

/// Where in the order of all commits a row was appended; positions of `j` and `m` rows compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Stamp([u8; STAMP_LEN]);

impl Stamp {
    pub(crate) const fn to_bytes(self) -> [u8; STAMP_LEN] {
        self.0
    }
    pub(crate) const fn from_bytes(bytes: [u8; STAMP_LEN]) -> Self {
        Self(bytes)
    }
    pub(crate) fn to_hex(self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
    pub(crate) fn from_hex(text: &str) -> Option<Self> {
        if text.len() != STAMP_LEN * 2 {
            return None;
        }
        let mut bytes = [0; STAMP_LEN];
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(text.get(at * 2..at * 2 + 2)?, 16).ok()?;
        }
        Some(Self(bytes))
    }
}

/// Splits the key of an appended row into its conversation and position.
pub(crate) fn log_position(key: &[u8]) -> Option<(ConversationId, Stamp)> {
    if key.len() != LOG_KEY_LEN {
        return None;
    }
    let (id, stamp) = key.get(1..)?.split_at_checked(ID_LEN)?;
    Some((
        ConversationId::from_bytes(id.try_into().ok()?),
        Stamp(stamp.try_into().ok()?),
    ))
}

fn key(family: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + 2 * ID_LEN);
    key.push(family);
    for part in parts {
        key.extend_from_slice(part);
    }
    key
}

pub(crate) fn conversation(id: ConversationId) -> Vec<u8> {
    key(b'c', &[&id.to_bytes()])
}

pub(crate) const PUBLIC_CHANNELS: &[u8] = b"x";

pub(crate) fn public_channel(id: ConversationId) -> Vec<u8> {
    key(b'x', &[&id.to_bytes()])
}

/// The same for both, whoever asks.
pub(crate) fn direct(one: UserId, other: UserId) -> Vec<u8> {
    let (lower, higher) = if one <= other {
        (one, other)
    } else {
        (other, one)
    };
    key(b'd', &[&lower.to_bytes(), &higher.to_bytes()])
}

pub(crate) fn roster(id: ConversationId) -> Vec<u8> {
    key(b'j', &[&id.to_bytes()])
}

pub(crate) fn roster_entry(id: ConversationId, at: Stamp) -> Vec<u8> {
    key(b'j', &[&id.to_bytes(), &at.to_bytes()])
}

pub(crate) fn place(id: ConversationId, user: UserId) -> Vec<u8> {
    key(b'p', &[&id.to_bytes(), &user.to_bytes()])
}

pub(crate) fn conversations_of(user: UserId) -> Vec<u8> {
    key(b'u', &[&user.to_bytes()])
}

pub(crate) fn conversation_of(user: UserId, id: ConversationId) -> Vec<u8> {
    key(b'u', &[&user.to_bytes(), &id.to_bytes()])
}

/// The conversation that an `x` or `u` row names: its last 16 bytes.
pub(crate) fn listed_conversation(key: &[u8]) -> Option<ConversationId> {
    let id = key.last_chunk::<ID_LEN>()?;
    Some(ConversationId::from_bytes(*id))
}

pub(crate) fn conversation_count(user: UserId) -> Vec<u8> {
    key(b'q', &[&user.to_bytes()])
}

pub(crate) fn messages(id: ConversationId) -> Vec<u8> {
    key(b'm', &[&id.to_bytes()])
}

pub(crate) fn message_at(id: ConversationId, at: Stamp) -> Vec<u8> {
    key(b'm', &[&id.to_bytes(), &at.to_bytes()])
}

pub(crate) fn message(id: MessageId) -> Vec<u8> {
    key(b'i', &[&id.to_bytes()])
}

pub(crate) fn history(id: MessageId) -> Vec<u8> {
    key(b'h', &[&id.to_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_people_have_one_direct_key() {
        let (one, other) = (UserId::from_u128(1), UserId::from_u128(2));
        assert_eq!(direct(one, other), direct(other, one));
    }

    #[test]
    fn the_key_of_an_appended_row_tells_conversation_and_position() {
        let id = ConversationId::from_u128(9);
        let at = Stamp::from_bytes([3; 10]);
        assert_eq!(log_position(&message_at(id, at)), Some((id, at)));
        assert_eq!(log_position(&messages(id)), None);
        assert_eq!(Stamp::from_hex(&at.to_hex()), Some(at));
        assert_eq!(Stamp::from_hex("é303030303030303030"), None);
    }

    #[test]
    fn members_and_messages_of_a_conversation_share_one_order() {
        let id = ConversationId::from_u128(9);
        let (early, late) = (Stamp::from_bytes([1; 10]), Stamp::from_bytes([2; 10]));
        let (_, joined) = log_position(&roster_entry(id, early)).unwrap();
        let (_, sent) = log_position(&message_at(id, late)).unwrap();
        assert!(joined < sent);
    }
}
