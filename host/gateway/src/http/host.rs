//! Which host a request is for, and who really sent it: what may be believed of a request's head.

use std::net::IpAddr;

use http::{HeaderMap, Request, Version, header};
use vaxel_core::{Problem, Reason};

/// The host that a request names: lower case, without port and final dot.
pub(crate) fn requested_host<B>(request: &Request<B>) -> Result<String, Problem> {
    let malformed = || {
        Problem::new(Reason::Invalid, "The request must name exactly one host.")
            .with_code("bad_host")
    };
    let mut named = request.headers().get_all(header::HOST).iter();
    let header_host = match (named.next(), named.next()) {
        (None, _) => None,
        (Some(value), None) => Some(value.to_str().map_err(|_| malformed())?),
        (Some(_), Some(_)) => return Err(malformed()),
    };
    let authority = request
        .uri()
        .authority()
        .map(|authority| authority.as_str());
    let text = match (authority, header_host) {
        // HTTP/2 has :authority; a Host header beside it must say the same (RFC 9113, section 8.3.1).
        (Some(authority), Some(host))
            if request.version() >= Version::HTTP_2 && !authority.eq_ignore_ascii_case(host) =>
        {
            return Err(malformed());
        }
        (Some(authority), _) => authority,
        (None, Some(host)) => host,
        (None, None) => return Err(malformed()),
    };
    host_of(text).ok_or_else(malformed)
}

/// The host part of `host[:port]`, made canonical; nothing if it is not one.
pub(crate) fn host_of(authority: &str) -> Option<String> {
    /// The longest name in DNS.
    const HOST_LEN_MAX: usize = 253;
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (inner, after) = rest.split_once(']')?;
            inner.parse::<std::net::Ipv6Addr>().ok()?;
            (
                inner,
                after
                    .strip_prefix(':')
                    .or(if after.is_empty() { Some("") } else { None })?,
            )
        }
        None => authority.split_once(':').unwrap_or((authority, "")),
    };
    if !port.is_empty() {
        port.parse::<u16>().ok()?;
    }
    let host = host.strip_suffix('.').unwrap_or(host);
    let plain = !host.is_empty()
        && !host.ends_with('.')
        && host.len() <= HOST_LEN_MAX
        && host
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':' | b'_'));
    plain.then(|| host.to_ascii_lowercase())
}

/// What proxies that we trust say about the request behind them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Behind {
    pub(crate) peer: IpAddr,
    pub(crate) https: bool,
}

/// The address that sent this request, and whether it did so over TLS, as far as `proxies` may say so; nothing when it
/// came from nobody of them, whose forwarded headers mean nothing.
///
/// Each proxy appends the address it saw, so the list is read from the right, up to the first address that is no proxy
/// of ours: the client. What a client wrote itself stands further left and is never looked at. Garbage before that is a
/// broken proxy, and refused: to guess would be to take the proxy for its client.
pub(crate) fn behind_proxies(
    peer: IpAddr,
    headers: &HeaderMap,
    proxies: &[IpAddr],
) -> Result<Option<Behind>, Problem> {
    if !proxies.contains(&peer.to_canonical()) {
        return Ok(None);
    }
    let https = hops(headers, "x-forwarded-proto")
        .next()
        .is_some_and(|last| last.eq_ignore_ascii_case(b"https"));
    for hop in hops(headers, "x-forwarded-for") {
        let address = std::str::from_utf8(hop)
            .ok()
            .and_then(|text| text.parse::<IpAddr>().ok())
            .ok_or_else(|| {
                Problem::new(
                    Reason::Invalid,
                    "The proxy in front named no address for this request.",
                )
                .with_code("bad_forwarded")
            })?
            .to_canonical();
        if !proxies.contains(&address) {
            return Ok(Some(Behind {
                peer: address,
                https,
            }));
        }
    }
    Ok(Some(Behind { peer, https }))
}

