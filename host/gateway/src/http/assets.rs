//! The web client: files built into the binary, found by their path and nothing else.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

use super::edge::Edge;
use super::encoding::{Coding, accepted};
use super::headers::page_policy;
use super::{Body, Response};

/// One file.
pub(crate) struct File {
    pub(crate) bytes: Cow<'static, [u8]>,
    pub(crate) sha256: [u8; 32],
    pub(crate) mime: String,
}

/// Where files come from.
pub(crate) trait Files: Send + Sync + 'static {
    /// The file with exactly this name (`assets/index-3f.js`).
    fn get(&self, name: &str) -> Option<File>;
}

#[derive(rust_embed::RustEmbed)]
#[folder = "$CARGO_MANIFEST_DIR/../../stage/web"]
#[allow_missing = true]
struct WebClient;

/// The web client that was built before this binary.
pub(crate) struct BuiltIn;

impl Files for BuiltIn {
    fn get(&self, name: &str) -> Option<File> {
        let file = WebClient::get(name)?;
        Some(File {
            sha256: file.metadata.sha256_hash(),
            mime: file.metadata.mimetype().to_owned(),
            bytes: file.data,
        })
    }
}

/// What stands here when the binary was built without a web client.
const NO_CLIENT: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
<meta name=\"viewport\" content=\"width=device-width\"><title>V\u{e4}xel</title>\
<h1>V\u{e4}xel</h1><p>This server was built without its web client. \
<code>cargo xtask run</code> builds both.</p></html>";

const INDEX: &str = "index.html";

/// Files with the hash of their content in their name never change.
const IMMUTABLE: &str = "public, max-age=31536000, immutable";
/// All others are asked for again each time, by their ETag.
const REVALIDATE: &str = "no-cache";

/// Answers a GET or HEAD with a file; `None` if there is none and the path is not one of the client's own routes.
pub(crate) fn serve(
    files: &dyn Files,
    edge: &Edge,
    method: &Method,
    path: &str,
    headers: &HeaderMap,
) -> Option<Response> {
    let name = path.trim_start_matches('/');
    if !is_plain(name) {
        return None;
    }
    let forms = accepted(headers);
    if !name.is_empty() && name != INDEX {
        if let Some(response) = file(files, edge, method, name, headers, &forms) {
            return Some(response);
        }
        // A missing asset is missing; only paths that a person may have in the address bar are the client's.
        if name.starts_with("assets/") || !takes_html(headers) || looks_like_a_file(name) {
            return None;
        }
    }
    if let Some(page) = file(files, edge, method, INDEX, headers, &forms) {
        return Some(page);
    }
    let mut response = Response::new(body_for(method, Cow::Borrowed(NO_CLIENT.as_bytes())));
    describe(response.headers_mut(), edge, "text/html", INDEX);
    Some(response)
}

fn file(
    files: &dyn Files,
    edge: &Edge,
    method: &Method,
    name: &str,
    headers: &HeaderMap,
    forms: &[Coding],
) -> Option<Response> {
    // The precompressed neighbours are not files of their own.
    if name.ends_with(".br") || name.ends_with(".gz") {
        return None;
    }
    let plain = files.get(name)?;
    let mime = plain.mime.clone();
    let (coding, file) = forms
        .iter()
        .filter(|form| form.token().is_some())
        .find_map(|form| Some((*form, files.get(&format!("{name}{}", form.suffix()))?)))
        .unwrap_or((Coding::Identity, plain));
    let (short, _) = file.sha256.split_at(16);
    let tag = format!("\"{}\"", URL_SAFE_NO_PAD.encode(short));
    let unchanged = headers.get_all(header::IF_NONE_MATCH).iter().any(|value| {
        value.to_str().is_ok_and(|text| {
            text.split(',').any(|one| {
                let one = one.trim();
                one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag
            })
        })
    });
    let mut response = if unchanged {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        Response::new(body_for(method, file.bytes))
    };
    let out = response.headers_mut();
    describe(out, edge, &mime, name);
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        out.insert(header::ETAG, tag);
    }
    if let Some(token) = coding.token() {
        out.insert(header::CONTENT_ENCODING, HeaderValue::from_static(token));
    }
    Some(response)
}

/// The file's bytes, or none for HEAD (with the length they would have).
fn body_for(method: &Method, bytes: Cow<'static, [u8]>) -> Body {
    let bytes = match bytes {
        Cow::Borrowed(fixed) => bytes::Bytes::from_static(fixed),
        Cow::Owned(owned) => bytes::Bytes::from(owned),
    };
    if *method == Method::HEAD {
        return Body::new(super::body::LengthOnly::new(bytes.len()));
    }
    Body::from(bytes)
}

fn describe(out: &mut HeaderMap, edge: &Edge, mime: &str, name: &str) {
    let html = mime.starts_with("text/html");
    let text = mime.starts_with("text/") || mime.ends_with("javascript") || mime.ends_with("json");
    let full = if text {
        format!("{mime}; charset=utf-8")
    } else {
        mime.to_owned()
    };
    if let Ok(value) = HeaderValue::from_str(&full) {
        out.insert(header::CONTENT_TYPE, value);
    }
    let caching = if name.starts_with("assets/") {
        IMMUTABLE
    } else {
        REVALIDATE
    };
    out.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
    out.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    // A worker runs under the policy of its own answer, so scripts carry the page's too.
    let script = mime.ends_with("javascript");
    if (html || script)
        && let Ok(policy) = HeaderValue::from_str(&page_policy(edge))
    {
        out.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
}

/// Names are segments of letters, digits and `-_.@~`, none of them only dots: nothing to decode, nothing to climb.
fn is_plain(name: &str) -> bool {
    name.is_empty()
        || name.trim_end_matches('/').split('/').all(|segment| {
            !segment.is_empty()
                && segment.bytes().any(|b| b != b'.')
                && segment.bytes().all(|b| {
                    b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'@' | b'~')
                })
        })
}

