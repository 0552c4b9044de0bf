//! Access tokens (RFC 9068): what they say, how they are signed, and how strictly they are checked. Pure.

use jsonwebtoken::{Algorithm, Header, Validation};
use serde::{Deserialize, Serialize};
use vaxel_core::{SessionId, TenantId, UnixMs, UserId};

use crate::keys::{SigningKey, SigningKeys};
use crate::{IdentityError, TokenError};

/// How long an access token is good.
pub(crate) const ACCESS_TTL_MS: u64 = 10 * 60_000;
/// How far a token's own times may lie ahead of our clock.
pub(crate) const SKEW_MS: u64 = 60_000;
/// Ours are about 600 bytes; what is longer is not read.
pub(crate) const TOKEN_LEN_MAX: usize = 4_096;
/// RFC 9068, section 2.1.
const TYPE: &str = "at+jwt";
/// The client that people sign in with; others come with OAuth.
pub(crate) const CLIENT: &str = "vaxel-web";

pub(crate) const MEMBER: &[&str] = &["member"];
pub(crate) const ADMIN: &[&str] = &["member", "admin"];

/// What a good access token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// The organization it is for.
    pub tenant: TenantId,
    /// Who holds it.
    pub user: UserId,
    /// The login session it came from.
    pub session: SessionId,
    /// When it was issued.
    pub issued_at: UnixMs,
    /// When it stops to be good.
    pub exp: UnixMs,
    /// Whether its holder administers the organization.
    pub admin: bool,
    /// The client it was issued to.
    pub client_id: String,
}

impl Claims {
    /// The roles of its holder; the runtime maps them to the permissions that plugins suggest for them.
    pub const fn permissions(&self) -> &'static [&'static str] {
        if self.admin { ADMIN } else { MEMBER }
    }
}

/// The claims as they are written.
#[derive(Serialize, Deserialize)]
pub(crate) struct Wire {
    pub(crate) iss: String,
    pub(crate) aud: String,
    pub(crate) sub: UserId,
    pub(crate) client_id: String,
    pub(crate) iat: u64,
    pub(crate) exp: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) nbf: Option<u64>,
    pub(crate) jti: String,
    pub(crate) sid: SessionId,
    pub(crate) tenant: TenantId,
    pub(crate) roles: Vec<String>,
}

pub(crate) fn sign(key: &SigningKey, wire: &Wire) -> Result<String, IdentityError> {
    let mut header = Header::new(Algorithm::EdDSA);
    header.typ = Some(TYPE.to_owned());
    header.kid = Some(key.kid.clone());
    jsonwebtoken::encode(&header, wire, &key.encoding).map_err(|_| IdentityError::Fault {
        what: "signing a token",
    })
}

/// Checks everything but revocation. `issuer_of` answers who may issue for a tenant, nothing if there is none such.
pub(crate) fn check(
    keys: &SigningKeys,
    token: &str,
    now: UnixMs,
    issuer_of: impl FnOnce(TenantId) -> Option<String>,
) -> Result<Claims, TokenError> {
    if token.len() > TOKEN_LEN_MAX || token.bytes().filter(|b| *b == b'.').count() != 2 {
        return Err(TokenError::Malformed);
    }
    let header = jsonwebtoken::decode_header(token).map_err(|_| TokenError::Malformed)?;
    let kid = accept_header(&header)?;
    let key = keys.find(kid, now).ok_or(TokenError::UnknownKey)?;

    let mut validation = Validation::new(Algorithm::EdDSA);
    // Times are checked below, by the one clock; issuer and audience too, by the tenant that the token names.
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    let wire: Wire = jsonwebtoken::decode(token, &key.decoding, &validation)
        .map_err(|error| match error.kind() {
            jsonwebtoken::errors::ErrorKind::InvalidSignature => TokenError::BadSignature,
            _ => TokenError::Malformed,
        })?
        .claims;

    let issuer = issuer_of(wire.tenant).ok_or(TokenError::WrongIssuer)?;
    if wire.iss != issuer {
        return Err(TokenError::WrongIssuer);
    }
    if wire.aud != audience(&issuer) {
        return Err(TokenError::WrongAudience);
    }
    let at = |seconds: u64| UnixMs(seconds.saturating_mul(1_000));
    let claims = Claims {
        tenant: wire.tenant,
        user: wire.sub,
        session: wire.sid,
        issued_at: at(wire.iat),
        exp: at(wire.exp),
        admin: wire.roles.iter().any(|role| role == "admin"),
        client_id: wire.client_id,
    };
    if now >= claims.exp {
        return Err(TokenError::Expired);
    }
    let latest = now.plus_ms(SKEW_MS);
    if claims.issued_at > latest || wire.nbf.is_some_and(|nbf| at(nbf) > latest) {
        return Err(TokenError::NotYet);
    }
    Ok(claims)
}

