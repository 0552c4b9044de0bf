//! BankID's Relying Party API, version 6: orders by code or on the same device, and with somebody on the phone.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use vaxel_core::{Clock, UnixMs};
use vaxel_crypto::Secret;
use vaxel_net::{ClientIdentity, MutualClient, MutualError};

use crate::circuit::Circuit;
use crate::evidence::{EvidenceError, Judge, Shown};
use crate::provider::{
    Answering, Asked, CallInitiator, Completion, EidError, EidProvider, Evidence, Order, Person,
    Progress,
};
use crate::{Hint, PersonalNumber};

/// Somebody waits for each call.
const TIMEOUT: Duration = Duration::from_secs(5);

/// What is shown when somebody says who they are, and when they sign: bytes after Base64.
const SHOWN_AUTH_MAX: usize = 1_500;
const SHOWN_SIGN_MAX: usize = 40_000;

/// What is signed unseen, after Base64: the larger of the two.
const HIDDEN_SIGN_MAX: usize = 200_000;

/// The longest name that a browser gives itself there; longer ones are cut.
const BROWSER_CHARS_MAX: usize = 256;

/// The longest of the provider's words that is kept for the log.
const CODE_LEN_MAX: usize = 40;

/// Where the API is, and whom to trust. The same for all organizations.
pub struct BankIdConfig {
    /// `https://appapi2.bankid.com/rp/v6.0`.
    pub url: String,
    /// The authority of the API's own certificate, in PEM. Nobody else is trusted.
    pub api_root: Vec<u8>,
    /// What judges signatures: the authority of people's certificates.
    pub judge: Judge,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// BankID, as one organization with its own certificate is known to it.
pub struct BankId {
    client: MutualClient,
    config: Arc<BankIdConfig>,
    circuit: Circuit,
}

/// What starts an order; unknown fields are left alone.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Started {
    order_ref: String,
    #[serde(default)]
    auto_start_token: String,
    #[serde(default)]
    qr_start_token: String,
    #[serde(default)]
    qr_start_secret: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Collected {
    order_ref: String,
    status: String,
    #[serde(default)]
    hint_code: String,
    #[serde(default)]
    completion_data: Option<CompletionData>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CompletionData {
    user: User,
    signature: String,
    ocsp_response: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct User {
    personal_number: String,
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Failed {
    #[serde(default)]
    error_code: String,
}

/// Nothing of an answer that is asked for and not used.
#[derive(Deserialize)]
struct Ignored {}

impl BankId {
    /// BankID for the organization with this certificate.
    pub fn new(config: Arc<BankIdConfig>, identity: &ClientIdentity) -> Result<Self, MutualError> {
        let client = MutualClient::new(&config.url, &config.api_root, identity, &config.clock)?;
        Ok(Self {
            client,
            config,
            circuit: Circuit::default(),
        })
    }

    fn now(&self) -> UnixMs {
        self.config.clock.now()
    }

    async fn ask<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T, EidError> {
        self.circuit
            .enter(self.now())
            .map_err(|retry_after_ms| EidError::Unavailable { retry_after_ms })?;
        let unavailable = |retry_after_ms| {
            self.circuit.failed(self.now());
            EidError::Unavailable { retry_after_ms }
        };
        let body = body.to_string().into_bytes();
        let answer = self.client.post_json(path, body, TIMEOUT).await;
        let answer = answer.map_err(|_| unavailable(2_000))?;
        if answer.status >= 500 || answer.status == 408 {
            let seconds = answer.retry_after_s.unwrap_or(2).min(3_600);
            return Err(unavailable(u32::try_from(seconds * 1_000).unwrap_or(2_000)));
        }
        self.circuit.answered();
        match answer.status {
            200 => serde_json::from_slice(&answer.body).map_err(|_| EidError::Unreadable),
            401 | 403 => Err(EidError::Unauthorized),
            429 => Err(EidError::Busy),
            _ => Err(refused(&answer.body)),
        }
    }

    async fn begin(&self, path: &str, mut body: Value, asked: &Asked) -> Result<Order, EidError> {
        let visible = BASE64.encode(&asked.visible);
        let max = if asked.sign {
            SHOWN_SIGN_MAX
        } else {
            SHOWN_AUTH_MAX
        };
        let hidden = BASE64.encode(&asked.hidden);
        let hidden_max = if asked.sign {
            HIDDEN_SIGN_MAX
        } else {
            SHOWN_AUTH_MAX
        };
        if visible.is_empty() || visible.len() > max || hidden.len() > hidden_max {
            return Err(EidError::Unshowable { max });
        }
        if let Value::Object(fields) = &mut body {
            fields.insert("userVisibleData".to_owned(), visible.into());
            if !hidden.is_empty() {
                fields.insert("userNonVisibleData".to_owned(), hidden.into());
            }
        }
        let at = self.now();
        let started: Started = self.ask(path, &body).await?;
        Ok(Order {
            reference: started.order_ref,
            auto_start_token: started.auto_start_token,
            qr_start_token: started.qr_start_token,
            qr_start_secret: Secret::new(started.qr_start_secret),
            // Codes count from the answer; what the call took is little.
            at: self.now().max(at),
        })
    }

    fn judged(&self, data: CompletionData, asked: &Asked) -> Result<Completion, EidError> {
        let evidence = Evidence {
            signature: data.signature,
            ocsp: data.ocsp_response,
        };
        let shown = Shown {
            visible: &asked.visible,
            hidden: &asked.hidden,
            sign: asked.sign,
        };
        let signed = self
            .config
            .judge
            .judge(&evidence, shown, Some(self.now()))?;
        let said = PersonalNumber::parse(&data.user.personal_number);
        let is_them = said.as_ref() == Some(&signed.person)
            && asked
                .only
                .as_ref()
                .is_none_or(|only| *only == signed.person);
        if !is_them {
            return Err(EvidenceError::NotThem.into());
        }
        Ok(Completion {
            person: Person {
                personal_number: signed.person,
                name: data.user.name,
            },
            evidence,
        })
    }
}

fn refused(body: &[u8]) -> EidError {
    let code = serde_json::from_slice::<Failed>(body).map_or(String::new(), |f| f.error_code);
    let code: String = code
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(CODE_LEN_MAX)
        .collect();
    if code == "alreadyInProgress" {
        EidError::AlreadyInProgress
    } else {
        EidError::Refused { code }
    }
}

/// What starts an order, beside what is shown; what is absent is not said at all.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OrderRequest<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    end_user_ip: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    requirement: Option<Requirement<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    return_url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    web: Option<Web<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Requirement<'a> {
    personal_number: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Web<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    referring_domain: Option<&'a str>,
    #[serde(skip_serializing_if = "String::is_empty")]
    user_agent: String,
}

fn order_request(asked: &Asked) -> Value {
    let host = asked.host.as_str();
    let web = Web {
        referring_domain: (3..=253).contains(&host.len()).then_some(host),
        user_agent: asked.browser.chars().take(BROWSER_CHARS_MAX).collect(),
    };
    let says_something = web.referring_domain.is_some() || !web.user_agent.is_empty();
    let request = OrderRequest {
        end_user_ip: asked.address.map(|ip| ip.to_canonical().to_string()),
        requirement: asked.only.as_ref().map(|only| Requirement {
            personal_number: only.expose(),
        }),
        return_url: asked.return_url.as_deref(),
        web: says_something.then_some(web),
    };
    serde_json::to_value(request).unwrap_or_default()
}

impl EidProvider for BankId {
    fn name(&self) -> &'static str {
        "bankid"
    }

    fn start(&self, asked: Asked) -> Answering<'_, Order> {
        Box::pin(async move {
            let path = if asked.sign { "sign" } else { "auth" };
            let order = self.begin(path, order_request(&asked), &asked).await?;
            if order.qr_start_secret.expose().is_empty() || order.auto_start_token.is_empty() {
                return Err(EidError::Unreadable);
            }
            Ok(order)
        })
    }

    fn start_call(
        &self,
        asked: Asked,
        person: PersonalNumber,
        initiator: CallInitiator,
    ) -> Answering<'_, Order> {
        Box::pin(async move {
            let path = if asked.sign {
                "phone/sign"
            } else {
                "phone/auth"
            };
            let body = json!({
                "personalNumber": person.expose(),
                "callInitiator": match initiator {
                    CallInitiator::User => "user",
                    CallInitiator::RelyingParty => "RP",
                },
            });
            self.begin(path, body, &asked).await
        })
    }

