//! `stepup/list_people` and `stepup/names`: who may show who they are for a purpose, and what those who did are called.
//! Personal numbers come in here, are hashed, and are never shown again.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vaxel_core::{PluginId, Problem, Reason};
use vaxel_eid::PersonalNumber;

use super::registry::{Access, Done, Invocation, Registry, Reply};
use super::schema;
use super::session::refused;
use crate::{Gateway, GatewayError};

pub(super) fn register(registry: &mut Registry) -> Result<(), GatewayError> {
    registry.add(
        "stepup/list_people",
        "Puts people on the list of those who may show who they are for a plugin's purpose; from the first on it is nobody else.",
        Access::Admin,
        list_people,
    )?;
    registry.add(
        "stepup/unlist_people",
        "Takes the whole list of a purpose away: whoever shows who they are may go on again.",
        Access::Admin,
        unlist_people,
    )?;
    registry.add(
        "stepup/names",
        "What people are called who showed who they are where their names are kept, by pseudonym. Each look is audited.",
        Access::Admin,
        names,
    )?;
    Ok(())
}

/// People for a list.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ListPeople {
    #[schemars(schema_with = "schema::plugin_id")]
    plugin: PluginId,
    #[schemars(length(min = 1, max = 128), regex(pattern = "^[!-~]+$"))]
    purpose: String,
    /// Twelve digits each, hyphens and spaces are passed over. They are kept as keyed hashes alone.
    #[schemars(length(min = 1, max = 1_000), inner(length(min = 12, max = 20)))]
    personal_numbers: Vec<String>,
}

/// How many are on a list.
#[derive(Serialize, JsonSchema)]
struct Listed {
    people: u32,
}

/// A purpose.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct UnlistPeople {
    #[schemars(schema_with = "schema::plugin_id")]
    plugin: PluginId,
    #[schemars(length(min = 1, max = 128), regex(pattern = "^[!-~]+$"))]
    purpose: String,
}

/// Whose names are asked for.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct AskNames {
    #[schemars(schema_with = "schema::plugin_id")]
    plugin: PluginId,
    #[schemars(length(min = 1, max = 128), regex(pattern = "^[!-~]+$"))]
    purpose: String,
    /// As the plugin knows people under this purpose.
    #[schemars(length(min = 1, max = 200), inner(length(min = 1, max = 64)))]
    pseudonyms: Vec<String>,
}

/// Names.
#[derive(Serialize, JsonSchema)]
struct Names {
    items: Vec<Name>,
}

/// What somebody is called; nothing where no name was kept, or it was erased.
#[derive(Serialize, JsonSchema)]
struct Name {
    pseudonym: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

async fn list_people(
    gateway: Gateway,
    invocation: Invocation,
    params: ListPeople,
) -> Result<Reply<Listed>, Problem> {
    let mut people = Vec::with_capacity(params.personal_numbers.len());
    for (at, text) in params.personal_numbers.iter().enumerate() {
        // Which one, never what it says.
        let why = || {
            let detail = format!("Number {} of the list is no personal number.", at + 1);
            Problem::new(Reason::Refused, detail).with_code("bad_personal_number")
        };
        people.push(PersonalNumber::parse(text).ok_or_else(why)?);
    }
    let listing =
        gateway
            .identity()
            .list_people(&invocation.cx, &params.plugin, &params.purpose, &people);
    let people = listing.await.map_err(refused)?;
    Ok(Listed { people }.into())
}

async fn unlist_people(
    gateway: Gateway,
    invocation: Invocation,
    params: UnlistPeople,
) -> Result<Reply<Done>, Problem> {
    let identity = gateway.identity();
    let removing = identity.unlist_people(&invocation.cx, &params.plugin, &params.purpose);
    removing.await.map_err(refused)?;
    Ok(Done {}.into())
}

async fn names(
    gateway: Gateway,
    invocation: Invocation,
    params: AskNames,
) -> Result<Reply<Names>, Problem> {
    let AskNames {
        plugin,
        purpose,
        pseudonyms,
    } = params;
    let identity = gateway.identity();
    let looking = identity.names(&invocation.cx, &plugin, &purpose, &pseudonyms);
    let names = looking.await.map_err(refused)?;
    let items = pseudonyms
        .into_iter()
        .zip(names)
        .map(|(pseudonym, name)| Name { pseudonym, name });
    Ok(Names {
        items: items.collect(),
    }
    .into())
}
