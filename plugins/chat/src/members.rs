//! Who belongs to a conversation: joining, inviting, leaving, removing, and who owns it then.

use std::collections::BTreeSet;

use crate::answers::{Conversation, Done, Kind, Member, Members};
use crate::chat::{Chat, log_stamp};
use crate::error::{ChatError, Result};
use crate::events::{self, MemberChange, MemberChanged};
use crate::ids::{ConversationId, UserId};
use crate::keys::{self, Stamp};
use crate::params::{AddMembers, ListMembers, OneConversation, RemoveMember, page_limit};
use crate::reading::Mark;
use crate::rows::{ConversationRow, RosterRow, Row, count};
use crate::world::{Order, World};

/// More is an organization, not a channel; a message reaches them through one audience all the same.
pub(crate) const CHANNEL_MEMBERS_MAX: usize = 10_000;
/// A group shows all its members in every view.
pub(crate) const GROUP_MEMBERS_MAX: usize = 50;
pub(crate) const DIRECT_MEMBERS_MAX: usize = 2;
/// Enough faces for a header; `members.list` has the rest.
pub(crate) const CHANNEL_MEMBERS_SHOWN: usize = 10;
/// Five pages of a list; beyond it a person no longer has an overview.
pub(crate) const CONVERSATIONS_PER_USER_MAX: usize = 500;

fn members_max(kind: Kind) -> usize {
    match kind {
        Kind::Channel => CHANNEL_MEMBERS_MAX,
        Kind::Group => GROUP_MEMBERS_MAX,
        Kind::Direct => DIRECT_MEMBERS_MAX,
    }
}

fn members_shown(kind: Kind) -> usize {
    match kind {
        Kind::Channel => CHANNEL_MEMBERS_SHOWN,
        Kind::Group | Kind::Direct => GROUP_MEMBERS_MAX,
    }
}

