//! The few cookies the server sets, kept by name for one origin.

use std::collections::BTreeMap;

use http::HeaderMap;
use http::header::SET_COOKIE;

#[derive(Default)]
pub(crate) struct Cookies(BTreeMap<String, String>);

impl Cookies {
    /// Takes over what a response sets, and drops what it expires.
    pub(crate) fn take(&mut self, headers: &HeaderMap) {
        for line in headers.get_all(SET_COOKIE) {
            let Ok(line) = line.to_str() else { continue };
            let mut parts = line.split(';').map(str::trim);
            let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else {
                continue;
            };
            let expired = parts.any(|part| part.eq_ignore_ascii_case("max-age=0"));
            if expired || value.is_empty() {
                self.0.remove(name);
            } else {
                self.0.insert(name.to_owned(), value.to_owned());
            }
        }
    }

    pub(crate) fn header(&self) -> Option<String> {
        let pairs: Vec<String> = self.0.iter().map(|(n, v)| format!("{n}={v}")).collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.0.insert(name.to_owned(), value.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_with_max_age_zero_is_dropped() {
        let mut cookies = Cookies::default();
        let mut headers = HeaderMap::new();
        headers.insert(SET_COOKIE, "a=1; Path=/; Secure".parse().unwrap());
        cookies.take(&headers);
        assert_eq!(cookies.header().as_deref(), Some("a=1"));
        headers.insert(SET_COOKIE, "a=; Path=/; Max-Age=0".parse().unwrap());
        cookies.take(&headers);
        assert_eq!(cookies.header(), None);
    }
}
