//! What the host promises every plugin: files that pass it by, rows that end, sealed links, proofs that are spent once.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails fast"
)]

use std::path::Path;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use http::{Method, Request, Response};
use serde_json::{Value, json};
use vaxel_tests::{ClientError, HostOptions, Person, RequestOptions, SMALL_LOG, TestHost, scan};

const DAY: Duration = Duration::from_secs(86_400);

/// A server with the fixtures, whose clock the test may move, and the plugin on.
async fn both(own_clock: bool) -> (TestHost, Person, Person) {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../stage/fixtures");
    let config = format!("{SMALL_LOG}[plugins]\ndir = '{}'\n", fixtures.display());
    let host = TestHost::start_with(HostOptions {
        config,
        own_clock,
        ..HostOptions::default()
    })
    .await;
    let anna = host.sign_in("acme", "anna").await;
    let bertil = host.sign_in("acme", "bertil").await;
    admin(&anna, "plugins/enable", json!({"plugin": "conformance"})).await;
    (host, anna, bertil)
}

async fn admin(who: &Person, method: &str, params: Value) -> Value {
    who.client.call(method, params).await.unwrap()
}

async fn asks(who: &Person, method: &str, params: Value) -> Result<Value, ClientError> {
    let method = format!("plugins/conformance/{method}");
    who.client.call(&method, params).await
}

async fn puts(who: &Person, url: &Value, bytes: &[u8]) -> u16 {
    let request = Request::builder()
        .method(Method::PUT)
        .uri(url.as_str().unwrap());
    // The address says everything: no token goes along.
    let options = RequestOptions {
        token: Some(String::new()),
        ..RequestOptions::default()
    };
    let body = Bytes::copy_from_slice(bytes);
    let sent = who.client.send(request, body, &options).await;
    sent.unwrap().status().as_u16()
}

async fn gets(who: &Person, url: &Value, range: Option<&str>) -> Response<Bytes> {
    let mut request = Request::builder()
        .method(Method::GET)
        .uri(url.as_str().unwrap());
    if let Some(range) = range {
        request = request.header("range", range);
    }
    let options = RequestOptions {
        token: Some(String::new()),
        ..RequestOptions::default()
    };
    let sent = who.client.send(request, Bytes::new(), &options).await;
    sent.unwrap()
}

async fn expected(who: &Person, media_type: &str, size_max: usize) -> (Value, Value) {
    let params = json!({"media_type": media_type, "size_max": size_max});
    let made = asks(who, "file.expect", params).await.unwrap();
    (made["id"].clone(), made["url"].clone())
}

fn header<'a>(response: &'a Response<Bytes>, name: &str) -> &'a str {
    response.headers()[name].to_str().unwrap()
}

