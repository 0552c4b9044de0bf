//! Which headers leave and which come back: nothing that belongs to one hop, to the host, or to a credential.

use http::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, FORWARDED, HOST,
    SET_COOKIE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, USER_AGENT, VIA,
};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::EgressError;

/// Most headers of a request, and of an answer.
pub(super) const HEADERS_MAX: usize = 64;

/// Most bytes of all headers together.
pub(super) const HEADER_BYTES_MAX: usize = 16 * 1024;

/// How we call ourselves.
const OUR_NAME: HeaderValue = HeaderValue::from_static("vaxel");

/// An answer as it is, so that what is in it can be looked through.
const AS_IT_IS: HeaderValue = HeaderValue::from_static("identity");

/// What a request carries: what the asker wants, without what is not theirs to say.
pub(super) fn sent(wanted: &[(String, String)]) -> Result<HeaderMap, EgressError> {
    let bytes: usize = wanted
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum();
    if wanted.len() > HEADERS_MAX || bytes > HEADER_BYTES_MAX {
        return Err(EgressError::TooLarge {
            what: "the headers",
            max: HEADER_BYTES_MAX,
        });
    }
    let mut headers = HeaderMap::new();
    for (name, value) in wanted {
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| EgressError::Invalid("not the name of a header"))?;
        if is_not_theirs(&name) {
            return Err(EgressError::Invalid(
                "authorization, cookie, host and proxy headers are the host's to set",
            ));
        }
        if is_dropped(&name) {
            continue;
        }
        let value = HeaderValue::from_str(value)
            .map_err(|_| EgressError::Invalid("not the value of a header"))?;
        headers.append(name, value);
    }
    headers.insert(USER_AGENT, OUR_NAME);
    headers.insert(ACCEPT_ENCODING, AS_IT_IS);
    Ok(headers)
}

/// What the asker reads of an answer's headers.
pub(super) fn received(headers: &HeaderMap) -> Result<Vec<(String, String)>, EgressError> {
    let mut bytes = 0;
    let mut kept = Vec::with_capacity(headers.len());
    for (name, value) in headers {
        bytes += name.as_str().len() + value.len();
        if is_dropped(name) || is_not_theirs(name) || *name == SET_COOKIE {
            continue;
        }
        // What is no text is nothing to read.
        if let Ok(value) = value.to_str() {
            kept.push((name.as_str().to_owned(), value.to_owned()));
        }
    }
    if bytes > HEADER_BYTES_MAX {
        return Err(EgressError::TooLarge {
            what: "the answer's headers",
            max: HEADER_BYTES_MAX,
        });
    }
    Ok(kept)
}

fn is_not_theirs(name: &HeaderName) -> bool {
    *name == AUTHORIZATION
        || *name == COOKIE
        || *name == HOST
        || name.as_str().starts_with("proxy-")
}

/// Hop by hop (RFC 9110 section 7.6.1), and what the host says itself.
fn is_dropped(name: &HeaderName) -> bool {
    let hop_or_host = [
        CONNECTION,
        TE,
        TRAILER,
        TRANSFER_ENCODING,
        UPGRADE,
        EXPECT,
        CONTENT_LENGTH,
        ACCEPT_ENCODING,
        USER_AGENT,
        FORWARDED,
        VIA,
    ];
    let text = name.as_str();
    hop_or_host.contains(name)
        || text == "keep-alive"
        || text == "http2-settings"
        || text == "cookie2"
        || text == "set-cookie2"
        || text.starts_with("x-forwarded-")
        || text == "x-real-ip"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn credentials_and_the_host_are_not_the_askers_to_name() {
        for name in [
            "Authorization",
            "cookie",
            "HOST",
            "Proxy-Authorization",
            "proxy-connection",
        ] {
            let refused = sent(&[pair(name, "x")]).unwrap_err();
            assert!(matches!(refused, EgressError::Invalid(_)), "{name}");
        }
    }

    #[test]
    fn what_belongs_to_one_hop_or_to_the_host_is_left_out() {
        let wanted = [
            pair("Connection", "x-secret"),
            pair("Transfer-Encoding", "chunked"),
            pair("Content-Length", "5"),
            pair("X-Forwarded-For", "10.0.0.1"),
            pair("User-Agent", "somebody"),
            pair("Accept-Encoding", "gzip"),
            pair("X-Own", "1"),
        ];
        let headers = sent(&wanted).unwrap();
        assert_eq!(headers.len(), 3, "{headers:?}");
        assert_eq!(headers["x-own"], "1");
        assert_eq!(headers["user-agent"], "vaxel");
        assert_eq!(headers["accept-encoding"], "identity");
    }

    #[test]
    fn a_header_cannot_smuggle_another() {
        assert!(sent(&[pair("x", "a\r\nauthorization: b")]).is_err());
        assert!(sent(&[pair("x\r\n", "a")]).is_err());
        assert!(sent(&vec![pair("x", "a"); HEADERS_MAX + 1]).is_err());
        assert!(sent(&[pair("x", &"a".repeat(HEADER_BYTES_MAX))]).is_err());
    }

    #[test]
    fn cookies_do_not_come_back() {
        let mut headers = HeaderMap::new();
        headers.append(SET_COOKIE, HeaderValue::from_static("a=b"));
        headers.append("x-own", HeaderValue::from_static("1"));
        assert_eq!(received(&headers).unwrap(), [pair("x-own", "1")]);
    }
}
