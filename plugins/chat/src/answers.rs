//! What callers get back and what events carry: the JSON of chat.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::{ConversationId, MessageId, UserId};

/// Unread counts stop here; clients show it as "99+".
pub(crate) const UNREAD_MAX: usize = 100;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Channel,
    Group,
    Direct,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    Owner,
    Member,
}

/// A conversation as one person sees it.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Conversation {
    #[serde(flatten)]
    pub(crate) facts: ConversationFacts,
    pub(crate) joined: bool,
    pub(crate) role: Option<Role>,
    #[serde(flatten)]
    pub(crate) unread: Unread,
    pub(crate) read_up_to: Option<MessageId>,
    pub(crate) last_message: Option<Message>,
}

/// What is the same for everybody who sees the conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct ConversationFacts {
    pub(crate) id: ConversationId,
    pub(crate) kind: Kind,
    pub(crate) name: Option<String>,
    pub(crate) public: bool,
    /// All of a direct conversation or group, the first ten of a channel, none for who has not joined.
    pub(crate) members: Vec<UserId>,
    pub(crate) member_count: usize,
    pub(crate) owner: Option<UserId>,
    pub(crate) created_at: u64,
    pub(crate) created_by: UserId,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Unread {
    /// Messages of others after the read mark; 100 means "99 or more".
    #[schemars(range(max = UNREAD_MAX))]
    pub(crate) unread: usize,
    /// Those of them that mention the reader.
    #[schemars(range(max = UNREAD_MAX))]
    pub(crate) mentions: usize,
}

#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Message {
    pub(crate) id: MessageId,
    pub(crate) conversation: ConversationId,
    pub(crate) author: UserId,
    /// Empty once deleted.
    pub(crate) text: String,
    pub(crate) created_at: u64,
    pub(crate) edited_at: Option<u64>,
    pub(crate) deleted: bool,
    pub(crate) reply_to: Option<Quote>,
    pub(crate) mentions: Vec<UserId>,
    pub(crate) reactions: Vec<Reaction>,
}

/// The message that another one answers, as it reads now.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Quote {
    pub(crate) id: MessageId,
    pub(crate) author: UserId,
    pub(crate) text: String,
    pub(crate) deleted: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reaction {
    pub(crate) emoji: String,
    pub(crate) users: Vec<UserId>,
}

#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Created {
    pub(crate) id: ConversationId,
    pub(crate) conversation: Conversation,
}

#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Conversations {
    pub(crate) items: Vec<Conversation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<ConversationId>,
}

/// A person's read mark and what lies beyond it.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReadMark {
    pub(crate) conversation: ConversationId,
    pub(crate) read_up_to: Option<MessageId>,
    #[serde(flatten)]
    pub(crate) unread: Unread,
}

#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Member {
    pub(crate) user: UserId,
    pub(crate) role: Role,
    pub(crate) joined_at: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Members {
    pub(crate) items: Vec<Member>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sent {
    pub(crate) id: MessageId,
    pub(crate) message: Message,
}

#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Messages {
    /// Newest first.
    pub(crate) items: Vec<Message>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<MessageId>,
}

#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Changed {
    pub(crate) message: Message,
}

/// A text that was replaced, and when.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FormerText {
    pub(crate) text: String,
    pub(crate) edited_at: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FormerTexts {
    /// Newest first, at most ten.
    pub(crate) items: Vec<FormerText>,
}

/// Nothing more to say than that it is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Done {}
