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

/// The address that sent this request, and whether it did so over TLS, as far as `proxies` may say so.
///
/// From anybody who is not a configured proxy, forwarded headers mean nothing. Each proxy appends the address it
/// saw, so the right-most one that is not itself a proxy is the client.
pub(crate) fn behind_proxies(
    peer: IpAddr,
    headers: &HeaderMap,
    proxies: &[IpAddr],
) -> Option<Behind> {
    if !proxies.contains(&peer.to_canonical()) {
        return None;
    }
    let https = headers
        .get("x-forwarded-proto")
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"https"));
    let mut hops = Vec::new();
    for value in headers.get_all("x-forwarded-for") {
        for hop in value.to_str().ok()?.split(',') {
            hops.push(hop.trim().parse::<IpAddr>().ok()?.to_canonical());
        }
    }
    let client = hops
        .iter()
        .rev()
        .find(|hop| !proxies.contains(hop))
        .copied();
    Some(Behind {
        peer: client.unwrap_or(peer),
        https,
    })
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

    #[test]
    fn forwarded_headers_count_only_from_configured_proxies() {
        let mut headers = HeaderMap::new();
        headers.insert(
            "x-forwarded-for",
            "1.1.1.1, 203.0.113.7, 10.0.0.2".parse().unwrap(),
        );
        headers.insert("x-forwarded-proto", "https".parse().unwrap());
        let proxies = ["10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap()];
        let anybody: IpAddr = "198.51.100.1".parse().unwrap();
        assert_eq!(behind_proxies(anybody, &headers, &proxies), None);
        let behind = behind_proxies("10.0.0.1".parse().unwrap(), &headers, &proxies).unwrap();
        assert_eq!(
            behind,
            Behind {
                peer: "203.0.113.7".parse().unwrap(),
                https: true
            }
        );
    }
}
