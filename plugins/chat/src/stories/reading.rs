//! Unread counts and read marks.

use super::*;

#[test]
fn reading_clears_what_others_said_and_own_words_never_count() {
    let host = Memory::default();
    let (anna, bertil) = (host.person(), host.person());
    let group = host.group(anna, &[bertil]);
    host.says(anna, group, "ett");
    let second = host
        .sends(
            anna,
            group,
            Send {
                mentions: vec![bertil],
                ..text("två")
            },
        )
        .unwrap()
        .id;
    host.says(bertil, group, "mitt eget");
    assert_eq!(host.unread(bertil, group), (2, 1));
    assert_eq!(host.unread(anna, group), (1, 0));

    host.told();
    host.marks(bertil, group, second);
    let told = host.told();
    assert_eq!(told[0].audience, format!("u/{bertil}"));
    assert_eq!(told[0].topic, "chat.read.updated");
    assert_eq!(told[0].data["read_up_to"], second.to_string());
    assert_eq!(told[0].data["user"], bertil.to_string());
    assert_eq!(told[0].data["unread"], 0);
    assert_eq!(host.unread(bertil, group), (0, 0));
    assert_eq!(host.sees(bertil, group).unwrap().read_up_to, Some(second));
}

#[test]
fn a_mark_never_moves_back() {
    let host = Memory::default();
    let (anna, bertil) = (host.person(), host.person());
    let group = host.group(anna, &[bertil]);
    let first = host.says(anna, group, "ett");
    let second = host.says(anna, group, "två");
    host.says(anna, group, "tre");
    host.marks(bertil, group, second);
    host.told();
    let params = MarkRead {
        conversation: group,
        message: first,
    };
    let mark = host.call(bertil, |chat| chat.mark_read(&params)).unwrap();
    assert_eq!((mark.read_up_to, mark.unread.unread), (Some(second), 1));
    assert!(host.told().is_empty());
    assert_eq!(host.unread(bertil, group), (1, 0));
}

#[test]
fn a_mark_belongs_to_a_message_of_that_conversation() {
    let host = Memory::default();
    let (anna, bertil) = (host.person(), host.person());
    let (one, other) = (host.group(anna, &[bertil]), host.group(anna, &[bertil]));
    let message = host.says(anna, one, "hej");
    let params = MarkRead {
        conversation: other,
        message,
    };
    assert!(missing(host.call(bertil, |chat| chat.mark_read(&params))));
    let params = MarkRead {
        conversation: one,
        message: MessageId::from_u128(1 << 90),
    };
    assert!(missing(host.call(bertil, |chat| chat.mark_read(&params))));
}

#[test]
fn counting_stops_at_a_hundred_and_skips_the_deleted() {
    let host = Memory::default();
    let (anna, bertil) = (host.person(), host.person());
    let group = host.group(anna, &[bertil]);
    let sent: Vec<_> = (0..130)
        .map(|n| host.says(anna, group, &format!("{n}")))
        .collect();
    assert_eq!(host.unread(bertil, group), (100, 0));
    host.marks(bertil, group, sent[119]);
    assert_eq!(host.unread(bertil, group), (10, 0));
    host.deletes(anna, sent[125]).unwrap();
    assert_eq!(host.unread(bertil, group), (9, 0));
}

#[test]
fn a_monologue_between_does_not_hide_what_others_said() {
    let host = Memory::default();
    let (anna, bertil) = (host.person(), host.person());
    let group = host.group(anna, &[bertil]);
    for n in 0..190 {
        host.says(bertil, group, &format!("{n}"));
    }
    host.says(anna, group, "svar");
    assert_eq!(host.unread(bertil, group), (1, 0));
}

#[test]
fn a_newcomer_has_nothing_unread_but_may_read_all() {
    let host = Memory::default();
    let (anna, bertil) = (host.person(), host.person());
    let channel = host.channel(anna);
    let old = host.says(anna, channel, "för länge sedan");
    host.call(bertil, |chat| chat.join(&of(channel))).unwrap();
    assert_eq!(host.unread(bertil, channel), (0, 0));
    assert_eq!(host.reads(bertil, channel).len(), 1);
    host.says(anna, channel, "välkommen");
    assert_eq!(host.unread(bertil, channel), (1, 0));
    // A mark from before one joined does not bring the old days back.
    host.marks(bertil, channel, old);
    assert_eq!(host.unread(bertil, channel), (1, 0));

    host.call(bertil, |chat| chat.leave(&of(channel))).unwrap();
    host.says(anna, channel, "medan du var borta");
    host.call(bertil, |chat| chat.join(&of(channel))).unwrap();
    assert_eq!(host.unread(bertil, channel), (0, 0));
}
