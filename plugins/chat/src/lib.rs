//! Chat: conversations and what people say in them, as a plugin.
//!
//! The rules are plain Rust over one trait ([`world::World`]); this file ties each method to the host.

mod answers;
mod params;

mod chat;
mod conversations;
mod members;
mod messages;
mod reading;
mod revisions;
mod view;

mod error;
mod events;
mod ids;
mod keys;
mod rows;
mod text;

mod host;
mod world;

#[cfg(test)]
mod memory;
#[cfg(test)]
mod stories;

use vaxel_plugin::{Error, identity};

use crate::chat::Chat;
use crate::host::Host;

/// Chat on behalf of the calling user, or `unauthenticated`.
fn chat() -> Result<Chat<'static, Host>, Error> {
    let me = identity::user()?;
    let me = me
        .parse()
        .map_err(|_| Error::internal("the host named a user that is none"))?;
    Ok(Chat::new(&Host, me))
}

macro_rules! methods {
    ($($name:literal => $method:ident($params:ty) -> $answer:ty;)+) => {
        $(fn $method(params: $params) -> Result<$answer, Error> {
            Ok(chat()?.$method(&params)?)
        })+
        vaxel_plugin::export! { $($name => $method),+ }
    };
}

methods! {
    "conversations.create" => create(params::Create) -> answers::Created;
    "conversations.list" => list(params::ListConversations) -> answers::Conversations;
    "conversations.get" => get(params::OneConversation) -> answers::Conversation;
    "conversations.discover" => discover(params::ListConversations) -> answers::Conversations;
    "conversations.join" => join(params::OneConversation) -> answers::Conversation;
    "conversations.leave" => leave(params::OneConversation) -> answers::Done;
    "conversations.mark_read" => mark_read(params::MarkRead) -> answers::ReadMark;
    "conversations.typing" => typing(params::OneConversation) -> answers::Done;
    "conversations.rename" => rename(params::Rename) -> answers::Conversation;
    "members.add" => add_members(params::AddMembers) -> answers::Done;
    "members.remove" => remove_member(params::RemoveMember) -> answers::Done;
    "members.list" => list_members(params::ListMembers) -> answers::Members;
    "messages.send" => send(params::Send) -> answers::Sent;
    "messages.list" => list_messages(params::ListMessages) -> answers::Messages;
    "messages.edit" => edit(params::Edit) -> answers::Changed;
    "messages.delete" => delete(params::OneMessage) -> answers::Changed;
    "messages.react" => react(params::React) -> answers::Changed;
    "messages.history" => history(params::OneMessage) -> answers::FormerTexts;
}
