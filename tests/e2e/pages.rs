//! Pages of plugins and raw HTTP at `/hooks/`: what browsers get of good and of hostile ones.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails fast"
)]

use std::path::Path;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use serde_json::{Value, json};
use tokio::task::block_in_place;
use vaxel_client::RequestOptions;
use vaxel_tests::{Client, HostOptions, Person, TestHost};

/// A server with the plugin `paged`, switched on for acme.
async fn prepared() -> (TestHost, Person) {
    let host = TestHost::start_with(HostOptions::default()).await;
    block_in_place(|| {
        host.stop();
        host.serve_with(&["--dev"], &[]);
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../stage/fixtures/paged");
        let file = host.scratch("paged.vxp");
        let (folder, file) = (folder.to_str().unwrap(), file.to_str().unwrap());
        host.vaxel()
            .expect(&["plugin", "pack", folder, "-o", file], "");
        host.command(&["plugin", "install", file]);
        host.command(&["plugin", "enable", "--tenant", "acme", "paged"]);
    });
    let anna = host.sign_in("acme", "anna").await;
    (host, anna)
}

fn text(response: &Response<Bytes>) -> String {
    String::from_utf8(response.body().to_vec()).unwrap()
}

/// What stands between two marks.
fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let (_, rest) = text
        .split_once(before)
        .unwrap_or_else(|| panic!("no {before} in {text}"));
    rest.split_once(after).unwrap().0
}

fn token(page: &str) -> String {
    between(page, "name=\"_token\" value=\"", "\"").to_owned()
}

fn encoded(fields: &[(&str, &str)]) -> Bytes {
    let each = fields.iter().map(|(name, value)| {
        let value: String = value.bytes().map(|b| format!("%{b:02X}")).collect();
        format!("{name}={value}")
    });
    each.collect::<Vec<_>>().join("&").into()
}

async fn post(
    client: &Client,
    path: &str,
    fields: &[(&str, &str)],
    origin: Option<&str>,
) -> Response<Bytes> {
    let request = Request::builder()
        .method(Method::POST)
        .uri(path)
        .header("content-type", "application/x-www-form-urlencoded");
    let options = RequestOptions {
        origin: origin.map(str::to_owned),
        ..RequestOptions::default()
    };
    client
        .send(request, encoded(fields), &options)
        .await
        .unwrap()
}

async fn get(client: &Client, path: &str, language: &str) -> Response<Bytes> {
    let request = Request::builder()
        .method(Method::GET)
        .uri(path)
        .header("accept-language", language);
    client
        .send(request, Bytes::new(), &RequestOptions::default())
        .await
        .unwrap()
}

