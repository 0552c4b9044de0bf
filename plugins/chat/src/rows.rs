//! What is stored: a format number, then the row in postcard's compact form.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::answers::Kind;
use crate::error::{ChatError, Result};
use crate::ids::{MessageId, UserId};
use crate::keys::Stamp;

/// The first byte of every value. An unknown one is refused.
pub(crate) const FORMAT: u8 = 1;

/// A stored value with a name to complain about it.
pub(crate) trait Row: Serialize + DeserializeOwned {
    const NAME: &'static str;

    fn encode(&self) -> Result<Vec<u8>> {
        postcard::to_extend(self, vec![FORMAT]).map_err(|_| ChatError::Unreadable(Self::NAME))
    }

    fn decode(stored: &[u8]) -> Result<Self> {
        match stored.split_first() {
            Some((&FORMAT, row)) => {
                postcard::from_bytes(row).map_err(|_| ChatError::Unreadable(Self::NAME))
            }
            _ => Err(ChatError::Unreadable(Self::NAME)),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ConversationRow {
    pub(crate) kind: Kind,
    pub(crate) name: Option<String>,
    pub(crate) public: bool,
    /// None in a direct conversation, and in a channel that everybody left.
    pub(crate) owner: Option<UserId>,
    pub(crate) created_at: u64,
    pub(crate) created_by: UserId,
    pub(crate) member_count: usize,
    /// In the order of joining: all of a group, the first ten of a channel.
    pub(crate) first_members: Vec<UserId>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RosterRow {
    pub(crate) user: UserId,
    pub(crate) joined_at: u64,
}

/// What counting unread messages reads of each: it comes first, so the text is never decoded for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MessageHead {
    pub(crate) author: UserId,
    pub(crate) deleted: bool,
    pub(crate) mentions: Vec<UserId>,
}

impl MessageHead {
    pub(crate) fn decode(stored: &[u8]) -> Result<Self> {
        match stored.split_first() {
            Some((&FORMAT, row)) => postcard::take_from_bytes(row)
                .map(|(head, _)| head)
                .map_err(|_| ChatError::Unreadable(MessageRow::NAME)),
            _ => Err(ChatError::Unreadable(MessageRow::NAME)),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MessageRow {
    pub(crate) head: MessageHead,
    pub(crate) id: MessageId,
    pub(crate) created_at: u64,
    pub(crate) edited_at: Option<u64>,
    /// Id and position, so that a list finds what was replied to without the alias.
    pub(crate) reply_to: Option<(MessageId, [u8; 10])>,
    pub(crate) text: String,
    /// In the order each emoji was first used; people in the order they reacted.
    pub(crate) reactions: Vec<(String, Vec<UserId>)>,
}

impl MessageRow {
    pub(crate) fn replied_to(&self) -> Option<Stamp> {
        self.reply_to.map(|(_, at)| Stamp::from_bytes(at))
    }
}

/// Former texts, newest first, each with the time it gave way to the next.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HistoryRow {
    pub(crate) texts: Vec<(String, u64)>,
}

impl Row for ConversationRow {
    const NAME: &'static str = "conversation";
}
impl Row for RosterRow {
    const NAME: &'static str = "member";
}
impl Row for MessageRow {
    const NAME: &'static str = "message";
}
impl Row for HistoryRow {
    const NAME: &'static str = "history";
}

/// A counter as the host keeps it; a missing one is zero.
pub(crate) fn count(stored: Option<&[u8]>) -> Result<usize> {
    let Some(stored) = stored else { return Ok(0) };
    let bytes = stored
        .try_into()
        .map_err(|_| ChatError::Unreadable("counter"))?;
    Ok(usize::try_from(i64::from_be_bytes(bytes)).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn user() -> impl Strategy<Value = UserId> {
        any::<u128>().prop_map(UserId::from_u128)
    }

    fn message() -> impl Strategy<Value = MessageRow> {
        (
            (
                user(),
                any::<bool>(),
                proptest::collection::vec(user(), 0..5),
            ),
            any::<u128>().prop_map(MessageId::from_u128),
            any::<(u64, Option<u64>)>(),
            proptest::option::of((
                any::<u128>().prop_map(MessageId::from_u128),
                any::<[u8; 10]>(),
            )),
            any::<String>(),
            proptest::collection::vec(
                (any::<String>(), proptest::collection::vec(user(), 1..4)),
                0..4,
            ),
        )
            .prop_map(
                |((author, deleted, mentions), id, times, reply_to, text, reactions)| MessageRow {
                    head: MessageHead {
                        author,
                        deleted,
                        mentions,
                    },
                    id,
                    created_at: times.0,
                    edited_at: times.1,
                    reply_to,
                    text,
                    reactions,
                },
            )
    }

    proptest! {
        #[test]
        fn a_message_survives_storage_and_its_head_reads_alone(row in message()) {
            let stored = row.encode().unwrap();
            prop_assert_eq!(&MessageRow::decode(&stored).unwrap(), &row);
            prop_assert_eq!(MessageHead::decode(&stored).unwrap(), row.head);
        }

        #[test]
        fn damaged_rows_are_errors_and_never_panics(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let _ = MessageRow::decode(&bytes);
            let _ = MessageHead::decode(&bytes);
            let _ = ConversationRow::decode(&bytes);
            let _ = HistoryRow::decode(&bytes);
            let _ = count(Some(&bytes));
        }
    }

    #[test]
    fn an_unknown_format_is_refused() {
        let mut stored = HistoryRow::default().encode().unwrap();
        stored[0] = 2;
        assert!(HistoryRow::decode(&stored).is_err());
        assert!(HistoryRow::decode(&[]).is_err());
    }
}