#[tokio::test]
async fn a_file_is_uploaded_kept_fetched_and_removed_and_lies_sealed() {
    let (host, anna, bertil) = both(false).await;
    let secret = "Ritning över källaren. ".repeat(20_000);
    let (id, url) = expected(&anna, "text/plain", secret.len()).await;
    let unknown = asks(&anna, "file.keep", json!({"id": id})).await;
    assert_eq!(unknown.unwrap_err().status(), 404, "nothing came yet");

    assert_eq!(puts(&anna, &url, secret.as_bytes()).await, 204);
    assert_eq!(puts(&anna, &url, b"again").await, 409, "once");
    let kept = asks(&anna, "file.keep", json!({"id": id})).await.unwrap();
    assert_eq!(kept["size"], secret.len());
    assert_eq!(kept["media_type"], "text/plain");
    let sum: String = digest(&SHA256, secret.as_bytes())
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(kept["sha256"], sum.as_str());

    let fetched = asks(&bertil, "file.fetch", json!({"id": id}))
        .await
        .unwrap();
    let whole = gets(&bertil, &fetched["url"], None).await;
    assert_eq!(whole.status(), 200);
    assert_eq!(whole.body(), secret.as_bytes());
    assert_eq!(header(&whole, "content-disposition"), "attachment");
    assert_eq!(header(&whole, "x-content-type-options"), "nosniff");
    assert!(header(&whole, "content-security-policy").contains("sandbox"));
    let part = gets(&bertil, &fetched["url"], Some("bytes=70000-70009")).await;
    assert_eq!(part.status(), 206);
    assert_eq!(&part.body()[..], &secret.as_bytes()[70_000..70_010]);
    let range = format!("bytes 70000-70009/{}", secret.len());
    assert_eq!(header(&part, "content-range"), range);
    let beyond = gets(&bertil, &fetched["url"], Some("bytes=99999999-")).await;
    assert_eq!(beyond.status(), 416);

    let read = json!({"id": id, "offset": 3, "len": 7});
    let read = asks(&anna, "file.read", read).await.unwrap();
    assert_eq!(read["text"], &secret[3..10]);

    host.restart();
    let fetched = asks(&bertil, "file.fetch", json!({"id": id}))
        .await
        .unwrap();
    assert_eq!(gets(&bertil, &fetched["url"], None).await.status(), 200);
    let found = scan::occurrences(host.data(), &["Ritning över källaren"]);
    assert!(found.is_empty(), "{found:?}");

    asks(&anna, "file.drop", json!({"id": id})).await.unwrap();
    assert_eq!(gets(&bertil, &fetched["url"], None).await.status(), 404);
    let gone = asks(&anna, "file.read", json!({"id": id, "offset": 0, "len": 1})).await;
    assert_eq!(gone.unwrap_err().status(), 404);
}

#[tokio::test]
async fn what_is_too_large_or_not_what_it_says_is_found_out() {
    let (_host, anna, _) = both(false).await;
    let (id, url) = expected(&anna, "text/plain", 10).await;
    assert_eq!(puts(&anna, &url, b"eleven byte").await, 413);
    assert_eq!(puts(&anna, &url, b"ten bytes!").await, 204, "not spoiled");
    asks(&anna, "file.keep", json!({"id": id})).await.unwrap();

    let (id, url) = expected(&anna, "image/png", 1_000).await;
    let page = b"<!doctype html><script>alert(1)</script>";
    assert_eq!(puts(&anna, &url, page).await, 204);
    let kept = asks(&anna, "file.keep", json!({"id": id})).await.unwrap();
    assert_eq!(kept["media_type"], "application/octet-stream");
    let fetched = asks(&anna, "file.fetch", json!({"id": id})).await.unwrap();
    let answer = gets(&anna, &fetched["url"], None).await;
    assert_eq!(header(&answer, "content-type"), "application/octet-stream");

    let far = json!({"media_type": "text/plain", "size_max": 1_u64 << 60});
    let refused = asks(&anna, "file.expect", far).await.unwrap_err();
    assert_eq!(refused.status(), 413, "{refused:?}");
}

#[tokio::test]
async fn an_address_is_for_one_deed_of_one_tenant_and_soon_over() {
    let (host, anna, bertil) = both(true).await;
    let greta = host.tenant("globex", "greta").await;
    let (id, url) = expected(&bertil, "text/plain", 100).await;
    // In another tenant's house, changed, or for the other deed it is none.
    assert_eq!(puts(&greta, &url, b"hej").await, 404);
    let text = url.as_str().unwrap();
    for bent in [
        format!("{text}A"),
        text[..text.len() - 4].to_owned(),
        "/api/v1/blobs/AAAA".to_owned(),
        "/api/v1/blobs/%00".to_owned(),
    ] {
        assert_eq!(puts(&bertil, &json!(bent), b"hej").await, 404, "{bent}");
    }
    assert_eq!(gets(&bertil, &url, None).await.status(), 404);
    assert_eq!(puts(&bertil, &url, b"hej").await, 204);
    let fetched = asks(&bertil, "file.fetch", json!({"id": id}))
        .await
        .unwrap();
    assert_eq!(gets(&bertil, &fetched["url"], None).await.status(), 200);

    // Whoever it was made for must be there still.
    admin(&anna, "users/deactivate", json!({"user": bertil.id})).await;
    assert_eq!(gets(&bertil, &fetched["url"], None).await.status(), 404);

    let fetched = asks(&anna, "file.fetch", json!({"id": id})).await.unwrap();
    host.moves_clock(Duration::from_secs(60)).await;
    assert_eq!(gets(&anna, &fetched["url"], None).await.status(), 404);

    // A plugin that is off gives nothing out.
    let (_, url) = expected(&anna, "text/plain", 100).await;
    admin(&anna, "plugins/disable", json!({"plugin": "conformance"})).await;
    assert_eq!(puts(&anna, &url, b"hej").await, 404);
}

