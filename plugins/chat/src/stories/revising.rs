//! Edits, deletions, reactions.

use super::*;
use crate::answers::FormerText;
use crate::revisions::{EMOJI_PER_MESSAGE_MAX, FORMER_TEXTS_MAX};

fn history(host: &Memory, who: UserId, message: MessageId) -> Vec<FormerText> {
    host.call(who, |chat| chat.history(&OneMessage { message }))
        .unwrap()
        .items
}

#[test]
fn an_edit_shows_when_and_members_see_what_it_said_before() {
    let host = Memory::default();
    let (anna, bertil) = (host.person(), host.person());
    let group = host.group(anna, &[bertil]);
    let id = host.says(anna, group, "Mötet är kl 9");
    host.told();
    let edited = host.edits(anna, id, " Mötet är kl 10 ").unwrap();
    assert_eq!(edited.text, "Mötet är kl 10");
    assert!(edited.edited_at.unwrap() > edited.created_at);
    assert_eq!(host.topics(), ["chat.message.edited"]);
    assert_eq!(host.reads(bertil, group), ["Mötet är kl 10"]);
    let former = history(&host, bertil, id);
    assert_eq!(former.len(), 1);
    assert_eq!(former[0].text, "Mötet är kl 9");

    assert_eq!(code(host.edits(bertil, id, "nej")), "forbidden");
    let same = host.edits(anna, id, "Mötet är kl 10").unwrap();
    assert_eq!(same.edited_at, edited.edited_at);
    assert!(host.told().is_empty());
}

#[test]
fn the_last_ten_texts_are_kept() {
    let host = Memory::default();
    let anna = host.person();
    let group = host.group(anna, &[]);
    let id = host.says(anna, group, "0");
    for n in 1..=15 {
        host.edits(anna, id, &n.to_string()).unwrap();
    }
    let texts: Vec<_> = history(&host, anna, id)
        .into_iter()
        .map(|former| former.text)
        .collect();
    assert_eq!(texts.len(), FORMER_TEXTS_MAX);
    assert_eq!((texts[0].as_str(), texts[9].as_str()), ("14", "5"));
}

#[test]
fn of_very_long_texts_fewer_are_kept() {
    const VALUE_MAX: usize = 256 * 1024;
    let host = Memory::default();
    let anna = host.person();
    let group = host.group(anna, &[]);
    let id = host.says(anna, group, "0");
    for face in ['😀', '😁', '😂', '😃', '😄', '😅', '😆', '😇', '😈', '😉'] {
        host.edits(anna, id, &face.to_string().repeat(8_000))
            .unwrap();
    }
    let kept = history(&host, anna, id);
    assert!((5..FORMER_TEXTS_MAX).contains(&kept.len()));
    assert!(kept.iter().map(|former| former.text.len()).sum::<usize>() < VALUE_MAX);
    assert!(kept[0].text.starts_with('😈'));
}

#[test]
fn two_edits_at_once_end_as_one_of_them() {
    let host = Memory::default();
    let anna = host.person();
    let group = host.group(anna, &[]);
    let message = host.says(anna, group, "utkast");
    let phone = Edit {
        message,
        text: "från telefonen".to_owned(),
    };
    let laptop = Edit {
        message,
        text: "från datorn".to_owned(),
    };

    let (slow, quick) = (host.begin(anna), host.begin(anna));
    crate::chat::Chat::new(&slow, anna).edit(&phone).unwrap();
    crate::chat::Chat::new(&quick, anna).edit(&laptop).unwrap();
    quick.commit().unwrap();
    assert!(slow.commit().is_err());
    host.call(anna, |chat| chat.edit(&phone)).unwrap();

    assert_eq!(host.reads(anna, group), ["från telefonen"]);
    let former: Vec<_> = history(&host, anna, message)
        .into_iter()
        .map(|one| one.text)
        .collect();
    assert_eq!(former, ["från datorn", "utkast"]);
}

