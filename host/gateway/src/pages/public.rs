//! `/p/{plugin}/{page}/…`: pages for anybody, drawn here, with forms that work without script and without an account.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::State;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use parking_lot::Mutex;
use vaxel_core::{Actor, Locale, OpCx, PluginId, Problem, Reason, RequestId};
use vaxel_identity::{Tenant, Ticket};
use vaxel_ops::Refusal;
use vaxel_runtime::{Caller, Origin, PageCall, PageRequest, ShownProof};

use super::form::{self, Form, Sent};
use super::html::{self, Filled, Place};
use super::stepup::{self, Asking, Step};
use super::tree::{Page, RequiredProof};
use super::words::{preferred, words};
use super::{check, inputs_html, shell};
use crate::Gateway;
use crate::http::edge::{Edge, check_same_origin, reads};
use crate::http::problem::{self, status_of};
use crate::http::{Body, Response, body};

/// The longest path and query behind a page's address: a personal link has some 60 characters.
const ADDRESS_BYTES_MAX: usize = 2_000;

/// Parts of a query that a plugin is given.
const QUERY_MAX: usize = 50;

/// A look at a page that fits what its plugin may show.
pub(crate) struct Look {
    pub(crate) cx: OpCx,
    pub(crate) caller: Caller,
    pub(crate) plugin: PluginId,
    pub(crate) page: String,
    pub(crate) request: PageRequest,
    pub(crate) sending: Option<String>,
}

/// Asks a plugin for a page. What cannot be drawn is refused before anything that the plugin wrote is committed, and
/// its author reads why in the log.
pub(crate) async fn look(gateway: &Gateway, look: Look) -> Result<Page, Problem> {
    let drawn: Arc<Mutex<Option<Page>>> = Arc::default();
    let started = Instant::now();
    let Look {
        cx,
        caller,
        plugin,
        page,
        request,
        sending,
    } = look;
    let judge = {
        let (plugin, page, tenant, request) = (plugin.clone(), page.clone(), cx.tenant, cx.request);
        let drawn = Arc::clone(&drawn);
        move |json: &Bytes| match check::read(plugin.as_str(), json) {
            Ok(tree) => {
                *drawn.lock() = Some(tree);
                Ok(())
            }
            Err(why) => {
                tracing::warn!(
                    plugin.id = %plugin, plugin.page = page, tenant.id = %tenant, request.id = %request, %why,
                    "a plugin's page cannot be drawn"
                );
                let detail = "The plugin answered with a page that cannot be drawn.";
                Err(Problem::new(Reason::Internal, detail).with_code("plugin-bad-answer"))
            }
        }
    };
    let name = plugin.clone();
    let call = PageCall {
        cx,
        caller,
        plugin,
        page,
        request,
        sending,
        check: Arc::new(judge),
    };
    let shown = gateway.runtime().show_page(call).await;
    gateway
        .metrics()
        .plugin_call(name.as_str(), shown.is_ok(), started.elapsed());
    let json = shown?;
    let tree = drawn.lock().take();
    match tree {
        Some(tree) => Ok(tree),
        // Remembered from the first time, when it was judged.
        None => check::read(name.as_str(), &json).map_err(|_| Reason::Internal.into()),
    }
}

/// Whose page, at which address.
struct At {
    tenant: Arc<Tenant>,
    edge: Edge,
    plugin: PluginId,
    page: String,
    path: String,
    query: Vec<(String, String)>,
    locale: Locale,
    headers: HeaderMap,
    /// As it was asked for, path and query.
    address: String,
}

/// Answers for a public page.
pub(crate) async fn handle(State(gateway): State<Gateway>, request: Request<Body>) -> Response {
    let Some(edge) = request.extensions().get::<Edge>().cloned() else {
        let problem = Problem::from(Reason::Internal);
        return problem::respond(&problem, RequestId::new(gateway.now()));
    };
    let Ok(tenant) = edge.tenant().cloned() else {
        return problem::respond(&problem::not_found(), edge.request);
    };
    let locale = preferred(request.headers(), tenant.locale);
    let name = tenant.name.clone();
    match answer(&gateway, tenant, edge, locale, request).await {
        Ok(response) => response,
        Err(refused) => {
            if refused.reason == Reason::LimitReached {
                gateway.metrics().refused(Refusal::Limit);
            }
            shell::trouble(&name, &refused, None, locale)
        }
    }
}

