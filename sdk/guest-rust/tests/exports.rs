//! A plugin with every export, and the capabilities beyond rows and events, behave natively as in the host.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use vaxel_plugin::events::Event;
use vaxel_plugin::hooks::{Asked, Happening, Verdict};
use vaxel_plugin::http::{ConnectionState, Incoming, Response};
use vaxel_plugin::mock::Mock;
use vaxel_plugin::schedule::Job;
use vaxel_plugin::{
    Empty, Error, Progress, Result, blobs, config, crypto, http, interop, log, pages, schedule,
    step_up, storage,
};

#[derive(Deserialize, JsonSchema)]
struct Note {
    text: String,
}

#[derive(Serialize, JsonSchema)]
struct Said {
    text: String,
}

const URL: &str = "https://api.example.com/translate";

fn translate(note: Note) -> Result<Said> {
    log::metric("translations", 1.0);
    let request = http::post(URL)
        .connection("api")
        .json(&json!({ "text": note.text }))?;
    let answer = request.send()?;
    if !answer.is_success() {
        return Err(Error::new("unavailable", "the translator is away"));
    }
    let text: String = answer.json()?;
    Ok(Said { text })
}

fn remind(note: Note) -> Result<Empty> {
    let wait_ms: u64 = config::get("wait_ms")?.unwrap_or(1_000);
    schedule::after("remind", "one", wait_ms, &note.text)?;
    Ok(Empty {})
}

fn pay(_: Empty) -> Result<Said> {
    let proof = step_up::spend("pay")?;
    storage::put("paid", b"")?;
    if storage::get("fail")?.is_some() {
        return Err(Error::conflict("on purpose"));
    }
    Ok(Said { text: proof.method })
}

fn run(job: Job) -> Result<Progress> {
    let Some(cursor) = job.cursor.as_deref() else {
        storage::put("reminded", job.json::<String>()?.as_bytes())?;
        return Ok(Progress::More(b"next".to_vec()));
    };
    storage::put("cursor", cursor)?;
    Ok(Progress::Done)
}

fn on_event(event: Event) -> Result<()> {
    storage::put(&event.id, event.topic.as_bytes())
}

fn check(asked: Asked) -> Result<Verdict> {
    let note: Note = asked.json()?;
    match note.text.as_str() {
        "no" => Ok(Verdict::veto("not so")),
        "shout" => Verdict::modify(&json!({ "text": "SHOUT" })),
        _ => Ok(Verdict::Allow),
    }
}

fn told(happening: Happening) -> Result<()> {
    storage::put_json("told", &happening.answer::<Value>()?)
}

fn show(page: &str, request: pages::Request) -> Result<Value> {
    let name = request.sent.as_ref().map_or("", |sent| sent.text("name"));
    Ok(json!({ "type": "Page", "title": page, "body": [], "name": name }))
}

fn serve(request: Incoming) -> Result<Response> {
    Ok(Response::text(202, &request.path))
}

fn nothing() -> Result<()> {
    Ok(())
}

fn step(_from: u32, _cursor: Option<Vec<u8>>) -> Result<Progress> {
    Ok(Progress::Done)
}

fn how() -> Result<String> {
    Ok("well".to_owned())
}

vaxel_plugin::export! {
    methods { "notes.translate" => translate, "notes.remind" => remind, "notes.pay" => pay },
    jobs => run,
    events => on_event,
    before => check,
    after => told,
    pages => show,
    http => serve,
    install => nothing,
    uninstall => nothing,
    enable => nothing,
    disable => nothing,
    migrate => step,
    health => how,
}

#[test]
fn requests_get_the_given_answers_and_are_seen_even_where_the_call_failed() {
    let mock = Mock::new(handle);
    let anna = mock.person("Anna");
    mock.answer("POST", URL, Response::text(503, ""));
    let note = json!({ "text": "hello" });
    let refused = mock.call_as(&anna, "notes.translate", note.clone());
    assert_eq!(refused.unwrap_err().code, "unavailable");
    mock.answer("POST", URL, Response::of_json(200, "hej").unwrap());
    let said = mock.call_as(&anna, "notes.translate", note).unwrap();
    assert_eq!(said, json!({ "text": "hej" }));
    let requests = mock.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[0].connection.as_deref(), Some("api"));
    assert_eq!(
        requests[0].body.as_deref(),
        Some(&b"{\"text\":\"hello\"}"[..])
    );
    assert_eq!(http::connection("api"), ConnectionState::Missing);
    assert!(mock.metric("translations") >= 1.0);
}

