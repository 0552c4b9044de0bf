//! Rules for what people type: names, messages, emoji.

use unicode_segmentation::UnicodeSegmentation;

use crate::error::{ChatError, Result};

/// A name must fit a list row; longer ones belong in a description.
pub(crate) const NAME_CHARS_MAX: usize = 80;
/// About four printed pages, and at most 32 KB: far below what one stored record may hold.
pub(crate) const TEXT_CHARS_MAX: usize = 8_000;
/// What a client calls its own unsent message.
pub(crate) const LOCAL_ID_CHARS_MAX: usize = 64;
/// The longest family emoji take 25 bytes, flags of regions 28.
pub(crate) const EMOJI_BYTES_MAX: usize = 32;
/// A quote above a reply is a reminder, not the message.
pub(crate) const QUOTE_CHARS_MAX: usize = 280;

/// Six bytes of JSON for a character that must be escaped, four for the longest other.
pub(crate) const QUOTE_BYTES_MAX: usize = QUOTE_CHARS_MAX * 6;

/// The same rules for callers' schemas, in the dialect that every regex engine reads.
/// Control characters and those that reorder or break a line could make one name look like another.
pub(crate) const NAME_PATTERN: &str = concat!(
    r"^[^\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]*",
    r"[^\s\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]",
    r"[^\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]*$"
);
pub(crate) const TEXT_PATTERN: &str = r"^[^\x00]*[^\s\x00][^\x00]*$";
pub(crate) const EMOJI_PATTERN: &str = r"^[#*0-9\xa9\xae]?[^\s\x00-\u1fff]+$";

/// The name of a channel or group, trimmed.
pub(crate) fn name(raw: &str) -> Result<String> {
    let name = raw.trim();
    if name.is_empty() {
        return Err(ChatError::Invalid("the name is empty"));
    }
    if name.chars().count() > NAME_CHARS_MAX {
        return Err(ChatError::Limit {
            what: "characters in a name",
            max: NAME_CHARS_MAX,
        });
    }
    if name.chars().any(hides_or_reorders) {
        return Err(ChatError::Invalid("the name has control characters"));
    }
    Ok(name.to_owned())
}

fn hides_or_reorders(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// What a message says, trimmed.
pub(crate) fn message(raw: &str) -> Result<String> {
    let text = raw.trim();
    if text.is_empty() {
        return Err(ChatError::Invalid("the message is empty"));
    }
    if text.contains('\0') {
        return Err(ChatError::Invalid("the message has a NUL character"));
    }
    if text.chars().count() > TEXT_CHARS_MAX {
        return Err(ChatError::Limit {
            what: "characters in a message",
            max: TEXT_CHARS_MAX,
        });
    }
    Ok(text.to_owned())
}

/// One picture: a single grapheme that is no letter, digit or space.
pub(crate) fn check_emoji(emoji: &str) -> Result<()> {
    let one_grapheme = emoji.graphemes(true).count() == 1;
    let pictorial = emoji.chars().any(|c| c >= '\u{2000}');
    let wordy = emoji
        .chars()
        .any(|c| c.is_whitespace() || c.is_control() || (c.is_alphabetic() && c < '\u{2000}'));
    if emoji.len() > EMOJI_BYTES_MAX || !one_grapheme || !pictorial || wordy {
        return Err(ChatError::Invalid("a reaction is one emoji"));
    }
    Ok(())
}

/// The beginning of a text, for the quote above a reply.
pub(crate) fn quote(text: &str) -> String {
    match text.char_indices().nth(QUOTE_CHARS_MAX) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default().trim_end()),
    }
}

/// The length of a text as JSON writes it, or a little more.
pub(crate) fn json_bytes(text: &str) -> usize {
    let escaped = text
        .bytes()
        .filter(|byte| *byte < 0x20 || matches!(byte, b'"' | b'\\'))
        .count();
    text.len() + escaped * 5
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn emoji_are_one_picture() {
        for emoji in ["👍", "❤️", "1️⃣", "🇸🇪", "👨‍👩‍👧‍👦", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "👍🏽", "ℹ️", "©️", "㊗️"]
        {
            assert!(check_emoji(emoji).is_ok(), "{emoji} was refused");
        }
        for other in [
            "", "a", "1", "é", "e\u{301}", "ok", " ", "👍👍", "👍 ", "\n", "ж", ":+1:",
        ] {
            assert!(check_emoji(other).is_err(), "{other:?} was taken");
        }
        let tall = format!("👍{}", "\u{fe0f}".repeat(20));
        assert!(check_emoji(&tall).is_err());
    }

    #[test]
    fn names_are_trimmed_and_stay_on_one_line() {
        assert_eq!(name("  Drift & jour ").unwrap(), "Drift & jour");
        for refused in ["", " \t ", "a\nb", "a\u{0}b", "a\u{202e}b", "\u{85}a\u{9f}"] {
            assert!(name(refused).is_err(), "{refused:?} was taken");
        }
        assert!(name(&"å".repeat(80)).is_ok());
        assert!(name(&"å".repeat(81)).is_err());
    }

    #[test]
    fn a_message_keeps_its_lines_and_loses_its_edges() {
        assert_eq!(message("\n hej\n\n  på dig \n").unwrap(), "hej\n\n  på dig");
        assert!(message(" \n ").is_err());
        assert!(message("a\0b").is_err());
        assert!(message(&"ö".repeat(8_000)).is_ok());
        assert!(message(&"ö".repeat(8_001)).is_err());
    }

    #[test]
    fn a_long_quote_is_cut_between_characters() {
        assert_eq!(quote("kort"), "kort");
        let long = quote(&"ö".repeat(1_000));
        assert_eq!(long.chars().count(), QUOTE_CHARS_MAX + 1);
        assert!(long.ends_with('…'));
    }

    proptest! {
        #[test]
        fn whatever_is_typed_normalises_once_or_is_refused(raw in any::<String>()) {
            if let Ok(text) = message(&raw) {
                prop_assert_eq!(message(&text).unwrap(), text);
            }
            if let Ok(taken) = name(&raw) {
                prop_assert_eq!(name(&taken).unwrap(), taken);
            }
            let _ = check_emoji(&raw);
            let _ = quote(&raw);
            let written = serde_json::to_string(&raw).unwrap();
            prop_assert!(written.len() <= json_bytes(&raw) + 2);
        }
    }
}
