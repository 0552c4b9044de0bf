//! The demo: organizations, people and messages from a file of data, played through the ordinary doors.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use vaxel_core::{Actor, Locale, OpCx, PluginId, RequestId, TenantId, UnixMs, UserId};
use vaxel_crypto::{Secret, random_bytes};
use vaxel_gateway::{DemoInfo, DemoOrganization, DemoPerson};
use vaxel_identity::{NewTenant, NewUser};
use vaxel_runtime::{Caller, PluginCall};

use crate::house::House;
use crate::{operation, output};

/// What the demo consists of. It is data: nothing in here knows what its calls mean.
const SCRIPT: &str = include_str!("../demo/demo.json");

/// Stands in a data directory that the demo made.
const MARK: &str = "DEMO";

/// The variable that sets everybody's password.
const PASSWORD_VARIABLE: &str = "VAXEL_DEMO_PASSWORD";

const MS_PER_MINUTE: u64 = 60_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Script {
    organizations: Vec<Organization>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Organization {
    slug: String,
    name: String,
    locale: Locale,
    people: Vec<Person>,
    #[serde(default)]
    groups: Vec<Group>,
    calls: Vec<Call>,
}

/// People under one name, by login.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    name: String,
    members: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Person {
    login: String,
    display_name: String,
    title: String,
    #[serde(default)]
    admin: bool,
    locale: Locale,
}

/// One call to a plugin's method, as one of the people, so many minutes ago.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Call {
    minutes_ago: u64,
    #[serde(rename = "as")]
    caller: String,
    method: String,
    params: Value,
    save: Option<String>,
}

/// A prepared demo.
pub(crate) struct Demo {
    pub(crate) info: DemoInfo,
    password: Option<String>,
}

impl Demo {
    /// Tells how to get in, behind the ready lines.
    pub(crate) fn say(&self) {
        for organization in &self.info.organizations {
            let logins = organization.people.len();
            output::say(&format!(
                "demo {} at {} ({} and {logins} people)",
                organization.name, organization.url, organization.slug
            ));
        }
        if let Some(password) = &self.password {
            output::say(&format!(
                "demo logins anna, bertil, carin, … at acme; greta, gunnar, … at globex; password {password}"
            ));
        }
    }
}

/// Refuses a directory with data that the demo did not make.
pub(crate) fn check(data: &Path) -> anyhow::Result<()> {
    let occupied = data.join("store").exists();
    if occupied && !data.join(MARK).exists() {
        bail!(
            "{} holds data that the demo did not make; give it another directory with --data",
            data.display()
        );
    }
    Ok(())
}

/// Makes what is missing and answers what the start page shows.
pub(crate) async fn prepare(
    house: &House,
    http_port: Option<u16>,
    lan: bool,
) -> anyhow::Result<Demo> {
    std::fs::write(house.data.join(MARK), "made by vaxel serve --demo\n")
        .context("marking the directory as a demo")?;
    let script: Script = serde_json::from_str(SCRIPT).context("the demo's script")?;
    let password_file = house.data.join("demo-password");
    let set = std::env::var(PASSWORD_VARIABLE)
        .ok()
        .filter(|password| !password.is_empty() && !lan);
    let mut made = None;
    let mut info = DemoInfo::default();
    for organization in &script.organizations {
        let tenant = match operation::tenant_id(house, &organization.slug) {
            Some(tenant) => tenant,
            None => {
                let password =
                    made.get_or_insert_with(|| set.clone().unwrap_or_else(random_password));
                Box::pin(build(house, organization, password)).await?
            }
        };
        info.organizations
            .push(organization_info(house, organization, tenant, http_port).await?);
    }
    if let Some(password) = &made {
        write_private(&password_file, password)?;
    }
    let password = made.or_else(|| std::fs::read_to_string(&password_file).ok());
    Ok(Demo { info, password })
}

fn write_private(path: &Path, text: &str) -> anyhow::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())
        .context("keeping the demo's password")
}

/// Letters that no font mixes up.
const PASSWORD_LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

