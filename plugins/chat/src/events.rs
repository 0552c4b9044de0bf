//! What chat tells clients: topics with their data, and the audiences that hear them.

use serde::Serialize;

use crate::answers::{Conversation, ConversationFacts, Message, ReadMark};
use crate::ids::{ConversationId, UserId};

/// The members of a conversation.
pub(crate) fn members_of(id: ConversationId) -> String {
    format!("c/{id}")
}

/// One person's own devices.
pub(crate) fn devices_of(user: UserId) -> String {
    format!("u/{user}")
}

pub(crate) const MESSAGE_CREATED: &str = "chat.message.created";
pub(crate) const MESSAGE_EDITED: &str = "chat.message.edited";
pub(crate) const MESSAGE_DELETED: &str = "chat.message.deleted";
pub(crate) const MESSAGE_REACTED: &str = "chat.message.reacted";
pub(crate) const CONVERSATION_CREATED: &str = "chat.conversation.created";
pub(crate) const CONVERSATION_UPDATED: &str = "chat.conversation.updated";
pub(crate) const READ_UPDATED: &str = "chat.read.updated";
pub(crate) const MEMBER_CHANGED: &str = "chat.member.changed";
pub(crate) const TYPING: &str = "chat.typing";

#[derive(Serialize)]
pub(crate) struct MessageCreated<'a> {
    pub(crate) message: &'a Message,
    /// The author's devices find their unsent copy by it.
    pub(crate) local_id: &'a str,
}

/// Edited, deleted or reacted to: the message as it is now.
#[derive(Serialize)]
pub(crate) struct MessageChanged<'a> {
    pub(crate) message: &'a Message,
}

/// As its new members see it: joined, nothing unread.
#[derive(Serialize)]
pub(crate) struct ConversationCreated<'a> {
    pub(crate) conversation: &'a Conversation,
}

/// Only what is the same for all; a client lays it over what it knows of its own person.
#[derive(Serialize)]
pub(crate) struct ConversationUpdated<'a> {
    pub(crate) conversation: &'a ConversationFacts,
}

#[derive(Serialize)]
pub(crate) struct ReadUpdated<'a> {
    pub(crate) user: UserId,
    #[serde(flatten)]
    pub(crate) mark: &'a ReadMark,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum MemberChange {
    Joined,
    Added,
    Left,
    Removed,
}

#[derive(Serialize)]
pub(crate) struct MemberChanged {
    pub(crate) conversation: ConversationId,
    pub(crate) user: UserId,
    pub(crate) change: MemberChange,
    pub(crate) by: UserId,
}

#[derive(Serialize)]
pub(crate) struct Typing {
    pub(crate) conversation: ConversationId,
    pub(crate) user: UserId,
}
