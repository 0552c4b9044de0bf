//! `/stepup/{order}`: an order on its way, for the browser that began it and for nobody else. Works without script: the
//! page loads itself anew every other second; with script only the code and the words change.

use axum::extract::{Path, Query, State};
use axum::http::Extensions;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use qrcode::{Color, EcLevel, QrCode};
use serde::Deserialize;
use serde_json::json;
use vaxel_core::{Locale, Problem, Reason, RequestId};
use vaxel_eid::Message;
use vaxel_identity::{EidLook, EidView, Eids, StepUpError, Tenant};

use super::words::words;
use super::{ORDER_COOKIE, cookie_of, proof_cookie, sent_on, with_cookie};
use crate::Gateway;
use crate::http::edge::Edge;
use crate::http::{Body, Response, cookie, problem};
use crate::pages::html::Html;
use crate::pages::public::check_ours;
use crate::pages::shell;
use crate::pages::words::preferred;

/// Goes into the head: browsers without script load the page anew, others follow the order with ours.
const FOLLOWS: &str = "<noscript><meta http-equiv=\"refresh\" content=\"2\"></noscript><script defer src=\"/stepup.js\"></script>";

/// What the app's way back carries.
#[derive(Deserialize)]
pub(crate) struct Returned {
    #[serde(default)]
    nonce: String,
}

/// Who asks about which order.
struct At<'a> {
    gateway: &'a Gateway,
    edge: &'a Edge,
    tenant: &'a Tenant,
    locale: Locale,
    eids: &'a Eids,
    id: String,
    binding: String,
}

impl<'a> At<'a> {
    fn new(
        gateway: &'a Gateway,
        extensions: &'a Extensions,
        headers: &HeaderMap,
        id: String,
    ) -> Result<Self, Box<Response>> {
        let refused = |problem: Problem| {
            let request = extensions.get::<Edge>().map(|edge| edge.request);
            let request = request.unwrap_or_else(|| RequestId::new(gateway.now()));
            Box::new(problem::respond(&problem, request))
        };
        let edge = extensions.get::<Edge>();
        let edge = edge.ok_or_else(|| refused(Reason::Internal.into()))?;
        let tenant = edge.tenant().map_err(refused)?;
        gateway.rates().anonymous(edge.peer).map_err(refused)?;
        let eids = gateway
            .eids()
            .ok_or_else(|| refused(problem::not_found()))?;
        Ok(Self {
            gateway,
            edge,
            tenant,
            locale: preferred(headers, tenant.locale),
            eids,
            id,
            binding: cookie::sent(headers, ORDER_COOKIE).unwrap_or_default(),
        })
    }

    fn look(&self) -> Result<EidView, StepUpError> {
        self.eids.look(self.tenant.id, &self.id, &self.binding)
    }

    fn gone(&self) -> Response {
        let words = words(self.locale);
        let mut html = Html::new();
        html.tag("<main id=\"main\" tabindex=\"-1\"><h1>")
            .text(words.gone)
            .tag("</h1><p>")
            .text(words.gone_why)
            .tag("</p></main>");
        self.document(&html.finish(), "", StatusCode::NOT_FOUND)
    }

    fn document(&self, main: &str, head: &'static str, status: StatusCode) -> Response {
        let title = words(self.locale).title;
        let name = &self.tenant.name;
        let document = shell::document_with(name, title, main, self.locale, head);
        shell::respond(status, document)
    }

    /// The order ended well: its proof goes into this browser, and this browser goes on.
    async fn proven(&self, back_to: &str) -> Result<Response, StepUpError> {
        let taken = self
            .eids
            .take_proof(self.tenant.id, &self.id, &self.binding)
            .await?;
        let Some(taken) = taken else {
            return Ok(self.gone());
        };
        let cookie = proof_cookie(&taken.plugin, &taken.purpose, &taken.token, &self.binding);
        let on = sent_on(back_to).unwrap_or_else(|_| self.gone());
        let response = with_cookie(on, cookie);
        Ok(with_cookie(response, cookie_of(ORDER_COOKIE, "", 0)))
    }

    fn draw(&self, view: &EidView) -> Response {
        let words = words(self.locale);
        let mut html = Html::new();
        html.tag("<main id=\"main\" tabindex=\"-1\"><h1>")
            .text(words.title)
            .tag("</h1>");
        let mut head = "";
        match &view.look {
            EidLook::Pending {
                message,
                code,
                start,
            } => {
                head = FOLLOWS;
                let image = format!("/stepup/{}/code.svg", self.id);
                html.tag("<div id=\"order\"")
                    .attribute("data-now", &format!("/stepup/{}/now", self.id))
                    .attribute("data-code", &image)
                    .tag("><p id=\"message\" role=\"status\">")
                    .text(message.text(self.locale))
                    .tag("</p>");
                if code.is_some() {
                    html.tag("<p>").text(words.scan);
                    html.tag("</p><p><img id=\"code\" width=\"280\" height=\"280\"")
                        .attribute("alt", words.code)
                        .attribute("src", &image)
                        .tag("></p>");
                }
                if let Some(start) = start {
                    html.tag("<p><a class=\"button positive\"")
                        .attribute("href", start)
                        .tag(">")
                        .text(Message::Rfa18.text(self.locale))
                        .tag("</a></p>");
                }
                html.tag("<p>").text(words.in_app);
                html.tag("</p><blockquote class=\"text\">")
                    .text(&view.visible)
                    .tag("</blockquote></div>");
                html.tag("<form method=\"post\"")
                    .attribute("action", &format!("/stepup/{}", self.id))
                    .tag("><p><button class=\"button\">")
                    .text(words.cancel)
                    .tag("</button></p></form>");
            }
            EidLook::Failed { message } => {
                self.ended(&mut html, message.text(self.locale), &view.back_to);
            }
            EidLook::NotListed => {
                self.ended(&mut html, words.not_listed, &view.back_to);
            }
            EidLook::AwaitsReturn | EidLook::Proven => {
                self.ended(&mut html, words.return_here, &view.back_to);
            }
        }
        html.tag("</main>");
        self.document(&html.finish(), head, StatusCode::OK)
    }

