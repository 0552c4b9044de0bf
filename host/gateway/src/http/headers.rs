//! The headers that every answer carries, so that a browser lets nothing in or out that we did not mean.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::edge::Edge;

/// What pages of ours may ask of the device: calls need camera, microphone and screen, nothing else is used.
const PERMISSIONS_POLICY: &str = "camera=(self), microphone=(self), display-capture=(self), autoplay=(self), \
     fullscreen=(self), clipboard-write=(self), accelerometer=(), browsing-topics=(), geolocation=(), \
     gyroscope=(), hid=(), magnetometer=(), midi=(), payment=(), serial=(), usb=(), xr-spatial-tracking=()";

/// Two years, as browsers' preload lists ask for.
const HSTS: &str = "max-age=63072000";

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const PERMISSIONS: HeaderName = HeaderName::from_static("permissions-policy");
const OPENER: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const RESOURCE: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// The policy of our own pages: scripts, styles and connections from this very host only.
pub(crate) fn page_policy(edge: &Edge) -> String {
    let socket = edge.origin.replacen("http", "ws", 1);
    format!(
        "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; \
         media-src 'self' blob:; worker-src 'self'; manifest-src 'self'; connect-src 'self' {socket}; \
         object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )
}

/// The policy of everything that is not a page: nothing at all.
const DATA_POLICY: &str = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'";

/// Adds what is the same on every answer, keeping what the answer says itself.
pub(crate) fn protect(headers: &mut HeaderMap, edge: &Edge) {
    let mut say = |name: HeaderName, value: HeaderValue| {
        headers.entry(name).or_insert(value);
    };
    say(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    say(
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    );
    say(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    say(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(DATA_POLICY),
    );
    say(PERMISSIONS, HeaderValue::from_static(PERMISSIONS_POLICY));
    say(OPENER, HeaderValue::from_static("same-origin"));
    say(RESOURCE, HeaderValue::from_static("same-origin"));
    say(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(id) = HeaderValue::from_str(&edge.request.to_string()) {
        say(REQUEST_ID, id);
    }
    // Browsers forget the port of a host that demands TLS: on localhost it would lock people out of the plain
    // development listener beside this one.
    let local = edge.host == "localhost" || edge.host.ends_with(".localhost");
    if edge.https && !local {
        say(
            header::STRICT_TRANSPORT_SECURITY,
            HeaderValue::from_static(HSTS),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_may_talk_to_its_own_host_only() {
        let edge = Edge::for_test("https", "acme.example", 443);
        let policy = page_policy(&edge);
        assert!(
            policy.contains("connect-src 'self' wss://acme.example;"),
            "{policy}"
        );
        let edge = Edge::for_test("http", "acme.localhost", 8080);
        let policy = page_policy(&edge);
        assert!(
            policy.contains("connect-src 'self' ws://acme.localhost:8080;"),
            "{policy}"
        );
        for part in [
            "default-src 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "object-src 'none'",
            "form-action 'self'",
        ] {
            assert!(policy.contains(part), "{part}");
        }
        assert!(!policy.contains("unsafe"));
    }

    #[test]
    fn strict_transport_is_said_over_tls_and_never_to_localhost() {
        let hsts = |edge: &Edge| {
            let mut headers = HeaderMap::new();
            protect(&mut headers, edge);
            headers.contains_key(header::STRICT_TRANSPORT_SECURITY)
        };
        assert!(hsts(&Edge::for_test("https", "acme.example", 8443)));
        assert!(!hsts(&Edge::for_test("http", "acme.example", 80)));
        assert!(!hsts(&Edge::for_test("https", "acme.localhost", 8443)));
    }

    #[test]
    fn what_an_answer_says_itself_is_kept() {
        let mut headers = HeaderMap::new();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public"));
        protect(&mut headers, &Edge::for_test("http", "acme.example", 80));
        assert_eq!(headers[header::CACHE_CONTROL], "public");
        assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    }
}
