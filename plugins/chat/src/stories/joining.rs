//! Who may come in, who must leave, and what outsiders learn.

use super::*;
use crate::answers::Role;
use crate::members::{CONVERSATIONS_PER_USER_MAX, GROUP_MEMBERS_MAX};
use crate::params::{AddMembers, ListMembers, RemoveMember};

fn add(host: &Memory, by: UserId, conversation: ConversationId, members: &[UserId]) -> Result<()> {
    let params = AddMembers {
        conversation,
        members: members.to_vec(),
    };
    host.call(by, |chat| chat.add_members(&params)).map(|_| ())
}

fn remove(host: &Memory, by: UserId, conversation: ConversationId, member: UserId) -> Result<()> {
    let params = RemoveMember {
        conversation,
        member,
    };
    host.call(by, |chat| chat.remove_member(&params))
        .map(|_| ())
}

fn leave(host: &Memory, who: UserId, conversation: ConversationId) -> Result<()> {
    host.call(who, |chat| chat.leave(&of(conversation)))
        .map(|_| ())
}

fn discovers(host: &Memory, who: UserId) -> Vec<Conversation> {
    host.call(who, |chat| chat.discover(&ListConversations::default()))
        .unwrap()
        .items
}

#[test]
fn a_private_conversation_does_not_exist_for_others() {
    let host = Memory::default();
    let (anna, bertil, mallory) = (host.person(), host.person(), host.person());
    host.make_admin(mallory);
    for kind in [Kind::Group, Kind::Channel, Kind::Direct] {
        let hidden = host.create(anna, kind, false, &[bertil]).unwrap();
        let message = host.says(anna, hidden, "hemligt");
        assert!(missing(host.sees(mallory, hidden)));
        assert!(missing(host.list(mallory, hidden, None, 10)));
        assert!(missing(host.sends(mallory, hidden, text("hallå?"))));
        assert!(missing(host.edits(mallory, message, "mitt")));
        assert!(missing(host.deletes(mallory, message)));
        assert!(missing(host.reacts(mallory, message, "👍", true)));
        assert!(missing(
            host.call(mallory, |chat| chat.history(&OneMessage { message }))
        ));
        assert!(missing(host.call(mallory, |chat| chat.join(&of(hidden)))));
        assert!(missing(add(&host, mallory, hidden, &[mallory])));
        assert!(missing(remove(&host, mallory, hidden, anna)));
        assert!(missing(leave(&host, mallory, hidden)));
        let params = MarkRead {
            conversation: hidden,
            message,
        };
        assert!(missing(host.call(mallory, |chat| chat.mark_read(&params))));
    }
    assert_eq!(discovers(&host, mallory), []);
    let nowhere = ConversationId::from_u128(99);
    let unknown = host.sees(mallory, nowhere).unwrap_err().to_string();
    let hidden = host.lists(anna)[0];
    assert_eq!(host.sees(mallory, hidden).unwrap_err().to_string(), unknown);
}

#[test]
fn a_public_channel_shows_its_name_and_size_until_one_joins() {
    let host = Memory::default();
    let (anna, bertil) = (host.person(), host.person());
    let channel = host.channel(anna);
    let message = host.says(anna, channel, "välkomna");

    let found = discovers(&host, bertil);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].facts.id, channel);
    assert_eq!(found[0].facts.member_count, 1);
    assert!(!found[0].joined && found[0].facts.members.is_empty());
    assert!(found[0].last_message.is_none());
    assert_eq!(code(host.list(bertil, channel, None, 10)), "forbidden");
    assert_eq!(code(host.sends(bertil, channel, text("hej"))), "forbidden");
    assert_eq!(code(host.reacts(bertil, message, "👍", true)), "forbidden");
    assert_eq!(code(leave(&host, bertil, channel)), "forbidden");

    host.told();
    let joined = host.call(bertil, |chat| chat.join(&of(channel))).unwrap();
    assert_eq!(joined.facts.members, [anna, bertil]);
    assert_eq!(joined.last_message.unwrap().text, "välkomna");
    let told = host.told();
    assert_eq!(told[0].topic, "chat.member.changed");
    assert_eq!(told[0].data["change"], "joined");
    assert!(host.audience(&format!("c/{channel}")).contains(&bertil));
    assert_eq!(host.reads(bertil, channel), ["välkomna"]);
    assert_eq!(discovers(&host, bertil), []);

    host.call(bertil, |chat| chat.join(&of(channel))).unwrap();
    assert_eq!(host.sees(anna, channel).unwrap().facts.member_count, 2);
}

