//! Saying something and reading what was said.

use std::collections::BTreeSet;

use crate::answers::{FormerText, FormerTexts, Messages, Sent};
use crate::chat::Chat;
use crate::error::{ChatError, Result};
use crate::events::{self, MessageCreated};
use crate::ids::{ConversationId, MessageId, UserId};
use crate::keys;
use crate::params::{ListMessages, MENTIONS_MAX, OneMessage, Send, page_limit};
use crate::rows::{HistoryRow, MessageHead, MessageRow, Row};
use crate::text::{self, LOCAL_ID_CHARS_MAX};
use crate::view::{ANSWER_BYTES_MAX, message_bytes, message_view};
use crate::world::{Order, World};

impl<W: World> Chat<'_, W> {
    /// Reads the caller's place, the mentioned people's and the replied-to message, and appends:
    /// nothing that another send writes, so that any number of senders never conflict.
    pub(crate) fn send(&self, params: &Send) -> Result<Sent> {
        let conversation = params.conversation;
        self.check_member(conversation)?;
        check_supported(params)?;
        let text = text::message(&params.text)?;
        let answered = match params.reply_to {
            None => None,
            Some(id) => Some(self.find_message_in(conversation, id)?),
        };
        let row = MessageRow {
            head: MessageHead {
                author: self.me,
                deleted: false,
                mentions: self.who_hears(conversation, &params.mentions)?,
            },
            id: MessageId::from_u128(self.world.new_id()?),
            created_at: self.world.now(),
            edited_at: None,
            reply_to: answered
                .as_ref()
                .map(|found| (found.row.id, found.at.to_bytes())),
            text,
            reactions: Vec::new(),
        };
        let id = row.id;
        let about = Some(conversation);
        let alias = keys::message(id);
        self.world
            .append(&keys::messages(conversation), &row.encode()?, &alias, about)?;
        let message = message_view(conversation, row, answered.as_ref().map(|found| &found.row));
        let told = MessageCreated {
            message: &message,
            local_id: &params.local_id,
        };
        let audience = events::members_of(conversation);
        self.world
            .publish(&audience, events::MESSAGE_CREATED, &told, about)?;
        Ok(Sent { id, message })
    }

    /// The mentioned who are members and may sign in; others are not told, so not kept.
    fn who_hears(&self, id: ConversationId, mentioned: &[UserId]) -> Result<Vec<UserId>> {
        if mentioned.is_empty() {
            return Ok(Vec::new());
        }
        if mentioned.len() > MENTIONS_MAX {
            return Err(ChatError::Limit {
                what: "mentions",
                max: MENTIONS_MAX,
            });
        }
        let mut seen = BTreeSet::new();
        let asked: Vec<UserId> = mentioned
            .iter()
            .copied()
            .filter(|user| seen.insert(*user))
            .collect();
        let places: Vec<_> = asked.iter().map(|user| keys::place(id, *user)).collect();
        let places = self.world.get_many(&places)?;
        let active = self.world.are_active(&asked)?;
        Ok(asked
            .into_iter()
            .zip(places.into_iter().zip(active))
            .filter_map(|(user, (place, active))| (place.is_some() && active).then_some(user))
            .collect())
    }

    /// Newest first.
    pub(crate) fn list_messages(&self, params: &ListMessages) -> Result<Messages> {
        let conversation = params.conversation;
        self.check_member(conversation)?;
        let before = match params.before {
            None => None,
            Some(id) => Some(keys::message_at(
                conversation,
                self.locate_in(conversation, id)?,
            )),
        };
        let limit = page_limit(params.limit);
        let prefix = keys::messages(conversation);
        let entries = self
            .world
            .scan(&prefix, before.as_deref(), limit + 1, Order::Descending)?;
        let found = entries.len();
        let mut bytes = 0;
        let mut rows = Vec::with_capacity(limit);
        for (_, stored) in entries.into_iter().take(limit) {
            let row = MessageRow::decode(&stored)?;
            bytes += message_bytes(&row);
            // A page of very long messages is shorter, so that the answer is not too large.
            if bytes > ANSWER_BYTES_MAX && !rows.is_empty() {
                break;
            }
            rows.push((conversation, row));
        }
        let items = self.draw_messages(rows)?;
        let more = found > items.len();
        let next = items.last().filter(|_| more).map(|message| message.id);
        Ok(Messages { items, next })
    }

    /// What a message said before its edits; a deleted one says nothing any more.
    pub(crate) fn history(&self, params: &OneMessage) -> Result<FormerTexts> {
        let found = self.find_message(params.message)?;
        let HistoryRow { texts } = self.read_history(found.row.id)?;
        let items = texts
            .into_iter()
            .map(|(text, edited_at)| FormerText { text, edited_at })
            .collect();
        Ok(FormerTexts { items })
    }

    pub(crate) fn read_history(&self, id: MessageId) -> Result<HistoryRow> {
        match self.world.get(&keys::history(id))? {
            None => Ok(HistoryRow::default()),
            Some(stored) => HistoryRow::decode(&stored),
        }
    }
}

fn check_supported(params: &Send) -> Result<()> {
    if !params.attachments.is_empty() {
        return Err(ChatError::Unsupported("attachments"));
    }
    if params.card.is_some() {
        return Err(ChatError::Unsupported("cards"));
    }
    let local_id_chars = params.local_id.chars().count();
    if !(1..=LOCAL_ID_CHARS_MAX).contains(&local_id_chars) {
        return Err(ChatError::Invalid("local_id has 1 to 64 characters"));
    }
    Ok(())
}
