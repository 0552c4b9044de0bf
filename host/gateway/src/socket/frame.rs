//! Frames as JSON text: read once from a client, written once for all who receive them.

use std::borrow::Cow;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use vaxel_core::{PluginId, Problem, RequestId, UserId};
use vaxel_storage::{Cursor, Event};

use crate::fanout::presence::Status;
use crate::http::calls::PROOF_LEN_MAX;
use crate::http::json::Given;
use crate::http::problem::ProblemBody;

/// The largest id of a call: what every JSON number can carry exactly.
const CALL_ID_MAX: u64 = (1 << 53) - 1;

/// The longest method name: `plugins/`, 32 of the plugin, and the method's own.
const METHOD_LEN_MAX: usize = 160;

/// What a client sends. Fields that we do not know are ignored, so that newer clients can talk to us.
#[derive(Deserialize)]
struct Sent<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(default)]
    id: Option<u64>,
    #[serde(default, borrow)]
    method: Option<Cow<'a, str>>,
    #[serde(default)]
    params: Option<Given>,
    #[serde(default)]
    idempotency_key: Option<String>,
    #[serde(default)]
    proof: Option<String>,
    #[serde(default)]
    token: Option<String>,
    #[serde(default)]
    resume: Option<String>,
}

/// A frame from a client.
pub(crate) enum Inbound {
    Auth {
        token: String,
        resume: Option<String>,
    },
    Call {
        id: u64,
        method: String,
        params: Value,
        idempotency_key: Option<String>,
        /// What was shown in a step-up.
        proof: Option<String>,
    },
}

/// A frame that is not one. The id, where it could be read, so that the caller knows which.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Malformed {
    pub(crate) id: Option<u64>,
    pub(crate) why: &'static str,
}

/// Reads a frame.
pub(crate) fn parse(text: &[u8]) -> Result<Inbound, Malformed> {
    let bad = |id, why| Malformed { id, why };
    let sent: Sent<'_> = serde_json::from_slice(text)
        .map_err(|_| bad(None, "A frame is a JSON object with a type."))?;
    match sent.kind.as_ref() {
        "auth" => {
            let token = sent
                .token
                .ok_or_else(|| bad(None, "An auth frame carries a token."))?;
            Ok(Inbound::Auth {
                token,
                resume: sent.resume,
            })
        }
        "call" => {
            let id = sent
                .id
                .filter(|id| *id <= CALL_ID_MAX)
                .ok_or_else(|| bad(None, "A call carries an id, a number of at most 2^53 - 1."))?;
            let method = sent
                .method
                .filter(|method| method.len() <= METHOD_LEN_MAX)
                .ok_or_else(|| bad(Some(id), "A call names its method."))?;
            let params = match sent.params {
                Some(given) if given.has_twins => {
                    return Err(bad(Some(id), "The parameters have the same key twice."));
                }
                Some(given) => given.value,
                None => Value::Object(serde_json::Map::new()),
            };
            Ok(Inbound::Call {
                id,
                method: method.into_owned(),
                params,
                idempotency_key: sent.idempotency_key,
                proof: sent.proof.filter(|proof| proof.len() <= PROOF_LEN_MAX),
            })
        }
        _ => Err(bad(sent.id, "A frame is of type auth or call.")),
    }
}

/// What ends a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bye {
    Draining,
    Revoked,
    Expired,
    Slow,
    /// Garbage, or silence where a token was due.
    Refused,
}

impl Bye {
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::Draining => "draining",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
            Self::Slow => "slow",
            Self::Refused => "refused",
        }
    }

    /// When to come back, in milliseconds; `None` where coming back needs a person or a new token first.
    pub(crate) const fn retry_after_ms(self) -> Option<u32> {
        match self {
            Self::Draining => Some(1_000),
            Self::Slow => Some(500),
            Self::Revoked | Self::Expired | Self::Refused => None,
        }
    }
}

fn text<T: Serialize>(frame: &T) -> Bytes {
    match serde_json::to_vec(frame) {
        Ok(bytes) => Bytes::from(bytes),
        Err(error) => {
            tracing::error!(%error, "a frame cannot be written as JSON");
            Bytes::new()
        }
    }
}

