//! `session/*`: signing in and out. HTTP only, from our own pages only, because the refresh token is a cookie.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vaxel_core::{Problem, Reason, UserId};
use vaxel_identity::{IdentityError, SignedIn};

use super::registry::{Access, Done, HttpSide, Invocation, Nothing, Registry, Reply};
use super::tenant::TenantView;
use super::users::UserView;
use crate::http::cookie::CookieChange;
use crate::{Gateway, GatewayError};

pub(crate) fn register(registry: &mut Registry) -> Result<(), GatewayError> {
    registry
        .add("session/login", "Signs a person in.", Access::Public, login)?
        .cookie = true;
    registry
        .add(
            "session/refresh",
            "Answers a fresh access token for the refresh cookie.",
            Access::Public,
            refresh,
        )?
        .cookie = true;
    registry
        .add(
            "session/logout",
            "Ends this device's login session.",
            Access::Public,
            logout,
        )?
        .cookie = true;
    registry
        .add(
            "session/demo",
            "Signs in as a person of the demo; only on this machine and only in a demo.",
            Access::Public,
            demo,
        )?
        .cookie = true;
    Ok(())
}

/// Signs a person in.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Login {
    #[schemars(length(min = 1, max = 200))]
    login: String,
    #[schemars(length(min = 1, max = 1024))]
    password: String,
    /// Nobody has a second factor yet; what is sent here is not looked at.
    #[serde(default)]
    #[schemars(length(max = 16))]
    #[allow(dead_code, reason = "part of the contract before the feature is")]
    totp: Option<String>,
}

/// Whom to be.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Demo {
    #[schemars(schema_with = "super::schema::user_id")]
    user: UserId,
}

/// A signed-in device.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Session {
    access_token: String,
    /// Seconds until the access token ends.
    expires_in: u64,
    user: UserView,
    tenant: TenantView,
}

/// The answer to whoever has signed in, with the cookie that keeps them so.
pub(crate) fn signed_in(invocation: &Invocation, session: SignedIn) -> Reply<Session> {
    let age_s = session.refresh_ends_at.since(invocation.cx.now) / 1_000;
    Reply {
        cookie: Some(CookieChange::Set {
            token: session.refresh_token.expose().clone(),
            age_s,
        }),
        result: Session {
            access_token: session.access_token,
            expires_in: session.expires_in_s,
            user: UserView::whole(&session.user),
            tenant: TenantView::of(&invocation.tenant),
        },
    }
}

pub(crate) fn http(invocation: &Invocation) -> Result<&HttpSide, Problem> {
    invocation
        .http
        .as_ref()
        .ok_or_else(|| Problem::from(Reason::Invalid))
}

/// Logs what only the log may know and answers what the caller may.
pub(crate) fn refused(error: IdentityError) -> Problem {
    if error.reason() == Reason::Internal {
        tracing::error!(%error, "identity failed");
    }
    error.problem()
}

async fn login(
    gateway: Gateway,
    invocation: Invocation,
    params: Login,
) -> Result<Reply<Session>, Problem> {
    let device = http(&invocation)?.device.clone();
    let session = gateway
        .identity()
        .login(
            invocation.tenant.id,
            &params.login,
            params.password.into(),
            &device,
            invocation.peer,
        )
        .await
        .map_err(refused)?;
    Ok(signed_in(&invocation, session))
}

async fn refresh(
    gateway: Gateway,
    invocation: Invocation,
    _: Nothing,
) -> Result<Reply<Session>, Problem> {
    let token = http(&invocation)?.refresh_token.clone();
    let token = token.ok_or_else(|| refused(IdentityError::SessionGone))?;
    // A refusal leaves the cookie as it is: another tab may just have been given a newer one.
    let session = gateway
        .identity()
        .refresh(invocation.tenant.id, &token)
        .await
        .map_err(refused)?;
    Ok(signed_in(&invocation, session))
}

async fn logout(
    gateway: Gateway,
    invocation: Invocation,
    _: Nothing,
) -> Result<Reply<Done>, Problem> {
    if let Some(token) = &http(&invocation)?.refresh_token {
        gateway
            .identity()
            .logout(invocation.tenant.id, token)
            .await
            .map_err(refused)?;
    }
    Ok(Reply {
        result: Done {},
        cookie: Some(CookieChange::Expire),
    })
}

async fn demo(
    gateway: Gateway,
    invocation: Invocation,
    params: Demo,
) -> Result<Reply<Session>, Problem> {
    let shown = gateway.demo().filter(|_| {
        invocation
            .http
            .as_ref()
            .is_some_and(|http| http.loopback_http)
    });
    let is_person = shown.is_some_and(|demo| {
        demo.organizations
            .iter()
            .filter(|organization| organization.slug == invocation.tenant.slug)
            .flat_map(|organization| &organization.people)
            .any(|person| person.id == params.user)
    });
    if !is_person {
        return Err(Problem::new(
            Reason::NotFound,
            "There is no such person in a demo here.",
        ));
    }
    let session = gateway
        .identity()
        .sign_in_as(invocation.tenant.id, params.user)
        .await
        .map_err(refused)?;
    Ok(signed_in(&invocation, session))
}
