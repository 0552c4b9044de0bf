//! The demo's script, and its play: organizations, people, groups and calls, through the ordinary doors.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use vaxel_core::{Actor, GroupId, Locale, OpCx, PluginId, RequestId, TenantId, UnixMs, UserId};
use vaxel_crypto::Secret;
use vaxel_identity::{NewTenant, NewUser};
use vaxel_runtime::{Caller, PluginCall};

use crate::house::House;
use crate::operation;

/// What the demo consists of. It is data: nothing in here knows what its calls mean.
const SCRIPT: &str = include_str!("../../demo/demo.json");

const MS_PER_MINUTE: u64 = 60_000;

/// Reads the script.
pub(super) fn read() -> anyhow::Result<Script> {
    serde_json::from_str(SCRIPT).context("the demo's script")
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Script {
    pub(super) organizations: Vec<Organization>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Organization {
    pub(super) slug: String,
    pub(super) name: String,
    pub(super) locale: Locale,
    pub(super) people: Vec<Person>,
    #[serde(default)]
    pub(super) groups: Vec<Group>,
    pub(super) calls: Vec<Call>,
    #[serde(default)]
    pub(super) links: Vec<Link>,
}

/// A page that is open to everybody, under a name in each language.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Link {
    pub(super) title: BTreeMap<String, String>,
    pub(super) path: String,
}

/// People under one name, by login.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) members: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Person {
    pub(super) login: String,
    pub(super) display_name: String,
    pub(super) title: String,
    #[serde(default)]
    pub(super) admin: bool,
    pub(super) locale: Locale,
}

/// One call to a plugin's method, as one of the people, so many minutes ago.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Call {
    pub(super) minutes_ago: u64,
    #[serde(rename = "as")]
    pub(super) caller: String,
    pub(super) method: String,
    pub(super) params: Value,
    pub(super) save: Option<String>,
}

/// Makes an organization, or goes on with one whose making was cut off: what is there is taken as it is, and a call that
/// was made before answers as it did then.
pub(super) async fn build(
    house: &House,
    organization: &Organization,
    password: &str,
) -> anyhow::Result<TenantId> {
    tracing::info!(
        tenant.slug = organization.slug,
        "making the demo's organization"
    );
    let now = house.clock.now();
    let tenant = match operation::tenant_id(house, &organization.slug) {
        Some(tenant) => tenant,
        None => {
            let new = NewTenant {
                slug: organization.slug.clone(),
                name: organization.name.clone(),
                hosts: vec![host_of(organization)],
                locale: organization.locale,
            };
            operation::tenant_add(house, new).await?;
            operation::tenant_id(house, &organization.slug).context("the new organization")?
        }
    };
    let cx = OpCx::system(tenant, now);
    for plugin in house.runtime.brought_along() {
        house.runtime.enable(&cx, &plugin).await?;
    }
    let mut people = HashMap::new();
    for person in &organization.people {
        let user = match house.identity.user_by_login(tenant, &person.login)? {
            Some(user) => user,
            None => {
                let new = NewUser {
                    login: person.login.clone(),
                    display_name: person.display_name.clone(),
                    email: None,
                    password: Some(Secret::new(password.to_owned())),
                    admin: person.admin,
                    locale: person.locale,
                };
                house.identity.create_user(tenant, new).await?
            }
        };
        people.insert(person.login.clone(), (user.id, person));
    }
    for group in &organization.groups {
        let made = match group_named(house, tenant, &group.name)? {
            Some(made) => made,
            None => house.identity.create_group(&cx, &group.name).await?.id,
        };
        for login in &group.members {
            let (user, _) = people
                .get(login)
                .with_context(|| format!("the demo's group {} names {login}", group.name))?;
            house.identity.add_member(&cx, made, *user).await?;
        }
    }
    let mut saved: HashMap<String, String> = people
        .iter()
        .map(|(login, (id, _))| (format!("@{login}"), id.to_string()))
        .collect();
    for (number, call) in organization.calls.iter().enumerate() {
        let (user, person) = people
            .get(&call.caller)
            .with_context(|| format!("the demo's script calls as {}", call.caller))?;
        let at = now.minus_ms(call.minutes_ago.saturating_mul(MS_PER_MINUTE));
        let by = By {
            tenant,
            user: *user,
            person,
        };
        let answer = play(house, &by, call, number, at, &saved)
            .await
            .with_context(|| format!("the demo's call to {}", call.method))?;
        let id = answer.get("id").and_then(Value::as_str);
        if let (Some(name), Some(id)) = (&call.save, id) {
            saved.insert(format!("${name}"), id.to_owned());
        }
    }
    Ok(tenant)
}

/// Where an organization of the demo is served on this machine.
pub(super) fn host_of(organization: &Organization) -> String {
    format!("{}.localhost", organization.slug)
}

/// How many groups one look reads; the demo has a few.
const GROUPS_PAGE: usize = 100;

fn group_named(house: &House, tenant: TenantId, name: &str) -> anyhow::Result<Option<GroupId>> {
    let (groups, _) = house.identity.groups(tenant, None, GROUPS_PAGE)?;
    let named = groups.into_iter().find(|group| group.name == name);
    Ok(named.map(|group| group.id))
}

/// Who makes a call.
struct By<'a> {
    tenant: TenantId,
    user: UserId,
    person: &'a Person,
}

async fn play(
    house: &House,
    by: &By<'_>,
    call: &Call,
    number: usize,
    at: UnixMs,
    saved: &HashMap<String, String>,
) -> anyhow::Result<Value> {
    let (plugin, method) = call
        .method
        .strip_prefix("plugins/")
        .and_then(|rest| rest.split_once('/'))
        .context("not a plugin's method")?;
    let plugin: PluginId = plugin.parse()?;
    let params = resolve(&call.params, saved)?;
    let caller = Caller {
        user: Some(by.user),
        admin: by.person.admin,
        assurance: "password".to_owned(),
        ..Caller::default()
    };
    let reply = house
        .runtime
        .call(PluginCall {
            cx: OpCx {
                tenant: by.tenant,
                actor: Actor::User(by.user),
                now: at,
                request: RequestId::new(at),
                locale: by.person.locale,
            },
            caller,
            plugin,
            method: method.to_owned(),
            params: Bytes::from(serde_json::to_vec(&params)?),
            idempotency_key: Some(format!("demo-{number}")),
        })
        .await?;
    Ok(serde_json::from_slice(&reply)?)
}

/// Puts ids where the script has `@login` or `$saved`. Other texts stay, also those that begin alike.
fn resolve(params: &Value, saved: &HashMap<String, String>) -> anyhow::Result<Value> {
    Ok(match params {
        Value::String(text) => match saved.get(text) {
            Some(id) => Value::String(id.clone()),
            None if text.starts_with('$') && !text.contains(' ') => {
                bail!("{text} was not saved before")
            }
            None => Value::String(text.clone()),
        },
        Value::Array(items) => Value::Array(
            items
                .iter()
                .map(|item| resolve(item, saved))
                .collect::<Result<_, _>>()?,
        ),
        Value::Object(fields) => Value::Object(
            fields
                .iter()
                .map(|(name, value)| Ok((name.clone(), resolve(value, saved)?)))
                .collect::<anyhow::Result<_>>()?,
        ),
        other => other.clone(),
    })
}
