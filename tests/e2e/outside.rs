//! What plugins reach outside of themselves: other servers, settings, sealed links, other plugins.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails fast"
)]

use serde_json::{Value, json};
use vaxel_tests::outside::Outside;
use vaxel_tests::{ClientError, Person, TestHost, patiently};

/// Another company's server, ours with the fixture on, and its people.
async fn both() -> (Outside, TestHost, Person, Person) {
    let outside = Outside::start().await;
    let host = TestHost::start_with(outside.known_to_host()).await;
    let anna = host.sign_in("acme", "anna").await;
    let bertil = host.sign_in("acme", "bertil").await;
    let on = anna
        .client
        .call("plugins/enable", json!({"plugin": "outside"}));
    on.await.unwrap();
    (outside, host, anna, bertil)
}

async fn asks(who: &Person, method: &str, params: Value) -> Result<Value, ClientError> {
    let method = format!("plugins/outside/{method}");
    who.client.call(&method, params).await
}

async fn fetches(who: &Person, url: &str) -> Result<Value, ClientError> {
    asks(who, "fetch", json!({"url": url})).await
}

#[tokio::test]
async fn a_plugin_reaches_a_granted_host_and_reads_what_it_answers() {
    let (outside, _host, anna, _) = both().await;
    let request = json!({
        "url": outside.url("/hello?a=b"), "method": "POST", "body": "hej",
        "headers": [["x-own", "1"], ["user-agent", "somebody"], ["connection", "x-own"]],
    });
    let answer = asks(&anna, "fetch", request).await.unwrap();
    assert_eq!(answer["status"], 200);
    let got: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
    assert_eq!(
        (&got["method"], &got["body"]),
        (&json!("POST"), &json!("hej"))
    );
    assert_eq!(got["query"], "a=b");
    assert_eq!(got["headers"]["x-own"], "1");
    assert_eq!(got["headers"]["user-agent"], "vaxel");
    assert_eq!(got["headers"].get("connection"), None);
    let cookies = answer["headers"].to_string();
    assert!(!cookies.contains("set-cookie"), "{cookies}");
}

#[tokio::test]
async fn nothing_that_is_within_is_reached_by_name_address_or_redirect() {
    let (outside, _host, anna, _) = both().await;
    for url in [
        // By name, the last two by an address in an IPv6 coat and a cloud's.
        "https://inner.outside.test/".to_owned(),
        outside.url_at("inner.outside.test", "/"),
        outside.url_at("mapped.many.outside.test", "/"),
        "https://metadata.many.outside.test/latest/meta-data/".to_owned(),
        // By address.
        outside.url_at("127.0.0.1", "/"),
        outside.url_at("[::ffff:127.0.0.1]", "/"),
        outside.url_at("[::ffff:7f00:1]", "/"),
        outside.url_at("2130706433", "/"),
        "https://169.254.169.254/".to_owned(),
        // By redirect.
        outside.url("/to?https://inner.outside.test/"),
        outside.url("/to?https://[::ffff:169.254.169.254]/"),
        outside.url("/to?https://127.0.0.1/"),
        // Not granted, in any way.
        "https://elsewhere.test/".to_owned(),
        outside.url_at("localhost", "/"),
        outside.url_at("a.b.many.outside.test", "/"),
        outside.url("/to?https://elsewhere.test/"),
    ] {
        let refused = fetches(&anna, &url).await.unwrap_err();
        assert_eq!(refused.status(), 403, "{url}: {refused:?}");
    }
    // Without TLS, and by a port that is no exception.
    for url in ["http://api.outside.test/", "https://u:p@api.outside.test/"] {
        let refused = fetches(&anna, url).await.unwrap_err();
        assert_eq!(refused.status(), 422, "{url}: {refused:?}");
    }
    let elsewhere = fetches(&anna, "https://api.outside.test:9/").await;
    assert_eq!(elsewhere.unwrap_err().status(), 403);
    assert_eq!(outside.seen("/").len(), 0);
    fetches(&anna, &outside.url_at("one.many.outside.test", "/"))
        .await
        .unwrap();
    assert_eq!(outside.seen("/").len(), 1);
}

#[tokio::test]
async fn an_organization_that_has_sent_its_requests_of_the_day_sends_no_more_and_is_told_until_when()
 {
    let outside = Outside::start().await;
    let mut options = outside.known_to_host();
    options.config += "[plugins.budget]\nrequests_per_day = 2\n";
    let host = TestHost::start_with(options).await;
    let anna = host.sign_in("acme", "anna").await;
    let on = anna
        .client
        .call("plugins/enable", json!({"plugin": "outside"}));
    on.await.unwrap();
    for _ in 0..2 {
        fetches(&anna, &outside.url("/x")).await.unwrap();
    }
    let refused = fetches(&anna, &outside.url("/x")).await.unwrap_err();
    assert_eq!(refused.status(), 429, "{refused:?}");
    assert_eq!(outside.seen("/x").len(), 2);
    let params = json!({"plugin": "outside", "days": 1});
    let used = anna.client.call("plugins/use", params).await.unwrap();
    assert_eq!(used["budget"]["requests"], 2);
    assert_eq!(used["budget"]["requests_max"], 2);
    // Not even behind a restart.
    host.restart();
    let anna = host.sign_in("acme", "anna").await;
    let refused = fetches(&anna, &outside.url("/x")).await.unwrap_err();
    assert_eq!(refused.status(), 429, "{refused:?}");
    assert_eq!(outside.seen("/x").len(), 2);
}

