//! What a browser shows at a host name that nobody owns: a small page in both languages instead of a document for programs.

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

use super::{Body, Response};

const PAGE: &str = "<!doctype html>
<html lang=\"en\">
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width\">
<title>Nobody lives here – Växel</title>
<h1>Nobody lives here</h1>
<p>No organization is served at this address. Check how it is spelled, or ask whoever gave it to you.</p>
<div lang=\"sv\">
<h1>Här bor ingen</h1>
<p>Ingen organisation finns på den här adressen. Kontrollera stavningen, eller fråga den som gav dig den.</p>
</div>
</html>
";

/// Whether somebody looks at this with their own eyes.
pub(super) fn is_browser(method: &Method, headers: &HeaderMap) -> bool {
    (method == Method::GET || method == Method::HEAD)
        && headers
            .get_all(header::ACCEPT)
            .iter()
            .filter_map(|accept| accept.to_str().ok())
            .any(|accept| accept.to_ascii_lowercase().contains("text/html"))
}

/// The page, with the status that programs get too.
pub(super) fn page() -> Response {
    let mut response = Response::new(Body::from(PAGE));
    *response.status_mut() = StatusCode::MISDIRECTED_REQUEST;
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
