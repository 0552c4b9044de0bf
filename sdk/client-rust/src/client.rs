//! One person's (or nobody's) view of the server over HTTP.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, HOST, ORIGIN};
use http::{Method, Request, Response};
use http_body_util::Full;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::cookies::Cookies;
use crate::pool::Pool;
use crate::{ClientError, Endpoint, Problem, Socket};

/// What signing in answers.
#[derive(Clone, Deserialize)]
pub struct Session {
    pub access_token: String,
    pub expires_in: u64,
    pub user: Value,
    #[serde(default)]
    pub tenant: Value,
}

/// What a call carries beside its parameters.
#[derive(Default, Clone)]
pub struct RequestOptions {
    /// Makes a retry safe for 24 hours.
    pub idempotency_key: Option<String>,
    /// Another token than the client's own; `Some("")` sends none.
    pub token: Option<String>,
    /// Another `Origin` than the endpoint's.
    pub origin: Option<String>,
    /// Another `Host` than the endpoint's.
    pub host: Option<String>,
}

/// A cheap handle; clones share token, cookies and connections.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

struct Shared {
    pool: Pool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    token: Option<String>,
    cookies: Cookies,
}

impl Client {
    #[must_use]
    pub fn new(endpoint: Endpoint) -> Self {
        Self {
            shared: Arc::new(Shared {
                pool: Pool::new(endpoint),
                state: Mutex::new(State::default()),
            }),
        }
    }

    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        self.shared.pool.endpoint()
    }

    /// Signs in; later calls carry the token, refreshes the cookie.
    pub async fn login(&self, login: &str, password: &str) -> Result<Session, ClientError> {
        self.session(
            "session/login",
            json!({"login": login, "password": password}),
        )
        .await
    }

    /// Trades the refresh cookie for a new token and a new cookie.
    pub async fn refresh(&self) -> Result<Session, ClientError> {
        self.session("session/refresh", json!({})).await
    }

    /// Redeems an invitation or a reset.
    pub async fn accept(&self, token: &str, password: &str) -> Result<Session, ClientError> {
        self.session(
            "users/accept",
            json!({"token": token, "password": password}),
        )
        .await
    }

    /// Calls any method that answers with a session, and takes it over.
    pub async fn session(&self, method: &str, params: Value) -> Result<Session, ClientError> {
        let answer = self.call(method, params).await?;
        let session: Session = serde_json::from_value(answer)?;
        self.state().token = Some(session.access_token.clone());
        Ok(session)
    }

    pub async fn logout(&self) -> Result<(), ClientError> {
        self.call("session/logout", json!({})).await?;
        self.state().token = None;
        Ok(())
    }

    #[must_use]
    pub fn token(&self) -> Option<String> {
        self.state().token.clone()
    }

    pub fn set_token(&self, token: Option<String>) {
        self.state().token = token;
    }

    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<String> {
        self.state().cookies.get(name).map(str::to_owned)
    }

    pub fn set_cookie(&self, name: &str, value: &str) {
        self.state().cookies.set(name, value);
    }

    /// Closes idle connections, whose other end is known to be gone; the next call opens a new one.
    pub fn forget_connections(&self) {
        self.shared.pool.clear();
    }

    /// Calls `users/me`, `plugins/chat/messages.send` and the like.
    pub async fn call(&self, method: &str, params: Value) -> Result<Value, ClientError> {
        self.call_with(method, params, RequestOptions::default())
            .await
    }

    pub async fn call_with(
        &self,
        method: &str,
        params: Value,
        options: RequestOptions,
    ) -> Result<Value, ClientError> {
        let body = Bytes::from(serde_json::to_vec(&params)?);
        let response = self.post(method, body, &options).await?;
        read_answer(&response)
    }

    /// Posts any bytes as JSON and gives the answer as it came.
    pub async fn post(
        &self,
        method: &str,
        body: Bytes,
        options: &RequestOptions,
    ) -> Result<Response<Bytes>, ClientError> {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(format!("/api/v1/{method}"))
            .header(CONTENT_TYPE, "application/json");
        if let Some(key) = &options.idempotency_key {
            request = request.header("Idempotency-Key", key);
        }
        self.send(request, body, options).await
    }

    /// Fetches a path; the answer comes as it is, whatever its status.
    pub async fn get(&self, path: &str) -> Result<Response<Bytes>, ClientError> {
        self.get_with(path, &RequestOptions::default()).await
    }

    pub async fn get_with(
        &self,
        path: &str,
        options: &RequestOptions,
    ) -> Result<Response<Bytes>, ClientError> {
        let request = Request::builder().method(Method::GET).uri(path);
        self.send(request, Bytes::new(), options).await
    }

    /// Fetches a path and reads it as JSON.
    pub async fn get_json(&self, path: &str) -> Result<Value, ClientError> {
        read_answer(&self.get(path).await?)
    }

    /// Sends a request of the caller's own, with host, origin, token and cookies added.
    pub async fn send(
        &self,
        mut request: http::request::Builder,
        body: Bytes,
        options: &RequestOptions,
    ) -> Result<Response<Bytes>, ClientError> {
        let endpoint = self.endpoint();
        let host = options.host.clone().unwrap_or_else(|| endpoint.authority());
        let origin = options.origin.clone().unwrap_or_else(|| endpoint.origin());
        request = request.header(HOST, host).header(ORIGIN, origin);
        {
            let state = self.state();
            match options.token.as_deref().or(state.token.as_deref()) {
                None | Some("") => {}
                Some(token) => {
                    request = request.header(AUTHORIZATION, format!("Bearer {token}"));
                }
            }
            if let Some(cookies) = state.cookies.header() {
                request = request.header(COOKIE, cookies);
            }
        }
        let response = self
            .shared
            .pool
            .send(request.body(Full::new(body))?)
            .await?;
        self.state().cookies.take(response.headers());
        Ok(response)
    }

    /// Opens a socket and authenticates with the client's token.
    pub async fn socket(&self, resume: Option<&str>) -> Result<Socket, ClientError> {
        let mut socket = Socket::open(self.endpoint(), None).await?;
        let token = self.token().unwrap_or_default();
        socket.authenticate(&token, resume).await?;
        Ok(socket)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn read_answer(response: &Response<Bytes>) -> Result<Value, ClientError> {
    let status = response.status();
    if status.is_success() {
        if response.body().is_empty() {
            return Ok(Value::Null);
        }
        return Ok(serde_json::from_slice(response.body())?);
    }
    match serde_json::from_slice::<Problem>(response.body()) {
        Ok(mut problem) => {
            problem.status = status.as_u16();
            Err(problem.into())
        }
        Err(_) => Err(ClientError::Protocol(format!("{status} without a problem"))),
    }
}
