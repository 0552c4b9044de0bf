//! Many at once, and much of it.

use super::*;
use crate::chat::Chat;

const STORAGE_OPERATIONS_MAX: usize = 1_000;

#[test]
fn any_number_of_senders_into_one_conversation_never_conflict() {
    let host = Memory::default();
    let anna = host.person();
    let others: Vec<UserId> = (0..127).map(|_| host.person()).collect();
    let channel = host
        .create(anna, Kind::Channel, true, &others[..100])
        .unwrap();
    for who in &others[100..] {
        host.call(*who, |chat| chat.join(&of(channel))).unwrap();
    }
    let first = host.says(anna, channel, "Vem är på plats?");
    let senders: Vec<UserId> = std::iter::once(anna).chain(others).collect();
    let calls: Vec<_> = senders.iter().map(|who| host.begin(*who)).collect();
    for (call, who) in calls.iter().zip(&senders) {
        let what = Send {
            conversation: channel,
            reply_to: Some(first),
            mentions: vec![anna],
            ..text("jag")
        };
        Chat::new(call, *who).send(&what).unwrap();
        assert!(
            call.operations.get() <= 8,
            "{} operations",
            call.operations.get()
        );
    }
    for call in calls {
        call.commit().unwrap();
    }
    let mut senders = senders;
    let newest = host.list(anna, channel, None, 100).unwrap();
    let rest = host.list(anna, channel, newest.next, 100).unwrap();
    let answers = newest
        .items
        .iter()
        .chain(&rest.items)
        .filter(|one| one.id != first);
    let mut heard: Vec<UserId> = answers.map(|one| one.author).collect();
    heard.sort();
    senders.sort();
    assert_eq!(heard, senders);
}

#[test]
fn a_plain_send_takes_one_read_one_append_and_one_event() {
    let host = Memory::default();
    let anna = host.person();
    let group = host.group(anna, &[]);
    let call = host.begin(anna);
    Chat::new(&call, anna)
        .send(&Send {
            conversation: group,
            ..text("hej")
        })
        .unwrap();
    assert_eq!(call.operations.get(), 3);
}

#[test]
fn senders_do_not_conflict_with_readers_joiners_and_renamers() {
    let host = Memory::default();
    let (anna, bertil, carin) = (host.person(), host.person(), host.person());
    let channel = host.create(anna, Kind::Channel, true, &[bertil]).unwrap();
    let earlier = host.says(anna, channel, "hej");
    let call = host.begin(bertil);
    Chat::new(&call, bertil)
        .send(&Send {
            conversation: channel,
            ..text("svar")
        })
        .unwrap();
    host.marks(bertil, channel, earlier);
    host.call(carin, |chat| chat.join(&of(channel))).unwrap();
    let params = crate::params::Rename {
        conversation: channel,
        name: "Nytt".to_owned(),
    };
    host.call(anna, |chat| chat.rename(&params)).unwrap();
    host.says(carin, channel, "emellan");
    call.commit().unwrap();
}

#[test]
fn two_who_open_the_same_direct_conversation_at_once_meet_in_one() {
    let host = Memory::default();
    let (anna, bertil) = (host.person(), host.person());
    let with = |other| Create {
        kind: Kind::Direct,
        name: None,
        members: vec![other],
        public: None,
    };
    let (one, other) = (host.begin(anna), host.begin(bertil));
    let first = Chat::new(&one, anna).create(&with(bertil)).unwrap().id;
    Chat::new(&other, bertil).create(&with(anna)).unwrap();
    one.commit().unwrap();
    assert!(other.commit().is_err());
    let again = host
        .call(bertil, |chat| chat.create(&with(anna)))
        .unwrap()
        .id;
    assert_eq!(again, first);
}

#[test]
fn the_last_place_in_a_group_goes_to_one_of_two() {
    let host = Memory::default();
    let anna = host.person();
    let others: Vec<UserId> = (1..49).map(|_| host.person()).collect();
    let group = host.group(anna, &others);
    let (first, second) = (host.person(), host.person());
    let adding = |who| crate::params::AddMembers {
        conversation: group,
        members: vec![who],
    };
    let (one, other) = (host.begin(anna), host.begin(others[0]));
    Chat::new(&one, anna).add_members(&adding(first)).unwrap();
    Chat::new(&other, others[0])
        .add_members(&adding(second))
        .unwrap();
    one.commit().unwrap();
    assert!(other.commit().is_err());
    let refused = host.call(others[0], |chat| chat.add_members(&adding(second)));
    assert_eq!(code(refused), "limit");
}

