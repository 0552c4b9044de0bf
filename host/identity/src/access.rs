//! Giving out access tokens and asking, for every frame, whether one still counts.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use sha2::{Digest as _, Sha256};
use vaxel_core::{SessionId, TenantId, UnixMs, UserId};
use vaxel_crypto::random_bytes;

use crate::directory::Tenant;
use crate::identity::Identity;
use crate::token::{
    ACCESS_TTL_MS, ADMIN, CLIENT, Claims, MEMBER, TOKEN_LEN_MAX, Wire, audience, check, sign,
};
use crate::{IdentityError, TokenError};

impl Identity {
    /// Who issues this tenant's tokens: from configuration, never from a request.
    pub fn issuer(&self, tenant: &Tenant) -> String {
        let host = tenant.hosts.first().map_or("", String::as_str);
        self.inner
            .config
            .issuer_base
            .replace("{host}", host)
            .replace("{slug}", &tenant.slug)
    }

    /// An access token for this person, and when it ends.
    pub(crate) fn issue(
        &self,
        tenant: TenantId,
        user: UserId,
        admin: bool,
        session: SessionId,
        now: UnixMs,
    ) -> Result<(String, UnixMs), IdentityError> {
        let issuer = self.issuer(&*self.tenant_required(tenant)?);
        let exp = UnixMs(now.plus_ms(ACCESS_TTL_MS).as_secs() * 1_000);
        let roles = if admin { ADMIN } else { MEMBER };
        let wire = Wire {
            aud: audience(&issuer),
            iss: issuer,
            sub: user,
            client_id: CLIENT.to_owned(),
            iat: now.as_secs(),
            exp: exp.as_secs(),
            nbf: None,
            jti: BASE64.encode(random_bytes::<16>()),
            sid: session,
            tenant,
            roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        };
        Ok((sign(self.inner.keys.load().current()?, &wire)?, exp))
    }

    /// Checks an access token. Its signature is checked once; the rest every time.
    pub fn verify(&self, token: &str) -> Result<Arc<Claims>, TokenError> {
        if token.len() > TOKEN_LEN_MAX {
            return Err(TokenError::Malformed);
        }
        let key: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        if let Some(claims) = self.inner.verified.get(&key) {
            self.still_valid(&claims)?;
            return Ok(claims);
        }
        let issuer_of = |tenant| self.tenant(tenant).map(|tenant| self.issuer(&tenant));
        let claims = Arc::new(check(
            &self.inner.keys.load(),
            token,
            self.now(),
            issuer_of,
        )?);
        self.still_valid(&claims)?;
        self.inner.verified.insert(key, Arc::clone(&claims));
        Ok(claims)
    }

    /// Checks an access token at the door of one tenant: one of another tenant is refused.
    pub fn verify_for(&self, tenant: TenantId, token: &str) -> Result<Arc<Claims>, TokenError> {
        let claims = self.verify(token)?;
        if claims.tenant == tenant {
            Ok(claims)
        } else {
            Err(TokenError::WrongTenant)
        }
    }

    /// Whether a token that was good still is. Takes no lock: made for every frame, also outgoing ones.
    pub fn still_valid(&self, claims: &Claims) -> Result<(), TokenError> {
        if self.now() >= claims.exp {
            return Err(TokenError::Expired);
        }
        self.inner
            .revocations
            .check(claims.session, claims.issued_at)
    }
}
