//! Forms that were sent: the token that proves them ours, and what was filled in.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use serde_json::{Map, Value, json};
use vaxel_core::{PluginId, Problem, TenantId, UnixMs};
use vaxel_runtime::Runtime;

use super::check::{ID_BYTES_MAX, INPUTS_MAX};
use super::html::Filled;
use super::inputs_html::{NUMBER, SEVERAL, TEXT};

/// How long a form may lie open: a working day and the night after it.
const TOKEN_MS: u64 = 24 * 60 * 60 * 1_000;

const NONCE_LEN: usize = 16;
const TIME_LEN: usize = 8;

/// Whose form, and where it stands.
pub(crate) struct Form<'a> {
    pub(crate) tenant: TenantId,
    pub(crate) plugin: &'a PluginId,
    pub(crate) page: &'a str,
    pub(crate) path: &'a str,
}

impl Form<'_> {
    fn proof(&self, runtime: &Runtime, head: &[u8]) -> Result<[u8; 32], Problem> {
        let mut said = self.tenant.to_bytes().to_vec();
        said.extend(head);
        for part in [self.plugin.as_str(), self.page, self.path] {
            said.extend(u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
            said.extend(part.as_bytes());
        }
        runtime.form_proof(&said)
    }

    /// A token for one sending: its name, when it was made, and the proof.
    pub(crate) fn token(
        &self,
        runtime: &Runtime,
        now: UnixMs,
        nonce: [u8; NONCE_LEN],
    ) -> Result<String, Problem> {
        let mut token = nonce.to_vec();
        token.extend(now.0.to_be_bytes());
        let proof = self.proof(runtime, &token)?;
        token.extend(proof);
        Ok(URL_SAFE_NO_PAD.encode(token))
    }

    /// The name of the sending, if the token is one of ours for this very form and not too old.
    pub(crate) fn sending(
        &self,
        runtime: &Runtime,
        now: UnixMs,
        token: &str,
    ) -> Result<Option<String>, Problem> {
        let Ok(token) = URL_SAFE_NO_PAD.decode(token) else {
            return Ok(None);
        };
        let Some((head, proof)) = token.split_at_checked(NONCE_LEN + TIME_LEN) else {
            return Ok(None);
        };
        let expected = self.proof(runtime, head)?;
        let Some((nonce, time)) = head.split_at_checked(NONCE_LEN) else {
            return Ok(None);
        };
        let Ok(time) = time.try_into() else {
            return Ok(None);
        };
        let made_at = UnixMs(u64::from_be_bytes(time));
        // In equal time: a guess learns nothing of how close it was.
        let differs = expected.iter().zip(proof).fold(0, |d, (a, b)| d | (a ^ b));
        let is_ours = proof.len() == expected.len() && differs == 0;
        let is_fresh = now.since(made_at) < TOKEN_MS;
        Ok((is_ours && is_fresh).then(|| URL_SAFE_NO_PAD.encode(nonce)))
    }
}

/// What came in a form.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Sent {
    pub(crate) token: String,
    pub(crate) action: String,
    /// Which of the browser's proofs goes with it.
    pub(crate) proof: String,
    /// For the plugin: what was filled in; what was left empty is absent.
    pub(crate) inputs: Map<String, Value>,
    /// The same as it was typed, to be shown again.
    pub(crate) filled: Filled,
}

/// Reads a form as browsers encode it.
pub(crate) fn read(body: &Bytes) -> Option<Sent> {
    let mut sent = Sent::default();
    let mut several: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (count, (name, value)) in url::form_urlencoded::parse(body).enumerate() {
        // A choice among many sends a pair for each that is ticked.
        if count > INPUTS_MAX * 100 {
            return None;
        }
        match name.as_ref() {
            "_token" => sent.token = value.into_owned(),
            "_action" => sent.action = value.into_owned(),
            "_proof" => sent.proof = value.into_owned(),
            name => {
                let (kind, id) = name.split_once('.')?;
                let mut kinds = kind.chars();
                let (kind, None) = (kinds.next()?, kinds.next()) else {
                    return None;
                };
                if id.is_empty() || id.len() > ID_BYTES_MAX || sent.filled.len() > INPUTS_MAX {
                    return None;
                }
                let (id, value) = (id.to_owned(), value.replace("\r\n", "\n"));
                match kind {
                    SEVERAL => {
                        several.entry(id).or_default().push(value);
                        continue;
                    }
                    NUMBER => set(&mut sent.inputs, &id, number(&value)),
                    TEXT => set(
                        &mut sent.inputs,
                        &id,
                        (!value.is_empty()).then(|| value.clone().into()),
                    ),
                    _ => return None,
                }
                sent.filled.insert(id, value);
            }
        }
    }
    for (id, values) in several {
        let value = values.join(",");
        sent.inputs.insert(id.clone(), value.clone().into());
        sent.filled.insert(id, value);
    }
    Some(sent)
}

fn set(inputs: &mut Map<String, Value>, id: &str, value: Option<Value>) {
    match value {
        Some(value) => inputs.insert(id.to_owned(), value),
        None => inputs.remove(id),
    };
}

/// A number, or what was typed instead of one, which the plugin refuses in its own words.
fn number(typed: &str) -> Option<Value> {
    let typed = typed.trim();
    if typed.is_empty() {
        return None;
    }
    let number = typed.replace(',', ".");
    let whole = number.parse::<i64>().ok().map(Value::from);
    let broken = || {
        number
            .parse::<f64>()
            .ok()
            .filter(|n| n.is_finite())
            .map(Value::from)
    };
    Some(whole.or_else(broken).unwrap_or_else(|| typed.into()))
}

/// What the plugin is told.
pub(crate) fn told(action: &str, inputs: &Map<String, Value>) -> Bytes {
    json!({ "action": action, "inputs": inputs })
        .to_string()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_read_as_browsers_encode_it() {
        let body = "_token=tok&t.name=%C3%85sa+%26+co&n.age=41&n.height=1%2C75&n.odd=many&n.none=&t.on=false&t.on=true\
                    &m.days=mon&m.days=tue&t.empty=&t.lines=a%0D%0Ab&_action=save";
        let sent = read(&Bytes::from(body)).unwrap();
        assert_eq!((sent.token.as_str(), sent.action.as_str()), ("tok", "save"));
        let expected = json!({
            "name": "Åsa & co", "age": 41, "height": 1.75, "odd": "many", "on": "true",
            "days": "mon,tue", "lines": "a\nb",
        });
        assert_eq!(Value::Object(sent.inputs), expected);
        assert_eq!(sent.filled["height"], "1,75");
    }

    #[test]
    fn fields_that_are_none_of_ours_are_refused() {
        for body in [
            "name=x",
            "z.a=1",
            "t.=1",
            "tt.a=1",
            ".a=1",
            &format!("t.{}=1", "x".repeat(65)),
        ] {
            assert!(read(&Bytes::from(body.to_owned())).is_none(), "{body}");
        }
    }
}
