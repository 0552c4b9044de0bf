//! `/api/v1/blobs/{address}`: the bytes of files, in and out. The address says for whom and for how long; plugins see
//! neither the bytes nor who fetches them.

use std::ops::Range;
use std::time::Duration;

use axum::extract::{Path, State};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use vaxel_core::{Problem, Reason, TenantId};
use vaxel_runtime::Download;

use super::edge::Edge;
use super::{Body, Response, problem};
use crate::Gateway;

/// Bytes that are read from the disk at once.
const STEP_BYTES: usize = 256 << 10;

/// Whatever a file holds, nothing of it runs.
const SANDBOX: &str = "default-src 'none'; sandbox; frame-ancestors 'none'";

/// `PUT`: takes a file.
pub(crate) async fn put(
    State(gateway): State<Gateway>,
    Path(address): Path<String>,
    request: Request<Body>,
) -> Response {
    answer(&gateway, request, async |tenant, request: Request<Body>| {
        take(&gateway, tenant, &address, request).await
    })
    .await
}

/// `GET` and `HEAD`: gives a file, or one range of it (RFC 9110, section 14).
pub(crate) async fn get(
    State(gateway): State<Gateway>,
    Path(address): Path<String>,
    request: Request<Body>,
) -> Response {
    answer(&gateway, request, async |tenant, request: Request<Body>| {
        check_person(&gateway, tenant, &address)?;
        let download = gateway.runtime().download_blob(tenant, &address).await?;
        give(download, request.headers())
    })
    .await
}

async fn answer(
    gateway: &Gateway,
    request: Request<Body>,
    act: impl AsyncFnOnce(TenantId, Request<Body>) -> Result<Response, Problem>,
) -> Response {
    let Some(edge) = request.extensions().get::<Edge>().cloned() else {
        let id = vaxel_core::RequestId::new(gateway.now());
        return problem::respond(&Problem::from(Reason::Internal), id);
    };
    let answered = async {
        let tenant = edge.tenant()?.id;
        gateway.rates().anonymous(edge.peer)?;
        act(tenant, request).await
    };
    match answered.await {
        Ok(response) => response,
        Err(refused) => problem::respond(&refused, edge.request),
    }
}

/// Whoever the address was made for must be there still.
fn check_person(gateway: &Gateway, tenant: TenantId, address: &str) -> Result<(), Problem> {
    let Some(user) = gateway.runtime().blob_address_user(tenant, address)? else {
        return Ok(());
    };
    gateway.rates().user(tenant, user)?;
    let user = gateway
        .identity()
        .user(tenant, user)
        .map_err(crate::rpc::session::refused)?;
    if user.is_some_and(|user| user.active) {
        Ok(())
    } else {
        Err(Reason::NotFound.into())
    }
}

async fn take(
    gateway: &Gateway,
    tenant: TenantId,
    address: &str,
    request: Request<Body>,
) -> Result<Response, Problem> {
    check_person(gateway, tenant, address)?;
    let (parts, mut body) = request.into_parts();
    if parts.headers.contains_key(header::CONTENT_ENCODING) {
        return Err(
            Problem::new(Reason::Invalid, "A file is sent as it is, not compressed.")
                .with_code("unsupported_media_type"),
        );
    }
    let said = http_body::Body::size_hint(&body).exact();
    let mut upload = gateway.runtime().upload_blob(tenant, address, said).await?;
    let patience = Duration::from_millis(gateway.limits().body_timeout_ms);
    loop {
        let frame = tokio::time::timeout(patience, body.frame())
            .await
            .map_err(|_| {
                Problem::new(Reason::Invalid, "The file stopped coming.")
                    .with_code("request_timeout")
            })?;
        let Some(frame) = frame else { break };
        let frame = frame.map_err(|_| Problem::new(Reason::Invalid, "The file broke off."))?;
        if let Ok(part) = frame.into_data() {
            upload.take(part).await?;
        }
    }
    upload.finish().await?;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}