#[test]
fn a_hundred_busy_conversations_are_listed_within_the_operations_of_one_call() {
    let host = Memory::default();
    let (anna, bertil) = (host.person(), host.person());
    let all: Vec<_> = (0..105)
        .map(|_| {
            let id = host.create(bertil, Kind::Channel, false, &[anna]).unwrap();
            let asked = host.says(bertil, id, "fråga");
            let mentions = vec![anna];
            let answer = Send {
                reply_to: Some(asked),
                mentions,
                ..text("svar")
            };
            host.sends(bertil, id, answer).unwrap();
            id
        })
        .collect();
    let call = host.begin(anna);
    let params = ListConversations {
        cursor: None,
        limit: Some(100),
    };
    let page = Chat::new(&call, anna).list(&params).unwrap();
    assert_eq!(page.items.len(), 100);
    assert!(
        call.operations.get() <= STORAGE_OPERATIONS_MAX,
        "{}",
        call.operations.get()
    );
    for one in &page.items {
        assert_eq!((one.unread.unread, one.unread.mentions), (2, 1));
        let last = one.last_message.as_ref().unwrap();
        assert_eq!(last.conversation, one.facts.id);
        assert_eq!(last.reply_to.as_ref().unwrap().text, "fråga");
    }
    let params = ListConversations {
        cursor: page.next,
        limit: None,
    };
    let rest = host.call(anna, |chat| chat.list(&params)).unwrap();
    assert_eq!(rest.items.len(), 5);
    assert_eq!(rest.next, None);
    assert_eq!(rest.items[4].facts.id, all[104]);
}

#[test]
fn adding_a_hundred_people_stays_within_the_operations_of_one_call() {
    let host = Memory::default();
    let anna = host.person();
    let members: Vec<UserId> = (0..100).map(|_| host.person()).collect();
    let call = host.begin(anna);
    let params = Create {
        kind: Kind::Channel,
        name: Some("Alla".to_owned()),
        members,
        public: None,
    };
    let created = Chat::new(&call, anna).create(&params).unwrap();
    assert!(
        call.operations.get() <= STORAGE_OPERATIONS_MAX,
        "{}",
        call.operations.get()
    );
    assert_eq!(created.conversation.facts.member_count, 101);
    assert_eq!(created.conversation.facts.members.len(), 10);
}

#[test]
fn a_long_absence_is_listed_in_shorter_pages_that_miss_nobody() {
    let host = Memory::default();
    let (anna, bertil) = (host.person(), host.person());
    let all: Vec<_> = (0..20)
        .map(|_| {
            let id = host.group(bertil, &[anna]);
            for n in 0..105 {
                host.says(bertil, id, &format!("{n}"));
            }
            id
        })
        .collect();
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let call = host.begin(anna);
        let params = ListConversations {
            cursor,
            limit: Some(100),
        };
        let page = Chat::new(&call, anna).list(&params).unwrap();
        assert!(
            call.operations.get() <= STORAGE_OPERATIONS_MAX,
            "{}",
            call.operations.get()
        );
        assert!(page.items.iter().all(|one| one.unread.unread == 100));
        seen.extend(page.items.iter().map(|one| one.facts.id));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, all);
}

#[test]
fn the_longest_messages_are_listed_in_answers_the_host_takes() {
    const ANSWER_MAX: usize = 1024 * 1024;
    let host = Memory::default();
    let anna = host.person();
    let group = host.group(anna, &[]);
    let longest = format!("x{}", "\u{1}".repeat(7_999));
    let sent: Vec<_> = (0..60).map(|_| host.says(anna, group, &longest)).collect();
    let (mut seen, mut before) = (Vec::new(), None);
    loop {
        let page = host.list(anna, group, before, 100).unwrap();
        assert!(serde_json::to_vec(&page).unwrap().len() <= ANSWER_MAX);
        seen.extend(page.items.iter().map(|message| message.id));
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    seen.reverse();
    assert_eq!(seen, sent);
}
