//! What people do with chat, told as tests against the host in memory.

mod conversing;
mod crowds;
mod joining;
mod properties;
mod reading;
mod revising;
mod schemas;

use crate::answers::{Conversation, Kind, Message, Messages, Unread};
use crate::error::{ChatError, Result};
use crate::ids::{ConversationId, MessageId, UserId};
use crate::memory::Memory;
use crate::params::{
    Create, Edit, ListConversations, ListMessages, MarkRead, OneConversation, OneMessage, React,
    Send,
};
use crate::world::Fault;

pub(crate) fn code<T: std::fmt::Debug>(refused: Result<T>) -> String {
    Fault::from(refused.unwrap_err()).code.into_owned()
}

pub(crate) fn text(words: &str) -> Send {
    Send {
        conversation: ConversationId::from_u128(0),
        text: words.to_owned(),
        local_id: "l1".to_owned(),
        reply_to: None,
        mentions: Vec::new(),
        attachments: Vec::new(),
        card: None,
    }
}

pub(crate) fn of(conversation: ConversationId) -> OneConversation {
    OneConversation { conversation }
}

/// Short words for the calls that every story makes.
impl Memory {
    pub(crate) fn create(
        &self,
        by: UserId,
        kind: Kind,
        public: bool,
        members: &[UserId],
    ) -> Result<ConversationId> {
        let params = Create {
            kind,
            name: (kind != Kind::Direct).then(|| "Planering".to_owned()),
            members: members.to_vec(),
            public: Some(public),
        };
        Ok(self.call(by, |chat| chat.create(&params))?.id)
    }

    pub(crate) fn group(&self, by: UserId, members: &[UserId]) -> ConversationId {
        self.create(by, Kind::Group, false, members).unwrap()
    }

    pub(crate) fn channel(&self, by: UserId) -> ConversationId {
        self.create(by, Kind::Channel, true, &[]).unwrap()
    }

    pub(crate) fn sends(
        &self,
        who: UserId,
        conversation: ConversationId,
        what: Send,
    ) -> Result<Message> {
        let params = Send {
            conversation,
            ..what
        };
        Ok(self.call(who, |chat| chat.send(&params))?.message)
    }

    pub(crate) fn says(&self, who: UserId, conversation: ConversationId, words: &str) -> MessageId {
        self.sends(who, conversation, text(words)).unwrap().id
    }

    pub(crate) fn list(
        &self,
        who: UserId,
        conversation: ConversationId,
        before: Option<MessageId>,
        limit: u32,
    ) -> Result<Messages> {
        let params = ListMessages {
            conversation,
            before,
            limit: Some(limit),
        };
        self.call(who, |chat| chat.list_messages(&params))
    }

    /// Oldest first, as a person reads.
    pub(crate) fn reads(&self, who: UserId, conversation: ConversationId) -> Vec<String> {
        let listed = self.list(who, conversation, None, 100).unwrap();
        listed
            .items
            .into_iter()
            .rev()
            .map(|message| message.text)
            .collect()
    }

    pub(crate) fn sees(&self, who: UserId, conversation: ConversationId) -> Result<Conversation> {
        self.call(who, |chat| chat.get(&of(conversation)))
    }

    pub(crate) fn unread(&self, who: UserId, conversation: ConversationId) -> (usize, usize) {
        let Unread { unread, mentions } = self.sees(who, conversation).unwrap().unread;
        (unread, mentions)
    }

    pub(crate) fn marks(&self, who: UserId, conversation: ConversationId, message: MessageId) {
        let params = MarkRead {
            conversation,
            message,
        };
        self.call(who, |chat| chat.mark_read(&params)).unwrap();
    }

    pub(crate) fn edits(&self, who: UserId, message: MessageId, words: &str) -> Result<Message> {
        let params = Edit {
            message,
            text: words.to_owned(),
        };
        Ok(self.call(who, |chat| chat.edit(&params))?.message)
    }

    pub(crate) fn deletes(&self, who: UserId, message: MessageId) -> Result<Message> {
        Ok(self
            .call(who, |chat| chat.delete(&OneMessage { message }))?
            .message)
    }

    pub(crate) fn reacts(
        &self,
        who: UserId,
        message: MessageId,
        emoji: &str,
        on: bool,
    ) -> Result<Message> {
        let params = React {
            message,
            emoji: emoji.to_owned(),
            on,
        };
        Ok(self.call(who, |chat| chat.react(&params))?.message)
    }

    pub(crate) fn lists(&self, who: UserId) -> Vec<ConversationId> {
        let params = ListConversations::default();
        let listed = self.call(who, |chat| chat.list(&params)).unwrap();
        listed.items.iter().map(|one| one.facts.id).collect()
    }

    pub(crate) fn topics(&self) -> Vec<String> {
        self.told().into_iter().map(|told| told.topic).collect()
    }
}

pub(crate) fn missing<T: std::fmt::Debug>(answer: Result<T>) -> bool {
    matches!(answer, Err(ChatError::Missing(_)))
}