async fn answer(
    gateway: &Gateway,
    tenant: Arc<Tenant>,
    edge: Edge,
    locale: Locale,
    request: Request<Body>,
) -> Result<Response, Problem> {
    gateway.rates().anonymous(edge.peer)?;
    let (parts, body) = request.into_parts();
    let (plugin, page, path) = address(parts.uri.path()).ok_or_else(problem::not_found)?;
    let declared = gateway.runtime().page(tenant.id, &plugin, &page);
    if !declared.is_some_and(|page| page.public) {
        return Err(problem::not_found());
    }
    let query = query(parts.uri.query().unwrap_or_default()).ok_or_else(problem::not_found)?;
    let at = At {
        tenant,
        edge,
        plugin,
        page,
        path,
        query,
        locale,
        headers: parts.headers,
        address: parts
            .uri
            .path_and_query()
            .map(ToString::to_string)
            .unwrap_or_default(),
    };
    if reads(&parts.method) {
        return at.look(gateway).await;
    }
    if parts.method != Method::POST {
        return Err(problem::method_not_allowed());
    }
    check_ours(&at.edge, &at.headers)
        .inspect_err(|_| gateway.metrics().refused(Refusal::Foreign))?;
    if !is_form(&at.headers) {
        return Err(Problem::new(Reason::Invalid, "A form is expected.")
            .with_code("unsupported_media_type"));
    }
    let limits = gateway.limits();
    let bytes = body::read(
        &at.headers,
        body,
        limits.body_bytes_max,
        limits.body_timeout_ms,
    )
    .await?;
    if let Some(step) = stepup::step(&bytes) {
        return at.step(gateway, step).await;
    }
    let sent = form::read(&bytes).ok_or_else(|| Problem::from(Reason::Invalid))?;
    at.send(gateway, sent).await
}

