//! Conversations themselves: making, finding, naming.

use std::collections::BTreeSet;

use crate::answers::{Conversation, Conversations, Created, Done, Kind, Role};
use crate::chat::Chat;
use crate::error::{ChatError, Result};
use crate::events::{self, ConversationCreated, ConversationUpdated, Typing};
use crate::ids::{ConversationId, UserId};
use crate::keys;
use crate::params::{Create, ListConversations, OneConversation, Rename, page_limit};
use crate::reading::Mark;
use crate::rows::{ConversationRow, FORMAT, Row};
use crate::text;
use crate::view::{Listed, facts, outsider_view};
use crate::world::{Order, World};

impl<W: World> Chat<'_, W> {
    pub(crate) fn create(&self, params: &Create) -> Result<Created> {
        let public = match (params.kind, params.public) {
            (Kind::Channel, public) => public.unwrap_or(true),
            (_, Some(true)) => return Err(ChatError::Invalid("only a channel can be public")),
            _ => false,
        };
        let name = match (params.kind, params.name.as_deref()) {
            (Kind::Channel, None) => return Err(ChatError::Invalid("a channel needs a name")),
            (Kind::Direct, Some(_)) => {
                return Err(ChatError::Invalid("a direct conversation has no name"));
            }
            (_, name) => name.map(text::name).transpose()?,
        };
        let mut others: BTreeSet<UserId> = params.members.iter().copied().collect();
        others.remove(&self.me);
        let others: Vec<UserId> = others.into_iter().collect();
        if params.kind == Kind::Direct {
            return self.create_direct(&others);
        }
        self.check_active(&others)?;
        let row = ConversationRow {
            kind: params.kind,
            name,
            public,
            owner: Some(self.me),
            created_at: self.world.now(),
            created_by: self.me,
            member_count: 0,
            first_members: Vec::new(),
        };
        self.found(row, &others)
    }

    /// Two people have one direct conversation, whoever asks for it and how often.
    fn create_direct(&self, others: &[UserId]) -> Result<Created> {
        let [other] = others else {
            return Err(ChatError::Invalid(
                "a direct conversation is with one other person",
            ));
        };
        let pair = keys::direct(self.me, *other);
        if let Some(stored) = self.world.get(&pair)? {
            let id = keys::listed_conversation(&stored)
                .ok_or(ChatError::Unreadable("direct conversation"))?;
            return Ok(Created {
                id,
                conversation: self.view(id)?,
            });
        }
        self.check_active(others)?;
        let row = ConversationRow {
            kind: Kind::Direct,
            name: None,
            public: false,
            owner: None,
            created_at: self.world.now(),
            created_by: self.me,
            member_count: 0,
            first_members: Vec::new(),
        };
        let created = self.found(row, others)?;
        let mut stored = vec![FORMAT];
        stored.extend(created.id.to_bytes());
        self.world.put(&pair, &stored, None)?;
        Ok(created)
    }

    /// Writes a new conversation with its members and tells them.
    fn found(&self, mut row: ConversationRow, others: &[UserId]) -> Result<Created> {
        let id = ConversationId::from_u128(self.world.new_id()?);
        if row.public {
            self.world.put(&keys::public_channel(id), &[FORMAT], None)?;
        }
        let members: Vec<UserId> = std::iter::once(&self.me).chain(others).copied().collect();
        self.admit(id, &mut row, &members)?;

        let mine = self.view_of_newcomer(id, row)?;
        let theirs = Conversation {
            role: Some(Role::Member),
            ..mine.clone()
        };
        let told = ConversationCreated {
            conversation: &theirs,
        };
        let audience = events::members_of(id);
        self.world
            .publish(&audience, events::CONVERSATION_CREATED, &told, Some(id))?;
        Ok(Created {
            id,
            conversation: mine,
        })
    }

    pub(crate) fn get(&self, params: &OneConversation) -> Result<Conversation> {
        self.view(params.conversation)
    }

    /// The caller's conversations, oldest first: a client orders them by their last message.
    /// A page may be shorter than asked where much is unread; `next` says whether more follow.
    pub(crate) fn list(&self, params: &ListConversations) -> Result<Conversations> {
        let prefix = keys::conversations_of(self.me);
        let after = params.cursor.map(|id| keys::conversation_of(self.me, id));
        let (listed, next) = self.page_of_conversations(&prefix, after, params.limit)?;
        let items = self.views_of_member(&listed)?;
        let next = match items.last() {
            Some(last) if items.len() < listed.len() => Some(last.facts.id),
            _ => next,
        };
        Ok(Conversations { items, next })
    }

    /// Public channels the caller has not joined.
    pub(crate) fn discover(&self, params: &ListConversations) -> Result<Conversations> {
        let after = params.cursor.map(keys::public_channel);
        let (listed, next) =
            self.page_of_conversations(keys::PUBLIC_CHANNELS, after, params.limit)?;
        let wanted: Vec<_> = listed
            .iter()
            .flat_map(|(id, _)| [keys::place(*id, self.me), keys::conversation(*id)])
            .collect();
        let rows = self.read_many(&wanted)?;
        let items = listed
            .iter()
            .zip(rows.chunks_exact(2))
            .filter_map(|((id, _), rows)| match rows {
                [None, Some(row)] => {
                    Some(ConversationRow::decode(row).map(|row| outsider_view(*id, row)))
                }
                _ => None,
            })
            .collect::<Result<_>>()?;
        Ok(Conversations { items, next })
    }

    fn page_of_conversations(
        &self,
        prefix: &[u8],
        after: Option<Vec<u8>>,
        limit: Option<u32>,
    ) -> Result<(Vec<Listed>, Option<ConversationId>)> {
        let limit = page_limit(limit);
        let entries = self
            .world
            .scan(prefix, after.as_deref(), limit + 1, Order::Ascending)?;
        let mut listed = entries
            .iter()
            .map(|(key, stored)| {
                let id = keys::listed_conversation(key).ok_or(ChatError::Unreadable("list"))?;
                Ok((id, Mark::decode(stored)?))
            })
            .collect::<Result<Vec<Listed>>>()?;
        let more = listed.len() > limit;
        listed.truncate(limit);
        let next = listed.last().filter(|_| more).map(|(id, _)| *id);
        Ok((listed, next))
    }

    /// A channel by its owner or an admin, a group by any of its members.
    pub(crate) fn rename(&self, params: &Rename) -> Result<Conversation> {
        let id = params.conversation;
        let mut row = self.see_as_member(id)?;
        match row.kind {
            Kind::Direct => {
                return Err(ChatError::Forbidden("a direct conversation has no name"));
            }
            Kind::Channel => self.check_moderates(&row)?,
            Kind::Group => {}
        }
        let name = Some(text::name(&params.name)?);
        if row.name != name {
            row.name = name;
            self.write_conversation(id, &row)?;
            self.tell_updated(id, row)?;
        }
        self.view(id)
    }

    /// Tells the members, and is forgotten.
    pub(crate) fn typing(&self, params: &OneConversation) -> Result<Done> {
        let conversation = params.conversation;
        self.check_member(conversation)?;
        let told = Typing {
            conversation,
            user: self.me,
        };
        let audience = events::members_of(conversation);
        self.world
            .publish_ephemeral(&audience, events::TYPING, &told)?;
        Ok(Done {})
    }

    pub(crate) fn write_conversation(
        &self,
        id: ConversationId,
        row: &ConversationRow,
    ) -> Result<()> {
        Ok(self
            .world
            .put(&keys::conversation(id), &row.encode()?, Some(id))?)
    }

    pub(crate) fn tell_updated(&self, id: ConversationId, row: ConversationRow) -> Result<()> {
        let told = ConversationUpdated {
            conversation: &facts(id, row),
        };
        let audience = events::members_of(id);
        Ok(self
            .world
            .publish(&audience, events::CONVERSATION_UPDATED, &told, Some(id))?)
    }
}
