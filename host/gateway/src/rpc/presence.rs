//! `presence/*`: who is reachable right now.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vaxel_core::{Problem, UserId};

use super::registry::{Access, Done, Invocation, Nothing, Registry, Reply};
use super::schema;
use crate::fanout::presence::Status;
use crate::{Gateway, GatewayError};

pub(crate) fn register(registry: &mut Registry) -> Result<(), GatewayError> {
    registry.add(
        "presence/list",
        "Who is here; everybody else is offline.",
        Access::User,
        list,
    )?;
    registry.add(
        "presence/set",
        "Says whether one is at one's device.",
        Access::User,
        set,
    )?;
    Ok(())
}

#[derive(Serialize, JsonSchema)]
struct Present {
    #[schemars(schema_with = "schema::user_id")]
    user: UserId,
    status: Status,
}

/// Who is here.
#[derive(Serialize, JsonSchema)]
struct PresenceList {
    items: Vec<Present>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SetPresence {
    status: Chosen,
}

/// What one can say about oneself; offline is who has no socket.
#[derive(Clone, Copy, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Chosen {
    Online,
    Away,
}

async fn list(
    gateway: Gateway,
    invocation: Invocation,
    _: Nothing,
) -> Result<Reply<PresenceList>, Problem> {
    let present = gateway.fanout().hub(invocation.tenant.id).presence();
    let items = present
        .into_iter()
        .map(|(user, status)| Present { user, status })
        .collect();
    Ok(PresenceList { items }.into())
}

async fn set(
    gateway: Gateway,
    invocation: Invocation,
    params: SetPresence,
) -> Result<Reply<Done>, Problem> {
    let user = invocation.claims()?.user;
    let hub = gateway.fanout().hub(invocation.tenant.id);
    hub.set_presence(user, params.status == Chosen::Away);
    Ok(Done {}.into())
}