/// The elements of a list in a header, however many lines it has, the last one first.
fn hops<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = &'a [u8]> {
    headers
        .get_all(name)
        .iter()
        .rev()
        .flat_map(|value| value.as_bytes().rsplit(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_lower_case_without_port_and_final_dot() {
        let table = [
            ("acme.localhost:8080", Some("acme.localhost")),
            ("ACME.Example.", Some("acme.example")),
            ("[::1]:8443", Some("::1")),
            ("[::1]", Some("::1")),
            ("127.0.0.1", Some("127.0.0.1")),
            ("", None),
            (":80", None),
            ("acme:99999", None),
            ("acme:80:80", None),
            ("acme/x", None),
            ("acme@evil", None),
            ("a b", None),
            ("[::1", None),
            ("[acme]:1", None),
            ("å.se", None),
        ];
        for (text, expected) in table {
            assert_eq!(host_of(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_request_names_exactly_one_host() {
        let build = |hosts: &[&str]| {
            let mut builder = Request::builder().uri("/");
            for host in hosts {
                builder = builder.header(header::HOST, *host);
            }
            requested_host(&builder.body(()).unwrap())
        };
        assert_eq!(build(&["Acme.Localhost:8080"]).unwrap(), "acme.localhost");
        assert!(build(&[]).is_err());
        assert!(build(&["a.example", "b.example"]).is_err());
    }

    #[test]
    fn over_http_2_the_two_names_must_agree() {
        let request = Request::builder()
            .version(Version::HTTP_2)
            .uri("https://acme.example/")
            .header(header::HOST, "globex.example")
            .body(())
            .unwrap();
        assert!(requested_host(&request).is_err());
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn forwarded(lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            let value = http::HeaderValue::from_bytes(line.as_bytes()).unwrap();
            headers.append("x-forwarded-for", value);
        }
        headers
    }

    /// Who is behind the proxy 10.0.0.1, where 10.0.0.2 is one too.
    fn client(lines: &[&str]) -> Result<IpAddr, u16> {
        let proxies = [ip("10.0.0.1"), ip("10.0.0.2")];
        behind_proxies(ip("10.0.0.1"), &forwarded(lines), &proxies)
            .map(|behind| behind.unwrap().peer)
            .map_err(|problem| crate::http::problem::status_of(&problem).as_u16())
    }

    #[test]
    fn forwarded_headers_count_only_from_configured_proxies() {
        let mut headers = forwarded(&["1.1.1.1, 203.0.113.7, 10.0.0.2"]);
        headers.insert("x-forwarded-proto", "https".parse().unwrap());
        let proxies = [ip("10.0.0.1"), ip("10.0.0.2")];
        let anybody = behind_proxies(ip("198.51.100.1"), &headers, &proxies);
        assert_eq!(anybody.unwrap(), None);
        let behind = behind_proxies(ip("10.0.0.1"), &headers, &proxies);
        let expected = Behind {
            peer: ip("203.0.113.7"),
            https: true,
        };
        assert_eq!(behind.unwrap(), Some(expected));
    }

    #[test]
    fn the_client_is_the_right_most_address_that_is_no_proxy() {
        for (lines, expected) in [
            (&["203.0.113.7"][..], "203.0.113.7"),
            (&["203.0.113.7", "10.0.0.2"], "203.0.113.7"),
            (&["198.51.100.1,203.0.113.7 , 10.0.0.2"], "203.0.113.7"),
            (&["::ffff:203.0.113.7"], "203.0.113.7"),
            (&["2001:db8::7"], "2001:db8::7"),
            // Nobody but proxies: a probe of the proxy itself.
            (&["10.0.0.2"], "10.0.0.1"),
            (&[], "10.0.0.1"),
        ] {
            assert_eq!(client(lines), Ok(ip(expected)), "{lines:?}");
        }
    }

    #[test]
    fn what_a_client_wrote_itself_hides_nobody() {
        for left in ["garbage", "unknown", "", "::1:x", "\u{e5}", "10.0.0.2"] {
            for lines in [
                &[format!("{left}, 203.0.113.7").as_str()][..],
                &[left, "203.0.113.7"],
                &[format!("{left}, 203.0.113.7, 10.0.0.2").as_str()],
            ] {
                assert_eq!(client(lines), Ok(ip("203.0.113.7")), "{lines:?}");
            }
        }
    }

    #[test]
    fn a_proxy_that_names_no_address_is_refused_and_never_taken_for_its_client() {
        for garbage in ["garbage", "unknown", "", "203.0.113.7:443", "\u{e5}"] {
            for lines in [
                &[garbage][..],
                &["203.0.113.7", garbage],
                &[format!("203.0.113.7, {garbage}, 10.0.0.2").as_str()],
            ] {
                assert_eq!(client(lines), Err(400), "{lines:?}");
            }
        }
    }

    #[test]
    fn the_last_proxy_says_whether_it_was_https() {
        let proxies = [ip("10.0.0.1")];
        for (said, https) in [
            (&["https"][..], true),
            (&["http", "HTTPS"], true),
            (&["https, http"], false),
            (&["https", "http"], false),
            (&[], false),
        ] {
            let mut headers = HeaderMap::new();
            for line in said {
                headers.append("x-forwarded-proto", line.parse().unwrap());
            }
            let behind = behind_proxies(proxies[0], &headers, &proxies).unwrap();
            assert_eq!(behind.unwrap().https, https, "{said:?}");
        }
    }
}
