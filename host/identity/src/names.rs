//! The forms of what people type: logins, names, hosts, slugs, passwords. Pure.

use std::net::IpAddr;

use crate::{IdentityConfig, IdentityError};

const LOGIN_LEN_MAX: usize = 64;
const DISPLAY_NAME_CHARS_MAX: usize = 100;
/// RFC 5321: longer addresses cannot be delivered to.
const EMAIL_LEN_MAX: usize = 254;
/// RFC 1035.
const HOST_LEN_MAX: usize = 253;
const LABEL_LEN_MAX: usize = 63;
const SLUG_LEN_MAX: usize = 32;
/// Argon2 takes more, but hashing megabytes is work for free.
const PASSWORD_CHARS_MAX: usize = 128;

/// What everybody tries first, of the lengths that are allowed at all.
const COMMON: &[&str] = &[
    "0123456789",
    "1111111111",
    "1234567890",
    "12345678910",
    "123456789a",
    "1q2w3e4r5t",
    "1q2w3e4r5t6y",
    "abc1234567",
    "abcdefghij",
    "adminadmin",
    "administrator",
    "asdfghjkl1",
    "baseball123",
    "changeme123",
    "football123",
    "hejhejhej1",
    "hejhejhejhej",
    "iloveyou12",
    "iloveyou123",
    "letmein123",
    "lösenord12",
    "lösenord123",
    "losenord12",
    "losenord123",
    "password01",
    "password12",
    "password123",
    "password1234",
    "passwordpassword",
    "princess123",
    "q1w2e3r4t5",
    "qwerty1234",
    "qwerty12345",
    "qwerty123456",
    "qwertyuiop",
    "sommar2025",
    "sommar2026",
    "sommar2027",
    "sunshine123",
    "välkommen1",
    "välkommen123",
    "valkommen123",
    "welcome123",
    "welcome1234",
    "zaq12wsxcde3",
];

const fn malformed(what: &'static str, must: &'static str) -> IdentityError {
    IdentityError::Malformed { what, must }
}

/// Whether an organization can be called this for short.
pub fn check_slug(text: &str) -> Result<(), IdentityError> {
    slug(text).map(drop)
}

/// Whether an organization can be reached at these.
pub fn check_hosts(given: &[String]) -> Result<(), IdentityError> {
    given.iter().try_for_each(|text| host(text).map(drop))
}

/// Whether somebody can sign in as this.
pub fn check_login(text: &str) -> Result<(), IdentityError> {
    login(text).map(drop)
}

/// Whether somebody with this login may have this password, by the rules that hold unless configured otherwise.
pub fn check_password(text: &str, login: &str) -> Result<(), IdentityError> {
    password(text, login, IdentityConfig::default().password_chars_min)
}

/// Whether somebody or something can have this name.
pub fn check_name(text: &str) -> Result<(), IdentityError> {
    display_name(text).map(drop)
}

/// A login in its one spelling.
pub(crate) fn login(text: &str) -> Result<String, IdentityError> {
    let login = text.trim().to_ascii_lowercase();
    let good = (1..=LOGIN_LEN_MAX).contains(&login.len())
        && login.bytes().all(|b| {
            b.is_ascii_lowercase()
                || b.is_ascii_digit()
                || matches!(b, b'.' | b'_' | b'@' | b'+' | b'-')
        });
    if good {
        Ok(login)
    } else {
        Err(malformed("login", "1 to 64 of a-z, 0-9 and . _ @ + -"))
    }
}

/// A name that others read.
pub(crate) fn display_name(text: &str) -> Result<String, IdentityError> {
    let name = text.trim();
    let good = !name.is_empty()
        && name.chars().count() <= DISPLAY_NAME_CHARS_MAX
        && !name.chars().any(|c| c.is_control() || hides_or_reorders(c))
        && name.chars().any(|c| !matches!(c, '\u{200c}' | '\u{200d}'));
    if good {
        Ok(name.to_owned())
    } else {
        Err(malformed(
            "name",
            "1 to 100 characters without control characters",
        ))
    }
}