fn takes_html(headers: &HeaderMap) -> bool {
    headers.get_all(header::ACCEPT).iter().any(|value| {
        value
            .to_str()
            .is_ok_and(|text| text.contains("text/html") || text.contains("*/*"))
    })
}

fn looks_like_a_file(name: &str) -> bool {
    name.rsplit('/')
        .next()
        .is_some_and(|last| last.contains('.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;

    struct Fixed(Vec<(&'static str, &'static str, &'static str)>);

    impl Files for Fixed {
        fn get(&self, name: &str) -> Option<File> {
            let (_, mime, text) = self.0.iter().find(|(known, _, _)| *known == name)?;
            let mut sha256 = [0; 32];
            sha256[0] = u8::try_from(text.len()).unwrap();
            Some(File {
                bytes: Cow::Borrowed(text.as_bytes()),
                sha256,
                mime: (*mime).to_owned(),
            })
        }
    }

    fn site() -> Fixed {
        Fixed(vec![
            ("index.html", "text/html", "<page>"),
            ("index.html.br", "application/octet-stream", "<br>"),
            ("index.html.gz", "application/octet-stream", "<gzip>!"),
            ("assets/app-3f.js", "text/javascript", "script"),
            ("favicon.svg", "image/svg+xml", "<svg/>"),
        ])
    }

    async fn get(path: &str, headers: &[(&str, &str)]) -> Option<(StatusCode, HeaderMap, Vec<u8>)> {
        let mut map = HeaderMap::new();
        map.insert(header::ACCEPT, "text/html".parse().unwrap());
        for (name, value) in headers {
            map.insert(
                http::HeaderName::from_bytes(name.as_bytes()).unwrap(),
                value.parse().unwrap(),
            );
        }
        let edge = Edge::for_test("http", "acme.localhost", 8080);
        let response = serve(&site(), &edge, &Method::GET, path, &map)?;
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes().to_vec();
        Some((parts.status, parts.headers, bytes))
    }

    #[tokio::test]
    async fn the_clients_own_routes_get_its_page_and_missing_files_do_not() {
        for path in ["/", "/index.html", "/chat/cnv_1", "/people", "/login"] {
            let (status, headers, body) = get(path, &[]).await.unwrap();
            assert_eq!(
                (status, body.as_slice()),
                (StatusCode::OK, b"<page>".as_slice()),
                "{path}"
            );
            assert_eq!(headers[header::CACHE_CONTROL], "no-cache");
            assert!(
                headers[header::CONTENT_SECURITY_POLICY]
                    .to_str()
                    .unwrap()
                    .contains("'self'")
            );
        }
        for path in ["/assets/gone-1.js", "/gone.png"] {
            assert!(get(path, &[]).await.is_none(), "{path}");
        }
        assert!(
            get("/chat", &[("accept", "application/json")])
                .await
                .is_none()
        );
    }

    #[tokio::test]
    async fn hashed_files_are_kept_for_good_and_others_are_asked_for_again() {
        let (_, headers, _) = get("/assets/app-3f.js", &[]).await.unwrap();
        assert_eq!(headers[header::CACHE_CONTROL], IMMUTABLE);
        let (_, headers, _) = get("/favicon.svg", &[]).await.unwrap();
        assert_eq!(headers[header::CACHE_CONTROL], "no-cache");
        let tag = headers[header::ETAG].to_str().unwrap().to_owned();
        let (status, _, body) = get("/favicon.svg", &[("if-none-match", &tag)])
            .await
            .unwrap();
        assert_eq!((status, body.len()), (StatusCode::NOT_MODIFIED, 0));
    }

    #[tokio::test]
    async fn the_best_precompressed_form_is_sent_under_its_name() {
        let table = [
            ("br, gzip", "<br>", Some("br")),
            ("gzip", "<gzip>!", Some("gzip")),
            ("br;q=0, gzip", "<gzip>!", Some("gzip")),
            ("br;q=0, gzip;q=0", "<page>", None),
            ("", "<page>", None),
        ];
        for (accept, text, coding) in table {
            let (_, headers, body) = get("/", &[("accept-encoding", accept)]).await.unwrap();
            assert_eq!(body, text.as_bytes(), "{accept}");
            let said = headers
                .get(header::CONTENT_ENCODING)
                .map(|v| v.to_str().unwrap());
            assert_eq!(said, coding, "{accept}");
            assert_eq!(headers[header::VARY], "Accept-Encoding");
            assert!(
                headers[header::CONTENT_TYPE]
                    .to_str()
                    .unwrap()
                    .starts_with("text/html")
            );
        }
    }

    #[tokio::test]
    async fn nothing_climbs_out_of_the_folder() {
        for path in [
            "/../Cargo.toml",
            "/assets/../../x",
            "/%2e%2e/x",
            "/..%2fx",
            "//etc/passwd/..",
            "/a//b",
            "/assets/..",
            "/a\\b",
        ] {
            assert!(get(path, &[]).await.is_none(), "{path}");
        }
    }

    #[tokio::test]
    async fn head_says_the_length_and_sends_nothing() {
        let edge = Edge::for_test("http", "acme.localhost", 8080);
        let response = serve(&site(), &edge, &Method::HEAD, "/", &HeaderMap::new()).unwrap();
        use http_body::Body as _;
        assert_eq!(response.body().size_hint().exact(), Some(6));
        assert!(
            response
                .into_body()
                .collect()
                .await
                .unwrap()
                .to_bytes()
                .is_empty()
        );
    }
}