fn give(download: Download, asked: &HeaderMap) -> Result<Response, Problem> {
    let whole = 0..download.bytes;
    let range = match asked
        .get(header::RANGE)
        .map(|value| one_range(value, download.bytes))
    {
        // What is no single range of bytes is answered as if it had not been asked.
        None | Some(Asked::Nothing) => whole.clone(),
        Some(Asked::Range(range)) => range,
        Some(Asked::Outside) => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
            say(
                &mut response,
                header::CONTENT_RANGE,
                &format!("bytes */{}", download.bytes),
            );
            return Ok(response);
        }
    };
    let (len, bytes) = (range.end - range.start, download.bytes);
    let is_part = range != whole;
    let media_type = download.media_type.clone();
    let content_range = format!(
        "bytes {}-{}/{bytes}",
        range.start,
        range.end.saturating_sub(1)
    );
    let mut response = Response::new(Body::from_stream(parts(download, range)));
    if is_part {
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        say(&mut response, header::CONTENT_RANGE, &content_range);
    }
    for (name, value) in [
        (header::CONTENT_TYPE, media_type.as_str()),
        (header::CONTENT_LENGTH, &len.to_string()),
        (header::CONTENT_DISPOSITION, "attachment"),
        (header::CONTENT_SECURITY_POLICY, SANDBOX),
        (header::ACCEPT_RANGES, "bytes"),
    ] {
        say(&mut response, name, value);
    }
    Ok(response)
}

fn say(response: &mut Response, name: http::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

/// The bytes of a range, as fast as they are taken. A part that does not read breaks the answer off: its length was
/// promised.
fn parts(
    download: Download,
    range: Range<u64>,
) -> impl futures_util::Stream<Item = Result<Bytes, std::io::Error>> + Send {
    stream::unfold((download, range), async |(download, mut left)| {
        if left.is_empty() {
            return None;
        }
        let step = (left.end - left.start).min(STEP_BYTES as u64);
        let len = usize::try_from(step).unwrap_or(STEP_BYTES);
        let part = match download.part(left.start, len).await {
            Ok(part) if !part.is_empty() => part,
            _ => {
                left.start = left.end;
                return Some((
                    Err(std::io::ErrorKind::InvalidData.into()),
                    (download, left),
                ));
            }
        };
        left.start += part.len() as u64;
        Some((Ok(part), (download, left)))
    })
}

/// What a Range header asks for.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Range(Range<u64>),
    Outside,
    Nothing,
}

fn one_range(value: &HeaderValue, bytes: u64) -> Asked {
    let parsed = value
        .to_str()
        .ok()
        .and_then(|text| text.strip_prefix("bytes="))
        .and_then(|range| range.trim().split_once('-'));
    let Some((first, last)) = parsed else {
        return Asked::Nothing;
    };
    let number = |text: &str| text.parse::<u64>().ok();
    let range = match (first.is_empty(), last.is_empty()) {
        (true, false) => number(last).map(|len| bytes.saturating_sub(len)..bytes),
        (false, true) => number(first).map(|first| first..bytes),
        (false, false) => match (number(first), number(last)) {
            (Some(first), Some(last)) if first <= last => {
                Some(first..last.saturating_add(1).min(bytes))
            }
            _ => None,
        },
        (true, true) => None,
    };
    match range {
        None => Asked::Nothing,
        Some(range) if range.is_empty() => Asked::Outside,
        Some(range) => Asked::Range(range),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_of_bytes_is_understood_and_everything_else_passed_over() {
        for (asked, wanted) in [
            ("bytes=0-9", Asked::Range(0..10)),
            ("bytes=90-", Asked::Range(90..100)),
            ("bytes=-10", Asked::Range(90..100)),
            ("bytes=-1000", Asked::Range(0..100)),
            ("bytes=50-1000", Asked::Range(50..100)),
            ("bytes=100-", Asked::Outside),
            ("bytes=100-200", Asked::Outside),
            ("bytes=-0", Asked::Outside),
            ("bytes=9-3", Asked::Nothing),
            ("bytes=0-1,5-6", Asked::Nothing),
            ("bytes=a-b", Asked::Nothing),
            ("bytes=-", Asked::Nothing),
            ("lines=1-2", Asked::Nothing),
        ] {
            let value = HeaderValue::from_static(asked);
            assert_eq!(one_range(&value, 100), wanted, "{asked}");
        }
    }
}
