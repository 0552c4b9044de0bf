//! How far each person has read, and what waits for them beyond it.

use crate::answers::{ReadMark, UNREAD_MAX, Unread};
use crate::chat::{Chat, log_stamp};
use crate::error::{ChatError, Result};
use crate::events::{self, ReadUpdated};
use crate::ids::{ConversationId, MessageId};
use crate::keys::{self, Stamp};
use crate::params::MarkRead;
use crate::rows::{FORMAT, MessageHead};
use crate::world::{Order, World};

/// Rows read at a time while counting: one page nearly always tells whether there are a hundred.
const COUNT_PAGE: usize = 101;
/// Own and deleted messages do not count; past two pages of mostly those, the count so far is the answer.
pub(crate) const COUNT_ROWS_MAX: usize = 2 * COUNT_PAGE;

/// The last message a person read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) at: Stamp,
    pub(crate) message: MessageId,
}

impl Mark {
    /// The row of a person's conversation in which nothing is read yet.
    pub(crate) const NONE: &[u8] = &[FORMAT];

    pub(crate) fn decode(stored: &[u8]) -> Result<Option<Self>> {
        let unreadable = ChatError::Unreadable("read mark");
        match stored.split_first() {
            Some((&FORMAT, [])) => Ok(None),
            Some((&FORMAT, mark)) => {
                let (key, id) = mark.split_last_chunk().ok_or(unreadable)?;
                let message = MessageId::from_bytes(*id);
                Ok(Some(Self {
                    at: log_stamp(key)?,
                    message,
                }))
            }
            _ => Err(unreadable),
        }
    }

    fn encode(self, conversation: ConversationId) -> Vec<u8> {
        let mut stored = vec![FORMAT];
        stored.extend(keys::message_at(conversation, self.at));
        stored.extend(self.message.to_bytes());
        stored
    }
}

/// What waits, and what it cost to know: the host counts each scan and each of its rows.
#[derive(Clone, Copy, Default)]
pub(crate) struct Count {
    pub(crate) unread: Unread,
    pub(crate) operations: usize,
    /// The rows allowed did not suffice.
    pub(crate) cut_short: bool,
}

impl<W: World> Chat<'_, W> {
    /// Forward only: a device that lags behind does not bring back what another one read.
    pub(crate) fn mark_read(&self, params: &MarkRead) -> Result<ReadMark> {
        let conversation = params.conversation;
        let place = self.check_member(conversation)?;
        let at = self.locate_in(conversation, params.message)?;
        let key = keys::conversation_of(self.me, conversation);
        let old = self.world.get(&key)?.unwrap_or_else(|| Mark::NONE.to_vec());
        let old = Mark::decode(&old)?;
        let read_at = old.map_or(place, |mark| mark.at);
        if at <= read_at {
            return Ok(ReadMark {
                conversation,
                read_up_to: old.map(|mark| mark.message),
                unread: self.count_all_unread(conversation, read_at)?,
            });
        }
        let mark = Mark {
            at,
            message: params.message,
        };
        self.world.put(&key, &mark.encode(conversation), None)?;
        let mark = ReadMark {
            conversation,
            read_up_to: Some(mark.message),
            unread: self.count_all_unread(conversation, at)?,
        };
        let told = ReadUpdated {
            user: self.me,
            mark: &mark,
        };
        let audience = events::devices_of(self.me);
        self.world
            .publish(&audience, events::READ_UPDATED, &told, None)?;
        Ok(mark)
    }

    fn count_all_unread(&self, id: ConversationId, read_at: Stamp) -> Result<Unread> {
        Ok(self.count_unread(id, read_at, COUNT_ROWS_MAX)?.unread)
    }

    /// Counts what others said after a position, up to the maximum, in at most so many rows.
    pub(crate) fn count_unread(
        &self,
        id: ConversationId,
        read_at: Stamp,
        rows_max: usize,
    ) -> Result<Count> {
        let prefix = keys::messages(id);
        let mut after = keys::message_at(id, read_at);
        let mut rows_left = rows_max.min(COUNT_ROWS_MAX);
        let mut count = Count::default();
        while rows_left > 0 {
            let asked = rows_left.min(COUNT_PAGE);
            let page = self
                .world
                .scan(&prefix, Some(&after), asked, Order::Ascending)?;
            count.operations += 1 + page.len();
            for (_, stored) in &page {
                let head = MessageHead::decode(stored)?;
                if head.author == self.me || head.deleted {
                    continue;
                }
                count.unread.unread += 1;
                count.unread.mentions += usize::from(head.mentions.contains(&self.me));
                if count.unread.unread == UNREAD_MAX {
                    return Ok(count);
                }
            }
            rows_left -= page.len().min(rows_left);
            match page.into_iter().nth(asked - 1) {
                Some((key, _)) => after = key,
                None => return Ok(count),
            }
        }
        count.cut_short = rows_max < COUNT_ROWS_MAX;
        Ok(count)
    }
}