/// Characters that show nothing, or make what follows read in another direction: ways to look like somebody else or
/// like nobody. Joiners are not among them: names in some scripts need them.
const fn hides_or_reorders(c: char) -> bool {
    matches!(
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

/// An address to write to; whether it exists shows when something is sent.
pub(crate) fn email(text: &str) -> Result<String, IdentityError> {
    let email = text.trim();
    let good = email.len() <= EMAIL_LEN_MAX
        && email
            .split_once('@')
            .is_some_and(|(to, at)| !to.is_empty() && !at.is_empty())
        && !email.chars().any(|c| c.is_whitespace() || c.is_control());
    if good {
        Ok(email.to_owned())
    } else {
        Err(malformed("email", "an e-mail address"))
    }
}

/// A slug: what stands for a tenant in commands and addresses.
pub(crate) fn slug(text: &str) -> Result<String, IdentityError> {
    let good = text.len() <= SLUG_LEN_MAX
        && text.bytes().next().is_some_and(|b| b.is_ascii_lowercase())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if good {
        Ok(text.to_owned())
    } else {
        Err(malformed(
            "slug",
            "a letter, then letters, digits and hyphens, at most 32",
        ))
    }
}

/// A host name or address in its one spelling, without a port.
pub(crate) fn host(text: &str) -> Result<String, IdentityError> {
    let host = normalised_host(text);
    let is_name = host.len() <= HOST_LEN_MAX
        && host.split('.').all(|label| {
            (1..=LABEL_LEN_MAX).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        });
    if is_name || host.parse::<IpAddr>().is_ok() {
        Ok(host)
    } else {
        Err(malformed("host", "a host name without scheme and port"))
    }
}

/// The same spelling for look-ups, where anything may come in.
pub(crate) fn normalised_host(text: &str) -> String {
    let text = text.trim();
    let text = text
        .strip_prefix('[')
        .and_then(|t| t.strip_suffix(']'))
        .unwrap_or(text);
    text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase()
}

/// The host in a `Host` header, without its port.
pub(crate) fn without_port(text: &str) -> &str {
    if text.starts_with('[') {
        return text
            .find(']')
            .and_then(|end| text.get(..=end))
            .unwrap_or(text);
    }
    match text.split_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => text,
    }
}

/// Whether somebody with this login may have this password.
pub(crate) fn password(text: &str, login: &str, chars_min: usize) -> Result<(), IdentityError> {
    let weak = |why: String| Err(IdentityError::WeakPassword { why });
    let chars = text.chars().count();
    if chars < chars_min {
        return weak(format!("must have at least {chars_min} characters"));
    }
    if chars > PASSWORD_CHARS_MAX {
        return weak(format!("must have at most {PASSWORD_CHARS_MAX} characters"));
    }
    let lower = text.trim().to_lowercase();
    if lower == login {
        return weak("must not be the login".to_owned());
    }
    let mut letters = lower.chars();
    let first = letters.next();
    if letters.all(|c| Some(c) == first) || COMMON.contains(&lower.as_str()) {
        return weak("is one of those that everybody tries first".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_has_one_spelling() {
        assert_eq!(
            login("  Anna.Svensson+1@Acme.se ").unwrap(),
            "anna.svensson+1@acme.se"
        );
        for bad in [
            "",
            "   ",
            "anna svensson",
            "åsa",
            "anna\0",
            "ａｎｎａ",
            &"a".repeat(65),
        ] {
            assert!(login(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_name_can_be_read_and_only_read() {
        assert_eq!(display_name(" Åsa Öberg ").unwrap(), "Åsa Öberg");
        assert!(display_name("\u{645}\u{6cc}\u{200c}\u{62e}").is_ok());
        for bad in [
            "",
            " ",
            "a\nb",
            "a\u{202e}b",
            &"å".repeat(101),
            "\u{200b}",
            "\u{200d}",
            "\u{3164}",
            "Anna\u{ad}",
            "\u{200f}Anna",
            "A\u{2028}B",
            "Anna\u{e0041}",
        ] {
            assert!(display_name(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_host_has_one_spelling_and_no_port() {
        assert_eq!(host("Acme.Example.").unwrap(), "acme.example");
        assert_eq!(host("[::1]").unwrap(), "::1");
        assert_eq!(without_port("acme.localhost:8080"), "acme.localhost");
        assert_eq!(without_port("[::1]:8443"), "[::1]");
        for bad in [
            "",
            "a:1",
            "https://a",
            "-a.se",
            "a..b",
            "a_b.se",
            "ö.se",
            &"a".repeat(64),
        ] {
            assert!(host(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_password_is_long_enough_not_the_login_and_not_what_everybody_tries() {
        assert!(password("rätt häst batteri", "anna", 10).is_ok());
        for bad in [
            "short",
            "Password123",
            "aaaaaaaaaaaa",
            "anna@example.se",
            &"ab".repeat(65),
        ] {
            assert!(password(bad, "anna@example.se", 10).is_err(), "{bad:?}");
        }
    }
}
