//! Requests to the outside.

use super::bindings::vaxel::http::http::{ConnectionState, Host, Request, Response};
use super::bindings::vaxel::types::types::Error;
use crate::guest::{Guest, Reply, guest_error};
use crate::manifest::Cap;

impl Host for Guest {
    async fn fetch(&mut self, _request: Request) -> Reply<Response> {
        Ok(self
            .may_use(Cap::Http)
            .and_then(|()| Err(guest_error("unavailable", "not yet"))))
    }

    async fn fetch_all(
        &mut self,
        _requests: Vec<Request>,
    ) -> wasmtime::Result<Vec<Result<Response, Error>>> {
        Ok(Vec::new())
    }

    fn state_of(&mut self, _connection: String) -> wasmtime::Result<ConnectionState> {
        Ok(ConnectionState::Missing)
    }
}
