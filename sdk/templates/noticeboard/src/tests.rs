//! The plugin against the host in memory.

use serde_json::json;
use vaxel_plugin::events::Event;
use vaxel_plugin::mock::Mock;
use vaxel_plugin::pages::{Request, Sent};

#[test]
fn a_notice_stays_for_the_days_that_were_set_and_no_longer() {
    let mock = Mock::new(crate::handle);
    let anna = mock.person("Anna");
    mock.set("days", json!(2));
    mock.call_as(&anna, "notices.post", json!({"text": " Fika kl. 14 "}))
        .unwrap();
    let listed = mock.call_as(&anna, "notices.list", json!({})).unwrap();
    assert_eq!(listed["items"][0]["text"], "Fika kl. 14");
    assert_eq!(listed["items"][0]["by"], "Anna");
    mock.advance_ms(2 * crate::DAY_MS);
    let listed = mock.call_as(&anna, "notices.list", json!({})).unwrap();
    assert_eq!(listed["items"], json!([]));
}

#[test]
fn an_empty_notice_is_refused_and_the_page_keeps_what_was_typed() {
    let mock = Mock::new(crate::handle);
    let anna = mock.person("Anna");
    let refused = mock.call_as(&anna, "notices.post", json!({"text": "  "}));
    assert_eq!(refused.unwrap_err().code, "invalid");
    let sent = Sent {
        action: "post".to_owned(),
        inputs: serde_json::Map::from_iter([("text".to_owned(), json!("x".repeat(501)))]),
    };
    let request = Request {
        sent: Some(sent),
        ..Request::default()
    };
    let page = mock.run(|| crate::board::show("board", request)).unwrap();
    assert!(page.to_string().contains("Vaxel.error"), "{page}");
    assert!(page.to_string().contains(&"x".repeat(501)));
}

#[test]
fn a_message_that_says_so_becomes_a_notice() {
    let mock = Mock::new(crate::handle);
    let anna = mock.person("Anna");
    for text in ["#anslag Nycklar hittade", "hej"] {
        let payload = json!({"message": {"text": text}, "local_id": "1"});
        let event = Event {
            topic: "chat.message.created".to_owned(),
            payload: payload.to_string().into_bytes(),
            ..Event::default()
        };
        mock.run(|| crate::heard(event)).unwrap();
    }
    let listed = mock.call_as(&anna, "notices.list", json!({})).unwrap();
    assert_eq!(listed["items"][0]["text"], "Nycklar hittade");
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
}
