//! Saying, answering, mentioning, listing.

use super::*;
use crate::text::TEXT_CHARS_MAX;

#[test]
fn what_one_says_the_others_read_in_order() {
    let host = Memory::default();
    let (anna, bertil) = (host.person(), host.person());
    let group = host.group(anna, &[bertil]);
    host.says(anna, group, "hej");
    host.says(bertil, group, "  hej hej\n");
    assert_eq!(host.reads(bertil, group), ["hej", "hej hej"]);
    let view = host.sees(anna, group).unwrap();
    assert_eq!(view.last_message.unwrap().text, "hej hej");
    assert_eq!(view.facts.members, [anna, bertil]);
}

#[test]
fn a_message_is_told_to_the_members_with_the_senders_local_id() {
    let host = Memory::default();
    let (anna, bertil) = (host.person(), host.person());
    let group = host.group(anna, &[bertil]);
    host.told();
    let id = host.says(anna, group, "hej");
    let told = host.told();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].audience, format!("c/{group}"));
    assert_eq!(told[0].topic, "chat.message.created");
    assert_eq!(told[0].data["local_id"], "l1");
    assert_eq!(told[0].data["message"]["id"], id.to_string());
    assert_eq!(host.audience(&format!("c/{group}")), [anna, bertil].into());
}

