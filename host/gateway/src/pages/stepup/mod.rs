//! The host's own pages where somebody shows who they are before a plugin's page goes on: by PIN, or with an eID. The
//! words are the host's, for the organization and for the page; the plugin learns only that it was shown.

mod order;
mod ticket;
mod words;

use http::{HeaderMap, HeaderValue, StatusCode, header};
use vaxel_core::{Locale, OpCx, PluginId, Problem, Reason};
use vaxel_crypto::Secret;
use vaxel_eid::{Asked, Device, EidError, Message};
use vaxel_identity::{
    BROWSER_PROOF_MS, EidRequest, IdentityError, NewProof, PIN_DIGITS, StepUpError, Tenant,
    browser_binding,
};
use vaxel_runtime::ShownProof;

use super::html::Html;
use super::shell;
use super::tree::{ProofMethod, RequiredProof};
use crate::Gateway;
use crate::http::Response;
use crate::http::cookie;
use crate::http::edge::Edge;
pub(crate) use order::{back, cancel, code, now, show};
pub(crate) use ticket::{held_ticket, holds_ticket, without_ticket};
use words::{filled, words};

/// Binds an order to the browser that began it. Lax: the browser comes back from the app.
const ORDER_COOKIE: &str = "__Host-vaxel_stepup";

/// In front of the names of cookies that hold proofs, one for each purpose.
const PROOF_COOKIE: &str = "__Host-vaxel_proof_";

/// As long as an order can be looked at.
const ORDER_COOKIE_AGE_S: u64 = 600;

/// The longest proof in a cookie: a token and what it is bound to.
const PROOF_CHARS_MAX: usize = 128;

/// What to call a proof's cookie: nothing of the purpose can be read in it.
pub(crate) fn tag(plugin: &str, purpose: &str) -> String {
    use sha2::{Digest as _, Sha256};
    let hash = Sha256::digest(format!("{plugin}\0{purpose}"));
    hash.iter().take(8).map(|b| format!("{b:02x}")).collect()
}

/// The proof that a browser holds under this tag.
pub(crate) fn held(headers: &HeaderMap, tag: &str) -> Option<ShownProof> {
    let is_tag = tag.len() == 16 && tag.bytes().all(|b| b.is_ascii_hexdigit());
    if !is_tag {
        return None;
    }
    let value = cookie::sent(headers, &format!("{PROOF_COOKIE}{tag}"))?;
    let (token, binding) = value.split_once('~')?;
    (value.len() <= PROOF_CHARS_MAX).then(|| ShownProof {
        token: Secret::new(token.to_owned()),
        binding: browser_binding(binding),
    })
}

/// What the proof that a browser shows could be spent for.
pub(crate) fn proven(
    gateway: &Gateway,
    tenant: &Tenant,
    plugin: &PluginId,
    shown: Option<&ShownProof>,
) -> Result<Option<String>, Problem> {
    let Some(ShownProof { token, binding }) = shown else {
        return Ok(None);
    };
    gateway
        .identity()
        .purpose_of_proof(tenant.id, plugin, token.expose(), *binding)
        .map_err(crate::rpc::session::refused)
}