#[test]
fn scheduled_work_is_seen_and_runs_step_by_step() {
    let mock = Mock::new(handle);
    let anna = mock.person("Anna");
    mock.set("wait_ms", json!(5_000));
    mock.call_as(&anna, "notes.remind", json!({ "text": "tea" }))
        .unwrap();
    let waiting = mock.scheduled();
    assert_eq!(waiting[0].payload, json!("tea"));
    let job = Job {
        name: waiting[0].job.clone(),
        payload: waiting[0].payload.to_string().into_bytes(),
        ..Job::default()
    };
    let more = mock.run(|| run(job.clone())).unwrap();
    let cursor = Some(b"next".to_vec());
    assert_eq!(more, Progress::More(b"next".to_vec()));
    let done = mock.run(|| run(Job { cursor, ..job })).unwrap();
    assert_eq!(done, Progress::Done);
    assert_eq!(mock.keys(), [b"cursor".to_vec(), b"reminded".to_vec()]);
}

#[test]
fn a_proof_is_spent_even_where_the_call_fails() {
    let mock = Mock::new(handle);
    let anna = mock.person("Anna");
    let refused = mock.call_as(&anna, "notes.pay", json!({})).unwrap_err();
    assert_eq!(refused.code, "step-up-required");
    mock.run(|| storage::put("fail", b"")).unwrap();
    mock.proven("pay", "pin", None);
    let refused = mock.call_as(&anna, "notes.pay", json!({})).unwrap_err();
    assert_eq!(refused.code, "conflict");
    let refused = mock.call_as(&anna, "notes.pay", json!({})).unwrap_err();
    assert_eq!(refused.code, "step-up-required");
}

#[test]
fn values_for_a_time_are_gone_after_it_and_links_too() {
    let mock = Mock::new(handle);
    let link = mock
        .run(|| {
            storage::put_for("code", b"1234", 1_000)?;
            crypto::seal("invite", b"anna", 1_000)
        })
        .unwrap();
    mock.run(|| {
        assert!(storage::get("code")?.is_some());
        assert_eq!(crypto::unseal("invite", &link)?, b"anna");
        assert_eq!(crypto::unseal("reset", &link).unwrap_err().code, "invalid");
        assert_ne!(storage::blind("a", "x")?, storage::blind("b", "x")?);
        Ok(())
    })
    .unwrap();
    mock.advance_ms(1_001);
    mock.run(|| {
        assert!(storage::get("code")?.is_none());
        assert_eq!(crypto::unseal("invite", &link).unwrap_err().code, "invalid");
        Ok(())
    })
    .unwrap();
}

#[test]
fn other_plugins_answer_what_the_test_says_and_files_come_when_they_were_uploaded() {
    let mock = Mock::new(handle);
    mock.other_plugin("chat", "messages.send", Ok(json!({ "id": "hej" })));
    mock.run(|| {
        let sent: Value = interop::call("chat", "messages.send", &json!({ "text": "hej" }))?;
        assert_eq!(sent["id"], "hej");
        let none = interop::call::<_, Value>("chat", "messages.burn", &json!({}));
        assert_eq!(none.unwrap_err().code, "unavailable");
        let upload = blobs::upload_url("image/png", 10)?;
        assert_eq!(blobs::stat(&upload.id).unwrap_err().code, "not-found");
        mock.upload(&upload.id, "image/png", b"png");
        assert_eq!(blobs::read(&upload.id, 1, 10)?, b"ng");
        Ok(())
    })
    .unwrap();
}

#[test]
fn hooks_events_pages_and_requests_run_as_the_host_runs_them() {
    let mock = Mock::new(handle);
    let asked = |text: &str| Asked {
        params: json!({ "text": text }).to_string().into_bytes(),
        ..Asked::default()
    };
    assert_eq!(
        mock.run(|| check(asked("no"))).unwrap(),
        Verdict::veto("not so")
    );
    assert_eq!(mock.run(|| check(asked("yes"))).unwrap(), Verdict::Allow);
    let event = Event {
        id: "one".to_owned(),
        topic: "chat.message.created".to_owned(),
        ..Event::default()
    };
    mock.run(|| on_event(event)).unwrap();
    assert_eq!(mock.keys(), [b"one".to_vec()]);
    let page = mock
        .run(|| show("main", pages::Request::default()))
        .unwrap();
    assert_eq!(page["title"], "main");
    let answer = mock.run(|| serve(Incoming::default())).unwrap();
    assert_eq!(answer.status, 202);
}