#[tokio::test]
async fn a_file_of_a_call_that_fails_was_never_there() {
    let (_host, anna, _) = both(false).await;
    let text = json!({"media_type": "text/csv", "text": "namn;antal\nåäö;3\n"});
    let made = asks(&anna, "file.make", text.clone()).await.unwrap();
    assert_eq!(made["media_type"], "text/csv");
    let read = json!({"id": made["id"], "offset": 0, "len": 1_000});
    let read = asks(&anna, "file.read", read).await.unwrap();
    assert_eq!(read["text"], text["text"]);

    let failed = asks(&anna, "file.make_and_fail", text).await.unwrap_err();
    let id = failed.problem().unwrap().detail.clone();
    let read = asks(&anna, "file.read", json!({"id": id, "offset": 0, "len": 1})).await;
    assert_eq!(read.unwrap_err().status(), 404);
}

#[tokio::test]
async fn a_refused_capability_is_forbidden_and_the_rest_works() {
    let (_host, anna, _) = both(false).await;
    let some = json!({
        "plugin": "conformance",
        "grants": ["storage", "identity", "clock", "log", "config"],
    });
    admin(&anna, "plugins/grant", some).await;
    let text = json!({"media_type": "text/plain", "text": "hej"});
    for (method, params) in [
        ("file.make", text),
        (
            "file.expect",
            json!({"media_type": "text/plain", "size_max": 5}),
        ),
        ("file.keep", json!({"id": "00"})),
        ("link.seal", json!({"purpose": "p", "text": "hej"})),
        ("proof.spend", json!({"purpose": "p"})),
        ("later", json!({"key": "k", "by_ms": 1})),
    ] {
        let refused = asks(&anna, method, params).await.unwrap_err();
        assert_eq!(refused.status(), 403, "{method}: {refused:?}");
    }
    asks(&anna, "row.put", json!({"key": "a", "text": "hej"}))
        .await
        .unwrap();
    let without = json!({"plugin": "conformance", "grants": ["storage"]});
    let refused = anna
        .client
        .call("plugins/grant", without)
        .await
        .unwrap_err();
    assert!(refused.status() >= 400, "{refused:?}");
    asks(&anna, "row.get", json!({"key": "a"})).await.unwrap();
}

#[tokio::test]
async fn a_sealed_link_opens_for_its_purpose_and_in_its_time() {
    let (host, anna, _) = both(true).await;
    let sealed = json!({"purpose": "invite", "text": "usr_7", "ttl_ms": 60_000});
    let token = asks(&anna, "link.seal", sealed).await.unwrap()["text"].clone();
    assert!(!token.as_str().unwrap().contains("usr_7"));
    let open = |purpose: &str| json!({"purpose": purpose, "text": token});
    let opened = asks(&anna, "link.unseal", open("invite")).await.unwrap();
    assert_eq!(opened["text"], "usr_7");
    let other = asks(&anna, "link.unseal", open("reset")).await.unwrap_err();
    assert_eq!(other.status(), 422);
    host.moves_clock(Duration::from_secs(60)).await;
    let late = asks(&anna, "link.unseal", open("invite"))
        .await
        .unwrap_err();
    assert_eq!(late.status(), 422);
}

async fn pin_of(anna: &Person, scope: &str) -> String {
    let made = json!({"plugin": "conformance", "scope": scope});
    let made = admin(anna, "stepup/make_pin", made).await;
    made["pin"].as_str().unwrap().to_owned()
}

async fn proves(who: &Person, pin: &str) -> Result<String, ClientError> {
    let params = json!({
        "plugin": "conformance", "scope": "survey", "purpose": "answer", "pin": pin,
    });
    let proof = who.client.call("stepup/pin", params).await?;
    Ok(proof["proof"].as_str().unwrap().to_owned())
}