#[test]
fn pages_of_messages_meet_without_gap_or_overlap() {
    let host = Memory::default();
    let anna = host.person();
    let channel = host.channel(anna);
    let sent: Vec<_> = (0..25)
        .map(|n| host.says(anna, channel, &format!("nr {n}")))
        .collect();
    let mut read = Vec::new();
    let mut before = None;
    loop {
        let page = host.list(anna, channel, before, 10).unwrap();
        read.extend(page.items.iter().map(|message| message.id));
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    read.reverse();
    assert_eq!(read, sent);
    assert_eq!(
        host.list(anna, channel, Some(sent[0]), 10).unwrap().items,
        []
    );
}

#[test]
fn a_reply_quotes_the_message_as_it_is_now() {
    let host = Memory::default();
    let (anna, bertil) = (host.person(), host.person());
    let group = host.group(anna, &[bertil]);
    let asked = host.says(anna, group, "Kommer du?");
    let reply = Send {
        reply_to: Some(asked),
        ..text("Ja!")
    };
    let reply = host.sends(bertil, group, reply).unwrap();
    assert_eq!(reply.reply_to.unwrap().text, "Kommer du?");

    host.edits(anna, asked, "Kommer du i morgon?").unwrap();
    let listed = host.list(anna, group, None, 10).unwrap();
    assert_eq!(
        listed.items[0].reply_to.as_ref().unwrap().text,
        "Kommer du i morgon?"
    );

    host.deletes(anna, asked).unwrap();
    let last = host.sees(anna, group).unwrap().last_message.unwrap();
    let quote = last.reply_to.unwrap();
    assert!(quote.deleted && quote.text.is_empty());
}

#[test]
fn a_reply_cannot_quote_from_another_conversation() {
    let host = Memory::default();
    let (anna, bertil) = (host.person(), host.person());
    let ours = host.group(anna, &[]);
    let secret = host.says(anna, ours, "hemligt");
    let theirs = host.group(bertil, &[anna]);
    for who in [anna, bertil] {
        let reply = Send {
            reply_to: Some(secret),
            ..text("?")
        };
        assert!(missing(host.sends(who, theirs, reply)));
    }
}

#[test]
fn mentions_reach_active_members_once() {
    let host = Memory::default();
    let (anna, bertil, carin, david) = (host.person(), host.person(), host.person(), host.person());
    let nobody = UserId::from_u128(7);
    let group = host.group(anna, &[bertil, carin]);
    host.set_active(carin, false);
    let mentions = vec![bertil, bertil, carin, david, nobody];
    let sent = host
        .sends(
            anna,
            group,
            Send {
                mentions,
                ..text("@bertil se här")
            },
        )
        .unwrap();
    assert_eq!(sent.mentions, [bertil]);
    assert_eq!(host.unread(bertil, group), (1, 1));

    let mentions = vec![bertil; 51];
    assert_eq!(
        code(host.sends(
            anna,
            group,
            Send {
                mentions,
                ..text("@alla")
            }
        )),
        "limit"
    );
}

#[test]
fn what_is_not_supported_yet_says_so() {
    let host = Memory::default();
    let anna = host.person();
    let group = host.group(anna, &[]);
    let attachments = vec!["blb_1".to_owned()];
    let refused = host.sends(
        anna,
        group,
        Send {
            attachments,
            ..text("se bilaga")
        },
    );
    assert_eq!(code(refused), "unsupported");
    let card = Some(serde_json::json!({ "type": "poll" }));
    assert_eq!(
        code(host.sends(
            anna,
            group,
            Send {
                card,
                ..text("kort")
            }
        )),
        "unsupported"
    );
    let local_id = String::new();
    assert_eq!(
        code(host.sends(
            anna,
            group,
            Send {
                local_id,
                ..text("hej")
            }
        )),
        "invalid"
    );
}

#[test]
fn empty_and_endless_messages_are_refused() {
    let host = Memory::default();
    let anna = host.person();
    let group = host.group(anna, &[]);
    assert_eq!(code(host.sends(anna, group, text(" \n\t "))), "invalid");
    assert_eq!(
        code(host.sends(anna, group, text(&"x".repeat(TEXT_CHARS_MAX + 1)))),
        "limit"
    );
    assert_eq!(host.reads(anna, group), Vec::<String>::new());
}

#[test]
fn two_people_have_one_direct_conversation() {
    let host = Memory::default();
    let (anna, bertil) = (host.person(), host.person());
    let direct = host.create(anna, Kind::Direct, false, &[bertil]).unwrap();
    assert_eq!(
        host.create(bertil, Kind::Direct, false, &[anna]).unwrap(),
        direct
    );
    assert_eq!(
        host.create(bertil, Kind::Direct, false, &[bertil, anna])
            .unwrap(),
        direct
    );
    assert_eq!(host.lists(anna), [direct]);
    let view = host.sees(bertil, direct).unwrap();
    assert_eq!((view.facts.member_count, view.facts.name), (2, None));

    for wrong in [&[][..], &[anna], &[bertil, host.person()]] {
        assert_eq!(
            code(host.create(anna, Kind::Direct, false, wrong)),
            "invalid"
        );
    }
}

#[test]
fn a_direct_conversation_outlives_a_deactivated_partner() {
    let host = Memory::default();
    let (anna, bertil, carin) = (host.person(), host.person(), host.person());
    let direct = host.create(anna, Kind::Direct, false, &[bertil]).unwrap();
    host.says(bertil, direct, "jag slutar på fredag");
    host.set_active(bertil, false);
    host.set_active(carin, false);
    assert_eq!(
        host.create(anna, Kind::Direct, false, &[bertil]).unwrap(),
        direct
    );
    assert_eq!(host.reads(anna, direct), ["jag slutar på fredag"]);
    assert!(missing(host.create(anna, Kind::Direct, false, &[carin])));
}

#[test]
fn typing_is_told_to_members_and_leaves_nothing() {
    let host = Memory::default();
    let (anna, bertil) = (host.person(), host.person());
    let group = host.group(anna, &[]);
    host.told();
    let keys = host.keys();
    host.call(anna, |chat| chat.typing(&of(group))).unwrap();
    assert_eq!(host.topics(), ["chat.typing"]);
    assert_eq!(host.keys(), keys);
    assert!(missing(host.call(bertil, |chat| chat.typing(&of(group)))));
}

#[test]
fn names_are_changed_by_those_who_may() {
    use crate::params::Rename;
    let host = Memory::default();
    let (anna, bertil, carin) = (host.person(), host.person(), host.person());
    let channel = host
        .create(anna, Kind::Channel, true, &[bertil, carin])
        .unwrap();
    let rename = |who, conversation, name: &str| {
        let params = Rename {
            conversation,
            name: name.to_owned(),
        };
        host.call(who, |chat| chat.rename(&params))
    };
    assert_eq!(code(rename(bertil, channel, "Mitt")), "forbidden");
    host.told();
    assert_eq!(
        rename(anna, channel, " Drift ")
            .unwrap()
            .facts
            .name
            .unwrap(),
        "Drift"
    );
    let told = host.told();
    assert_eq!(told[0].topic, "chat.conversation.updated");
    assert_eq!(told[0].data["conversation"]["name"], "Drift");
    assert!(told[0].data["conversation"].get("unread").is_none());
    host.make_admin(carin);
    assert!(rename(carin, channel, "Drift och jour").is_ok());
    assert_eq!(code(rename(anna, channel, "a\u{202e}b")), "invalid");

    let group = host.group(anna, &[bertil]);
    assert!(rename(bertil, group, "Lunch").is_ok());
    let direct = host.create(anna, Kind::Direct, false, &[bertil]).unwrap();
    assert_eq!(code(rename(anna, direct, "Vi två")), "forbidden");
}
