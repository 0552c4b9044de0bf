//! Random lives of a small organization: whatever people do, the books stay in order.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::params::{AddMembers, ListMembers, RemoveMember};

const PEOPLE: usize = 4;

#[derive(Clone, Debug)]
enum Deed {
    Create(usize, Kind, bool, usize),
    Join(usize, usize),
    Leave(usize, usize),
    Add(usize, usize, usize),
    Remove(usize, usize, usize),
    Say(usize, usize),
    Edit(usize, usize),
    Delete(usize, usize),
    Read(usize, usize),
}

fn deed() -> impl Strategy<Value = Deed> {
    let who = 0..PEOPLE;
    let one = 0..12usize;
    let kind = prop_oneof![Just(Kind::Channel), Just(Kind::Group), Just(Kind::Direct)];
    prop_oneof![
        1 => (who.clone(), kind, any::<bool>(), who.clone())
            .prop_map(|(by, kind, public, with)| Deed::Create(by, kind, public, with)),
        2 => (who.clone(), one.clone()).prop_map(|(by, at)| Deed::Join(by, at)),
        1 => (who.clone(), one.clone()).prop_map(|(by, at)| Deed::Leave(by, at)),
        1 => (who.clone(), one.clone(), who.clone()).prop_map(|(by, at, w)| Deed::Add(by, at, w)),
        1 => (who.clone(), one.clone(), who.clone()).prop_map(|(by, at, w)| Deed::Remove(by, at, w)),
        4 => (who.clone(), one.clone()).prop_map(|(by, at)| Deed::Say(by, at)),
        1 => (who.clone(), one.clone()).prop_map(|(by, at)| Deed::Edit(by, at)),
        1 => (who.clone(), one.clone()).prop_map(|(by, at)| Deed::Delete(by, at)),
        2 => (who, one).prop_map(|(by, at)| Deed::Read(by, at)),
    ]
}

struct Life {
    host: Memory,
    people: Vec<UserId>,
    conversations: Vec<ConversationId>,
    messages: Vec<(ConversationId, MessageId)>,
}

impl Life {
    fn live(&mut self, deed: &Deed) {
        let host = &self.host;
        let who = |n: usize| self.people[n];
        let at = |n: usize| {
            self.conversations
                .get(n % self.conversations.len().max(1))
                .copied()
        };
        let said = |n: usize| self.messages.iter().rev().nth(n).copied();
        match *deed {
            Deed::Create(by, kind, public, with) => {
                let public = public && kind == Kind::Channel;
                if let Ok(id) = host.create(who(by), kind, public, &[who(with)])
                    && !self.conversations.contains(&id)
                {
                    self.conversations.push(id);
                }
            }
            Deed::Join(by, n) => {
                if let Some(id) = at(n) {
                    let _ = host.call(who(by), |chat| chat.join(&of(id)));
                }
            }
            Deed::Leave(by, n) => {
                if let Some(id) = at(n) {
                    let _ = host.call(who(by), |chat| chat.leave(&of(id)));
                }
            }
            Deed::Add(by, n, new) => {
                if let Some(conversation) = at(n) {
                    let params = AddMembers {
                        conversation,
                        members: vec![who(new)],
                    };
                    let _ = host.call(who(by), |chat| chat.add_members(&params));
                }
            }
            Deed::Remove(by, n, member) => {
                if let Some(conversation) = at(n) {
                    let params = RemoveMember {
                        conversation,
                        member: who(member),
                    };
                    let _ = host.call(who(by), |chat| chat.remove_member(&params));
                }
            }
            Deed::Say(by, n) => {
                if let Some(id) = at(n)
                    && let Ok(sent) = host.sends(who(by), id, text("något"))
                {
                    self.messages.push((id, sent.id));
                }
            }
            Deed::Edit(by, n) => {
                if let Some((_, id)) = said(n) {
                    let _ = host.edits(who(by), id, "något annat");
                }
            }
            Deed::Delete(by, n) => {
                if let Some((_, id)) = said(n) {
                    let _ = host.deletes(who(by), id);
                }
            }
            Deed::Read(by, n) => {
                if let Some((conversation, message)) = said(n) {
                    let params = MarkRead {
                        conversation,
                        message,
                    };
                    let _ = host.call(who(by), |chat| chat.mark_read(&params));
                }
            }
        }
    }

    fn check(&self) {
        for id in &self.conversations {
            let audience = self.host.audience(&format!("c/{id}"));
            let members: BTreeSet<UserId> = self
                .people
                .iter()
                .copied()
                .filter(|who| self.host.lists(*who).contains(id))
                .collect();
            assert_eq!(audience, members, "the audience is the members");
            for who in &self.people {
                self.check_view(*who, *id, &members);
            }
        }
    }

    fn check_view(&self, who: UserId, id: ConversationId, members: &BTreeSet<UserId>) {
        let messages = self.host.list(who, id, None, 100);
        if !members.contains(&who) {
            assert!(messages.is_err(), "only members read");
            return;
        }
        let view = self.host.sees(who, id).unwrap();
        assert!(view.joined);
        assert_eq!(view.facts.member_count, members.len());
        assert_eq!(
            view.facts.members.iter().copied().collect::<BTreeSet<_>>(),
            *members
        );
        match view.facts.owner {
            Some(owner) => assert!(members.contains(&owner), "an owner is a member"),
            None => assert_eq!(
                view.facts.kind,
                Kind::Direct,
                "what has members has an owner"
            ),
        }
        let messages = messages.unwrap().items;
        let sent: Vec<MessageId> = self
            .messages
            .iter()
            .rev()
            .filter(|(of, _)| *of == id)
            .map(|(_, id)| *id)
            .collect();
        assert_eq!(
            messages
                .iter()
                .map(|message| message.id)
                .collect::<Vec<_>>(),
            sent
        );
        assert_eq!(view.last_message, messages.first().cloned());
        let waiting = messages
            .iter()
            .take_while(|message| Some(message.id) != view.read_up_to)
            .filter(|message| message.author != who && !message.deleted)
            .count();
        assert!(view.unread.unread <= waiting, "what is read is not unread");
        let params = ListMembers {
            conversation: id,
            cursor: None,
            limit: None,
        };
        let listed = self
            .host
            .call(who, |chat| chat.list_members(&params))
            .unwrap();
        assert_eq!(listed.items.len(), members.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn the_books_stay_in_order(deeds in proptest::collection::vec(deed(), 1..60)) {
        let host = Memory::default();
        let people = (0..PEOPLE).map(|_| host.person()).collect();
        let mut life = Life { host, people, conversations: vec![], messages: vec![] };
        for deed in &deeds {
            life.live(deed);
        }
        life.check();
    }
}
