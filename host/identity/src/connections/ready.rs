//! A credential on its way: the header that carries it, and all that must not come back in an answer.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use vaxel_core::UserId;
use vaxel_net::{Credential, Incoming};

use super::ConnectionSpec;
use super::rows::{Client, Held, What};

/// What stands in an answer where a credential stood.
const INSTEAD: &[u8] = b"[credential]";

/// A credential that may be sent now. It has no Debug: nobody prints it.
#[derive(Clone)]
pub struct Ready {
    /// What is added to the request.
    pub credential: Credential,
    hidden: Vec<Vec<u8>>,
}

impl Ready {
    pub(super) fn new(spec: &ConnectionSpec, held: &Held, client: Option<&Client>) -> Self {
        let mut secrets = Vec::new();
        let (header, value) = match &held.what {
            What::ApiKey { key } => {
                secrets.push(key.clone());
                let header = spec.header.clone().unwrap_or_default();
                (header, key.clone())
            }
            What::Basic { name, password } => {
                let both = STANDARD.encode(format!("{name}:{password}"));
                secrets.extend([password.clone(), both.clone()]);
                ("authorization".to_owned(), format!("Basic {both}"))
            }
            What::Token { access, refresh } => {
                secrets.push(access.value.clone());
                secrets.extend(refresh.clone());
                (
                    "authorization".to_owned(),
                    format!("Bearer {}", access.value),
                )
            }
        };
        // Given to the very same hosts, maybe: their careless answers could show it as well.
        secrets.extend(client.and_then(|client| client.secret.clone()));
        Self {
            credential: Credential {
                header,
                value,
                hosts: spec.hosts.clone(),
            },
            hidden: forms(&secrets),
        }
    }

    /// The answer without the credential, in whatever common form it stands there.
    pub fn hide(&self, mut incoming: Incoming) -> Incoming {
        if let Some(body) = self.replaced(&incoming.body) {
            incoming.body = body.into();
        }
        for (name, value) in &mut incoming.headers {
            for text in [name, value] {
                if let Some(replaced) = self.replaced(text.as_bytes()) {
                    *text = String::from_utf8_lossy(&replaced).into_owned();
                }
            }
        }
        incoming
    }

    fn replaced(&self, text: &[u8]) -> Option<Vec<u8>> {
        let mut replaced: Option<Vec<u8>> = None;
        for hidden in &self.hidden {
            let text = replaced.as_deref().unwrap_or(text);
            if let Some(without) = without(text, hidden) {
                replaced = Some(without);
            }
        }
        replaced
    }
}

/// Who may have it is no secret, so the owner of a connection is known by the spec alone.
pub(super) fn owner(spec: &ConnectionSpec, user: Option<UserId>) -> Option<Option<UserId>> {
    match (spec.per_user, user) {
        (false, _) => Some(None),
        (true, Some(user)) => Some(Some(user)),
        (true, None) => None,
    }
}

/// As they are, and as they stand in an address, a form, JSON or Base64. The longest first: one may be part of another.
fn forms(secrets: &[String]) -> Vec<Vec<u8>> {
    let mut forms: Vec<Vec<u8>> = Vec::new();
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        let form: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        let json = serde_json::to_string(secret).unwrap_or_default();
        // One quote at each end: a secret may end in one of its own.
        let json = json
            .strip_prefix('"')
            .and_then(|json| json.strip_suffix('"'));
        let json = json.unwrap_or_default().to_owned();
        forms.extend([
            secret.clone().into_bytes(),
            form.replace('+', "%20").into_bytes(),
            form.into_bytes(),
            json.replace('/', "\\/").into_bytes(),
            json.into_bytes(),
            STANDARD
                .encode(secret)
                .trim_end_matches('=')
                .as_bytes()
                .to_vec(),
        ]);
    }
    forms.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    forms.dedup();
    forms
}

fn without(text: &[u8], hidden: &[u8]) -> Option<Vec<u8>> {
    let (first, rest) = hidden.split_first()?;
    let mut out = Vec::new();
    let (mut kept, mut at) = (0, 0);
    while let Some(found) = text.get(at..)?.iter().position(|byte| byte == first) {
        let start = at + found;
        if text.get(start + 1..)?.starts_with(rest) {
            out.extend_from_slice(text.get(kept..start)?);
            out.extend_from_slice(INSTEAD);
            kept = start + hidden.len();
            at = kept;
        } else {
            at = start + 1;
        }
    }
    if kept == 0 {
        return None;
    }
    out.extend_from_slice(text.get(kept..)?);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_of_a_secret_is_replaced() {
        let replaced = without(b"sec secret xsecret", b"secret").unwrap();
        assert_eq!(replaced, b"sec [credential] x[credential]");
        assert_eq!(without(b"nothing", b"secret"), None);
        assert_eq!(without(b"secret", b"secret").unwrap(), INSTEAD);
        assert_eq!(without(b"", b"secret"), None);
        assert_eq!(without(b"x", b""), None);
    }

    #[test]
    fn a_secret_is_known_in_its_common_forms() {
        let forms = forms(&["a/b+c \"d\"".to_owned()]);
        for form in [
            "a/b+c \"d\"",
            "a%2Fb%2Bc%20%22d%22",
            "a%2Fb%2Bc+%22d%22",
            "a/b+c \\\"d\\\"",
            "a\\/b+c \\\"d\\\"",
            "YS9iK2MgImQi",
        ] {
            assert!(forms.contains(&form.as_bytes().to_vec()), "{form}");
        }
    }
}
