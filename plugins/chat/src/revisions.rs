//! Changing what was said: edits, deletion, reactions. Each rewrites the message where it lies.

use crate::answers::{Changed, Message};
use crate::chat::{Chat, Found};
use crate::error::{ChatError, Result};
use crate::events::{self, MessageChanged};
use crate::ids::UserId;
use crate::keys;
use crate::params::{Edit, OneMessage, React};
use crate::rows::Row;
use crate::text;
use crate::world::World;

/// Former texts that are kept.
pub(crate) const FORMER_TEXTS_MAX: usize = 10;
/// Of very long texts fewer are kept: the host allows 256 KiB in one value.
pub(crate) const FORMER_BYTES_MAX: usize = 200 * 1024;
/// More kinds no longer fit under a message.
pub(crate) const EMOJI_PER_MESSAGE_MAX: usize = 20;
/// People times emoji: a message is read and written whole, so its reactions stay below 20 KB of JSON.
pub(crate) const REACTIONS_PER_MESSAGE_MAX: usize = 500;

impl<W: World> Chat<'_, W> {
    /// Only by the author. Of two edits at once the later commit stands, and the other is history.
    pub(crate) fn edit(&self, params: &Edit) -> Result<Changed> {
        let mut found = self.find_message(params.message)?;
        if found.row.head.author != self.me {
            return Err(ChatError::Forbidden("only its author may edit a message"));
        }
        check_alive(&found)?;
        let text = text::message(&params.text)?;
        if text == found.row.text {
            return self.unchanged(found);
        }
        let now = self.world.now();
        let former = std::mem::replace(&mut found.row.text, text);
        found.row.edited_at = Some(now);

        let mut history = self.read_history(found.row.id)?;
        history.texts.insert(0, (former, now));
        history.texts.truncate(former_texts_kept(&history.texts));
        let about = Some(found.conversation);
        self.world
            .put(&keys::history(found.row.id), &history.encode()?, about)?;
        self.rewrite(found, events::MESSAGE_EDITED)
    }

    /// By the author, the owner or an admin. What is left says that there was a message.
    pub(crate) fn delete(&self, params: &OneMessage) -> Result<Changed> {
        let mut found = self.find_message(params.message)?;
        if found.row.head.author != self.me {
            self.check_moderates(&self.see_as_member(found.conversation)?)?;
        }
        if found.row.head.deleted {
            return self.unchanged(found);
        }
        found.row.head.deleted = true;
        found.row.head.mentions.clear();
        found.row.edited_at = None;
        found.row.text.clear();
        found.row.reactions.clear();
        self.world.delete(&keys::history(found.row.id))?;
        self.rewrite(found, events::MESSAGE_DELETED)
    }

    pub(crate) fn react(&self, params: &React) -> Result<Changed> {
        let mut found = self.find_message(params.message)?;
        check_alive(&found)?;
        text::check_emoji(&params.emoji)?;
        let changed = if params.on {
            add_reaction(&mut found.row.reactions, &params.emoji, self.me)?
        } else {
            drop_reaction(&mut found.row.reactions, &params.emoji, self.me)
        };
        if !changed {
            return self.unchanged(found);
        }
        self.rewrite(found, events::MESSAGE_REACTED)
    }

    fn unchanged(&self, found: Found) -> Result<Changed> {
        Ok(Changed {
            message: self.draw_message(found.conversation, found.row)?,
        })
    }

    fn rewrite(&self, found: Found, topic: &str) -> Result<Changed> {
        let Found {
            row,
            conversation,
            at,
        } = found;
        let about = Some(conversation);
        self.world
            .put(&keys::message_at(conversation, at), &row.encode()?, about)?;
        let message: Message = self.draw_message(conversation, row)?;
        let told = MessageChanged { message: &message };
        self.world
            .publish(&events::members_of(conversation), topic, &told, about)?;
        Ok(Changed { message })
    }
}

/// How many of the newest former texts fit.
fn former_texts_kept(texts: &[(String, u64)]) -> usize {
    let mut bytes = 0;
    texts
        .iter()
        .take(FORMER_TEXTS_MAX)
        .take_while(|(text, _)| {
            bytes += text.len();
            bytes <= FORMER_BYTES_MAX
        })
        .count()
}

fn check_alive(found: &Found) -> Result<()> {
    if found.row.head.deleted {
        Err(ChatError::Deleted)
    } else {
        Ok(())
    }
}

type Reactions = Vec<(String, Vec<UserId>)>;

/// Whether anything changed.
fn add_reaction(reactions: &mut Reactions, emoji: &str, user: UserId) -> Result<bool> {
    let total: usize = reactions.iter().map(|(_, users)| users.len()).sum();
    let kinds = reactions.len();
    let known = reactions.iter_mut().find(|(of, _)| of == emoji);
    if known
        .as_ref()
        .is_some_and(|(_, users)| users.contains(&user))
    {
        return Ok(false);
    }
    if total >= REACTIONS_PER_MESSAGE_MAX {
        let max = REACTIONS_PER_MESSAGE_MAX;
        return Err(ChatError::Limit {
            what: "reactions to a message",
            max,
        });
    }
    match known {
        Some((_, users)) => users.push(user),
        None if kinds >= EMOJI_PER_MESSAGE_MAX => {
            let max = EMOJI_PER_MESSAGE_MAX;
            return Err(ChatError::Limit {
                what: "different emoji on a message",
                max,
            });
        }
        None => reactions.push((emoji.to_owned(), vec![user])),
    }
    Ok(true)
}

fn drop_reaction(reactions: &mut Reactions, emoji: &str, user: UserId) -> bool {
    let Some((_, users)) = reactions.iter_mut().find(|(of, _)| of == emoji) else {
        return false;
    };
    let before = users.len();
    users.retain(|one| *one != user);
    let changed = users.len() < before;
    reactions.retain(|(_, users)| !users.is_empty());
    changed
}
