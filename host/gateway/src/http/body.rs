//! Request bodies: JSON only, bounded in size and time.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, header};
use http_body::{Frame, SizeHint};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde_json::Value;
use vaxel_core::{Problem, Reason};

use super::Body;
use super::json::Given;

/// How much of a refused body is still taken off the wire, in bytes.
const DISCARDED_MAX: u64 = 4 * 1024 * 1024;

/// How long that may take, in ms: who means well has sent it by then.
const DISCARDING_MS: u64 = 2_000;

/// Reads the whole body of a request with these headers, of at most `bytes_max` within `timeout_ms`.
pub(crate) async fn read(
    headers: &HeaderMap,
    mut body: Body,
    bytes_max: usize,
    timeout_ms: u64,
) -> Result<Bytes, Problem> {
    // What says beforehand that it is too large is not kept at all.
    if http_body::Body::size_hint(&body).lower() <= bytes_max as u64 {
        let reading = Limited::new(&mut body, bytes_max).collect();
        match tokio::time::timeout(Duration::from_millis(timeout_ms), reading).await {
            Ok(Ok(whole)) => return Ok(whole.to_bytes()),
            Ok(Err(error)) if error.downcast_ref::<LengthLimitError>().is_some() => {}
            Ok(Err(_)) => {
                return Err(Problem::new(Reason::Invalid, "The request body broke off."));
            }
            Err(_) => {
                return Err(
                    Problem::new(Reason::Invalid, "The request body took too long.")
                        .with_code("request_timeout"),
                );
            }
        }
    }
    // Who asked first has sent nothing yet, and reading would tell them to (RFC 9110, section 10.1.1).
    if !headers.contains_key(header::EXPECT) {
        // However far that comes, the answer is the same.
        let discarding = discard(&mut body);
        let _ = tokio::time::timeout(Duration::from_millis(DISCARDING_MS), discarding).await;
    }
    Err(Problem::new(
        Reason::TooLarge,
        format!("A request body has at most {bytes_max} bytes."),
    ))
}

/// Takes the rest of a refused body off the wire, up to a bound. A client that still writes when the connection closes
/// is reset, and never reads why it was refused (RFC 9112, section 9.6).
async fn discard(body: &mut Body) {
    let mut left = DISCARDED_MAX;
    if http_body::Body::size_hint(body).lower() > left {
        return;
    }
    while let Some(Ok(frame)) = body.frame().await {
        let bytes = frame.data_ref().map_or(0, Bytes::len) as u64;
        match left.checked_sub(bytes) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}

/// Whether the request says that its body is JSON (in UTF-8, the only JSON there is).
pub(crate) fn check_is_json(headers: &HeaderMap) -> Result<(), Problem> {
    let json = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|text| {
            let (kind, parameters) = text.split_once(';').unwrap_or((text, ""));
            let charset = parameters.trim().to_ascii_lowercase();
            kind.trim().eq_ignore_ascii_case("application/json")
                && matches!(charset.as_str(), "" | "charset=utf-8" | "charset=\"utf-8\"")
        });
    let plain = !headers.contains_key(header::CONTENT_ENCODING);
    if json && plain {
        Ok(())
    } else {
        Err(Problem::new(
            Reason::Invalid,
            "The body must be application/json, not compressed.",
        )
        .with_code("unsupported_media_type"))
    }
}

/// The JSON in a body.
pub(crate) fn parse(bytes: &[u8]) -> Result<Value, Problem> {
    let given: Given = serde_json::from_slice(bytes).map_err(|error| {
        // The position helps, the text around it might be somebody's.
        Problem::new(
            Reason::Invalid,
            format!(
                "The body is not JSON: line {}, column {}.",
                error.line(),
                error.column()
            ),
        )
        .with_code("malformed_json")
    })?;
    if given.has_twins {
        return Err(Problem::new(
            Reason::Invalid,
            "An object in the body has the same key twice.",
        )
        .with_code("duplicate_key"));
    }
    Ok(given.value)
}

/// A body that says how long it would be and sends nothing: the answer to HEAD.
pub(crate) struct LengthOnly(u64);

impl LengthOnly {
    pub(crate) fn new(len: usize) -> Self {
        Self(u64::try_from(len).unwrap_or(u64::MAX))
    }
}

impl http_body::Body for LengthOnly {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Poll::Ready(None)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn only_json_is_taken() {
        let table = [
            ("application/json", true),
            ("Application/JSON; charset=UTF-8", true),
            ("application/json; charset=latin1", false),
            ("text/plain", false),
            ("application/jsonx", false),
            ("application/x-www-form-urlencoded", false),
        ];
        for (text, taken) in table {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, text.parse().unwrap());
            assert_eq!(check_is_json(&headers).is_ok(), taken, "{text}");
        }
        assert!(check_is_json(&HeaderMap::new()).is_err());
    }

    #[tokio::test]
    async fn a_body_over_the_limit_is_too_large() {
        let problem = read(&HeaderMap::new(), Body::from(vec![0; 11]), 10, 1_000)
            .await
            .unwrap_err();
        assert_eq!(problem.reason, Reason::TooLarge);
        assert_eq!(
            read(&HeaderMap::new(), Body::from(vec![0; 10]), 10, 1_000)
                .await
                .unwrap()
                .len(),
            10
        );
    }

    /// How many of a body's parts, 1 MiB each, are taken before it is refused.
    async fn parts_taken(parts: u64) -> u64 {
        let taken = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&taken);
        let parts = (0..parts).map(move |_| {
            counter.fetch_add(1, Ordering::Relaxed);
            Ok::<_, std::io::Error>(Bytes::from(vec![0; 1024 * 1024]))
        });
        let body = Body::from_stream(futures_util::stream::iter(parts));
        let problem = read(&HeaderMap::new(), body, 10, 60_000).await.unwrap_err();
        assert_eq!(problem.reason, Reason::TooLarge);
        taken.load(Ordering::Relaxed)
    }

    #[tokio::test]
    async fn a_refused_body_is_taken_off_the_wire_within_a_bound() {
        assert_eq!(parts_taken(3).await, 3);
        assert!(parts_taken(100).await <= 7);
    }

    #[test]
    fn a_key_that_stands_twice_is_refused() {
        let problem = parse(br#"{"a":1,"a":2}"#).unwrap_err();
        assert_eq!(
            (problem.reason, &*problem.code),
            (Reason::Invalid, "duplicate_key")
        );
    }

    #[test]
    fn a_parse_error_does_not_repeat_the_text() {
        let problem = parse(b"{\"password\": hunter2}").unwrap_err();
        assert!(!problem.detail.contains("hunter2"));
    }
}