async fn spends(who: &Person, method: &str, purpose: &str, proof: &str) -> (u16, Value) {
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("/api/v1/plugins/conformance/{method}"))
        .header("content-type", "application/json")
        .header("vaxel-proof", proof);
    let body = Bytes::from(json!({"purpose": purpose}).to_string());
    let options = RequestOptions::default();
    let answer = who.client.send(request, body, &options).await.unwrap();
    let status = answer.status().as_u16();
    (status, serde_json::from_slice(answer.body()).unwrap())
}

#[tokio::test]
async fn a_proof_is_spent_once_whatever_becomes_of_the_call() {
    let (_host, anna, bertil) = both(false).await;
    let pin = pin_of(&anna, "survey").await;
    let without = asks(&bertil, "proof.spend", json!({"purpose": "answer"})).await;
    assert_eq!(without.unwrap_err().code(), "step_up_required");

    let proof = proves(&bertil, &pin).await.unwrap();
    let (status, proven) = spends(&bertil, "proof.spend", "answer", &proof).await;
    assert_eq!((status, &proven["method"]), (200, &json!("pin")));
    let (status, again) = spends(&bertil, "proof.spend", "answer", &proof).await;
    assert_ne!(status, 200, "{again}");

    // Shown by somebody else, or for something else, it is gone.
    let proof = proves(&bertil, &pin).await.unwrap();
    assert_ne!(spends(&anna, "proof.spend", "answer", &proof).await.0, 200);
    assert_ne!(
        spends(&bertil, "proof.spend", "answer", &proof).await.0,
        200
    );
    let proof = proves(&bertil, &pin).await.unwrap();
    assert_ne!(spends(&bertil, "proof.spend", "other", &proof).await.0, 200);

    // A plugin that breaks behind it does not give it back.
    let proof = proves(&bertil, &pin).await.unwrap();
    let (status, _) = spends(&bertil, "proof.spend_and_trap", "answer", &proof).await;
    assert_eq!(status, 502);
    assert_ne!(
        spends(&bertil, "proof.spend", "answer", &proof).await.0,
        200
    );
}

#[tokio::test]
async fn a_wrong_pin_counts_over_a_crash_of_the_server() {
    let (host, anna, bertil) = both(true).await;
    let pin = pin_of(&anna, "survey").await;
    let wrong = if pin == "000000" { "111111" } else { "000000" };
    for left in (0..5).rev() {
        let refused = proves(&bertil, wrong).await.unwrap_err();
        assert_eq!(refused.code(), "wrong_pin");
        let said = refused.problem().unwrap().detail.clone();
        assert!(said.contains(&left.to_string()), "{said}");
        host.kill9();
        host.serve();
    }
    let refused = proves(&bertil, &pin).await.unwrap_err();
    assert_eq!(refused.code(), "throttled", "the right one too");
    host.moves_clock(Duration::from_secs(15 * 60)).await;
    bertil.client.refresh().await.unwrap();
    proves(&bertil, &pin).await.unwrap();
}

#[tokio::test]
async fn an_upload_that_nobody_keeps_is_gone_after_a_day() {
    let (host, anna, _) = both(true).await;
    let (dropped, url) = expected(&anna, "text/plain", 100).await;
    assert_eq!(puts(&anna, &url, b"for nobody").await, 204);
    let (kept, url) = expected(&anna, "text/plain", 100).await;
    assert_eq!(puts(&anna, &url, b"for somebody").await, 204);
    asks(&anna, "file.keep", json!({"id": kept})).await.unwrap();
    host.moves_clock(DAY).await;
    // Swept at the start.
    host.restart();
    let anna = host.sign_in("acme", "anna").await;
    vaxel_tests::patiently("the sweep", async {
        loop {
            let keep = asks(&anna, "file.keep", json!({"id": dropped})).await;
            if keep.is_err_and(|error| error.status() == 404) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    asks(&anna, "file.fetch", json!({"id": kept}))
        .await
        .unwrap();
}
