//! Stored rows as a person sees them, many at a time: few reads, however long the list.

use crate::answers::{Conversation, ConversationFacts, Message, Quote, Reaction, Unread};
use crate::chat::{Chat, log_stamp};
use crate::error::{ChatError, Result};
use crate::ids::ConversationId;
use crate::keys;
use crate::reading::{Count, Mark};
use crate::rows::{ConversationRow, MessageRow, Row};
use crate::text;
use crate::world::{Order, World};

/// The host allows 1,000 storage operations in a call; these are for one page of conversations.
const OPERATIONS_MAX: usize = 980;
/// The host allows 1 MiB of answer.
pub(crate) const ANSWER_BYTES_MAX: usize = 900 * 1024;
/// To look for the last message: a scan and its row, what it replies to, and the scan that counts.
const OPERATIONS_PER_VIEW: usize = 4;
/// Ids, times and names of fields, generously.
const FIXED_BYTES: usize = 512;
const ID_BYTES: usize = 40;

/// A conversation of the caller before it is drawn, with the row that lists it.
pub(crate) type Listed = (ConversationId, Option<Mark>);

impl<W: World> Chat<'_, W> {
    /// As the caller sees it now, member or not.
    pub(crate) fn view(&self, id: ConversationId) -> Result<Conversation> {
        let seen = self.see(id)?;
        if seen.place.is_none() {
            return Ok(outsider_view(id, seen.row));
        }
        let listed = self.world.get(&keys::conversation_of(self.me, id))?;
        let mark = listed.as_deref().map(Mark::decode).transpose()?.flatten();
        let mut views = self.views_of_member(&[(id, mark)])?;
        views.pop().ok_or(ChatError::Missing("conversation"))
    }

    /// In order, and fewer than asked where the call would grow too long: at least one.
    pub(crate) fn views_of_member(&self, listed: &[Listed]) -> Result<Vec<Conversation>> {
        let mut wanted: Vec<_> = listed
            .iter()
            .map(|(id, _)| keys::conversation(*id))
            .collect();
        // Where nothing is read yet, what was there before the person came is not unread either.
        wanted.extend(
            listed
                .iter()
                .filter(|(_, mark)| mark.is_none())
                .map(|(id, _)| keys::place(*id, self.me)),
        );
        // Their own rows were scanned before.
        let mut operations = wanted.len() + listed.len() + 2;
        let mut bytes = 0;
        let mut rows = self.read_many(&wanted)?.into_iter();
        let conversations: Vec<_> = rows.by_ref().take(listed.len()).collect();

        let mut views = Vec::with_capacity(listed.len());
        let mut last_messages = Vec::new();
        for ((id, mark), row) in listed.iter().zip(conversations) {
            let row = row.ok_or(ChatError::Unreadable("conversation"))?;
            let row = ConversationRow::decode(&row)?;
            let read_at = match mark {
                Some(mark) => mark.at,
                None => log_stamp(
                    &rows
                        .next()
                        .flatten()
                        .ok_or(ChatError::Unreadable("place"))?,
                )?,
            };
            operations += OPERATIONS_PER_VIEW;
            if operations > OPERATIONS_MAX || bytes > ANSWER_BYTES_MAX {
                break;
            }
            let last = self.last_message(*id)?;
            let rows_max = OPERATIONS_MAX - operations;
            let count = match &last {
                Some((key, _)) if log_stamp(key)? > read_at => {
                    self.count_unread(*id, read_at, rows_max)?
                }
                _ => Count::default(),
            };
            // Its first scan is in the four.
            operations += count.operations.saturating_sub(1);
            if count.cut_short {
                break;
            }
            bytes += FIXED_BYTES + ID_BYTES * row.first_members.len();
            if let Some((_, message)) = last {
                bytes += message_bytes(&message);
                last_messages.push((*id, message));
            }
            views.push(Conversation {
                joined: true,
                role: Some(self.role(self.me, &row)),
                facts: facts(*id, row),
                unread: count.unread,
                read_up_to: mark.map(|mark| mark.message),
                last_message: None,
            });
        }
        let mut messages = self.draw_messages(last_messages)?.into_iter().peekable();
        for view in &mut views {
            view.last_message = messages.next_if(|message| message.conversation == view.facts.id);
        }
        Ok(views)
    }

    /// The caller as the newest member: their own rows are not readable before the commit.
    pub(crate) fn view_of_newcomer(
        &self,
        id: ConversationId,
        row: ConversationRow,
    ) -> Result<Conversation> {
        let last_message = match self.last_message(id)? {
            None => None,
            Some((_, message)) => Some(self.draw_message(id, message)?),
        };
        Ok(Conversation {
            joined: true,
            role: Some(self.role(self.me, &row)),
            facts: facts(id, row),
            unread: Unread::default(),
            read_up_to: None,
            last_message,
        })
    }

    fn last_message(&self, id: ConversationId) -> Result<Option<(Vec<u8>, MessageRow)>> {
        let last = self
            .world
            .scan(&keys::messages(id), None, 1, Order::Descending)?;
        last.into_iter()
            .next()
            .map(|(key, stored)| Ok((key, MessageRow::decode(&stored)?)))
            .transpose()
    }

    /// In order; what they reply to is read as it is now.
    pub(crate) fn draw_messages(
        &self,
        rows: Vec<(ConversationId, MessageRow)>,
    ) -> Result<Vec<Message>> {
        let answered: Vec<_> = rows
            .iter()
            .filter_map(|(of, row)| row.replied_to().map(|at| keys::message_at(*of, at)))
            .collect();
        let mut found = self.read_many(&answered)?.into_iter();
        rows.into_iter()
            .map(|(conversation, row)| {
                let answered = match row.reply_to {
                    None => None,
                    Some(_) => found.next().flatten(),
                };
                let answered = answered.map(|row| MessageRow::decode(&row)).transpose()?;
                Ok(message_view(conversation, row, answered.as_ref()))
            })
            .collect()
    }

    pub(crate) fn draw_message(&self, of: ConversationId, row: MessageRow) -> Result<Message> {
        self.draw_messages(vec![(of, row)])?
            .pop()
            .ok_or(ChatError::Missing("message"))
    }

    pub(crate) fn read_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>> {
        match keys {
            [] => Ok(Vec::new()),
            keys => Ok(self.world.get_many(keys)?),
        }
    }
}