    fn collect<'a>(&'a self, order: &'a Order, asked: &'a Asked) -> Answering<'a, Progress> {
        Box::pin(async move {
            let body = json!({ "orderRef": order.reference });
            let collected: Collected = self.ask("collect", &body).await?;
            if collected.order_ref != order.reference {
                return Err(EidError::Unreadable);
            }
            let hint = Hint::new(&collected.hint_code);
            match (collected.status.as_str(), collected.completion_data) {
                ("failed", _) => Ok(Progress::Failed(hint)),
                ("complete", Some(data)) => {
                    Ok(Progress::Complete(Box::new(self.judged(data, asked)?)))
                }
                ("complete", None) => Err(EidError::Unreadable),
                // Also a status that is yet to be invented: the order has not ended.
                _ => Ok(Progress::Pending(hint)),
            }
        })
    }

    fn cancel<'a>(&'a self, order: &'a Order) -> Answering<'a, ()> {
        Box::pin(async move {
            let body = json!({ "orderRef": order.reference });
            match self.ask::<Ignored>("cancel", &body).await {
                // Over already.
                Ok(Ignored {}) | Err(EidError::Refused { .. }) => Ok(()),
                Err(error) => Err(error),
            }
        })
    }
}

impl fmt::Debug for BankId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BankId(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_says_what_the_api_wants_and_nothing_else() {
        let asked = Asked {
            address: Some("::ffff:192.0.2.7".parse().unwrap()),
            visible: "Hej".to_owned(),
            return_url: Some("https://acme.example/stepup/back".to_owned()),
            host: "acme.example".to_owned(),
            browser: "x".repeat(300),
            ..Asked::default()
        };
        let expected = json!({
            "endUserIp": "192.0.2.7",
            "returnUrl": "https://acme.example/stepup/back",
            "web": {"referringDomain": "acme.example", "userAgent": "x".repeat(256)},
        });
        assert_eq!(order_request(&asked), expected);
        assert_eq!(order_request(&Asked::default()), json!({}));
    }

    #[test]
    fn the_providers_words_are_cut_to_letters() {
        let code = |body: &str| refused(body.as_bytes());
        assert_eq!(
            code(r#"{"errorCode":"alreadyInProgress","details":"x"}"#),
            EidError::AlreadyInProgress
        );
        assert_eq!(
            code(r#"{"errorCode":"invalid<Parameters>\n"}"#),
            EidError::Refused {
                code: "invalidParameters".to_owned()
            }
        );
        assert_eq!(
            code("<html>"),
            EidError::Refused {
                code: String::new()
            }
        );
    }
}
