//! Who a socket is: its first token seats it, later ones keep it going.

use std::sync::Arc;

use vaxel_core::{Problem, Reason, RequestId};
use vaxel_identity::{Claims, TokenError};
use vaxel_ops::Refusal;

use super::Session;
use crate::auth;
use crate::fanout::replay::{Missed, missed, seat};
use crate::socket::frame::{self, Bye};
use crate::socket::outbox::Out;
use crate::socket::writer::Writer;

impl Session {
    pub(super) async fn auth(
        &mut self,
        token: &str,
        resume: Option<String>,
        writer: &mut Writer,
    ) -> Result<(), Bye> {
        // The handshake paid for the first one, which either holds or ends the socket.
        if let Some(user) = self.user
            && let Err(problem) = self.gateway.rates().user(self.tenant.id, user)
        {
            self.gateway.metrics().refused(Refusal::Limit);
            self.say_error(None, &problem);
            return Ok(());
        }
        let claims = match self.gateway.identity().verify_for(self.tenant.id, token) {
            Ok(claims) => claims,
            Err(error) => {
                self.gateway.metrics().refused(Refusal::Token);
                if error == TokenError::WrongTenant {
                    auth::record_foreign(&self.gateway, &self.tenant, token).await;
                }
                self.say_error(None, &error.problem());
                // A socket that never was anybody has no second try; one that is somebody goes on as before.
                return if self.user.is_none() {
                    Err(Bye::Refused)
                } else {
                    self.strike()
                };
            }
        };
        match self.user {
            Some(user) if user != claims.user => {
                let problem = Problem::new(
                    Reason::Forbidden,
                    "A socket stays with the user it was opened by.",
                )
                .with_code("wrong_user");
                self.say_error(None, &problem);
                self.strike()
            }
            Some(user) => {
                self.outbox.set_claims(claims);
                if let Some(cursor) = self.cursor(writer) {
                    self.push(frame::ready(cursor, user));
                }
                Ok(())
            }
            None => self.begin(claims, resume, writer).await,
        }
    }

    /// The first token: seats the socket, then sends what was missed before anything new.
    async fn begin(
        &mut self,
        claims: Arc<Claims>,
        resume: Option<String>,
        writer: &mut Writer,
    ) -> Result<(), Bye> {
        let storage = self.gateway.storage();
        let (tenant, user) = (self.tenant.id, claims.user);
        self.outbox.set_claims(claims);
        let seated = match seat(storage, &self.hub, &self.outbox, tenant, user).await {
            Ok(seated) => seated,
            Err(problem) => {
                self.say_error(None, &problem);
                return Err(Bye::Refused);
            }
        };
        let live = seated.live;
        self.user = Some(user);
        let max = self.gateway.limits().replay_events_max;
        let asked = match &resume {
            None => Missed::Unasked,
            Some(after) => missed(storage, tenant, user, after, &seated, max).await,
        };
        let (from, frames) = match asked {
            Missed::Unasked => (live, Vec::new()),
            Missed::Expired => {
                let problem = Problem::new(
                    Reason::NotFound,
                    "Too much was missed, or too long ago: fetch everything anew.",
                )
                .with_code("cursor_expired");
                let request = RequestId::new(self.gateway.now());
                (
                    live,
                    vec![Out::Reply(frame::error(None, &problem, request))],
                )
            }
            Missed::Events(events) => {
                // Until the first of them is there, the client stands where it stood.
                let stood = resume.as_deref().and_then(|text| text.parse().ok());
                let from = if events.is_empty() {
                    live
                } else {
                    stood.unwrap_or(live)
                };
                let frames = events
                    .into_iter()
                    .map(|(stamp, frame)| Out::Event { frame, stamp });
                (from, frames.collect())
            }
        };
        self.ready_at = Some(from);
        writer.first([Out::Reply(frame::ready(from, user))]);
        writer.first(frames);
        Ok(())
    }
}
