#[path = "../../../host/runtime/tests/support/mod.rs"]
mod support;
use std::collections::HashMap;
use std::path::Path;
use serde_json::{Value, json};
use support::*;
use vaxel_core::{Clock as _, UserId};
use vaxel_runtime::PackageFiles;
fn res(x: &Value, s: &HashMap<String, String>) -> Value { match x {
    Value::String(t) => s.get(t).map_or_else(|| x.clone(), |i| json!(i)),
    Value::Array(a) => a.iter().map(|y| res(y, s)).collect(),
    Value::Object(o) => Value::Object(o.iter().map(|(k, y)| (k.clone(), res(y, s))).collect()),
    o => o.clone() } }
async fn call(h: &House, who: UserId, m: &str, p: Value) -> Result<Value, vaxel_core::Problem> {
    let mut c = plugin_call(h.clock.now(), ACME, who, m, p);
    c.plugin = "chat".parse().unwrap();
    Ok(serde_json::from_slice(&h.runtime.call(c).await?).unwrap())
}
#[tokio::test(flavor = "multi_thread")]
async fn demo_on_the_real_host() {
    let house = House::new().await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../stage/plugins/chat");
    let id = house.runtime.install(PackageFiles { manifest: std::fs::read_to_string(folder.join("plugin.toml")).unwrap(), component: std::fs::read(folder.join("component.wasm")).unwrap() }).await.unwrap();
    house.runtime.enable(&house.cx(ACME), &id).await.unwrap();
    let text = std::fs::read_to_string("/work/main/host/server/demo/demo.json").unwrap();
    let script: Value = serde_json::from_str(&text).unwrap();
    let org = &script["organizations"][0];
    let mut saved = HashMap::new(); let mut users = HashMap::new();
    for (n, p) in org["people"].as_array().unwrap().iter().enumerate() {
        let u = user(1000 + n as u128);
        house.people.0.lock().unwrap().insert((ACME, u), p["display_name"].as_str().unwrap().to_owned());
        saved.insert(format!("@{}", p["login"].as_str().unwrap()), u.to_string());
        users.insert(p["login"].as_str().unwrap().to_owned(), u);
    }
    let t = std::time::Instant::now();
    let calls = org["calls"].as_array().unwrap();
    for c in calls {
        house.clock.advance_ms(60_000);
        let m = c["method"].as_str().unwrap().strip_prefix("plugins/chat/").unwrap();
        let a = call(&house, users[c["as"].as_str().unwrap()], m, res(&c["params"], &saved)).await.unwrap_or_else(|e| panic!("{m} {e:?} {c}"));
        if let Some(n) = c["save"].as_str() { saved.insert(format!("${n}"), a["id"].as_str().unwrap().to_owned()); }
    }
    eprintln!("{} calls in {:?}", calls.len(), t.elapsed());
    for who in ["anna", "bertil", "carin"] {
        let t = std::time::Instant::now();
        let l = call(&house, users[who], "conversations.list", json!({"limit": 100})).await.unwrap();
        eprintln!("list {:?}", t.elapsed());
        for c in l["items"].as_array().unwrap() { eprintln!("{who} {} {} unread {} mentions {} last {}", c["kind"], c["name"], c["unread"], c["mentions"], c["last_message"]["text"]); }
    }
    let e = call(&house, users["anna"], "conversations.get", json!({"conversation": saved["$lopning"]})).await.unwrap();
    assert_eq!(e["joined"], false);
    // history of an edited one, paging
    let mut before = Value::Null; let mut n = 0;
    loop {
        let p = call(&house, users["anna"], "messages.list", json!({"conversation": saved["$drift"], "limit": 20, "before": before})).await.unwrap();
        n += p["items"].as_array().unwrap().len();
        before = match p.get("next") { Some(x) => x.clone(), None => break };
    }
    assert_eq!(n, 83);
    // 128 concurrent senders
    let t = std::time::Instant::now();
    let mut tasks = Vec::new();
    for n in 0..128u128 {
        let runtime = house.runtime.clone();
        let mut c = plugin_call(house.clock.now(), ACME, users[["anna","bertil","carin","gustav"][(n % 4) as usize]], "messages.send", json!({"conversation": saved["$drift"], "text": format!("nr {n}"), "local_id": "x"}));
        c.plugin = "chat".parse().unwrap();
        tasks.push(tokio::spawn(async move { runtime.call(c).await.map(|_| ()) }));
    }
    for task in tasks { task.await.unwrap().unwrap(); }
    eprintln!("128 sends in {:?}", t.elapsed());
    let g = call(&house, users["ingrid"], "conversations.get", json!({"conversation": saved["$drift"]})).await.unwrap();
    assert_eq!(g["unread"], 100);
    let l = call(&house, users["bertil"], "messages.list", json!({"conversation": saved["$drift"], "limit": 100})).await.unwrap();
    let m = call(&house, users["bertil"], "conversations.mark_read", json!({"conversation": saved["$drift"], "message": l["items"][0]["id"]})).await.unwrap();
    eprintln!("{m}");
    let err = call(&house, users["elin"], "messages.send", json!({"conversation": saved["$ledning"], "text": "\u{0}x", "local_id": "x"})).await.unwrap_err();
    eprintln!("{err:?}");
    let err = call(&house, users["bertil"], "conversations.get", json!({"conversation": saved["$ledning"]})).await.unwrap_err();
    eprintln!("{err:?}");
    for (m, p) in [("conversations.leave", json!({"conversation": saved["$allmant"]})), ("conversations.discover", json!({})), ("members.list", json!({"conversation": saved["$drift"], "limit": 3})), ("conversations.typing", json!({"conversation": saved["$drift"]})), ("conversations.rename", json!({"conversation": saved["$journal"], "name": "Nytt"})), ("members.remove", json!({"conversation": saved["$journal"], "member": users["bertil"].to_string()})), ("messages.history", json!({"message": l["items"][0]["id"]}))] {
        let who = if m == "members.remove" { "jonas" } else { "anna" };
        let a = call(&house, users[who], m, p).await.unwrap_or_else(|e| panic!("{m} {e:?}"));
        eprintln!("{m} {}", a.to_string().chars().take(150).collect::<String>());
    }
}