impl At {
    fn form(&self) -> Form<'_> {
        Form {
            tenant: self.tenant.id,
            plugin: &self.plugin,
            page: &self.page,
            path: &self.path,
        }
    }

    fn cx(&self) -> OpCx {
        OpCx {
            tenant: self.tenant.id,
            actor: Actor::Anonymous,
            now: self.edge.now,
            request: self.edge.request,
            locale: self.locale,
        }
    }

    async fn show(&self, gateway: &Gateway, sending: Option<Sending>) -> Result<Page, Problem> {
        let mut request = PageRequest {
            path: self.path.clone(),
            query: self.query.clone(),
            sent: None,
        };
        let mut caller = Caller {
            origin: Some(Origin::of(self.edge.peer)),
            ..Caller::default()
        };
        let mut name = None;
        if let Some(sending) = sending {
            request.sent = Some(sending.told);
            caller.proof = sending.proof;
            caller.ticket = sending.ticket;
            name = Some(sending.name);
        }
        let asked = Look {
            cx: self.cx(),
            caller,
            plugin: self.plugin.clone(),
            page: self.page.clone(),
            request,
            sending: name,
        };
        look(gateway, asked).await
    }

    fn token(&self, gateway: &Gateway) -> Result<String, Problem> {
        self.form().token(
            gateway.runtime(),
            self.edge.now,
            self.edge.request.to_bytes(),
        )
    }

    async fn look(&self, gateway: &Gateway) -> Result<Response, Problem> {
        let page = self.show(gateway, None).await?;
        let proven = self.proven_for(gateway, &page)?;
        let proven = proven.as_ref();
        self.draw(gateway, &page, None, None, StatusCode::OK, proven)
    }

    /// What this browser has shown of what the page requires.
    fn proven_for(&self, gateway: &Gateway, page: &Page) -> Result<Option<String>, Problem> {
        let Some(required) = &page.proof else {
            return Ok(None);
        };
        if required.anonymous {
            let (tenant, plugin, headers) = (&self.tenant, &self.plugin, &self.headers);
            let holds = stepup::holds_ticket(gateway, tenant, plugin, required, headers)?;
            return Ok(holds.then(|| required.purpose.clone()));
        }
        let tag = stepup::tag(self.plugin.as_str(), &required.purpose);
        let shown = stepup::held(&self.headers, &tag);
        stepup::proven(gateway, &self.tenant, &self.plugin, shown.as_ref())
    }

    /// Does what somebody chose on the host's own page, if the plugin's page still requires it.
    async fn step(&self, gateway: &Gateway, step: Step) -> Result<Response, Problem> {
        let page = self.show(gateway, None).await?;
        let Some(required) = &page.proof else {
            return self.draw(gateway, &page, None, None, StatusCode::OK, None);
        };
        let sending = self
            .form()
            .sending(gateway.runtime(), self.edge.now, &step.token)?;
        let token = self.token(gateway)?;
        let cx = self.cx();
        let asking = self.asking(&page, required, &token, &cx);
        asking.take(gateway, step, sending.is_some()).await
    }

    fn asking<'a>(
        &'a self,
        page: &'a Page,
        required: &'a RequiredProof,
        token: &'a str,
        cx: &'a OpCx,
    ) -> Asking<'a> {
        Asking {
            tenant: &self.tenant,
            edge: &self.edge,
            plugin: &self.plugin,
            required,
            title: &page.title.0,
            address: &self.address,
            token,
            cx,
            headers: &self.headers,
        }
    }

    async fn send(&self, gateway: &Gateway, sent: Sent) -> Result<Response, Problem> {
        let Sent {
            token,
            action,
            proof,
            inputs,
            filled,
        } = sent;
        let words = words(self.locale);
        let form = self.form();
        let Some(sending) = form.sending(gateway.runtime(), self.edge.now, &token)? else {
            return self
                .again(gateway, words.stale, StatusCode::CONFLICT, &filled)
                .await;
        };
        let ticket = stepup::held_ticket(&self.headers, &proof);
        let sending = Sending {
            told: form::told(&action, &inputs),
            name: sending,
            // Both together would tell whose ticket it is.
            proof: match &ticket {
                Some(_) => None,
                None => stepup::held(&self.headers, &proof),
            },
            ticket: ticket.clone(),
        };
        // Before it is spent.
        let proven = stepup::proven(gateway, &self.tenant, &self.plugin, sending.proof.as_ref())?;
        let response = self.sent(gateway, sending, &filled, proven).await?;
        Ok(match ticket {
            Some(ticket) if ticket.was_spent() && response.status().as_u16() < 400 => {
                stepup::without_ticket(response, &proof)
            }
            _ => response,
        })
    }

    /// What becomes of what was sent.
    async fn sent(
        &self,
        gateway: &Gateway,
        sending: Sending,
        filled: &Filled,
        proven: Option<String>,
    ) -> Result<Response, Problem> {
        let words = words(self.locale);
        let is_anonymous = sending.ticket.is_some();
        let shown = self.show(gateway, Some(sending)).await;
        let proven = match &shown {
            Ok(page) if is_anonymous => self.proven_for(gateway, page)?,
            _ => proven,
        };
        let proven = proven.as_ref();
        match shown {
            Ok(page) if inputs_html::has_errors(&page) => self.draw(
                gateway,
                &page,
                Some(filled),
                None,
                StatusCode::UNPROCESSABLE_ENTITY,
                proven,
            ),
            Ok(Page {
                next: Some(next), ..
            }) => {
                let behind = if next.is_empty() || next.starts_with('?') {
                    next
                } else {
                    format!("/{next}")
                };
                let location = format!("/p/{}/{}{behind}", self.plugin, self.page);
                let mut response = shell::respond(StatusCode::SEE_OTHER, String::new());
                let location = HeaderValue::from_str(&location)
                    .map_err(|_| Problem::from(Reason::Internal))?;
                response.headers_mut().insert(header::LOCATION, location);
                Ok(response)
            }
            Ok(page) => self.draw(gateway, &page, None, None, StatusCode::OK, proven),
            // What was typed is shown to be copied: the page itself is shown to nobody who has not shown who they are.
            Err(problem) if problem.reason == Reason::StepUpRequired => {
                let (name, locale) = (&self.tenant.name, self.locale);
                Ok(shell::trouble(name, &problem, Some(filled), locale))
            }
            Err(problem) => {
                let why = match problem.reason {
                    // Pressed again after going back: a new sending, if it is meant.
                    _ if problem.code == "idempotency-mismatch" => words.stale,
                    // The plugin's own words, meant for whoever sent it.
                    Reason::Refused | Reason::Invalid | Reason::Conflict => problem.detail.as_str(),
                    _ => words.not_sent_why,
                };
                match self.again(gateway, why, status_of(&problem), filled).await {
                    Ok(response) => Ok(response),
                    Err(_) => Ok(shell::trouble(
                        &self.tenant.name,
                        &problem,
                        Some(filled),
                        self.locale,
                    )),
                }
            }
        }
    }

    /// The page anew, with what was typed.
    async fn again(
        &self,
        gateway: &Gateway,
        why: &str,
        status: StatusCode,
        filled: &Filled,
    ) -> Result<Response, Problem> {
        match self.show(gateway, None).await {
            Ok(page) => {
                let proven = self.proven_for(gateway, &page)?;
                let (filled, why) = (Some(filled), Some(why));
                self.draw(gateway, &page, filled, why, status, proven.as_ref())
            }
            Err(problem) => Ok(shell::trouble(
                &self.tenant.name,
                &problem,
                Some(filled),
                self.locale,
            )),
        }
    }

    fn draw(
        &self,
        gateway: &Gateway,
        page: &Page,
        filled: Option<&Filled>,
        trouble: Option<&str>,
        status: StatusCode,
        proven: Option<&String>,
    ) -> Result<Response, Problem> {
        let token = self.token(gateway)?;
        if let Some(required) = &page.proof
            && proven != Some(&required.purpose)
        {
            if let Some(filled) = filled {
                // What was typed is shown to be copied; the page itself only to who has shown who they are.
                let (name, locale) = (&self.tenant.name, self.locale);
                if let Some(why) = trouble {
                    return Ok(shell::not_taken(name, why, status, filled, locale));
                }
                let problem = Problem::from(Reason::StepUpRequired);
                return Ok(shell::trouble(name, &problem, Some(filled), locale));
            }
            let cx = self.cx();
            let asking = self.asking(page, required, &token, &cx);
            return Ok(asking.draw(gateway, None, StatusCode::OK));
        }
        let place = Place {
            plugin: self.plugin.as_str(),
            words: words(self.locale),
            token: &token,
            filled,
            trouble,
        };
        let main = html::main(page, &place);
        let document = shell::document(&self.tenant.name, &page.title.0, &main, self.locale);
        Ok(shell::respond(status, document))
    }
}