/// `ready`
pub(crate) fn ready(cursor: Cursor, user: UserId) -> Bytes {
    #[derive(Serialize)]
    struct Ready {
        r#type: &'static str,
        cursor: String,
        user: UserId,
    }
    text(&Ready {
        r#type: "ready",
        cursor: cursor.to_string(),
        user,
    })
}

/// `result`, around what the method answered, which is JSON already.
pub(crate) fn result(id: u64, json: &[u8]) -> Bytes {
    let mut frame = Vec::with_capacity(json.len() + 48);
    frame.extend_from_slice(br#"{"type":"result","id":"#);
    frame.extend_from_slice(id.to_string().as_bytes());
    frame.extend_from_slice(br#","result":"#);
    frame.extend_from_slice(json);
    frame.push(b'}');
    Bytes::from(frame)
}

/// `error`, of one call or, without an id, of the socket.
pub(crate) fn error(id: Option<u64>, problem: &Problem, request: RequestId) -> Bytes {
    #[derive(Serialize)]
    struct Error {
        r#type: &'static str,
        id: Option<u64>,
        error: ProblemBody,
    }
    text(&Error {
        r#type: "error",
        id,
        error: ProblemBody::new(problem, request),
    })
}

/// `bye`
pub(crate) fn bye(bye: Bye, cursor: Option<Cursor>) -> Bytes {
    #[derive(Serialize)]
    struct Said {
        r#type: &'static str,
        code: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        cursor: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_after_ms: Option<u32>,
    }
    text(&Said {
        r#type: "bye",
        code: bye.code(),
        cursor: cursor.map(|cursor| cursor.to_string()),
        retry_after_ms: bye.retry_after_ms(),
    })
}

/// A stored event, for everybody who receives it. The payload is JSON of a plugin's making; what is none becomes null
/// instead of breaking the frame around it.
pub(crate) fn event(epoch: u64, event: &Event) -> Bytes {
    let cursor = Cursor {
        epoch,
        stamp: event.stamp,
    };
    write_event(Some(cursor), &event.topic, &event.payload)
}

/// An event that is only for whoever is there.
pub(crate) fn ephemeral(topic: &str, payload: &[u8]) -> Bytes {
    write_event(None, topic, payload)
}

fn write_event(cursor: Option<Cursor>, topic: &str, payload: &[u8]) -> Bytes {
    let sound = serde_json::from_slice::<serde::de::IgnoredAny>(payload).is_ok();
    if !sound {
        tracing::error!(event.topic = topic, "an event's payload is not JSON");
    }
    let mut frame = Vec::with_capacity(payload.len() + topic.len() + 96);
    frame.extend_from_slice(br#"{"type":"event","#);
    if let Some(cursor) = cursor {
        frame.extend_from_slice(br#""cursor":""#);
        // A cursor prints as hex and hyphens only.
        frame.extend_from_slice(cursor.to_string().as_bytes());
        frame.extend_from_slice(br#"","#);
    }
    frame.extend_from_slice(br#""topic":"#);
    frame.extend_from_slice(&serde_json::to_vec(topic).unwrap_or_else(|_| b"\"\"".to_vec()));
    frame.extend_from_slice(br#","data":"#);
    frame.extend_from_slice(if sound { payload } else { b"null" });
    frame.push(b'}');
    Bytes::from(frame)
}

/// Changes of presence that are told one by one; more come as one list, so that a crowd that arrives at once does
/// not cost the square of its size.
const PRESENCE_SINGLE_MAX: usize = 8;

/// What changed in who is there.
pub(crate) fn presence(changes: &[(UserId, Status)]) -> Vec<Bytes> {
    #[derive(Serialize)]
    struct Changed {
        user: UserId,
        status: Status,
    }
    #[derive(Serialize)]
    struct List {
        items: Vec<Changed>,
    }
    let all = changes.iter().map(|(user, status)| Changed {
        user: *user,
        status: *status,
    });
    if changes.len() > PRESENCE_SINGLE_MAX {
        let list = text(&List {
            items: all.collect(),
        });
        return vec![ephemeral("presence.listed", &list)];
    }
    all.map(|one| ephemeral("presence.changed", &text(&one)))
        .collect()
}

/// A plugin was switched on or off. Whoever is away meets it when they come back: they ask what is on.
pub(crate) fn plugin_switched(plugin: &PluginId, enabled: bool) -> Bytes {
    #[derive(Serialize)]
    struct Switched<'a> {
        plugin: &'a str,
        enabled: bool,
    }
    let switched = Switched {
        plugin: plugin.as_str(),
        enabled,
    };
    ephemeral("plugins.switched", &text(&switched))
}

/// Something waits for a second administrator, or does no more. What it is, they ask.
pub(crate) fn approvals_changed() -> Bytes {
    ephemeral("approvals.changed", "{}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use vaxel_storage::{AudienceId, Stamp};

    fn read(bytes: &Bytes) -> Value {
        serde_json::from_slice(bytes).unwrap()
    }

    #[test]
    fn a_call_and_an_auth_frame_are_read() {
        let call = parse(br#"{"type":"call","id":7,"method":"users/me","later":1}"#).unwrap();
        assert!(
            matches!(call, Inbound::Call { id: 7, ref method, ref params, .. }
            if method == "users/me" && *params == json!({}))
        );
        let auth = parse(br#"{"type":"auth","token":"t","resume":"c"}"#).unwrap();
        assert!(
            matches!(auth, Inbound::Auth { ref token, resume: Some(ref c) } if token == "t" && c == "c")
        );
    }

    #[test]
    fn what_is_no_frame_is_refused_with_its_id_where_it_has_one() {
        let table: [(&[u8], Option<u64>); 9] = [
            (b"", None),
            (b"[]", None),
            (b"{", None),
            (b"null", None),
            (br#"{"type":"call"}"#, None),
            (br#"{"type":"call","id":-1,"method":"x"}"#, None),
            (
                br#"{"type":"call","id":9007199254740992,"method":"x"}"#,
                None,
            ),
            (br#"{"type":"call","id":3}"#, Some(3)),
            (br#"{"type":"dance","id":4}"#, Some(4)),
        ];
        for (text, id) in table {
            let refused = parse(text).err().unwrap();
            assert_eq!(refused.id, id, "{}", String::from_utf8_lossy(text));
        }
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let call = format!(r#"{{"type":"call","id":1,"method":"x","params":{deep}}}"#);
        assert!(parse(call.as_bytes()).is_err());
    }

    #[test]
    fn events_carry_their_payload_as_it_is() {
        let happened = Event {
            audience: AudienceId([0; 16]),
            stamp: Stamp { seq: 5, ordinal: 1 },
            topic: "chat.message.created".into(),
            payload: Bytes::from_static(br#"{"message":{"text":"hej"}}"#),
        };
        let frame = read(&event(9, &happened));
        assert_eq!(frame["data"]["message"]["text"], "hej");
        assert_eq!(frame["topic"], "chat.message.created");
        let cursor: Cursor = frame["cursor"].as_str().unwrap().parse().unwrap();
        assert_eq!(
            cursor,
            Cursor {
                epoch: 9,
                stamp: happened.stamp
            }
        );
        assert!(
            read(&ephemeral("chat.typing", b"{}"))
                .get("cursor")
                .is_none()
        );
    }

    #[test]
    fn a_payload_that_is_no_json_cannot_forge_a_frame() {
        for payload in [&b"1},{\"type\":\"bye\""[..], b"", b"\xff", b"{} {}"] {
            assert_eq!(read(&ephemeral("x", payload))["data"], Value::Null);
        }
    }

    #[test]
    fn a_crowd_is_told_in_one_frame() {
        let of = |n: u128| {
            (0..n)
                .map(|i| (UserId::from_u128(i), Status::Online))
                .collect::<Vec<_>>()
        };
        assert_eq!(presence(&of(8)).len(), 8);
        let frames = presence(&of(9));
        assert_eq!(frames.len(), 1);
        assert_eq!(
            read(&frames[0])["data"]["items"].as_array().unwrap().len(),
            9
        );
    }
}
