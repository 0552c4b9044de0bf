//! The way out against real TLS servers on loopback, and names that lead where they should not.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::header::CONTENT_ENCODING;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming as Body;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use vaxel_core::SystemClock;

use super::*;
use crate::{AcceptLimits, TlsMaterial};

const API: &str = "api.example.test";
const OTHER: &str = "other.example.test";

/// Answers what it was told to, name by name; the last answer stays.
#[derive(Default)]
struct Told {
    answers: Mutex<HashMap<String, VecDeque<Vec<IpAddr>>>>,
    asked: AtomicUsize,
}

impl Told {
    fn says(&self, host: &str, answers: &[&[&str]]) {
        let answers = answers
            .iter()
            .map(|ips| ips.iter().map(|ip| ip.parse().unwrap()).collect());
        let mut all = self.answers.lock().unwrap();
        all.insert(host.to_owned(), answers.collect());
    }
}

impl Resolve for Told {
    fn resolve<'a>(&'a self, host: &'a str) -> Resolving<'a> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mut all = self.answers.lock().unwrap();
        let found = match all.get_mut(host) {
            Some(answers) if answers.len() > 1 => answers.pop_front().unwrap(),
            Some(answers) => answers[0].clone(),
            None => Vec::new(),
        };
        Box::pin(async move { Ok(found) })
    }
}

/// A server that shows what it got, and a way out that may reach it and nothing else within.
struct Outside {
    names: Arc<Told>,
    egress: Egress,
    port: u16,
    seen: Arc<Mutex<Vec<String>>>,
    _dir: tempfile::TempDir,
}

impl Outside {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = || Arc::new(SystemClock) as Arc<dyn Clock>;
        let tls = TlsMaterial::local_ca(dir.path(), &[API, OTHER], clock()).unwrap();
        let ca = dir.path().join("trusted.pem");
        std::fs::write(&ca, tls.ca_pem().unwrap()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let acceptor = tls.acceptor(AcceptLimits::default()).unwrap();
        let noted = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (acceptor, seen) = (acceptor.clone(), Arc::clone(&noted));
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(socket).await else {
                        return;
                    };
                    let service = service_fn(move |request| answer(Arc::clone(&seen), request));
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        let names = Arc::new(Told::default());
        names.says(API, &[&["127.0.0.1"]]);
        names.says(OTHER, &[&["127.0.0.1"]]);
        let config = EgressConfig {
            ca: Some(ca),
            allow: vec![address],
        };
        let egress = Egress::new(config, Arc::clone(&names) as _, clock()).unwrap();
        Self {
            names,
            egress,
            port: address.port(),
            seen,
            _dir: dir,
        }
    }

    fn url(&self, host: &str, path: &str) -> String {
        format!("https://{host}:{}{path}", self.port)
    }

    async fn get(&self, url: &str) -> Result<Incoming, EgressError> {
        self.send(url, |_| {}).await
    }