/// Only the three fields that we write; anything else could make a checker fetch or trust something.
fn accept_header(header: &Header) -> Result<&str, TokenError> {
    if header.alg != Algorithm::EdDSA {
        return Err(TokenError::WrongAlgorithm);
    }
    if !header
        .typ
        .as_deref()
        .is_some_and(|typ| typ.eq_ignore_ascii_case(TYPE))
    {
        return Err(TokenError::WrongType);
    }
    let mut plain = Header::new(Algorithm::EdDSA);
    plain.typ.clone_from(&header.typ);
    plain.kid.clone_from(&header.kid);
    if *header != plain {
        return Err(TokenError::ForbiddenHeader);
    }
    header.kid.as_deref().ok_or(TokenError::UnknownKey)
}

pub(crate) fn audience(issuer: &str) -> String {
    format!("{issuer}/api")
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
    use jsonwebtoken::EncodingKey;

    use super::*;

    const NOW: UnixMs = UnixMs(1_800_000_000_000);
    const ISSUER: &str = "https://acme.example";

    fn wire() -> Wire {
        Wire {
            iss: ISSUER.to_owned(),
            aud: audience(ISSUER),
            sub: UserId::from_u128(1),
            client_id: CLIENT.to_owned(),
            iat: NOW.as_secs(),
            exp: NOW.plus_ms(ACCESS_TTL_MS).as_secs(),
            nbf: None,
            jti: "x".to_owned(),
            sid: SessionId::from_u128(2),
            tenant: TenantId::from_u128(3),
            roles: vec!["member".to_owned()],
        }
    }

    fn checked(keys: &SigningKeys, token: &str) -> Result<Claims, TokenError> {
        check(keys, token, NOW, |tenant| {
            (tenant == TenantId::from_u128(3)).then(|| ISSUER.to_owned())
        })
    }

    fn signed(keys: &SigningKeys, change: impl FnOnce(&mut Wire)) -> String {
        let mut wire = wire();
        change(&mut wire);
        sign(keys.current().unwrap(), &wire).unwrap()
    }

    fn with_header(keys: &SigningKeys, header: &serde_json::Value, sign_with: &str) -> String {
        let part = |value: &serde_json::Value| BASE64.encode(value.to_string());
        let message = format!(
            "{}.{}",
            part(header),
            part(&serde_json::to_value(wire()).unwrap())
        );
        let key = keys.current().unwrap();
        let signature = match sign_with {
            "nothing" => String::new(),
            "hmac" => {
                let secret = EncodingKey::from_secret(&keys.public_bytes());
                jsonwebtoken::crypto::sign(message.as_bytes(), &secret, Algorithm::HS256).unwrap()
            }
            _ => jsonwebtoken::crypto::sign(message.as_bytes(), &key.encoding, Algorithm::EdDSA)
                .unwrap(),
        };
        format!("{message}.{signature}")
    }

    #[test]
    fn a_token_of_ours_is_good_and_says_who() {
        let keys = SigningKeys::generate(NOW);
        let claims = checked(&keys, &signed(&keys, |_| ())).unwrap();
        assert_eq!(claims.user, UserId::from_u128(1));
        assert_eq!(claims.exp, NOW.plus_ms(ACCESS_TTL_MS));
        assert_eq!(claims.permissions(), ["member"]);
        let admin = signed(&keys, |w| w.roles.push("admin".to_owned()));
        assert_eq!(
            checked(&keys, &admin).unwrap().permissions(),
            ["member", "admin"]
        );
    }

    #[test]
    fn every_wrong_claim_has_its_own_refusal() {
        let keys = SigningKeys::generate(NOW);
        let refused = |change: fn(&mut Wire)| checked(&keys, &signed(&keys, change)).unwrap_err();
        assert_eq!(refused(|w| w.exp = NOW.as_secs()), TokenError::Expired);
        assert_eq!(refused(|w| w.exp = 0), TokenError::Expired);
        assert_eq!(refused(|w| w.iat = NOW.as_secs() + 61), TokenError::NotYet);
        assert_eq!(
            refused(|w| w.nbf = Some(NOW.as_secs() + 61)),
            TokenError::NotYet
        );
        assert_eq!(
            refused(|w| w.iss = "https://evil.example".to_owned()),
            TokenError::WrongIssuer
        );
        assert_eq!(
            refused(|w| w.aud = "https://acme.example".to_owned()),
            TokenError::WrongAudience
        );
        assert_eq!(
            refused(|w| w.tenant = TenantId::from_u128(4)),
            TokenError::WrongIssuer
        );
        assert!(checked(&keys, &signed(&keys, |w| w.iat = NOW.as_secs() + 60)).is_ok());
        assert!(checked(&keys, &signed(&keys, |w| w.iat = u64::MAX)).is_err());
    }

    #[test]
    fn forged_headers_are_refused_whatever_they_are_signed_with() {
        let keys = SigningKeys::generate(NOW);
        let kid = keys.current().unwrap().kid.clone();
        let refused = |header: serde_json::Value, sign_with: &str| {
            checked(&keys, &with_header(&keys, &header, sign_with)).unwrap_err()
        };
        let json = |text: &str| -> serde_json::Value {
            let mut header: serde_json::Value = serde_json::from_str(text).unwrap();
            header["kid"] = kid.clone().into();
            header
        };
        assert_eq!(
            refused(json(r#"{"alg":"none","typ":"at+jwt"}"#), "nothing"),
            TokenError::Malformed
        );
        assert_eq!(
            refused(json(r#"{"alg":"HS256","typ":"at+jwt"}"#), "hmac"),
            TokenError::WrongAlgorithm
        );
        assert_eq!(
            refused(json(r#"{"alg":"EdDSA","typ":"at+jwt"}"#), "hmac"),
            TokenError::BadSignature
        );
        assert_eq!(
            refused(json(r#"{"alg":"EdDSA","typ":"JWT"}"#), "key"),
            TokenError::WrongType
        );
        assert_eq!(
            refused(json(r#"{"alg":"EdDSA"}"#), "key"),
            TokenError::WrongType
        );
        for extra in [
            r#""jku":"https://evil.example/jwks""#,
            r#""x5u":"https://evil.example/cert""#,
            r#""crit":["exp"]"#,
            r#""jwk":{"kty":"OKP","crv":"Ed25519","x":"AAAA"}"#,
            r#""x5c":["AAAA"]"#,
            r#""b64":false"#,
            r#""cty":"JWT""#,
            r#""zip":"DEF""#,
        ] {
            let header = json(&format!(r#"{{"alg":"EdDSA","typ":"at+jwt",{extra}}}"#));
            assert_eq!(
                refused(header, "key"),
                TokenError::ForbiddenHeader,
                "{extra}"
            );
        }
        let unknown = serde_json::json!({"alg": "EdDSA", "typ": "at+jwt", "kid": "nobody's"});
        assert_eq!(refused(unknown, "key"), TokenError::UnknownKey);
        let missing = serde_json::json!({"alg": "EdDSA", "typ": "at+jwt"});
        assert_eq!(refused(missing, "key"), TokenError::UnknownKey);
        assert!(
            checked(
                &keys,
                &with_header(&keys, &json(r#"{"alg":"EdDSA","typ":"at+jwt"}"#), "key")
            )
            .is_ok()
        );
    }

    #[test]
    fn a_token_of_other_keys_or_with_any_byte_changed_is_refused() {
        let keys = SigningKeys::generate(NOW);
        let stranger = SigningKeys::generate(NOW);
        assert_eq!(
            checked(&keys, &signed(&stranger, |_| ())),
            Err(TokenError::UnknownKey)
        );

        let token = signed(&keys, |_| ());
        for at in 0..token.len() {
            let mut bytes = token.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            assert!(checked(&keys, &changed).is_err(), "byte {at}");
        }
    }

    #[test]
    fn what_is_no_token_is_malformed() {
        let keys = SigningKeys::generate(NOW);
        let long = "a".repeat(TOKEN_LEN_MAX + 1);
        for text in [
            "", ".", "..", "...", "a.b", "a.b.c", "a.b.c.d", "å.ä.ö", &long,
        ] {
            assert_eq!(
                checked(&keys, text),
                Err(TokenError::Malformed),
                "{text:.20}"
            );
        }
    }
}