fn random_password() -> String {
    let letters: String = random_bytes::<15>()
        .iter()
        .filter_map(|byte| PASSWORD_LETTERS.get(usize::from(byte % 32)))
        .map(|letter| char::from(*letter))
        .collect();
    let (head, tail) = letters.split_at_checked(5).unwrap_or((&letters, ""));
    let (middle, end) = tail.split_at_checked(5).unwrap_or((tail, ""));
    format!("{head}-{middle}-{end}")
}

async fn build(
    house: &House,
    organization: &Organization,
    password: &str,
) -> anyhow::Result<TenantId> {
    tracing::info!(
        tenant.slug = organization.slug,
        "making the demo's organization"
    );
    let new = NewTenant {
        slug: organization.slug.clone(),
        name: organization.name.clone(),
        hosts: vec![format!("{}.localhost", organization.slug)],
        locale: organization.locale,
    };
    operation::tenant_add(house, new).await?;
    let tenant = operation::tenant_id(house, &organization.slug).context("the new organization")?;
    let mut people = HashMap::new();
    for person in &organization.people {
        let new = NewUser {
            login: person.login.clone(),
            display_name: person.display_name.clone(),
            email: None,
            password: Some(Secret::new(password.to_owned())),
            admin: person.admin,
            locale: person.locale,
        };
        let user = house.identity.create_user(tenant, new).await?;
        people.insert(person.login.clone(), (user.id, person));
    }
    let now = house.clock.now();
    let cx = OpCx::system(tenant, now);
    for group in &organization.groups {
        let made = house.identity.create_group(&cx, &group.name).await?;
        for login in &group.members {
            let (user, _) = people
                .get(login)
                .with_context(|| format!("the demo's group {} names {login}", group.name))?;
            house.identity.add_member(&cx, made.id, *user).await?;
        }
    }
    let mut saved: HashMap<String, String> = people
        .iter()
        .map(|(login, (id, _))| (format!("@{login}"), id.to_string()))
        .collect();
    for call in &organization.calls {
        let (user, person) = people
            .get(&call.caller)
            .with_context(|| format!("the demo's script calls as {}", call.caller))?;
        let at = now.minus_ms(call.minutes_ago.saturating_mul(MS_PER_MINUTE));
        let answer = play(house, tenant, *user, person, call, at, &saved)
            .await
            .with_context(|| format!("the demo's call to {}", call.method))?;
        let id = answer.get("id").and_then(Value::as_str);
        if let (Some(name), Some(id)) = (&call.save, id) {
            saved.insert(format!("${name}"), id.to_owned());
        }
    }
    Ok(tenant)
}

async fn play(
    house: &House,
    tenant: TenantId,
    user: UserId,
    person: &Person,
    call: &Call,
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
        user: Some(user),
        admin: person.admin,
        permissions: Vec::new(),
        assurance: "password".to_owned(),
    };
    let reply = house
        .runtime
        .call(PluginCall {
            cx: OpCx {
                tenant,
                actor: Actor::User(user),
                now: at,
                request: RequestId::new(at),
                locale: person.locale,
            },
            caller,
            plugin,
            method: method.to_owned(),
            params: Bytes::from(serde_json::to_vec(&params)?),
            idempotency_key: None,
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

async fn organization_info(
    house: &House,
    organization: &Organization,
    tenant: TenantId,
    http_port: Option<u16>,
) -> anyhow::Result<DemoOrganization> {
    let mut people = Vec::new();
    for person in &organization.people {
        // Somebody may have been renamed or removed since; who is gone is not offered.
        if let Some(user) = house.identity.user_by_login(tenant, &person.login)?
            && user.active
        {
            people.push(DemoPerson {
                id: user.id,
                display_name: user.display_name.clone(),
                admin: user.admin,
                title: person.title.clone(),
            });
        }
    }
    let host = format!("{}.localhost", organization.slug);
    let url = http_port.map_or_else(
        || format!("https://{host}"),
        |port| format!("http://{host}:{port}"),
    );
    Ok(DemoOrganization {
        slug: organization.slug.clone(),
        name: organization.name.clone(),
        url,
        people,
    })
}