#[test]
fn people_come_into_a_group_by_invitation_and_are_told() {
    let host = Memory::default();
    let (anna, bertil, carin) = (host.person(), host.person(), host.person());
    let group = host.group(anna, &[bertil]);
    host.told();
    add(&host, bertil, group, &[carin, anna, carin]).unwrap();
    let told = host.told();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].data["user"], carin.to_string());
    assert_eq!(told[0].data["by"], bertil.to_string());
    assert_eq!(host.lists(carin), [group]);
    assert_eq!(
        host.sees(carin, group).unwrap().facts.members,
        [anna, bertil, carin]
    );
    add(&host, bertil, group, &[carin]).unwrap();
    assert_eq!(host.told().len(), 0);
}

#[test]
fn a_direct_conversation_stays_as_it_is() {
    let host = Memory::default();
    let (anna, bertil, carin) = (host.person(), host.person(), host.person());
    let direct = host.create(anna, Kind::Direct, false, &[bertil]).unwrap();
    assert_eq!(code(add(&host, anna, direct, &[carin])), "forbidden");
    assert_eq!(code(remove(&host, anna, direct, bertil)), "forbidden");
    assert_eq!(code(leave(&host, anna, direct)), "forbidden");
    assert_eq!(host.sees(anna, direct).unwrap().facts.member_count, 2);
}

#[test]
fn only_people_who_exist_and_are_active_come_in() {
    let host = Memory::default();
    let (anna, gone) = (host.person(), host.person());
    host.set_active(gone, false);
    let group = host.group(anna, &[]);
    for who in [gone, UserId::from_u128(5)] {
        assert!(missing(add(&host, anna, group, &[who])));
        assert!(missing(host.create(anna, Kind::Group, false, &[who])));
    }
}

#[test]
fn owner_and_admin_remove_and_members_do_not() {
    let host = Memory::default();
    let (anna, bertil, carin, chief) = (host.person(), host.person(), host.person(), host.person());
    host.make_admin(chief);
    let group = host.group(anna, &[bertil, carin, chief]);
    assert_eq!(code(remove(&host, bertil, group, carin)), "forbidden");
    host.told();
    remove(&host, anna, group, carin).unwrap();
    assert_eq!(host.told()[0].data["change"], "removed");
    assert!(missing(host.list(carin, group, None, 10)));
    assert!(!host.audience(&format!("c/{group}")).contains(&carin));
    assert!(missing(remove(&host, anna, group, carin)));
    remove(&host, chief, group, bertil).unwrap();
    assert_eq!(host.sees(anna, group).unwrap().facts.members, [anna, chief]);
}

#[test]
fn ownership_goes_to_the_longest_member() {
    let host = Memory::default();
    let (anna, bertil, carin, david) = (host.person(), host.person(), host.person(), host.person());
    let channel = host.channel(anna);
    for who in [carin, bertil, david] {
        host.call(who, |chat| chat.join(&of(channel))).unwrap();
    }
    // Who leaves and returns starts anew.
    leave(&host, carin, channel).unwrap();
    host.call(carin, |chat| chat.join(&of(channel))).unwrap();
    host.told();
    leave(&host, anna, channel).unwrap();
    assert_eq!(
        host.topics(),
        ["chat.member.changed", "chat.conversation.updated"]
    );
    assert_eq!(host.sees(bertil, channel).unwrap().role, Some(Role::Owner));
    for who in [bertil, david, carin] {
        leave(&host, who, channel).unwrap();
    }
    let empty = host.sees(anna, channel).unwrap();
    assert_eq!((empty.facts.owner, empty.facts.member_count), (None, 0));
    let back = host.call(david, |chat| chat.join(&of(channel))).unwrap();
    assert_eq!(back.role, Some(Role::Owner));
}

