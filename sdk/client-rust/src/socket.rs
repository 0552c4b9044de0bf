//! The WebSocket: calls, their answers, and events, in the order they come.

use std::collections::VecDeque;

use futures_util::{SinkExt, StreamExt};
use http::header::{ORIGIN, SEC_WEBSOCKET_PROTOCOL};
use serde::Deserialize;
use serde_json::{Value, json};
use yawc::{Frame, HttpRequest, OpCode, Options, WebSocket};

use crate::{ClientError, Endpoint, Problem, Wire};

/// The largest frame taken from a server: a page of 100 messages of 8,000 characters fits.
const FRAME_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Buffers begin this small, because most sockets are idle most of the time.
const BUFFER_BYTES: usize = 1024;

/// The code of the error, told right after `ready`, that answers a `resume` from too far back.
const CURSOR_EXPIRED: &str = "cursor_expired";

#[derive(Debug, Clone, Deserialize)]
pub struct Ready {
    pub cursor: String,
    pub user: String,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Event {
    /// None for what is ephemeral: typing, presence.
    #[serde(default)]
    pub cursor: Option<String>,
    pub topic: String,
    pub data: Value,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Bye {
    pub code: String,
    #[serde(default)]
    pub cursor: Option<String>,
    #[serde(default)]
    pub next: Option<String>,
    #[serde(default)]
    pub retry_after_ms: Option<u64>,
}

/// One frame from the server.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ServerFrame {
    Ready(Ready),
    Result { id: u64, result: Value },
    Error { id: Option<u64>, error: Problem },
    Event(Event),
    Bye(Bye),
}

/// An open socket, owned by one task.
pub struct Socket {
    wire: WebSocket<Wire>,
    next_id: u64,
    events: VecDeque<Event>,
    cursor: Option<String>,
    lapse: Option<Problem>,
    close_code: Option<u16>,
}

impl Socket {
    /// Opens a socket without authenticating; `origin` replaces the endpoint's own.
    pub async fn open(endpoint: &Endpoint, origin: Option<&str>) -> Result<Self, ClientError> {
        let url = endpoint.url("/api/v1/socket")?;
        let request = HttpRequest::builder()
            .header(
                ORIGIN,
                origin.map_or_else(|| endpoint.origin(), str::to_owned),
            )
            .header(SEC_WEBSOCKET_PROTOCOL, "vaxel.v1");
        let options = Options::default()
            .without_compression()
            .with_max_payload_read(FRAME_BYTES_MAX)
            .with_max_read_buffer(FRAME_BYTES_MAX)
            .with_read_buffer_capacity(BUFFER_BYTES)
            .with_write_buffer_capacity(BUFFER_BYTES);
        let wire = endpoint.open().await?;
        let wire = WebSocket::handshake_with_request(url, wire, options, request).await?;
        Ok(Self {
            wire,
            next_id: 1,
            events: VecDeque::new(),
            cursor: None,
            lapse: None,
            close_code: None,
        })
    }

    /// Authenticates, or renews the token of the same person.
    pub async fn authenticate(
        &mut self,
        token: &str,
        resume: Option<&str>,
    ) -> Result<Ready, ClientError> {
        let mut frame = json!({"type": "auth", "token": token});
        if let (Some(cursor), Some(object)) = (resume, frame.as_object_mut()) {
            object.insert("resume".to_owned(), cursor.into());
        }
        self.send_text(frame.to_string()).await?;
        loop {
            match self.next_frame().await? {
                ServerFrame::Ready(ready) => {
                    self.cursor.get_or_insert_with(|| ready.cursor.clone());
                    return Ok(ready);
                }
                ServerFrame::Error { error, .. } => return Err(error.into()),
                ServerFrame::Bye(bye) => return Err(ClientError::Bye(bye.code)),
                ServerFrame::Event(event) => self.keep(event),
                ServerFrame::Result { .. } => {}
            }
        }
    }