#[tokio::test]
async fn a_guest_brings_no_credentials_and_no_host_of_its_own() {
    let (outside, _host, anna, _) = both().await;
    for name in ["Authorization", "Cookie", "Host", "Proxy-Authorization"] {
        let request = json!({"url": outside.url("/x"), "headers": [[name, "x"]]});
        let refused = asks(&anna, "fetch", request).await.unwrap_err();
        assert_eq!(refused.status(), 422, "{name}: {refused:?}");
    }
    assert_eq!(outside.seen("/x").len(), 0);
}

#[tokio::test]
async fn what_is_too_large_is_cut_off_and_what_is_too_slow_is_given_up() {
    let (outside, _host, anna, bertil) = both().await;
    let large = fetches(&anna, &outside.url("/large")).await.unwrap_err();
    assert_eq!(large.status(), 413, "{large:?}");
    outside.holds("/slow");
    let slow = json!({"url": outside.url("/slow"), "timeout_ms": 200});
    let slow = asks(&anna, "fetch", slow).await.unwrap_err();
    assert_eq!(slow.status(), 503, "{slow:?}");
    // It is no fault of the plugin's: it goes on serving.
    fetches(&bertil, &outside.url("/after")).await.unwrap();
}

#[tokio::test]
async fn eight_requests_go_side_by_side_and_a_ninth_is_refused() {
    let (outside, _host, anna, _) = both().await;
    outside.holds("/all");
    let requests: Vec<_> = (0..9)
        .map(|n| json!({"url": outside.url(&format!("/all?{n}"))}))
        .collect();
    let all = asks(&anna, "fetch_all", json!({"requests": requests}));
    let (answer, ()) = tokio::join!(patiently("all answers", all), async {
        // Nobody is answered before all eight have asked.
        outside.was_asked("/all", 8).await;
        outside.lets_go("/all");
    });
    let bodies = answer.unwrap()["bodies"].as_array().unwrap().clone();
    for (n, body) in bodies.iter().take(8).enumerate() {
        let query = format!("\"query\":\"{n}\"");
        assert!(body.as_str().unwrap().contains(&query), "{n}: {body}");
    }
    assert_eq!(bodies[8], "limit");
    assert_eq!(outside.seen("/all").len(), 8);
}

#[tokio::test]
async fn one_call_sends_sixteen_requests_and_no_more() {
    let (outside, _host, anna, _) = both().await;
    let often = json!({"url": outside.url("/often"), "times": 18});
    let answer = asks(&anna, "fetch_often", often).await.unwrap();
    let bodies = answer["bodies"].as_array().unwrap();
    assert!(bodies[15].as_str().unwrap().contains("/often"), "{answer}");
    assert_eq!(bodies[16..], ["limit", "limit"]);
    assert_eq!(outside.seen("/often").len(), 16);
}

#[tokio::test]
async fn a_call_that_runs_again_hears_the_same_and_asks_nobody_twice() {
    let (outside, _host, anna, bertil) = both().await;
    outside.holds("/once");
    let counted = json!({"url": outside.url("/once"), "with_count": false});
    let calling = asks(&anna, "fetch_and_count", counted);
    let (counted, ()) = tokio::join!(patiently("the answer", calling), async {
        outside.was_asked("/once", 1).await;
        // What the call has read changes under it while it waits, and it does not hold up who changes it.
        asks(&bertil, "count", json!({})).await.unwrap();
        outside.lets_go("/once");
    });
    assert_eq!(counted.unwrap()["value"], 2);
    assert_eq!(outside.seen("/once").len(), 1);
}

#[tokio::test]
async fn a_call_that_asks_for_something_else_when_it_runs_again_is_a_conflict() {
    let (outside, _host, anna, bertil) = both().await;
    outside.holds("/once");
    let counted = json!({"url": outside.url("/once"), "with_count": true});
    let calling = asks(&anna, "fetch_and_count", counted);
    let (refused, ()) = tokio::join!(patiently("the answer", calling), async {
        outside.was_asked("/once", 1).await;
        asks(&bertil, "count", json!({})).await.unwrap();
        outside.lets_go("/once");
    });
    assert_eq!(refused.unwrap_err().status(), 409);
    assert_eq!(outside.seen("/once").len(), 1);
}

#[tokio::test]
async fn calls_that_wait_outside_take_no_place_from_others() {
    let (outside, _host, anna, bertil) = both().await;
    outside.holds("/wait");
    let url = outside.url("/wait");
    // More than a plugin's eight places, fewer than may wait.
    let waiting = (0..12).map(|_| fetches(&anna, &url));
    let waiting = futures_util::future::join_all(waiting);
    let (answers, ()) = tokio::join!(patiently("all of them", waiting), async {
        outside.was_asked("/wait", 12).await;
        let other = asks(&bertil, "settings", json!({}));
        patiently("a call that waits for nobody", other)
            .await
            .unwrap();
        outside.lets_go("/wait");
    });
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
}

