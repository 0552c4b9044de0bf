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

/// Characters that show nothing or reorder text, for a class of characters. Beyond the first plane they stand as they
/// are: no escape for them is read by every engine.
macro_rules! hidden {
    () => {
        concat!(
            "\\x00-\\x1f\\x7f-\\x9f\\xad\\u061c\\u115f\\u1160\\u180e\\u200b\\u200e\\u200f\\u2028-\\u202e",
            "\\u2060-\\u206f\\u3164\\ufeff\\uffa0\u{e0000}-\u{e007f}"
        )
    };
}

/// The same rules for callers' schemas, in the dialect that every regex engine reads.
/// Control characters and those that reorder or break a line could make one name look like another.
pub(crate) const NAME_PATTERN: &str = concat!(
    "^[^",
    hidden!(),
    "]*",
    "[^\\s\\u200c\\u200d",
    hidden!(),
    "]",
    "[^",
    hidden!(),
    "]*$"
);
pub(crate) const TEXT_PATTERN: &str = concat!(
    "^[^\\x00]*",
    "[^\\s\\u200c\\u200d",
    hidden!(),
    "]",
    "[^\\x00]*$"
);
pub(crate) const EMOJI_PATTERN: &str = r"^[#*0-9\xa9\xae]?[^\s\x00-\u1fff]+$";

/// The name of a channel or group, trimmed.
pub(crate) fn name(raw: &str) -> Result<String> {
    let name = raw.trim();
    if !name.chars().any(is_visible) {
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
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{61c}'
                | '\u{115f}'
                | '\u{1160}'
                | '\u{180e}'
                | '\u{200b}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{3164}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// Whether a character shows something. Joiners alone do not, though some scripts need them between others.
fn is_visible(c: char) -> bool {
    !c.is_whitespace() && !hides_or_reorders(c) && !matches!(c, '\u{200c}' | '\u{200d}')
}

/// What a message says, trimmed.
pub(crate) fn message(raw: &str) -> Result<String> {
    let text = raw.trim();
    if !text.chars().any(is_visible) {
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

/// One picture: a single grapheme of pictures and what joins and colours them.
pub(crate) fn check_emoji(emoji: &str) -> Result<()> {
    let one_grapheme = emoji.graphemes(true).count() == 1;
    let is_flag = emoji.starts_with('\u{1f3f4}');
    let belongs = |c: char| {
        is_picture(c)
            // Digits with a keycap, joiners, the choice of presentation.
            || matches!(c, '#' | '*' | '0'..='9' | '\u{200d}' | '\u{fe0f}')
            // The letters of a region's flag.
            || is_flag && matches!(c, '\u{e0020}'..='\u{e007f}')
    };
    let is_one = one_grapheme && emoji.chars().any(is_picture) && emoji.chars().all(belongs);
    if emoji.len() > EMOJI_BYTES_MAX || !is_one {
        return Err(ChatError::Invalid("a reaction is one emoji"));
    }
    Ok(())
}

/// The blocks that emoji lie in (Unicode 16, emoji-data.txt), generously.
const fn is_picture(c: char) -> bool {
    matches!(
        c,
        '\u{a9}'
            | '\u{ae}'
            | '\u{203c}'
            | '\u{2049}'
            | '\u{20e3}'
            | '\u{2122}'
            | '\u{2139}'
            | '\u{2194}'..='\u{21aa}'
            | '\u{231a}'..='\u{23ff}'
            | '\u{24c2}'
            | '\u{25aa}'..='\u{27bf}'
            | '\u{2934}'
            | '\u{2935}'
            | '\u{2b05}'..='\u{2b55}'
            | '\u{3030}'
            | '\u{303d}'
            | '\u{3297}'
            | '\u{3299}'
            | '\u{1f000}'..='\u{1faff}'
    )
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
            "",
            "a",
            "1",
            "é",
            "e\u{301}",
            "ok",
            " ",
            "👍👍",
            "👍 ",
            "\n",
            "ж",
            ":+1:",
            "中",
            "\u{202e}",
            "\u{200b}",
            "\u{e0041}",
            "\u{ffff}",
            "\u{200d}",
            "\u{fe0f}",
            "👍\u{e0041}",
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