    /// Sends a call without waiting; its answer comes as a frame with the same id.
    pub async fn send_call(
        &mut self,
        method: &str,
        params: Value,
        idempotency_key: Option<&str>,
    ) -> Result<u64, ClientError> {
        let id = self.next_id;
        self.next_id += 1;
        let mut frame = json!({"type": "call", "id": id, "method": method, "params": params});
        if let (Some(key), Some(object)) = (idempotency_key, frame.as_object_mut()) {
            object.insert("idempotency_key".to_owned(), key.into());
        }
        self.send_text(frame.to_string()).await?;
        Ok(id)
    }

    /// Calls and waits; events that come meanwhile are kept for [`Socket::next_event`].
    pub async fn call(&mut self, method: &str, params: Value) -> Result<Value, ClientError> {
        let id = self.send_call(method, params, None).await?;
        loop {
            match self.next_frame().await? {
                ServerFrame::Result {
                    id: answered,
                    result,
                } if answered == id => {
                    return Ok(result);
                }
                ServerFrame::Error { id: None, error } if error.code == CURSOR_EXPIRED => {
                    self.lapse = Some(error);
                }
                ServerFrame::Error {
                    id: answered,
                    error,
                } if answered.is_none_or(|a| a == id) => {
                    return Err(error.into());
                }
                ServerFrame::Event(event) => self.keep(event),
                ServerFrame::Bye(bye) => return Err(ClientError::Bye(bye.code)),
                _ => {}
            }
        }
    }

    /// The next event; fails when the server says goodbye or closes, and once with `cursor_expired` when what was
    /// missed cannot be told any more: the socket lives on, its owner fetches everything anew.
    pub async fn next_event(&mut self) -> Result<Event, ClientError> {
        if let Some(lapse) = self.lapse.take() {
            return Err(lapse.into());
        }
        if let Some(event) = self.events.pop_front() {
            return Ok(event);
        }
        loop {
            match self.next_frame().await? {
                ServerFrame::Event(event) => return Ok(event),
                ServerFrame::Bye(bye) => return Err(ClientError::Bye(bye.code)),
                ServerFrame::Error { id: None, error } if error.code == CURSOR_EXPIRED => {
                    return Err(error.into());
                }
                _ => {}
            }
        }
    }

    /// The next frame of any kind; events kept by a call are not among them.
    pub async fn next_frame(&mut self) -> Result<ServerFrame, ClientError> {
        let text = self.next_text().await?;
        let frame: ServerFrame = serde_json::from_slice(&text)?;
        if let ServerFrame::Event(Event {
            cursor: Some(cursor),
            ..
        }) = &frame
        {
            self.cursor = Some(cursor.clone());
        }
        Ok(frame)
    }

    /// The next frame's bytes, unread.
    pub async fn next_text(&mut self) -> Result<bytes::Bytes, ClientError> {
        loop {
            let Some(frame) = self.wire.next().await else {
                return Err(ClientError::Closed);
            };
            match frame.opcode() {
                OpCode::Text | OpCode::Binary => return Ok(frame.into_payload()),
                OpCode::Close => {
                    let code = frame.payload().first_chunk().copied();
                    self.close_code = code.map(u16::from_be_bytes);
                    return Err(ClientError::Closed);
                }
                _ => {}
            }
        }
    }

    pub async fn send_text(&mut self, text: impl Into<bytes::Bytes>) -> Result<(), ClientError> {
        Ok(self.wire.send(Frame::text(text)).await?)
    }

    pub async fn send_frame(&mut self, frame: Frame) -> Result<(), ClientError> {
        Ok(self.wire.send(frame).await?)
    }

    /// The code (RFC 6455) that the server closed with, once it has.
    #[must_use]
    pub fn close_code(&self) -> Option<u16> {
        self.close_code
    }

    /// The place to resume from: the newest event taken off the wire.
    #[must_use]
    pub fn cursor(&self) -> Option<&str> {
        self.cursor.as_deref()
    }

    pub async fn close(mut self) -> Result<(), ClientError> {
        Ok(self.wire.close().await?)
    }

    fn keep(&mut self, event: Event) {
        self.events.push_back(event);
    }
}