    fn ended(&self, html: &mut Html, why: &str, back_to: &str) {
        html.tag("<div class=\"notice attention\" role=\"alert\"><p>")
            .text(why)
            .tag("</p></div><p><a class=\"button positive\"")
            .attribute("href", back_to)
            .tag(">")
            .text(words(self.locale).again)
            .tag("</a></p>");
    }

    fn answer(&self, answered: Result<Response, StepUpError>) -> Response {
        match answered {
            Ok(response) => response,
            Err(StepUpError::Identity(error)) => {
                let problem = crate::rpc::session::refused(error);
                problem::respond(&problem, self.edge.request)
            }
            Err(_) => self.gone(),
        }
    }
}

/// The page of an order; once it ended well, the way on.
pub(crate) async fn show(
    State(gateway): State<Gateway>,
    Path(id): Path<String>,
    extensions: Extensions,
    headers: HeaderMap,
) -> Response {
    let at = match At::new(&gateway, &extensions, &headers, id) {
        Ok(at) => at,
        Err(refused) => return *refused,
    };
    let shown = async {
        let view = at.look()?;
        match view.look {
            EidLook::Proven => at.proven(&view.back_to).await,
            _ => Ok(at.draw(&view)),
        }
    };
    at.answer(shown.await)
}

/// How an order goes, for the page's script.
pub(crate) async fn now(
    State(gateway): State<Gateway>,
    Path(id): Path<String>,
    extensions: Extensions,
    headers: HeaderMap,
) -> Response {
    let at = match At::new(&gateway, &extensions, &headers, id) {
        Ok(at) => at,
        Err(refused) => return *refused,
    };
    let told = match at.look().map(|view| view.look) {
        Ok(EidLook::Pending {
            message,
            code,
            start,
        }) => json!({
            "ended": false, "message": message.text(at.locale),
            "code": code.is_some(), "start": start.is_some(),
        }),
        _ => json!({ "ended": true }),
    };
    answer_with("application/json", told.to_string())
}

/// The code of this second.
pub(crate) async fn code(
    State(gateway): State<Gateway>,
    Path(id): Path<String>,
    extensions: Extensions,
    headers: HeaderMap,
) -> Response {
    let at = match At::new(&gateway, &extensions, &headers, id) {
        Ok(at) => at,
        Err(refused) => return *refused,
    };
    let code = match at.look().map(|view| view.look) {
        Ok(EidLook::Pending {
            code: Some(code), ..
        }) => code,
        _ => return problem::respond(&problem::not_found(), at.edge.request),
    };
    match drawn(&code) {
        Some(svg) => answer_with("image/svg+xml", svg),
        None => problem::respond(&Reason::Internal.into(), at.edge.request),
    }
}

/// The app sent the browser back.
pub(crate) async fn back(
    State(gateway): State<Gateway>,
    Path(id): Path<String>,
    Query(returned): Query<Returned>,
    extensions: Extensions,
    headers: HeaderMap,
) -> Response {
    let at = match At::new(&gateway, &extensions, &headers, id) {
        Ok(at) => at,
        Err(refused) => return *refused,
    };
    let returned = at
        .eids
        .returned(at.tenant.id, &at.id, &at.binding, &returned.nonce);
    at.answer(returned.map(|()| {
        // Without what the app was told: it is in nobody's history twice.
        sent_on(&format!("/stepup/{}", at.id)).unwrap_or_else(|_| at.gone())
    }))
}

/// The person calls it off.
pub(crate) async fn cancel(
    State(gateway): State<Gateway>,
    Path(id): Path<String>,
    extensions: Extensions,
    headers: HeaderMap,
) -> Response {
    let at = match At::new(&gateway, &extensions, &headers, id) {
        Ok(at) => at,
        Err(refused) => return *refused,
    };
    if let Err(foreign) = check_ours(at.edge, &headers) {
        at.gateway.metrics().refused(vaxel_ops::Refusal::Foreign);
        return problem::respond(&foreign, at.edge.request);
    }
    let cancelled = at.eids.cancel(at.tenant.id, &at.id, &at.binding).await;
    at.answer(cancelled.map(|back_to| {
        let on = sent_on(&back_to).unwrap_or_else(|_| at.gone());
        with_cookie(on, cookie_of(ORDER_COOKIE, "", 0))
    }))
}

pub(super) fn answer_with(kind: &'static str, content: String) -> Response {
    let mut response = Response::new(Body::from(content));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A code as a picture: dark squares on white, with the margin that cameras want, whatever the page's colours.
fn drawn(code: &str) -> Option<String> {
    let qr = QrCode::with_error_correction_level(code, EcLevel::L).ok()?;
    let (width, margin) = (qr.width(), 4);
    let side = width + 2 * margin;
    let mut path = String::new();
    for (at, color) in qr.to_colors().into_iter().enumerate() {
        if color == Color::Dark {
            let (x, y) = (at % width + margin, at / width + margin);
            path.push_str(&format!("M{x} {y}h1v1h-1z"));
        }
    }
    Some(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {side} {side}\" shape-rendering=\"crispEdges\">\
         <path fill=\"#fff\" d=\"M0 0h{side}v{side}h-{side}z\"/><path d=\"{path}\"/></svg>"
    ))
}