#[tokio::test]
async fn settings_hold_from_the_next_call_on_and_fit_their_schema() {
    let (_outside, host, anna, bertil) = both().await;
    let said = async || asks(&bertil, "settings", json!({})).await.unwrap();
    let set = async |who: &Person, values: Value| {
        let params = json!({"plugin": "outside", "values": values});
        who.client.call("plugins/set_settings", params).await
    };
    let defaults = json!({"greeting": "hej", "all": {"greeting": "hej"}});
    assert_eq!(said().await, defaults);
    set(&anna, json!({"greeting": "tjänare", "limit": 3}))
        .await
        .unwrap();
    let changed = json!({"greeting": "tjänare", "all": {"greeting": "tjänare", "limit": 3}});
    assert_eq!(said().await, changed);
    for bad in [
        json!({"limit": 11}),
        json!({"limit": "3"}),
        json!({"greeting": ""}),
        json!({"unknown": 1}),
    ] {
        let refused = set(&anna, bad.clone()).await.unwrap_err();
        assert_eq!(refused.status(), 400, "{bad}: {refused:?}");
    }
    assert_eq!(set(&bertil, json!({})).await.unwrap_err().status(), 403);
    assert_eq!(said().await, changed, "what was refused changed nothing");
    host.restart();
    assert_eq!(said().await, changed);
    // Another organization has its own.
    let carin = host.tenant("globex", "carin").await;
    let theirs = asks(&carin, "settings", json!({})).await.unwrap();
    assert_eq!(theirs, defaults);
    set(&anna, json!({})).await.unwrap();
    assert_eq!(said().await, defaults);
    // Who and what for is written down, and no value.
    let audit = anna
        .client
        .call("audit/list", json!({}))
        .await
        .unwrap()
        .to_string();
    assert!(audit.contains("plugins.set_settings"), "{audit}");
    assert!(!audit.contains("tjänare") && !host.log().contains("tjänare"));
    let off = json!({"plugin": "outside"});
    carin.client.call("plugins/disable", off).await.unwrap();
    let refused = set(&carin, json!({})).await.unwrap_err();
    assert_eq!(refused.status(), 404, "not on there: {refused:?}");
}

#[tokio::test]
async fn a_sealed_link_opens_for_its_purpose_its_tenant_and_its_time_only() {
    let outside = Outside::start().await;
    let mut options = outside.known_to_host();
    options.own_clock = true;
    let host = TestHost::start_with(options).await;
    let anna = host.sign_in("acme", "anna").await;
    let carin = host.tenant("globex", "carin").await;
    for admin in [&anna, &carin] {
        let on = json!({"plugin": "outside"});
        admin.client.call("plugins/enable", on).await.unwrap();
    }
    let hour = json!({"purpose": "answer", "text": "enkät 17", "ttl_ms": 3_600_000});
    let link = asks(&anna, "seal", hour).await.unwrap()["text"].clone();
    let opens = async |who: &Person, purpose: &str, text: &Value| {
        asks(who, "unseal", json!({"purpose": purpose, "text": text})).await
    };
    let opened = opens(&anna, "answer", &link).await.unwrap();
    assert_eq!(opened["text"], "enkät 17");
    let changed = format!("{}A", link.as_str().unwrap());
    for refused in [
        opens(&anna, "other", &link).await,
        opens(&carin, "answer", &link).await,
        opens(&anna, "answer", &json!(changed)).await,
        opens(&anna, "answer", &json!("")).await,
    ] {
        assert_eq!(refused.unwrap_err().status(), 422);
    }
    host.moves_clock(std::time::Duration::from_secs(3_601))
        .await;
    let anna = host.sign_in("acme", "anna").await;
    let late = opens(&anna, "answer", &link).await.unwrap_err();
    assert_eq!(late.status(), 422, "{late:?}");
}

#[tokio::test]
async fn a_blinded_name_is_the_same_for_the_same_and_for_nobody_else() {
    let (_outside, host, anna, bertil) = both().await;
    let carin = host.tenant("globex", "carin").await;
    let blind = async |who: &Person, purpose: &str, name: &str| {
        let params = json!({"purpose": purpose, "text": name});
        let blinded = asks(who, "blind", params).await.unwrap();
        blinded["text"].as_str().unwrap().to_owned()
    };
    let number = blind(&anna, "number", "+46701234567").await;
    assert_eq!(number.len(), 32, "sixteen bytes");
    assert_eq!(blind(&bertil, "number", "+46701234567").await, number);
    assert_ne!(blind(&anna, "number", "+46701234568").await, number);
    assert_ne!(blind(&anna, "address", "+46701234567").await, number);
    assert_ne!(blind(&carin, "number", "+46701234567").await, number);
}