async fn answers(anna: &Person) -> i64 {
    let count = anna
        .client
        .call("plugins/paged/count", json!({}))
        .await
        .unwrap();
    count["answers"].as_i64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_public_page_is_read_and_answered_without_script_and_without_an_account() {
    let (host, anna) = prepared().await;
    let nobody = host.client("acme");
    let response = nobody.get("/p/paged/survey").await.unwrap();
    assert_eq!(response.status(), 200);
    let page = text(&response);
    for part in [
        "<h1 dir=\"auto\">A few questions</h1>",
        "<label dir=\"auto\" for=\"f-name\">Name",
        "<legend",
        "name=\"m.some\"",
        "type=\"date\"",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let policy = response.headers()["content-security-policy"]
        .to_str()
        .unwrap();
    assert!(
        policy.contains("script-src 'self'") && !policy.contains("unsafe"),
        "{policy}"
    );
    assert!(!response.headers().contains_key("set-cookie"));
    assert_eq!(response.headers()["cache-control"], "no-store");

    let token = token(&page);
    let answer = [
        ("_token", token.as_str()),
        ("t.name", "Åsa & co"),
        ("n.age", "41"),
        ("m.some", "red"),
        ("m.some", "blue"),
        ("_action", "answer"),
    ];
    let sent = post(&nobody, "/p/paged/survey", &answer, None).await;
    assert_eq!(sent.status(), 303);
    assert_eq!(sent.headers()["location"], "/p/paged/survey/thanks");
    let thanks = text(&nobody.get("/p/paged/survey/thanks").await.unwrap());
    assert!(thanks.contains("Your answer is saved."));
    // The same form once more is the same sending.
    let again = post(&nobody, "/p/paged/survey", &answer, None).await;
    assert_eq!((again.status().as_u16(), answers(&anna).await), (303, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_typed_is_never_lost() {
    let (host, anna) = prepared().await;
    let nobody = host.client("acme");
    let page = text(&nobody.get("/p/paged/survey").await.unwrap());
    let fresh = token(&page);
    let typed = "Because <b>I</b> say \"so\"";
    let send = async |fields: &[(&str, &str)]| {
        let response = post(&nobody, "/p/paged/survey", fields, None).await;
        let page = text(&response);
        assert!(
            page.contains("Because &lt;b&gt;I&lt;/b&gt; say &quot;so&quot;"),
            "{page}"
        );
        (response.status().as_u16(), page)
    };
    // Refused in a field.
    let (status, page) = send(&[("_token", &fresh), ("t.why", typed), ("_action", "answer")]).await;
    assert_eq!(status, 422);
    assert!(
        page.contains("href=\"#f-name\"") && page.contains("aria-describedby=\"e-name\""),
        "{page}"
    );
    // Refused as a whole, in the plugin's words.
    let (status, page) = send(&[
        ("_token", &token(&page)),
        ("t.name", "refuse"),
        ("t.why", typed),
        ("_action", "answer"),
    ])
    .await;
    assert_eq!(status, 422);
    assert!(page.contains("The survey has just been closed."), "{page}");
    // A page that cannot be drawn.
    let (status, page) = send(&[
        ("_token", &token(&page)),
        ("t.name", "trap"),
        ("t.why", typed),
        ("_action", "answer"),
    ])
    .await;
    assert_eq!(status, 500);
    // Tokens that are none, of another page, and cut short.
    let other = text(&nobody.get("/p/paged/hostile").await.unwrap());
    let cut = fresh[..fresh.len() - 4].to_owned();
    for bad in ["", "AAAA", &token(&other), &cut] {
        let (status, _) = send(&[
            ("_token", bad),
            ("t.name", "Eva"),
            ("t.why", typed),
            ("_action", "answer"),
        ])
        .await;
        assert_eq!(status, 409, "{bad}");
    }
    // Sent from another site: not even looked at.
    for origin in ["https://evil.example", "null"] {
        let fields = [
            ("_token", fresh.as_str()),
            ("t.name", "Eva"),
            ("_action", "answer"),
        ];
        let refused = post(&nobody, "/p/paged/survey", &fields, Some(origin)).await;
        assert_eq!(refused.status(), 403, "{origin}");
    }
    assert_eq!(answers(&anna).await, 0);
    let fields = [
        ("_token", &*token(&page)),
        ("t.name", "Eva"),
        ("_action", "answer"),
    ];
    let sent = post(&nobody, "/p/paged/survey", &fields, None).await;
    assert_eq!((sent.status().as_u16(), answers(&anna).await), (303, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_hostile_page_reaches_a_browser_but_its_text() {
    let (host, anna) = prepared().await;
    let nobody = host.client("acme");
    let page = text(&nobody.get("/p/paged/hostile").await.unwrap());
    for part in [
        "<script>w",
        "<img",
        "<svg",
        "onmouseover=\"",
        "\u{202e}",
        "\u{1b}",
    ] {
        assert!(!page.contains(part), "{part}: {page}");
    }
    assert_eq!(
        page.matches("<script").count(),
        1,
        "our own, by its address"
    );
    assert!(
        page.contains("(evil.example"),
        "where a link leads is said: {page}"
    );
    let refused = [
        ("javascript", "an address is https"),
        ("spaced", "an address is https"),
        ("data", "an address is https"),
        ("http", "an address is https"),
        ("double-slash", "an address is https"),
        ("user-at", "an address is https"),
        ("climbing", "an address is https"),
        ("image", "unknown variant `Image`"),
        ("unknown-key", "unknown field `onclick`"),
        ("html-key", "unknown field `html`"),
        ("execute", "unknown variant `Action.Execute`"),
        ("background", "unknown field `backgroundImage`"),
        ("foreign-topic", "begins with paged."),
        ("lang", "a language tag"),
        ("next", "a path behind"),
        ("deep", "within each other"),
        ("huge-text", "at most 8000 characters"),
        ("huge-page", "at most 262144 bytes"),
        ("many", "at most 4000 elements"),
        ("twins", "two inputs"),
        ("clobber", "an id is a letter"),
        ("no-page", ""),
        ("token", "unknown variant `password`"),
    ];
    for (name, why) in refused {
        let path = format!("/p/paged/hostile/{name}");
        let response = nobody.get(&path).await.unwrap();
        assert_eq!(response.status(), 500, "{name}: {}", text(&response));
        assert!(
            host.log().contains(why),
            "{name}: {why}\n{}",
            host.log_tail()
        );
        let params = json!({"plugin": "paged", "page": "hostile", "path": name});
        let refused = anna
            .client
            .call("plugins/show_page", params)
            .await
            .unwrap_err();
        assert_eq!(refused.code(), "plugin-bad-answer", "{name}");
    }
    assert!(
        host.log().contains("/body/0/actions/0/url"),
        "the author reads where"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_open_a_page_is_its_permission_and_what_is_off_is_not_there() {
    let (host, anna) = prepared().await;
    let bertil = host.sign_in("acme", "bertil").await;
    let nobody = host.client("acme");
    let names = async |person: &Person| -> Vec<String> {
        let list = person
            .client
            .call("plugins/pages", json!({}))
            .await
            .unwrap();
        let items = list["items"].as_array().unwrap().iter();
        items
            .filter(|page| page["plugin"] == "paged")
            .map(|page| page["page"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        names(&anna).await,
        ["board", "secret", "survey", "hostile", "guarded", "echo"]
    );
    assert_eq!(
        names(&bertil).await,
        ["board", "survey", "hostile", "guarded", "echo"]
    );
    let show = |page: &str| json!({"plugin": "paged", "page": page});
    let secret = anna
        .client
        .call("plugins/show_page", show("secret"))
        .await
        .unwrap();
    assert_eq!(secret["body"][0]["text"], "Only for admins.");
    let refused = bertil
        .client
        .call("plugins/show_page", show("secret"))
        .await
        .unwrap_err();
    assert_eq!(refused.status(), 403);
    let refused = bertil
        .client
        .call("plugins/show_page", show("nothing"))
        .await
        .unwrap_err();
    assert_eq!(refused.status(), 404);
    for path in [
        "/p/paged/board",
        "/p/paged/secret",
        "/p/paged/nothing",
        "/p/nobody/survey",
        "/p/paged/survey/gone",
        "/p/paged",
        "/p/",
    ] {
        assert_eq!(nobody.get(path).await.unwrap().status(), 404, "{path}");
    }
    assert_eq!(nobody.get("/hooks/chat/x").await.unwrap().status(), 404);
    assert_eq!(nobody.get("/hooks/paged/x").await.unwrap().status(), 200);

    anna.client
        .call("plugins/disable", json!({"plugin": "paged"}))
        .await
        .unwrap();
    assert!(names(&anna).await.is_empty());
    for path in ["/p/paged/survey", "/hooks/paged/x"] {
        assert_eq!(nobody.get(path).await.unwrap().status(), 404, "{path}");
    }
    let gone = anna
        .client
        .call("plugins/show_page", show("secret"))
        .await
        .unwrap_err();
    assert_eq!(gone.status(), 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_in_the_app_happens_once_and_wrong_words_are_refused() {
    let (_host, anna) = prepared().await;
    let send = |inputs: Value, id: &str| json!({"plugin": "paged", "page": "survey", "sent": {"action": "answer", "inputs": inputs, "id": id}});
    for _ in 0..3 {
        let sent = anna
            .client
            .call("plugins/show_page", send(json!({"name": "Anna"}), "one"))
            .await
            .unwrap();
        assert_eq!(sent["next"], "thanks");
    }
    assert_eq!(answers(&anna).await, 1);
    let other = anna
        .client
        .call("plugins/show_page", send(json!({"name": "Berit"}), "one"))
        .await
        .unwrap_err();
    assert_eq!(other.code(), "idempotency-mismatch");
    let board = json!({"plugin": "paged", "page": "board", "sent": {"action": "save", "inputs": {"text": "news"}}});
    anna.client.call("plugins/show_page", board).await.unwrap();
    assert_eq!(anna.sees("paged.changed").await.topic, "paged.changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hosts_words_are_in_the_browsers_language() {
    let (host, _) = prepared().await;
    let nobody = host.client("acme");
    for (language, lang, required, missing) in [
        ("sv-SE,sv;q=0.9", "sv", "måste fyllas i", "Sidan finns inte"),
        ("en-US,en", "en", "required", "There is no such page"),
    ] {
        let page = text(&get(&nobody, "/p/paged/survey", language).await);
        assert!(
            page.contains(&format!("<html lang=\"{lang}\">")) && page.contains(required),
            "{page}"
        );
        let response = get(&nobody, "/p/paged/nothing", language).await;
        assert_eq!(response.status(), 404);
        assert!(text(&response).contains(missing));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn raw_http_carries_no_credential_in_and_nothing_of_a_browsers_out() {
    let (host, anna) = prepared().await;
    let request = Request::builder()
        .method(Method::POST)
        .uri("/hooks/paged/a/b?x=1")
        .header("x-hub-signature", "sha1=1")
        .header("x-real-ip", "192.0.2.1")
        .header("connection", "x-hop")
        .header("x-hop", "1")
        .header("content-type", "text/plain");
    // Anna's client sends her token and her cookie along.
    let response = anna
        .client
        .send(request, Bytes::from("hello"), &RequestOptions::default())
        .await
        .unwrap();
    let seen: Value = serde_json::from_slice(response.body()).unwrap();
    assert_eq!(seen["path"], "a/b");
    assert_eq!((&seen["query"], &seen["bytes"]), (&json!("x=1"), &json!(5)));
    let mut headers: Vec<_> = seen["headers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|h| h.as_str().unwrap())
        .collect();
    headers.sort_unstable();
    assert_eq!(headers, ["content-type", "x-hub-signature"]);

    let nobody = host.client("acme");
    let is_harmless = |headers: &HeaderMap| {
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(
            policy.contains("sandbox") && policy.contains("default-src 'none'"),
            "{policy}"
        );
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert_eq!(headers["cache-control"], "no-store");
        for name in [
            "set-cookie",
            "clear-site-data",
            "access-control-allow-origin",
            "service-worker-allowed",
            "location",
        ] {
            assert!(!headers.contains_key(name), "{name}");
        }
    };
    for path in ["html", "svg", "worker.js"] {
        let response = nobody.get(&format!("/hooks/paged/{path}")).await.unwrap();
        is_harmless(response.headers());
        assert_eq!(
            response.headers()["content-type"],
            "text/plain; charset=utf-8",
            "{path}"
        );
        assert_eq!(
            response.headers()["content-disposition"],
            "attachment",
            "{path}"
        );
    }
    let refused = nobody.get("/hooks/paged/refuse").await.unwrap();
    is_harmless(refused.headers());
    assert_eq!(
        (refused.status().as_u16(), &refused.headers()["retry-after"]),
        (403, &"7".parse().unwrap())
    );
    assert_eq!(
        nobody.get("/hooks/paged/redirect").await.unwrap().status(),
        500
    );
    let large = Request::builder()
        .method(Method::POST)
        .uri("/hooks/paged/x");
    let body = Bytes::from(vec![0; 1024 * 1024 + 1]);
    let response = nobody
        .send(large, body, &RequestOptions::default())
        .await
        .unwrap();
    assert_eq!(response.status(), 413);
    let worker = Request::builder()
        .method(Method::GET)
        .uri("/hooks/paged/worker.js")
        .header("service-worker", "script");
    let response = nobody
        .send(worker, Bytes::new(), &RequestOptions::default())
        .await
        .unwrap();
    assert_eq!(response.status(), 404);
}