impl<W: World> Chat<'_, W> {
    /// Joins a public channel; joining twice is joining once.
    pub(crate) fn join(&self, params: &OneConversation) -> Result<Conversation> {
        let id = params.conversation;
        let mut seen = self.see(id)?;
        if seen.place.is_some() {
            return self.view(id);
        }
        // A channel that everybody left belongs to whoever comes back first.
        seen.row.owner.get_or_insert(self.me);
        self.admit(id, &mut seen.row, &[self.me])?;
        self.tell_member_changed(id, self.me, MemberChange::Joined)?;
        self.view_of_newcomer(id, seen.row)
    }

    pub(crate) fn leave(&self, params: &OneConversation) -> Result<Done> {
        let row = self.see_as_member(params.conversation)?;
        self.depart(params.conversation, row, self.me, MemberChange::Left)
    }

    /// Any member may bring others; those who are members already stay as they are.
    pub(crate) fn add_members(&self, params: &AddMembers) -> Result<Done> {
        let id = params.conversation;
        let mut row = self.see_as_member(id)?;
        check_open(&row)?;
        let asked: BTreeSet<UserId> = params.members.iter().copied().collect();
        let places: Vec<_> = asked.iter().map(|user| keys::place(id, *user)).collect();
        let newcomers: Vec<UserId> = asked
            .into_iter()
            .zip(self.read_many(&places)?)
            .filter_map(|(user, place)| place.is_none().then_some(user))
            .collect();
        if newcomers.is_empty() {
            return Ok(Done {});
        }
        self.check_active(&newcomers)?;
        self.admit(id, &mut row, &newcomers)?;
        for user in newcomers {
            self.tell_member_changed(id, user, MemberChange::Added)?;
        }
        Ok(Done {})
    }

    /// By the owner or an admin; oneself by anybody.
    pub(crate) fn remove_member(&self, params: &RemoveMember) -> Result<Done> {
        let row = self.see_as_member(params.conversation)?;
        if params.member == self.me {
            return self.depart(params.conversation, row, self.me, MemberChange::Left);
        }
        check_open(&row)?;
        self.check_moderates(&row)?;
        self.depart(
            params.conversation,
            row,
            params.member,
            MemberChange::Removed,
        )
    }

    /// In the order of joining.
    pub(crate) fn list_members(&self, params: &ListMembers) -> Result<Members> {
        let id = params.conversation;
        let row = self.see_as_member(id)?;
        let after = match &params.cursor {
            None => None,
            Some(text) => {
                let at = Stamp::from_hex(text).ok_or(ChatError::Invalid("unknown cursor"))?;
                Some(keys::roster_entry(id, at))
            }
        };
        let limit = page_limit(params.limit);
        let mut entries = self.world.scan(
            &keys::roster(id),
            after.as_deref(),
            limit + 1,
            Order::Ascending,
        )?;
        let more = entries.len() > limit;
        entries.truncate(limit);
        let next = match entries.last() {
            Some((key, _)) if more => Some(log_stamp(key)?.to_hex()),
            _ => None,
        };
        let items = entries
            .iter()
            .map(|(_, stored)| {
                let RosterRow { user, joined_at } = RosterRow::decode(stored)?;
                let role = self.role(user, &row);
                Ok(Member {
                    user,
                    role,
                    joined_at,
                })
            })
            .collect::<Result<_>>()?;
        Ok(Members { items, next })
    }

    /// Writes the conversation with more members, none of whom is one yet.
    pub(crate) fn admit(
        &self,
        id: ConversationId,
        row: &mut ConversationRow,
        users: &[UserId],
    ) -> Result<()> {
        let max = members_max(row.kind);
        if row.member_count + users.len() > max {
            return Err(ChatError::Limit {
                what: "members",
                max,
            });
        }
        row.member_count += users.len();
        let room = members_shown(row.kind).saturating_sub(row.first_members.len());
        row.first_members.extend(users.iter().take(room));
        self.write_conversation(id, row)?;

        let counters: Vec<_> = users
            .iter()
            .map(|user| keys::conversation_count(*user))
            .collect();
        let audience = events::members_of(id);
        for (user, counted) in users.iter().zip(self.read_many(&counters)?) {
            if count(counted.as_deref())? >= CONVERSATIONS_PER_USER_MAX {
                let max = CONVERSATIONS_PER_USER_MAX;
                return Err(ChatError::Limit {
                    what: "conversations per person",
                    max,
                });
            }
            // Their first contact with chat: from now on their devices hear of them.
            if counted.is_none() {
                self.world.join(&events::devices_of(*user), *user)?;
            }
            let entry = RosterRow {
                user: *user,
                joined_at: self.world.now(),
            }
            .encode()?;
            self.world
                .append(&keys::roster(id), &entry, &keys::place(id, *user), None)?;
            self.world
                .put(&keys::conversation_of(*user, id), Mark::NONE, None)?;
            self.world.increment(&keys::conversation_count(*user), 1)?;
            self.world.join(&audience, *user)?;
        }
        Ok(())
    }

    fn depart(
        &self,
        id: ConversationId,
        mut row: ConversationRow,
        user: UserId,
        change: MemberChange,
    ) -> Result<Done> {
        check_open(&row)?;
        let place = keys::place(id, user);
        let entry = self
            .world
            .get(&place)?
            .ok_or(ChatError::Missing("member"))?;
        self.world.delete(&entry)?;
        self.world.delete(&place)?;
        self.world.delete(&keys::conversation_of(user, id))?;
        self.world.increment(&keys::conversation_count(user), -1)?;
        self.world.leave(&events::members_of(id), user)?;
        self.tell_member_changed(id, user, change)?;

        row.member_count = row.member_count.saturating_sub(1);
        if row.first_members.contains(&user) {
            row.first_members = self.read_first_members(id, row.kind)?;
        }
        let orphaned = row.owner == Some(user);
        if orphaned {
            // The first in the order of joining is the longest member.
            row.owner = row.first_members.first().copied();
        }
        self.write_conversation(id, &row)?;
        if orphaned {
            self.tell_updated(id, row)?;
        }
        Ok(Done {})
    }

    fn read_first_members(&self, id: ConversationId, kind: Kind) -> Result<Vec<UserId>> {
        self.world
            .scan(
                &keys::roster(id),
                None,
                members_shown(kind),
                Order::Ascending,
            )?
            .iter()
            .map(|(_, stored)| Ok(RosterRow::decode(stored)?.user))
            .collect()
    }

    fn tell_member_changed(
        &self,
        conversation: ConversationId,
        user: UserId,
        change: MemberChange,
    ) -> Result<()> {
        let told = MemberChanged {
            conversation,
            user,
            change,
            by: self.me,
        };
        let audience = events::members_of(conversation);
        Ok(self
            .world
            .publish(&audience, events::MEMBER_CHANGED, &told, None)?)
    }
}

fn check_open(row: &ConversationRow) -> Result<()> {
    match row.kind {
        Kind::Direct => Err(ChatError::Forbidden(
            "a direct conversation is between its two people",
        )),
        Kind::Channel | Kind::Group => Ok(()),
    }
}
