//! Failures as callers read them: RFC 9457 problem documents, the same over HTTP and on a socket.

use http::{HeaderValue, StatusCode, header};
use schemars::JsonSchema;
use serde::Serialize;
use vaxel_core::{Problem, Reason, RequestId};

use super::{Body, Response};

/// The body of a failed call.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
pub(crate) struct ProblemBody {
    /// A name for this kind of failure.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// The kind in a few words.
    pub(crate) title: &'static str,
    /// The HTTP status that goes with it.
    #[schemars(range(min = 400, max = 599))]
    pub(crate) status: u16,
    /// What happened, in a sentence.
    pub(crate) detail: String,
    /// A stable word for programs; the list is open.
    pub(crate) code: String,
    /// Names this request in the server's log.
    #[schemars(schema_with = "crate::rpc::schema::request_id")]
    pub(crate) request_id: RequestId,
    /// When to try again, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) retry_after_ms: Option<u32>,
}

impl ProblemBody {
    pub(crate) fn new(problem: &Problem, request_id: RequestId) -> Self {
        let status = status_of(problem);
        Self {
            kind: format!("urn:vaxel:problem:{}", problem.code),
            title: title_of(status, &problem.code),
            status: status.as_u16(),
            detail: problem.detail.clone(),
            code: problem.code.clone().into_owned(),
            request_id,
            retry_after_ms: problem.retry_after_ms,
        }
    }
}

/// The status of a failure: by its exact word where HTTP has a status for it, else by its reason.
pub(crate) fn status_of(problem: &Problem) -> StatusCode {
    match problem.code.as_ref() {
        "method_not_allowed" => return StatusCode::METHOD_NOT_ALLOWED,
        "request_timeout" => return StatusCode::REQUEST_TIMEOUT,
        "unsupported_media_type" => return StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "misdirected" => return StatusCode::MISDIRECTED_REQUEST,
        "upgrade_required" => return StatusCode::UPGRADE_REQUIRED,
        "idempotency-mismatch" => return StatusCode::UNPROCESSABLE_ENTITY,
        // Clients try again by themselves after a 502: a plugin that stopped may do better from the start. One that
        // answered wrongly will again, so that stays a 500.
        "plugin-fault" => return StatusCode::BAD_GATEWAY,
        _ => {}
    }
    match problem.reason {
        Reason::NotFound => StatusCode::NOT_FOUND,
        Reason::Forbidden | Reason::StepUpRequired => StatusCode::FORBIDDEN,
        Reason::Unauthenticated => StatusCode::UNAUTHORIZED,
        Reason::Invalid => StatusCode::BAD_REQUEST,
        Reason::Refused => StatusCode::UNPROCESSABLE_ENTITY,
        Reason::Conflict => StatusCode::CONFLICT,
        Reason::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Reason::LimitReached => StatusCode::TOO_MANY_REQUESTS,
        Reason::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Reason::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn title_of(status: StatusCode, code: &str) -> &'static str {
    match status {
        StatusCode::NOT_FOUND => "Not found",
        StatusCode::FORBIDDEN => "Not allowed",
        StatusCode::UNAUTHORIZED => "Sign in first",
        StatusCode::BAD_REQUEST => "Malformed request",
        StatusCode::CONFLICT => "Changed by someone else",
        StatusCode::PAYLOAD_TOO_LARGE => "Too large",
        StatusCode::TOO_MANY_REQUESTS => "Limit reached",
        StatusCode::SERVICE_UNAVAILABLE => "Try again later",
        StatusCode::METHOD_NOT_ALLOWED => "Method not allowed",
        StatusCode::REQUEST_TIMEOUT => "Request took too long",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "Only JSON is understood",
        StatusCode::MISDIRECTED_REQUEST => "Nobody lives here",
        StatusCode::UPGRADE_REQUIRED => "WebSocket only",
        StatusCode::UNPROCESSABLE_ENTITY => "Not possible as things stand",
        _ if code.starts_with("plugin-") => "Fault in a plugin",
        _ => "Internal fault",
    }
}

/// A failure as an HTTP answer.
pub(crate) fn respond(problem: &Problem, request: RequestId) -> Response {
    let body = ProblemBody::new(problem, request);
    let bytes = serde_json::to_vec(&body).unwrap_or_default();
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() =
        StatusCode::from_u16(body.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if problem.reason == Reason::Unauthenticated {
        headers.insert(
            header::WWW_AUTHENTICATE,
            HeaderValue::from_static(if problem.code.starts_with("token_") {
                "Bearer error=\"invalid_token\""
            } else {
                "Bearer"
            }),
        );
    }
    if let Some(ms) = problem.retry_after_ms {
        headers.insert(
            header::RETRY_AFTER,
            HeaderValue::from(ms.div_ceil(1_000).max(1)),
        );
    } else if matches!(problem.reason, Reason::LimitReached | Reason::Unavailable) {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

/// There is nothing at this address.
pub(crate) fn not_found() -> Problem {
    Problem::new(Reason::NotFound, "There is nothing at this address.")
}

/// The address is right, the HTTP method is not.
pub(crate) fn method_not_allowed() -> Problem {
    Problem::new(
        Reason::Invalid,
        "This address does not answer that HTTP method.",
    )
    .with_code("method_not_allowed")
}

#[cfg(test)]
mod tests {
    use super::*;
    use vaxel_core::UnixMs;

    #[test]
    fn every_reason_has_its_status() {
        let table = [
            (Reason::NotFound, 404),
            (Reason::Forbidden, 403),
            (Reason::StepUpRequired, 403),
            (Reason::Unauthenticated, 401),
            (Reason::Invalid, 400),
            (Reason::Conflict, 409),
            (Reason::TooLarge, 413),
            (Reason::LimitReached, 429),
            (Reason::Unavailable, 503),
            (Reason::Internal, 500),
        ];
        for (reason, status) in table {
            let response = respond(&Problem::from(reason), RequestId::new(UnixMs(1)));
            assert_eq!(response.status().as_u16(), status, "{reason:?}");
            assert_eq!(
                response.headers()[header::CONTENT_TYPE],
                "application/problem+json"
            );
        }
    }

    #[test]
    fn exact_words_have_the_status_that_http_has_for_them() {
        for (code, status) in [
            ("idempotency-mismatch", 422),
            ("plugin-fault", 502),
            ("misdirected", 421),
        ] {
            let problem = Problem::new(Reason::Invalid, "x").with_code(code);
            assert_eq!(status_of(&problem).as_u16(), status);
        }
    }

    #[test]
    fn a_plugins_fault_is_not_called_the_servers() {
        let title = |code: &'static str| {
            let problem = Problem::new(Reason::Internal, "x").with_code(code);
            let body = ProblemBody::new(&problem, RequestId::new(UnixMs(1)));
            (body.status, body.title)
        };
        assert_eq!(title("plugin-fault"), (502, "Fault in a plugin"));
        assert_eq!(title("plugin-bad-answer"), (500, "Fault in a plugin"));
        assert_eq!(title("internal"), (500, "Internal fault"));
    }

    #[test]
    fn a_limit_says_when_to_come_back_and_a_missing_token_how_to_bring_one() {
        let request = RequestId::new(UnixMs(1));
        let limited = respond(
            &Problem::from(Reason::LimitReached).retry_after_ms(1_500),
            request,
        );
        assert_eq!(limited.headers()[header::RETRY_AFTER], "2");
        let nobody = respond(&Problem::from(Reason::Unauthenticated), request);
        assert_eq!(nobody.headers()[header::WWW_AUTHENTICATE], "Bearer");
    }
}