#[test]
fn a_deleted_message_leaves_only_that_there_was_one() {
    let host = Memory::default();
    let (anna, bertil) = (host.person(), host.person());
    let group = host.group(anna, &[bertil]);
    let mentions = vec![bertil];
    let id = host
        .sends(
            anna,
            group,
            Send {
                mentions,
                ..text("lösenordet är tulpan")
            },
        )
        .unwrap()
        .id;
    host.edits(anna, id, "lösenordet är narciss").unwrap();
    host.reacts(bertil, id, "😱", true).unwrap();
    host.told();
    let gone = host.deletes(anna, id).unwrap();
    assert!(gone.deleted && gone.text.is_empty());
    assert!(gone.reactions.is_empty() && gone.mentions.is_empty());
    let told = host.told();
    assert_eq!(told[0].topic, "chat.message.deleted");
    assert_eq!(told[0].data["message"]["deleted"], true);
    assert!(!host.holds("tulpan") && !host.holds("narciss"));
    assert_eq!(host.list(bertil, group, None, 10).unwrap().items.len(), 1);
    assert!(history(&host, anna, id).is_empty());

    assert_eq!(code(host.edits(anna, id, "igen")), "message-deleted");
    assert_eq!(code(host.reacts(anna, id, "👍", true)), "message-deleted");
    host.deletes(anna, id).unwrap();
    assert!(host.told().is_empty());
}

#[test]
fn others_messages_are_deleted_by_owner_and_admin_only() {
    let host = Memory::default();
    let (anna, bertil, chief) = (host.person(), host.person(), host.person());
    let group = host.group(anna, &[bertil, chief]);
    let ids: Vec<_> = (0..2).map(|_| host.says(bertil, group, "reklam")).collect();
    let own = host.says(anna, group, "viktigt");
    assert_eq!(code(host.deletes(bertil, own)), "forbidden");
    assert_eq!(code(host.deletes(chief, ids[0])), "forbidden");
    host.make_admin(chief);
    host.deletes(chief, ids[0]).unwrap();
    host.deletes(anna, ids[1]).unwrap();

    let direct = host.create(chief, Kind::Direct, false, &[bertil]).unwrap();
    let private = host.says(bertil, direct, "mellan oss");
    assert_eq!(code(host.deletes(chief, private)), "forbidden");
}

#[test]
fn reactions_come_and_go_per_person_and_emoji() {
    let host = Memory::default();
    let (anna, bertil) = (host.person(), host.person());
    let group = host.group(anna, &[bertil]);
    let id = host.says(anna, group, "Fika!");
    host.reacts(bertil, id, "☕", true).unwrap();
    host.reacts(anna, id, "☕", true).unwrap();
    host.reacts(anna, id, "🎂", true).unwrap();
    host.told();
    let twice = host.reacts(anna, id, "☕", true).unwrap();
    assert!(host.told().is_empty());
    assert_eq!(twice.reactions[0].users, [bertil, anna]);
    assert_eq!(twice.reactions[1].emoji, "🎂");
    host.reacts(bertil, id, "☕", false).unwrap();
    let left = host.reacts(anna, id, "☕", false).unwrap();
    assert_eq!(left.reactions.len(), 1);
    assert_eq!(host.topics(), ["chat.message.reacted"; 2]);
    assert_eq!(code(host.reacts(anna, id, "ok", true)), "invalid");
}

#[test]
fn the_twenty_first_emoji_is_too_many() {
    let host = Memory::default();
    let anna = host.person();
    let group = host.group(anna, &[]);
    let id = host.says(anna, group, "Rösta!");
    let faces: Vec<String> = ('😀'..)
        .take(EMOJI_PER_MESSAGE_MAX + 1)
        .map(String::from)
        .collect();
    for face in &faces[..EMOJI_PER_MESSAGE_MAX] {
        host.reacts(anna, id, face, true).unwrap();
    }
    assert_eq!(
        code(host.reacts(anna, id, &faces[EMOJI_PER_MESSAGE_MAX], true)),
        "limit"
    );
    assert!(host.reacts(anna, id, &faces[0], false).is_ok());
    assert!(
        host.reacts(anna, id, &faces[EMOJI_PER_MESSAGE_MAX], true)
            .is_ok()
    );
}

#[test]
fn who_was_removed_no_longer_changes_what_they_said() {
    let host = Memory::default();
    let (anna, bertil) = (host.person(), host.person());
    let group = host.group(anna, &[bertil]);
    let id = host.says(bertil, group, "mitt");
    let params = crate::params::RemoveMember {
        conversation: group,
        member: bertil,
    };
    host.call(anna, |chat| chat.remove_member(&params)).unwrap();
    assert!(missing(host.edits(bertil, id, "ändrat")));
    assert!(missing(host.deletes(bertil, id)));
    assert_eq!(host.reads(anna, group), ["mitt"]);
}
