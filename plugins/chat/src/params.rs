//! What callers send. The rules a schema can hold stand here; the host checks them before a call.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::answers::Kind;
use crate::ids::{ConversationId, MessageId, UserId};
use crate::text::{
    EMOJI_PATTERN, LOCAL_ID_CHARS_MAX, NAME_CHARS_MAX, NAME_PATTERN, TEXT_CHARS_MAX, TEXT_PATTERN,
};

/// One page of a list: 100 conversations with their last messages stay well under a megabyte.
pub(crate) const PAGE_MAX: usize = 100;
pub(crate) const PAGE_DEFAULT: usize = 50;
/// People named in one call: each costs about six storage operations.
pub(crate) const PEOPLE_PER_CALL_MAX: usize = 100;
/// Whoever wants to reach more people than this writes to the channel.
pub(crate) const MENTIONS_MAX: usize = 50;

/// How many rows to answer; out of range is refused by the schema and clamped here.
pub(crate) fn page_limit(asked: Option<u32>) -> usize {
    asked.map_or(PAGE_DEFAULT, |n| (n as usize).clamp(1, PAGE_MAX))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("allOf" = [
    {
        "if": { "properties": { "kind": { "const": "channel" } } },
        "then": { "required": ["name"], "properties": { "name": { "type": "string" } } },
        "else": { "properties": { "public": { "enum": [false, null] } } },
    },
    {
        "if": { "properties": { "kind": { "const": "direct" } } },
        "then": { "properties": { "name": { "type": "null" }, "members": { "minItems": 1, "maxItems": 2 } } },
    },
]))]
pub(crate) struct Create {
    pub(crate) kind: Kind,
    /// A channel needs one, a group may have one, a direct conversation has none.
    #[schemars(length(min = 1, max = NAME_CHARS_MAX), regex(pattern = NAME_PATTERN))]
    pub(crate) name: Option<String>,
    /// The others; the caller is a member anyway.
    #[schemars(length(max = PEOPLE_PER_CALL_MAX))]
    pub(crate) members: Vec<UserId>,
    /// Channels only; true unless said otherwise.
    pub(crate) public: Option<bool>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListConversations {
    pub(crate) cursor: Option<ConversationId>,
    #[schemars(range(min = 1, max = PAGE_MAX))]
    pub(crate) limit: Option<u32>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OneConversation {
    pub(crate) conversation: ConversationId,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MarkRead {
    pub(crate) conversation: ConversationId,
    pub(crate) message: MessageId,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rename {
    pub(crate) conversation: ConversationId,
    #[schemars(length(min = 1, max = NAME_CHARS_MAX), regex(pattern = NAME_PATTERN))]
    pub(crate) name: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AddMembers {
    pub(crate) conversation: ConversationId,
    #[schemars(length(min = 1, max = PEOPLE_PER_CALL_MAX))]
    pub(crate) members: Vec<UserId>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RemoveMember {
    pub(crate) conversation: ConversationId,
    pub(crate) member: UserId,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListMembers {
    pub(crate) conversation: ConversationId,
    #[schemars(regex(pattern = "^[0-9a-f]{20}$"))]
    pub(crate) cursor: Option<String>,
    #[schemars(range(min = 1, max = PAGE_MAX))]
    pub(crate) limit: Option<u32>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Send {
    pub(crate) conversation: ConversationId,
    #[schemars(length(min = 1, max = TEXT_CHARS_MAX), regex(pattern = TEXT_PATTERN))]
    pub(crate) text: String,
    /// The sender's own name for it; comes back with the event.
    #[schemars(length(min = 1, max = LOCAL_ID_CHARS_MAX))]
    pub(crate) local_id: String,
    pub(crate) reply_to: Option<MessageId>,
    #[serde(default)]
    #[schemars(length(max = MENTIONS_MAX))]
    pub(crate) mentions: Vec<UserId>,
    /// Not supported yet: an empty list.
    #[serde(default)]
    #[schemars(length(max = 0))]
    pub(crate) attachments: Vec<String>,
    /// Not supported yet: null.
    #[serde(default)]
    #[schemars(with = "()")]
    pub(crate) card: Option<serde_json::Value>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListMessages {
    pub(crate) conversation: ConversationId,
    /// Only what came before this message.
    pub(crate) before: Option<MessageId>,
    #[schemars(range(min = 1, max = PAGE_MAX))]
    pub(crate) limit: Option<u32>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OneMessage {
    pub(crate) message: MessageId,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Edit {
    pub(crate) message: MessageId,
    #[schemars(length(min = 1, max = TEXT_CHARS_MAX), regex(pattern = TEXT_PATTERN))]
    pub(crate) text: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct React {
    pub(crate) message: MessageId,
    /// One emoji, at most 32 bytes of UTF-8.
    #[schemars(length(min = 1, max = 16), regex(pattern = EMOJI_PATTERN))]
    pub(crate) emoji: String,
    pub(crate) on: bool,
}