    async fn send(
        &self,
        url: &str,
        change: impl FnOnce(&mut Outgoing),
    ) -> Result<Incoming, EgressError> {
        let mut request = Outgoing {
            method: "GET".to_owned(),
            url: url.to_owned(),
            headers: Vec::new(),
            body: Bytes::new(),
            timeout: TIMEOUT_MAX,
            hosts: Arc::new([API, OTHER].map(str::to_owned).into()),
            credential: None,
        };
        change(&mut request);
        self.egress.fetch(TenantId::SYSTEM, request).await
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

/// `/to?URL` sends on, `/around` too; `/large` and `/packed` answer what is not taken; `/slow` never answers.
async fn answer(
    seen: Arc<Mutex<Vec<String>>>,
    request: Request<Body>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let header = |name: &str| {
        let value = request.headers().get(name);
        value
            .map_or("-", |value| value.to_str().unwrap())
            .to_owned()
    };
    let line = format!(
        "{} {} {} key={}",
        request.method(),
        header("host").split(':').next().unwrap(),
        request.uri().path(),
        header("x-key"),
    );
    seen.lock().unwrap().push(line.clone());
    let mut response = Response::new(Full::new(Bytes::from(line)));
    match request.uri().path() {
        "/to" | "/kept" => {
            *response.status_mut() = if request.uri().path() == "/to" {
                StatusCode::FOUND
            } else {
                StatusCode::TEMPORARY_REDIRECT
            };
            let to = HeaderValue::from_str(request.uri().query().unwrap()).unwrap();
            response.headers_mut().insert(LOCATION, to);
        }
        "/around" => {
            *response.status_mut() = StatusCode::FOUND;
            let to = HeaderValue::from_static("/around");
            response.headers_mut().insert(LOCATION, to);
        }
        "/large" => *response.body_mut() = Full::new(vec![b'x'; BODY_BYTES_MAX + 1].into()),
        "/packed" => {
            let gzip = HeaderValue::from_static("gzip");
            response.headers_mut().insert(CONTENT_ENCODING, gzip);
        }
        "/slow" => std::future::pending::<()>().await,
        _ => {}
    }
    Ok(response)
}

fn is_inner(outcome: Result<Incoming, EgressError>) -> bool {
    matches!(outcome, Err(EgressError::Inner { .. }))
}

#[tokio::test]
async fn a_granted_host_answers() {
    let outside = Outside::new().await;
    let answer = outside.get(&outside.url(API, "/hello")).await.unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body, format!("GET {API} /hello key=-"));
}

#[tokio::test]
async fn a_name_that_leads_within_is_refused_and_nobody_is_asked() {
    let outside = Outside::new().await;
    for inner in ["10.0.0.1", "127.0.0.2", "169.254.169.254", "::1", "fd00::1"] {
        outside.names.says(API, &[&[inner]]);
        for url in [format!("https://{API}/"), outside.url(API, "/")] {
            assert!(is_inner(outside.get(&url).await), "{inner} at {url}");
        }
    }
    // One inner address among others spoils the name.
    outside.names.says(API, &[&["127.0.0.1", "10.0.0.1"]]);
    assert!(is_inner(outside.get(&outside.url(API, "/")).await));
    assert_eq!(outside.seen(), [""; 0]);
}

#[tokio::test]
async fn an_address_in_an_ipv6_coat_is_refused_as_a_name_and_as_itself() {
    let outside = Outside::new().await;
    for coated in [
        "::ffff:127.0.0.1",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
    ] {
        outside.names.says(API, &[&[coated]]);
        assert!(
            is_inner(outside.get(&outside.url(API, "/")).await),
            "{coated}"
        );
        let url = format!("https://[{coated}]:{}/", outside.port);
        assert!(is_inner(outside.get(&url).await), "{url}");
    }
    for written in ["127.0.0.1", "0x7f.1", "2130706433", "017700000001"] {
        let url = format!("https://{written}:{}/", outside.port);
        assert!(is_inner(outside.get(&url).await), "{url}");
    }
    assert_eq!(outside.seen(), [""; 0]);
}

#[tokio::test]
async fn a_redirect_is_judged_like_a_first_request() {
    let outside = Outside::new().await;
    outside.names.says(OTHER, &[&["10.0.0.1"]]);
    for to in [
        format!("https://{OTHER}/"),
        "https://127.0.0.1/".to_owned(),
        "https://[::ffff:169.254.169.254]/latest/meta-data".to_owned(),
    ] {
        let url = outside.url(API, &format!("/to?{to}"));
        assert!(is_inner(outside.get(&url).await), "{to}");
    }
    let url = outside.url(API, "/to?https://not-granted.example/");
    let refused = outside.get(&url).await.err().unwrap();
    assert!(matches!(refused, EgressError::NotGranted { .. }));
    let url = outside.url(API, &format!("/to?http://{API}/"));
    let refused = outside.get(&url).await.err().unwrap();
    assert!(matches!(refused, EgressError::Invalid(_)), "no TLS");
    let around = outside.get(&outside.url(API, "/around")).await;
    assert_eq!(around.err(), Some(EgressError::Redirects { max: 5 }));
}

#[tokio::test]
async fn a_name_is_resolved_once_so_what_was_judged_is_what_is_reached() {
    let outside = Outside::new().await;
    // Good when it is judged, inner the next time anybody looks.
    outside
        .names
        .says(API, &[&["127.0.0.1"], &["127.0.0.2"], &["10.0.0.1"]]);
    let answer = outside.get(&outside.url(API, "/first")).await.unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(outside.names.asked.load(Ordering::SeqCst), 1);
    // The next request looks again, and judges again.
    assert!(is_inner(outside.get(&outside.url(API, "/second")).await));
    assert_eq!(outside.seen(), [format!("GET {API} /first key=-")]);
}

#[tokio::test]
async fn a_credential_goes_to_its_host_and_no_further() {
    let outside = Outside::new().await;
    let credential = || Credential {
        header: "X-Key".to_owned(),
        value: "s3cret".to_owned(),
        hosts: [API.to_owned()].into(),
    };
    let onwards = outside.url(API, &format!("/kept?{}", outside.url(OTHER, "/end")));
    let with = |request: &mut Outgoing| request.credential = Some(credential());
    let answer = outside.send(&onwards, with).await.unwrap();
    assert_eq!(answer.body, format!("GET {OTHER} /end key=-"));
    let within = outside.url(API, "/kept?/end");
    let answer = outside.send(&within, with).await.unwrap();
    assert_eq!(answer.body, format!("GET {API} /end key=s3cret"));
    let refused = outside.send(&outside.url(OTHER, "/"), with).await;
    assert!(matches!(refused, Err(EgressError::NotForHost { .. })));
}

#[tokio::test]
async fn a_found_turns_a_post_into_a_get_and_a_temporary_one_does_not() {
    let outside = Outside::new().await;
    let post = |request: &mut Outgoing| {
        request.method = "POST".to_owned();
        request.body = Bytes::from_static(b"x");
    };
    for (path, method) in [("/to?/end", "GET"), ("/kept?/end", "POST")] {
        let answer = outside.send(&outside.url(API, path), post).await.unwrap();
        assert_eq!(answer.body, format!("{method} {API} /end key=-"));
    }
}

#[tokio::test]
async fn what_is_too_large_too_slow_or_packed_is_not_taken() {
    let outside = Outside::new().await;
    let large = outside.get(&outside.url(API, "/large")).await;
    assert!(matches!(large, Err(EgressError::TooLarge { .. })));
    let packed = outside.get(&outside.url(API, "/packed")).await;
    assert!(matches!(packed, Err(EgressError::Unreachable { .. })));
    let slow = outside.url(API, "/slow");
    let in_short = |request: &mut Outgoing| request.timeout = Duration::from_millis(300);
    assert_eq!(
        outside.send(&slow, in_short).await.err(),
        Some(EgressError::Timeout)
    );
    let much = |request: &mut Outgoing| request.body = vec![0; BODY_BYTES_MAX + 1].into();
    let refused = outside.send(&outside.url(API, "/"), much).await;
    assert!(matches!(refused, Err(EgressError::TooLarge { .. })));
}

#[tokio::test]
async fn what_was_not_granted_or_is_no_https_never_leaves() {
    let outside = Outside::new().await;
    for url in [
        "https://elsewhere.example/",
        "https://example.test/",
        "http://api.example.test/",
        "https://user:pw@api.example.test/",
        "file:///etc/passwd",
        "https:///",
        "",
    ] {
        assert!(outside.get(url).await.is_err(), "{url}");
    }
    let connect = |request: &mut Outgoing| request.method = "CONNECT".to_owned();
    assert!(outside.send(&outside.url(API, "/"), connect).await.is_err());
    assert_eq!(outside.seen(), [""; 0]);
}

#[test]
fn a_star_stands_for_one_label() {
    let hosts: BTreeSet<String> = ["a.example", "*.b.example"].map(str::to_owned).into();
    for good in ["a.example", "x.b.example"] {
        assert!(reaches(&hosts, good), "{good}");
    }
    for bad in [
        "b.example",
        "x.a.example",
        "x.y.b.example",
        ".b.example",
        "ab.example",
    ] {
        assert!(!reaches(&hosts, bad), "{bad}");
    }
}
