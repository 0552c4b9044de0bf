//! Where a browser gets its ticket: signed here without being seen, for having shown who one is; afterwards nobody can say
//! whose it is. The browser's script makes it, since whoever made it for the browser would know it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use vaxel_core::{PluginId, Problem};
use vaxel_identity::{IdentityError, Tenant, Ticket, TicketGiven};

use super::words::words;
use super::{Asking, PROOF_COOKIE, cookie_of, held, proven, tag, with_cookie};
use crate::Gateway;
use crate::http::{Response, cookie};
use crate::pages::html::Html;
use crate::pages::shell;
use crate::pages::tree::RequiredProof;

/// In front of the names of cookies that hold tickets, one for each purpose. The browser's script sets them.
const TICKET_COOKIE: &str = "__Host-vaxel_ticket_";

/// Goes into the head.
const MAKES: &str = "<script type=\"module\" src=\"/ticket.js\"></script>";

/// The longest number that is signed, in Base64.
const BLINDED_CHARS_MAX: usize = 400;

/// The ticket that a browser holds under this tag.
pub(crate) fn held_ticket(headers: &HeaderMap, tag: &str) -> Option<Ticket> {
    let is_tag = tag.len() == 16 && tag.bytes().all(|b| b.is_ascii_hexdigit());
    if !is_tag {
        return None;
    }
    Ticket::parse(&cookie::sent(headers, &format!("{TICKET_COOKIE}{tag}"))?)
}

/// Takes a ticket out of the browser that has spent it: together with the answer it would tell who gave that.
pub(crate) fn without_ticket(response: Response, tag: &str) -> Response {
    let gone = cookie_of(&format!("{TICKET_COOKIE}{tag}"), "", 0);
    with_cookie(response, gone)
}

/// Whether this browser holds a ticket that can be spent for what is required.
pub(crate) fn holds_ticket(
    gateway: &Gateway,
    tenant: &Tenant,
    plugin: &PluginId,
    required: &RequiredProof,
    headers: &HeaderMap,
) -> Result<bool, Problem> {
    let purpose = &required.purpose;
    let Some(ticket) = held_ticket(headers, &tag(plugin.as_str(), purpose)) else {
        return Ok(false);
    };
    let good = gateway
        .identity()
        .is_ticket_good(tenant.id, plugin, purpose, &ticket);
    good.map_err(crate::rpc::session::refused)
}

impl Asking<'_> {
    fn tag(&self) -> String {
        tag(self.plugin.as_str(), &self.required.purpose)
    }

    /// Whether this browser has shown what a ticket is given for.
    pub(super) fn may_have_ticket(&self, gateway: &Gateway) -> bool {
        let shown = held(self.headers, &self.tag());
        let proven = proven(gateway, self.tenant, self.plugin, shown.as_ref());
        let purpose = Some(&self.required.purpose);
        self.required.anonymous && proven.is_ok_and(|proven| proven.as_ref() == purpose)
    }

    /// The page whose script makes the ticket.
    pub(super) fn draw_ticket(&self) -> Response {
        let words = words(self.locale());
        let mut html = Html::new();
        html.tag("<main id=\"main\" tabindex=\"-1\"><h1>")
            .text(words.ticket)
            .tag("</h1><p>")
            .text(&self.said(words.anonymous))
            .tag("</p><div id=\"ticket\"")
            .attribute("data-tag", &self.tag())
            .attribute("data-token", self.token)
            .attribute("data-making", words.ticket_making)
            .attribute("data-failed", words.ticket_failed)
            .tag("><p id=\"message\" role=\"status\">")
            .text(words.ticket_script)
            .tag("</p><p id=\"again\" hidden><a class=\"button positive\"")
            .attribute("href", self.address)
            .tag(">")
            .text(words.again)
            .tag("</a></p></div></main>");
        let (name, title) = (&self.tenant.name, words.ticket);
        let document = shell::document_with(name, title, &html.finish(), self.locale(), MAKES);
        shell::respond(StatusCode::OK, document)
    }

    /// With what the browser blinds.
    pub(super) async fn key(&self, gateway: &Gateway) -> Result<Response, Problem> {
        let (tenant, plugin) = (self.tenant.id, self.plugin);
        // Making the key takes a moment of the processor, and only who has shown who they are has a use for it.
        if !self.may_have_ticket(gateway) {
            return Ok(self.without_proof());
        }
        let modulus = gateway
            .identity()
            .ticket_modulus(tenant, plugin, &self.required.purpose);
        let modulus = modulus.await.map_err(crate::rpc::session::refused)?;
        Ok(told(
            StatusCode::OK,
            &json!({"modulus": BASE64.encode(modulus)}),
        ))
    }

    /// Signs what the browser blinded.
    pub(super) async fn sign(&self, gateway: &Gateway, blinded: &str) -> Result<Response, Problem> {
        let words = words(self.locale());
        let blinded = (blinded.len() <= BLINDED_CHARS_MAX)
            .then(|| BASE64.decode(blinded).ok())
            .flatten();
        let (Some(shown), Some(blinded)) = (held(self.headers, &self.tag()), blinded) else {
            return Ok(self.without_proof());
        };
        let given = gateway.identity().give_ticket(
            self.tenant.id,
            self.plugin,
            &self.required.purpose,
            (&shown.token, shown.binding),
            blinded,
        );
        let given = match given.await {
            Err(IdentityError::Malformed { .. }) => {
                let why = json!({"why": words.ticket_failed});
                return Ok(told(StatusCode::BAD_REQUEST, &why));
            }
            given => given.map_err(crate::rpc::session::refused)?,
        };
        let response = match given {
            TicketGiven::Signed(signature) => told(
                StatusCode::OK,
                &json!({"signature": BASE64.encode(signature)}),
            ),
            TicketGiven::HadOne => told(StatusCode::CONFLICT, &json!({"why": words.ticket_had})),
            TicketGiven::NoProof => return Ok(self.without_proof()),
        };
        Ok(self.proof_gone(response))
    }

    fn without_proof(&self) -> Response {
        let why = json!({"why": words(self.locale()).stale});
        self.proof_gone(told(StatusCode::FORBIDDEN, &why))
    }

    fn proof_gone(&self, response: Response) -> Response {
        let gone = cookie_of(&format!("{PROOF_COOKIE}{}", self.tag()), "", 0);
        with_cookie(response, gone)
    }
}

fn told(status: StatusCode, answer: &Value) -> Response {
    let mut response = super::order::answer_with("application/json", answer.to_string());
    *response.status_mut() = status;
    response
}