#[test]
fn members_are_listed_in_pages_in_the_order_of_joining() {
    let host = Memory::default();
    let anna = host.person();
    let others: Vec<UserId> = (0..7).map(|_| host.person()).collect();
    let group = host.group(anna, &others);
    let page = |cursor: Option<String>| {
        let params = ListMembers {
            conversation: group,
            cursor,
            limit: Some(3),
        };
        host.call(anna, |chat| chat.list_members(&params)).unwrap()
    };
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let members = page(cursor);
        seen.extend(
            members
                .items
                .iter()
                .map(|member| (member.user, member.role)),
        );
        cursor = members.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), 8);
    assert_eq!(seen[0], (anna, Role::Owner));
    assert_eq!(seen[7], (others[6], Role::Member));
}

#[test]
fn a_full_group_takes_nobody_more() {
    let host = Memory::default();
    let anna = host.person();
    let others: Vec<UserId> = (1..GROUP_MEMBERS_MAX).map(|_| host.person()).collect();
    let group = host.group(anna, &others);
    let late = host.person();
    assert_eq!(code(add(&host, anna, group, &[late])), "limit");
    leave(&host, others[0], group).unwrap();
    add(&host, anna, group, &[late]).unwrap();
    assert_eq!(
        host.sees(late, group).unwrap().facts.members.len(),
        GROUP_MEMBERS_MAX
    );
    assert_eq!(
        code(host.create(late, Kind::Group, false, &[others, vec![anna]].concat())),
        "limit"
    );
}

#[test]
fn a_person_has_at_most_500_conversations() {
    let host = Memory::default();
    let (anna, bertil) = (host.person(), host.person());
    let first = host.group(anna, &[]);
    for _ in 1..CONVERSATIONS_PER_USER_MAX {
        host.group(anna, &[]);
    }
    assert_eq!(code(host.create(anna, Kind::Group, false, &[])), "limit");
    assert_eq!(
        code(host.create(bertil, Kind::Group, false, &[anna])),
        "limit"
    );
    leave(&host, anna, first).unwrap();
    host.group(anna, &[]);
}

#[test]
fn everybodys_own_devices_hear_from_the_first_contact_on() {
    let host = Memory::default();
    let (anna, bertil) = (host.person(), host.person());
    assert!(host.audience(&format!("u/{bertil}")).is_empty());
    host.group(anna, &[bertil]);
    for who in [anna, bertil] {
        assert_eq!(host.audience(&format!("u/{who}")), [who].into());
    }
}

#[test]
fn kinds_keep_their_own_rules_at_birth() {
    let host = Memory::default();
    let anna = host.person();
    let create = |kind, name: Option<&str>, public| {
        let name = name.map(str::to_owned);
        let params = Create {
            kind,
            name,
            members: vec![],
            public,
        };
        host.call(anna, |chat| chat.create(&params))
    };
    assert_eq!(code(create(Kind::Channel, None, None)), "invalid");
    assert_eq!(code(create(Kind::Channel, Some("  "), None)), "invalid");
    assert_eq!(code(create(Kind::Group, None, Some(true))), "invalid");
    assert_eq!(code(create(Kind::Direct, Some("vi"), None)), "invalid");
    assert!(
        create(Kind::Channel, Some("Allmänt"), None)
            .unwrap()
            .conversation
            .facts
            .public
    );
    assert!(
        !create(Kind::Channel, Some("Chefer"), Some(false))
            .unwrap()
            .conversation
            .facts
            .public
    );
    let group = create(Kind::Group, None, None).unwrap().conversation;
    assert_eq!((group.facts.name, group.role), (None, Some(Role::Owner)));
}
