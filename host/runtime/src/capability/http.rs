//! Requests to the outside.

use super::bindings::vaxel::http::http::{ConnectionState, Host, Request, Response};
use super::bindings::vaxel::types::types::Error;
use crate::guest::{Guest, Reply, guest_error};

impl Host for Guest {
    async fn fetch(&mut self, request: Request) -> Reply<Response> {
        let mut answers = self.asks_outside(vec![request]).await?;
        Ok(answers
            .pop()
            .unwrap_or_else(|| Err(guest_error("unavailable", "no answer"))))
    }

    async fn fetch_all(
        &mut self,
        requests: Vec<Request>,
    ) -> wasmtime::Result<Vec<Result<Response, Error>>> {
        self.asks_outside(requests).await
    }

    fn state_of(&mut self, connection: String) -> wasmtime::Result<ConnectionState> {
        Ok(self.connection_state(&connection))
    }
}