/// What was sent with a form, and what goes with it.
struct Sending {
    told: Bytes,
    name: String,
    proof: Option<ShownProof>,
    ticket: Option<Ticket>,
}

/// Splits `/p/notes/list/a/b`, decoded. Nothing that a browser or a proxy would read differently.
fn address(path: &str) -> Option<(PluginId, String, String)> {
    let rest = path.strip_prefix("/p/")?;
    if rest.len() > ADDRESS_BYTES_MAX {
        return None;
    }
    let (plugin, rest) = rest.split_once('/')?;
    let (page, path) = rest.split_once('/').unwrap_or((rest, ""));
    Some((plugin.parse().ok()?, page.to_owned(), decoded(path)?))
}

/// A path as text, if it is text and climbs nowhere.
pub(crate) fn decoded(path: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut left = path.bytes();
    while let Some(byte) = left.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || left.next().and_then(|d| char::from(d).to_digit(16));
        let (high, low) = (digit()?, digit()?);
        bytes.push(u8::try_from(high * 16 + low).ok()?);
    }
    let text = String::from_utf8(bytes).ok()?;
    let climbs = text
        .split(['/', '\\'])
        .any(|segment| matches!(segment, "." | ".."));
    let fits = !climbs && !text.contains(char::is_control);
    fits.then_some(text)
}

fn query(query: &str) -> Option<Vec<(String, String)>> {
    if query.len() > ADDRESS_BYTES_MAX {
        return None;
    }
    let pairs = url::form_urlencoded::parse(query.as_bytes()).take(QUERY_MAX);
    Some(
        pairs
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect(),
    )
}

/// Browsers say where a form stands; what says nothing has only the token, which proves as much.
pub(crate) fn check_ours(edge: &Edge, headers: &HeaderMap) -> Result<(), Problem> {
    if headers.contains_key(header::ORIGIN) {
        return check_same_origin(edge, headers);
    }
    match headers.get("sec-fetch-site") {
        Some(site) if site != "same-origin" => Err(Problem::new(
            Reason::Forbidden,
            "Only pages of this very host may send this.",
        )
        .with_code("foreign_origin")),
        _ => Ok(()),
    }
}

fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    kind.is_some_and(|kind| {
        let kind = kind.split(';').next().unwrap_or_default().trim();
        kind.eq_ignore_ascii_case("application/x-www-form-urlencoded")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_plugin_page_and_what_is_behind() {
        let at = |path| address(path).map(|(plugin, page, path)| format!("{plugin} {page} {path}"));
        assert_eq!(at("/p/notes/list").as_deref(), Some("notes list "));
        assert_eq!(at("/p/notes/list/").as_deref(), Some("notes list "));
        assert_eq!(
            at("/p/notes/list/%C3%A5/b").as_deref(),
            Some("notes list å/b")
        );
        for bad in [
            "/p/notes",
            "/p/Notes/list",
            "/p/notes/list/%2e%2e/x",
            "/p/notes/list/a/../b",
            "/p/n/l/%",
            "/p/n/l/%0a",
            "/p/n/l/%ff",
        ] {
            assert!(at(bad).is_none(), "{bad}");
        }
    }
}
