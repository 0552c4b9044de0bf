//! One call by one person: who they are to a conversation, and the reads that every method shares.

use crate::answers::{Kind, Role};
use crate::error::{ChatError, Result};
use crate::ids::{ConversationId, MessageId, UserId};
use crate::keys::{self, Stamp};
use crate::rows::{ConversationRow, MessageRow, Row};
use crate::world::World;

/// Lets an admin delete others' messages and remove members where they are a member themselves.
pub(crate) const MODERATE: &str = "chat.moderate";

pub(crate) struct Chat<'w, W> {
    pub(crate) world: &'w W,
    pub(crate) me: UserId,
}

/// A conversation the caller may know of.
pub(crate) struct Seen {
    pub(crate) row: ConversationRow,
    /// Where the caller joined; None for an outsider, who sees a public channel only.
    pub(crate) place: Option<Stamp>,
}

/// A message the caller may read.
pub(crate) struct Found {
    pub(crate) row: MessageRow,
    pub(crate) conversation: ConversationId,
    pub(crate) at: Stamp,
}

impl<'w, W: World> Chat<'w, W> {
    pub(crate) fn new(world: &'w W, me: UserId) -> Self {
        Self { world, me }
    }

    /// What the caller may know of a conversation; a private one of others does not exist for them.
    pub(crate) fn see(&self, id: ConversationId) -> Result<Seen> {
        let stored = self
            .world
            .get_many(&[keys::conversation(id), keys::place(id, self.me)])?;
        let mut stored = stored.into_iter();
        let row = stored
            .next()
            .flatten()
            .ok_or(ChatError::Missing("conversation"))?;
        let row = ConversationRow::decode(&row)?;
        let place = stored
            .next()
            .flatten()
            .map(|key| log_stamp(&key))
            .transpose()?;
        if place.is_none() && !row.public {
            return Err(ChatError::Missing("conversation"));
        }
        Ok(Seen { row, place })
    }

    /// The conversation, for its members only.
    pub(crate) fn see_as_member(&self, id: ConversationId) -> Result<ConversationRow> {
        let seen = self.see(id)?;
        match seen.place {
            Some(_) => Ok(seen.row),
            None => Err(join_first()),
        }
    }

    /// Membership alone: one small row, which no message ever changes. The caller's place.
    pub(crate) fn check_member(&self, id: ConversationId) -> Result<Stamp> {
        match self.world.get(&keys::place(id, self.me))? {
            Some(key) => log_stamp(&key),
            None => Err(self.see(id).err().unwrap_or_else(join_first)),
        }
    }

    /// A message of any conversation the caller is a member of.
    pub(crate) fn find_message(&self, id: MessageId) -> Result<Found> {
        let (conversation, at) = self.locate(id)?;
        match self.check_member(conversation) {
            Ok(_) => {}
            // Of a private conversation even the messages do not exist.
            Err(ChatError::Missing(_)) => return Err(ChatError::Missing("message")),
            Err(other) => return Err(other),
        }
        let row = self.read_message(conversation, at)?;
        Ok(Found {
            row,
            conversation,
            at,
        })
    }

    /// A message of this conversation, in which the caller is known to be a member.
    pub(crate) fn find_message_in(
        &self,
        conversation: ConversationId,
        id: MessageId,
    ) -> Result<Found> {
        let at = self.locate_in(conversation, id)?;
        let row = self.read_message(conversation, at)?;
        Ok(Found {
            row,
            conversation,
            at,
        })
    }

    pub(crate) fn locate_in(&self, conversation: ConversationId, id: MessageId) -> Result<Stamp> {
        match self.locate(id)? {
            (of, at) if of == conversation => Ok(at),
            _ => Err(ChatError::Missing("message")),
        }
    }

    fn locate(&self, id: MessageId) -> Result<(ConversationId, Stamp)> {
        let key = self
            .world
            .get(&keys::message(id))?
            .ok_or(ChatError::Missing("message"))?;
        keys::log_position(&key).ok_or(ChatError::Unreadable("message key"))
    }

    fn read_message(&self, conversation: ConversationId, at: Stamp) -> Result<MessageRow> {
        let stored = self.world.get(&keys::message_at(conversation, at))?;
        MessageRow::decode(&stored.ok_or(ChatError::Missing("message"))?)
    }

    pub(crate) fn role(&self, user: UserId, row: &ConversationRow) -> Role {
        if row.owner == Some(user) {
            Role::Owner
        } else {
            Role::Member
        }
    }

    /// The owner of a conversation, or an admin among its members.
    pub(crate) fn check_moderates(&self, row: &ConversationRow) -> Result<()> {
        let owns = row.owner == Some(self.me);
        // In a direct conversation nobody stands above the other.
        if owns || (row.kind != Kind::Direct && self.world.may(MODERATE)) {
            return Ok(());
        }
        Err(ChatError::Forbidden(
            "only its owner or an admin may do this",
        ))
    }

    /// Refuses people who do not exist here or may not sign in.
    pub(crate) fn check_active(&self, users: &[UserId]) -> Result<()> {
        if self.world.are_active(users)?.contains(&false) {
            return Err(ChatError::Missing("person"));
        }
        Ok(())
    }
}

pub(crate) fn join_first() -> ChatError {
    ChatError::Forbidden("only members may do this: join first")
}

/// The position in a key that the host wrote.
pub(crate) fn log_stamp(key: &[u8]) -> Result<Stamp> {
    keys::log_position(key)
        .map(|(_, at)| at)
        .ok_or(ChatError::Unreadable("position"))
}
