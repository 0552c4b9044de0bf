//! A person at a screen: says, reads, and calls what the client would call.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Mutex;
use vaxel_client::{Client, ClientError, Event, RequestOptions, Socket};

use crate::host::{PASSWORD, TestHost};

/// How long a test waits for what must come: far beyond any slow machine, short of forever.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits for what must come; `what` is told when it does not.
pub async fn patiently<T>(what: &str, wait: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, wait).await {
        Ok(value) => value,
        Err(_) => panic!("waited in vain for {what}"),
    }
}

pub struct Person {
    pub id: String,
    pub login: String,
    pub tenant: String,
    pub client: Client,
    host: TestHost,
    socket: Mutex<Socket>,
}

/// What somebody is about to say, and to whom.
pub struct Saying<'a> {
    who: &'a Person,
    text: String,
    reply_to: Option<String>,
    mentions: Vec<String>,
}

impl Person {
    pub(crate) async fn sign_in(host: TestHost, tenant: &str, login: &str) -> Self {
        let client = host.client(tenant);
        let session = client
            .login(login, PASSWORD)
            .await
            .unwrap_or_else(|error| panic!("{login} signs in: {error:?}\n{}", host.log_tail()));
        let socket = client.socket(None).await.expect("a socket");
        Self {
            id: session.user["id"].as_str().expect("an id").to_owned(),
            login: login.to_owned(),
            tenant: tenant.to_owned(),
            client,
            host,
            socket: Mutex::new(socket),
        }
    }

    /// The same person on a second device, signed in anew.
    pub async fn second_device(&self) -> Self {
        Self::sign_in(self.host.clone(), &self.tenant, &self.login).await
    }

    /// Opens a new socket, from the last one's cursor if asked.
    pub async fn reconnect(&self, resume: bool) -> Result<(), ClientError> {
        let mut socket = self.socket.lock().await;
        let cursor = socket.cursor().map(str::to_owned);
        *socket = self
            .client
            .socket(cursor.as_deref().filter(|_| resume))
            .await?;
        Ok(())
    }

    pub fn says(&self, text: &str) -> Saying<'_> {
        Saying {
            who: self,
            text: text.to_owned(),
            reply_to: None,
            mentions: Vec::new(),
        }
    }

    /// Calls one of chat's methods; it must succeed.
    pub async fn chat(&self, method: &str, params: Value) -> Value {
        match self.try_chat(method, params).await {
            Ok(result) => result,
            Err(error) => panic!(
                "{} calls {method}: {error}: {:?}\n{}",
                self.login,
                error.problem(),
                self.host.log_tail()
            ),
        }
    }

    pub async fn try_chat(&self, method: &str, params: Value) -> Result<Value, ClientError> {
        self.client
            .call(&format!("plugins/chat/{method}"), params)
            .await
    }

    /// Calls one of chat's methods with an idempotency key.
    pub async fn chat_once(
        &self,
        key: &str,
        method: &str,
        params: Value,
    ) -> Result<Value, ClientError> {
        let options = RequestOptions {
            idempotency_key: Some(key.to_owned()),
            ..RequestOptions::default()
        };
        self.client
            .call_with(&format!("plugins/chat/{method}"), params, options)
            .await
    }

    /// Calls over the socket.
    pub async fn socket_call(&self, method: &str, params: Value) -> Result<Value, ClientError> {
        patiently(method, self.socket.lock().await.call(method, params)).await
    }

    /// The direct conversation with somebody.
    pub async fn direct_with(&self, other: &Person) -> String {
        let made = self
            .chat(
                "conversations.create",
                json!({"kind": "direct", "members": [other.id]}),
            )
            .await;
        text_of(&made["id"])
    }

    pub async fn creates_group(&self, name: &str, members: &[&Person]) -> String {
        let members: Vec<&str> = members.iter().map(|member| member.id.as_str()).collect();
        let made = self
            .chat(
                "conversations.create",
                json!({"kind": "group", "name": name, "members": members}),
            )
            .await;
        text_of(&made["id"])
    }

    pub async fn creates_channel(&self, name: &str) -> String {
        let made = self
            .chat(
                "conversations.create",
                json!({"kind": "channel", "name": name, "members": []}),
            )
            .await;
        text_of(&made["id"])
    }

    /// The conversation as this person's list shows it.
    pub async fn sees_conversation(&self, conversation: &str) -> Value {
        self.chat("conversations.get", json!({"conversation": conversation}))
            .await
    }

    /// All messages of a conversation, oldest first, page by page.
    pub async fn history(&self, conversation: &str) -> Vec<Value> {
        let mut messages = Vec::new();
        let mut before = Value::Null;
        loop {
            let mut params = json!({"conversation": conversation, "limit": 100});
            if !before.is_null() {
                params["before"] = before;
            }
            let page = self.chat("messages.list", params).await;
            messages.extend(page["items"].as_array().expect("messages").iter().cloned());
            before = page["next"].clone();
            if before.is_null() {
                messages.reverse();
                return messages;
            }
        }
    }

    /// Waits for the next event whose topic is this.
    pub async fn sees(&self, topic: &str) -> Event {
        let mut socket = self.socket.lock().await;
        patiently(&format!("{topic} at {}", self.login), async {
            loop {
                let event = socket.next_event().await.expect("an event");
                if event.topic == topic {
                    return event;
                }
            }
        })
        .await
    }

    /// Waits until a message with this text arrives, and answers the message.
    pub async fn reads(&self, text: &str) -> Value {
        loop {
            let event = self.sees("chat.message.created").await;
            if event.data["message"]["text"] == text {
                return event.data["message"].clone();
            }
        }
    }

    /// The next event of any kind, or the goodbye.
    pub async fn next_event(&self) -> Result<Event, ClientError> {
        patiently("an event", self.socket.lock().await.next_event()).await
    }

    /// The place this person would resume from.
    pub async fn cursor(&self) -> Option<String> {
        self.socket.lock().await.cursor().map(str::to_owned)
    }
}

impl Saying<'_> {
    #[must_use]
    pub fn in_reply_to(mut self, message: &Value) -> Self {
        self.reply_to = message["id"].as_str().map(str::to_owned);
        self
    }

    #[must_use]
    pub fn mentioning(mut self, person: &Person) -> Self {
        self.mentions.push(person.id.clone());
        self
    }

    /// Says it in the direct conversation with somebody.
    pub async fn to(self, other: &Person) -> Value {
        let conversation = self.who.direct_with(other).await;
        self.in_conversation(&conversation).await
    }

    /// Says it in a conversation and answers the message.
    pub async fn in_conversation(self, conversation: &str) -> Value {
        let mut params = json!({
            "conversation": conversation,
            "text": self.text,
            "local_id": format!("local-{}", self.text.len()),
        });
        if let Some(reply_to) = self.reply_to {
            params["reply_to"] = reply_to.into();
        }
        if !self.mentions.is_empty() {
            params["mentions"] = self.mentions.into();
        }
        let sent = self.who.chat("messages.send", params).await;
        sent["message"].clone()
    }
}

fn text_of(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}
