//! The handshake of a WebSocket, over HTTP/1.1 and over HTTP/2, and the options that every socket has.

use std::time::Duration;

use axum::extract::FromRequestParts as _;
use http::request::Parts;
use http::{HeaderValue, Method, header};
use vaxel_core::{Problem, Reason};
use yawc::{CompressionLevel, IncomingUpgrade, Options, UpgradeFut};

use crate::http::{Body, Response};

/// The subprotocol: what the frames mean.
pub(crate) const SUBPROTOCOL: &str = "vaxel.v1";

/// An idle socket keeps this much to read into; a larger frame gets more and gives it back.
const READ_BUFFER_BYTES: usize = 1_024;
/// The same for writing.
const WRITE_BUFFER_BYTES: usize = 512;
/// Frames collect up to one TLS record before they are written.
const WRITE_AT_BYTES: usize = 16 * 1_024;
/// A message in fragments must be whole within this time.
const FRAGMENTS_S: u64 = 30;
/// The whole window of deflate; without saying so the library answers some offers with the smallest one, 512 bytes.
const WINDOW_BITS: u8 = 15;

/// The options of every socket. Compression costs some 300 KiB per socket, so it is off unless asked for.
pub fn socket_options(frame_bytes_max: usize, deflate: bool) -> Options {
    // The library refuses what is as large as its limit.
    let limit = frame_bytes_max.saturating_add(1);
    let options = Options::default()
        .with_limits(limit, limit)
        .with_utf8()
        .with_no_delay()
        .with_read_buffer_capacity(READ_BUFFER_BYTES)
        .with_write_buffer_capacity(WRITE_BUFFER_BYTES)
        .with_backpressure_boundary(WRITE_AT_BYTES)
        .with_fragment_timeout(Duration::from_secs(FRAGMENTS_S));
    if deflate {
        options
            .with_compression_level(CompressionLevel::fast())
            .with_client_max_window_bits(WINDOW_BITS)
            .with_server_max_window_bits(WINDOW_BITS)
    } else {
        options.without_compression()
    }
}

/// Answers a handshake; the future is the socket, once the answer has been sent.
pub async fn accept_socket(
    parts: &mut Parts,
    options: Options,
) -> Result<(Response, UpgradeFut), Problem> {
    check_is_handshake(parts)?;
    let refused = |_| {
        Problem::new(
            Reason::Invalid,
            "This is no WebSocket handshake of version 13.",
        )
        .with_code("bad_handshake")
    };
    let upgrade = IncomingUpgrade::from_request_parts(parts, &())
        .await
        .map_err(refused)?;
    let (response, socket) = upgrade.upgrade(options).map_err(|error| {
        tracing::debug!(%error, "a WebSocket handshake failed");
        Problem::new(Reason::Invalid, "The WebSocket extensions do not fit.")
            .with_code("bad_handshake")
    })?;
    Ok((response.map(Body::new), socket))
}

/// Whether the head asks for a WebSocket: the library looks at key and version only.
fn check_is_handshake(parts: &Parts) -> Result<(), Problem> {
    if parts.method == Method::CONNECT {
        let websocket = parts
            .extensions
            .get::<hyper::ext::Protocol>()
            .is_some_and(|protocol| protocol.as_str() == "websocket");
        return if websocket {
            Ok(())
        } else {
            Err(upgrade_required())
        };
    }
    let names = |name: header::HeaderName, word: &str| {
        parts.headers.get_all(name).iter().any(|value| {
            value.to_str().is_ok_and(|text| {
                text.split(',')
                    .any(|one| one.trim().eq_ignore_ascii_case(word))
            })
        })
    };
    let asks = parts.method == Method::GET
        && names(header::CONNECTION, "upgrade")
        && names(header::UPGRADE, "websocket");
    if !asks {
        return Err(upgrade_required());
    }
    /// A base64 of 16 bytes.
    const KEY_LEN: usize = 24;
    let mut keys = parts.headers.get_all(header::SEC_WEBSOCKET_KEY).iter();
    match (keys.next(), keys.next()) {
        (Some(key), None) if key.len() == KEY_LEN => Ok(()),
        _ => Err(
            Problem::new(Reason::Invalid, "The WebSocket key is not one.")
                .with_code("bad_handshake"),
        ),
    }
}

fn upgrade_required() -> Problem {
    Problem::new(Reason::Invalid, "This address speaks WebSocket only.")
        .with_code("upgrade_required")
}

/// Whether the client speaks our subprotocol.
pub(crate) fn check_subprotocol(parts: &Parts) -> Result<(), Problem> {
    let offered = parts
        .headers
        .get_all(header::SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .any(|value| {
            value
                .to_str()
                .is_ok_and(|text| text.split(',').any(|one| one.trim() == SUBPROTOCOL))
        });
    if offered {
        Ok(())
    } else {
        Err(Problem::new(
            Reason::Invalid,
            "This socket speaks the subprotocol vaxel.v1.",
        )
        .with_code("bad_subprotocol"))
    }
}

/// Says which subprotocol it is.
pub(crate) fn name_subprotocol(response: &mut Response) {
    response.headers_mut().insert(
        header::SEC_WEBSOCKET_PROTOCOL,
        HeaderValue::from_static(SUBPROTOCOL),
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn parts(headers: &[(&str, &str)]) -> Parts {
        let mut builder = Request::builder().uri("/api/v1/socket");
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        builder.body(()).unwrap().into_parts().0
    }

    #[test]
    fn a_handshake_asks_for_an_upgrade_with_one_good_key() {
        let key = ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
        let good = [
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "WebSocket"),
            key,
        ];
        assert!(check_is_handshake(&parts(&good)).is_ok());
        for bad in [
            &good[1..],
            &good[..2],
            &[good[0], good[1], key, key][..],
            &[good[0], good[1], ("sec-websocket-key", "short")][..],
        ] {
            assert!(check_is_handshake(&parts(bad)).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_subprotocol_must_be_offered() {
        assert!(check_subprotocol(&parts(&[("sec-websocket-protocol", "x, vaxel.v1")])).is_ok());
        assert!(check_subprotocol(&parts(&[("sec-websocket-protocol", "vaxel.v10")])).is_err());
        assert!(check_subprotocol(&parts(&[])).is_err());
    }
}