fn cookie_of(name: &str, value: &str, age_s: u64) -> Option<HeaderValue> {
    let text = format!("{name}={value}; Path=/; Max-Age={age_s}; Secure; HttpOnly; SameSite=Lax");
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn with_cookie(mut response: Response, cookie: Option<HeaderValue>) -> Response {
    if let Some(cookie) = cookie {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

fn proof_cookie(
    plugin: &PluginId,
    purpose: &str,
    token: &Secret<String>,
    binding: &str,
) -> Option<HeaderValue> {
    let name = format!("{PROOF_COOKIE}{}", tag(plugin.as_str(), purpose));
    let value = format!("{}~{binding}", token.expose());
    cookie_of(&name, &value, BROWSER_PROOF_MS / 1_000)
}

fn sent_on(to: &str) -> Result<Response, Problem> {
    let mut response = shell::respond(StatusCode::SEE_OTHER, String::new());
    let to = HeaderValue::from_str(to).map_err(|_| Problem::from(Reason::Internal))?;
    response.headers_mut().insert(header::LOCATION, to);
    Ok(response)
}

/// Whose page requires what.
pub(crate) struct Asking<'a> {
    pub(crate) tenant: &'a Tenant,
    pub(crate) edge: &'a Edge,
    pub(crate) plugin: &'a PluginId,
    pub(crate) required: &'a RequiredProof,
    /// The page's title.
    pub(crate) title: &'a str,
    /// The page's address, where its form is sent and where the browser goes on.
    pub(crate) address: &'a str,
    /// Proves that the form is ours.
    pub(crate) token: &'a str,
    pub(crate) cx: &'a OpCx,
    pub(crate) headers: &'a HeaderMap,
}

/// What somebody chose on the host's page.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Step {
    how: String,
    pin: String,
    blinded: String,
    pub(crate) token: String,
}

/// Reads the host's own form; none if it is the plugin's.
pub(crate) fn step(body: &[u8]) -> Option<Step> {
    let mut step = Step::default();
    let mut is_ours = false;
    for (name, value) in url::form_urlencoded::parse(body).take(10) {
        match name.as_ref() {
            "_step" => {
                step.how = value.into_owned();
                is_ours = true;
            }
            "_pin" => step.pin = value.into_owned(),
            "_blinded" => step.blinded = value.into_owned(),
            "_token" => step.token = value.into_owned(),
            _ => {}
        }
    }
    is_ours.then_some(step)
}

impl Asking<'_> {
    fn locale(&self) -> Locale {
        self.cx.locale
    }

    fn has(&self, method: ProofMethod) -> bool {
        self.required.methods.contains(&method)
    }

    fn said(&self, sentence: &str) -> String {
        let with = [
            ("organization", self.tenant.name.as_str()),
            ("purpose", self.title),
        ];
        filled(sentence, &with)
    }

    /// The page where somebody chooses how.
    pub(crate) fn draw(
        &self,
        gateway: &Gateway,
        trouble: Option<&str>,
        status: StatusCode,
    ) -> Response {
        if trouble.is_none() && self.may_have_ticket(gateway) {
            return self.draw_ticket();
        }
        let words = words(self.locale());
        let offers_eid = self.has(ProofMethod::Eid)
            && gateway
                .eids()
                .is_some_and(|eids| eids.is_offered(self.tenant.id));
        let mut html = Html::new();
        html.tag("<main id=\"main\" tabindex=\"-1\"><h1>")
            .text(words.title)
            .tag("</h1><p>")
            .text(&self.said(words.why))
            .tag("</p>");
        for (is_so, said) in [
            (self.required.anonymous, words.anonymous),
            (self.required.named, words.named),
        ] {
            if is_so {
                html.tag("<p>").text(&self.said(said)).tag("</p>");
            }
        }
        if let Some(trouble) = trouble {
            html.tag("<div class=\"notice attention\" role=\"alert\"><p>")
                .text(trouble)
                .tag("</p></div>");
        }
        if self.has(ProofMethod::Pin) {
            self.form(&mut html);
            html.tag("<p><label for=\"pin\">").text(words.pin).tag(
                "</label></p><p><input id=\"pin\" name=\"_pin\" type=\"text\" inputmode=\"numeric\" \
                 autocomplete=\"one-time-code\" required maxlength=\"20\"></p>\
                 <p><button name=\"_step\" value=\"pin\" class=\"button positive\">",
            );
            html.text(words.go_on).tag("</button></p></form>");
        }
        if offers_eid {
            let is_phone = is_mobile(self.headers);
            let question = if is_phone {
                Message::Rfa20
            } else {
                Message::Rfa19
            };
            html.tag("<h2>").text(words.bankid).tag("</h2><p>");
            html.text(question.text(self.locale())).tag("</p>");
            self.form(&mut html);
            html.tag("<p><button name=\"_step\" value=\"here\" class=\"button positive\">");
            html.text(words.here).tag(
                "</button></p><p><button name=\"_step\" value=\"elsewhere\" class=\"button\">",
            );
            html.text(words.elsewhere).tag("</button></p></form>");
        } else if !self.has(ProofMethod::Pin) {
            html.tag("<div class=\"notice attention\"><p>")
                .text(&self.said(words.not_offered))
                .tag("</p></div>");
        }
        html.tag("</main>");
        let main = html.finish();
        let document = shell::document(&self.tenant.name, words.title, &main, self.locale());
        shell::respond(status, document)
    }

    fn form(&self, html: &mut Html) {
        html.tag("<form method=\"post\"");
        html.attribute("action", self.address)
            .tag("><input type=\"hidden\" name=\"_token\"")
            .attribute("value", self.token)
            .tag(">");
    }

    /// Does what somebody chose. The form was ours if `is_ours`.
    pub(crate) async fn take(
        &self,
        gateway: &Gateway,
        step: Step,
        is_ours: bool,
    ) -> Result<Response, Problem> {
        let words = words(self.locale());
        if !is_ours {
            return Ok(self.draw(gateway, Some(words.stale), StatusCode::CONFLICT));
        }
        match step.how.as_str() {
            "pin" if self.has(ProofMethod::Pin) => self.by_pin(gateway, &step.pin).await,
            "here" if self.has(ProofMethod::Eid) => {
                let mobile = is_mobile(self.headers);
                self.by_eid(gateway, Device::Same { mobile }).await
            }
            "elsewhere" if self.has(ProofMethod::Eid) => self.by_eid(gateway, Device::Other).await,
            "key" if self.required.anonymous => self.key(gateway).await,
            "ticket" if self.required.anonymous => self.sign(gateway, &step.blinded).await,
            _ => Err(Reason::Invalid.into()),
        }
    }

    async fn by_pin(&self, gateway: &Gateway, typed: &str) -> Result<Response, Problem> {
        let identity = gateway.identity();
        let words = words(self.locale());
        let digits: String = typed.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
        let digits = Secret::new(digits.chars().take(PIN_DIGITS * 2).collect::<String>());
        let purpose = &self.required.purpose;
        let scope = self.required.scope.as_deref().unwrap_or(purpose);
        let (tenant, plugin) = (self.tenant.id, self.plugin);
        let checked = identity.check_pin(tenant, plugin, scope, digits).await;
        let why = match checked {
            Ok(()) => {
                let cookie = cookie::unguessable();
                let proof = NewProof {
                    plugin,
                    purpose,
                    method: "pin",
                    pseudonym: None,
                    binding: browser_binding(&cookie),
                    for_ticket: false,
                };
                let token = identity.issue_proof(tenant, proof).await;
                let token = token.map_err(crate::rpc::session::refused)?;
                let cookie = proof_cookie(plugin, purpose, &token, &cookie);
                return Ok(with_cookie(sent_on(self.address)?, cookie));
            }
            Err(IdentityError::WrongPin { left }) => {
                filled(words.wrong_pin, &[("left", &left.to_string())])
            }
            Err(IdentityError::Throttled { retry_after_ms }) => {
                let minutes = retry_after_ms.div_ceil(60_000).to_string();
                filled(words.paused, &[("minutes", &minutes)])
            }
            Err(IdentityError::PinLocked) => words.locked.to_owned(),
            Err(error) => return Err(crate::rpc::session::refused(error)),
        };
        Ok(self.draw(gateway, Some(&why), StatusCode::FORBIDDEN))
    }

    async fn by_eid(&self, gateway: &Gateway, device: Device) -> Result<Response, Problem> {
        let words = words(self.locale());
        let Some(eids) = gateway.eids() else {
            let why = self.said(words.not_offered);
            return Ok(self.draw(gateway, Some(&why), StatusCode::SERVICE_UNAVAILABLE));
        };
        let browser = self.headers.get(header::USER_AGENT);
        let browser = browser.and_then(|agent| agent.to_str().ok());
        let request = EidRequest {
            plugin: self.plugin.clone(),
            purpose: self.required.purpose.clone(),
            device,
            asked: Asked {
                address: Some(self.edge.peer),
                visible: self.said(words.visible),
                host: self.edge.host.clone(),
                browser: browser.unwrap_or_default().to_owned(),
                ..Asked::default()
            },
            origin: self.edge.origin.clone(),
            back_to: self.address.to_owned(),
            for_ticket: self.required.anonymous,
            named: self.required.named,
        };
        let (why, status) = match eids.begin(self.cx, request).await {
            Ok(begun) => {
                let binding = begun.binding.expose();
                let cookie = cookie_of(ORDER_COOKIE, binding, ORDER_COOKIE_AGE_S);
                return Ok(with_cookie(
                    sent_on(&format!("/stepup/{}", begun.id))?,
                    cookie,
                ));
            }
            Err(error) => self.trouble(&error)?,
        };
        Ok(self.draw(gateway, Some(&why), status))
    }

    /// What people read when no order could be begun.
    fn trouble(&self, error: &StepUpError) -> Result<(String, StatusCode), Problem> {
        let words = words(self.locale());
        let unavailable = StatusCode::SERVICE_UNAVAILABLE;
        tracing::warn!(tenant.id = %self.tenant.id, plugin.id = %self.plugin, %error, "no order could be begun");
        Ok(match error {
            StepUpError::NotOffered => (self.said(words.not_offered), unavailable),
            StepUpError::Spent { .. } => (words.spent.to_owned(), StatusCode::TOO_MANY_REQUESTS),
            StepUpError::Provider(EidError::AlreadyInProgress) => {
                let message = Message::Rfa4.text(self.locale());
                (message.to_owned(), StatusCode::CONFLICT)
            }
            StepUpError::Provider(_) => (Message::Rfa5.text(self.locale()).to_owned(), unavailable),
            StepUpError::Identity(error) => return Err(error.problem()),
            _ => return Err(Reason::Internal.into()),
        })
    }
}

/// Whether the browser says that it is a phone's or a tablet's.
fn is_mobile(headers: &HeaderMap) -> bool {
    let agent = headers
        .get(header::USER_AGENT)
        .and_then(|agent| agent.to_str().ok());
    agent.is_some_and(|agent| {
        ["Mobile", "Android", "iPhone", "iPad"]
            .iter()
            .any(|word| agent.contains(word))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_form_is_told_from_a_plugins() {
        assert_eq!(step(b"t.name=x&_token=y"), None);
        let step = step(b"_token=y&_pin=123+456&_step=pin").unwrap();
        assert_eq!((step.how.as_str(), step.pin.as_str()), ("pin", "123 456"));
    }

    #[test]
    fn a_proof_is_read_only_under_its_own_tag() {
        let tag = tag("forms", "f/1");
        let mut headers = HeaderMap::new();
        let sent = format!("{PROOF_COOKIE}{tag}=tok~bind; x=1");
        headers.insert(header::COOKIE, sent.parse().unwrap());
        assert_eq!(held(&headers, &tag).unwrap().token.expose(), "tok");
        for other in ["0000000000000000", "", "../../../../etc"] {
            assert!(held(&headers, other).is_none(), "{other}");
        }
    }
}