/// Enough to decide whether to join; nothing of what is said and by whom.
pub(crate) fn outsider_view(id: ConversationId, mut row: ConversationRow) -> Conversation {
    row.first_members.clear();
    Conversation {
        facts: facts(id, row),
        joined: false,
        role: None,
        unread: Unread::default(),
        read_up_to: None,
        last_message: None,
    }
}

pub(crate) fn facts(id: ConversationId, row: ConversationRow) -> ConversationFacts {
    ConversationFacts {
        id,
        kind: row.kind,
        name: row.name,
        public: row.public,
        members: row.first_members,
        member_count: row.member_count,
        owner: row.owner,
        created_at: row.created_at,
        created_by: row.created_by,
    }
}

pub(crate) fn message_view(
    conversation: ConversationId,
    row: MessageRow,
    answered: Option<&MessageRow>,
) -> Message {
    Message {
        id: row.id,
        conversation,
        author: row.head.author,
        text: row.text,
        created_at: row.created_at,
        edited_at: row.edited_at,
        deleted: row.head.deleted,
        reply_to: answered.map(|row| Quote {
            id: row.id,
            author: row.head.author,
            text: text::quote(&row.text),
            deleted: row.head.deleted,
        }),
        mentions: row.head.mentions,
        reactions: row
            .reactions
            .into_iter()
            .map(|(emoji, users)| Reaction { emoji, users })
            .collect(),
    }
}

/// What a message takes in an answer, rather too much than too little.
pub(crate) fn message_bytes(row: &MessageRow) -> usize {
    let people: usize = row.reactions.iter().map(|(_, users)| 1 + users.len()).sum();
    let quote = match row.reply_to {
        Some(_) => text::QUOTE_BYTES_MAX,
        None => 0,
    };
    FIXED_BYTES
        + ID_BYTES * (people + row.head.mentions.len())
        + text::json_bytes(&row.text)
        + quote
}
