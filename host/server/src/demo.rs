//! The demo: two organizations full of people and messages, made once, and how to get into them.

mod lan;
mod script;
mod showcase;

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use vaxel_core::{OpCx, TenantId, UnixMs};
use vaxel_crypto::{Secret, random_bytes};
use vaxel_gateway::{DemoInfo, DemoLink, DemoOrganization, DemoPerson};

use self::script::Organization;
use crate::house::{self, House};
use crate::{operation, output};

/// Stands in a data directory that the demo made.
const MARK: &str = "DEMO";

/// Holds everybody's password.
const PASSWORD: &str = "demo-password";

/// Stands beside it from before it changes until everybody has it.
const PASSWORD_CHANGES: &str = "demo-password-changes";

/// The variable that sets everybody's password.
const PASSWORD_VARIABLE: &str = "VAXEL_DEMO_PASSWORD";

/// A making that was cut off is gone on with for so long: calls that were made answer again for a day.
const GOES_ON_MS: u64 = 23 * 3_600 * 1_000;

/// A prepared demo.
pub(crate) struct Demo {
    pub(crate) info: DemoInfo,
    password: String,
    lan: Option<lan::Address>,
}

impl Demo {
    /// Tells how to get in, behind the ready lines.
    pub(crate) fn say(&self) {
        for organization in &self.info.organizations {
            if self.lan.is_some() && !is_bare_address(&organization.url) {
                // Only this machine knows that name.
                continue;
            }
            let people = organization.people.len();
            output::say(&format!(
                "demo {} with {people} people: {}",
                organization.name, organization.url
            ));
        }
        let elsewhere = match self.lan {
            Some(_) => "",
            None => "; greta, gunnar, … at Globex",
        };
        output::say(&format!(
            "demo logins anna, bertil, carin, … at Acme{elsewhere}; everybody's password: {}",
            self.password
        ));
        if let Some(lan) = &self.lan {
            lan.say();
        }
    }
}

/// Whether an address has numbers for a host, so that devices reach it that know no names of ours.
fn is_bare_address(url: &str) -> bool {
    let host = url.split("://").nth(1).unwrap_or_default();
    host.starts_with(|c: char| c.is_ascii_digit() || c == '[')
}

/// Takes a data directory for the demo; refuses one with data that the demo did not make.
pub(crate) fn claim(data: &Path) -> anyhow::Result<()> {
    let mark = data.join(MARK);
    if mark.exists() {
        return Ok(());
    }
    if data.join("store").exists() {
        bail!(
            "{} holds data that the demo did not make; give it another directory with --data",
            data.display()
        );
    }
    house::make_private_dir(data)?;
    // Before the first byte of data, so that a start that is cut off leaves nothing that the next one refuses.
    write_private(&mark, "made by vaxel serve --demo\n")
}

/// Makes what is missing and answers what the start page shows.
pub(crate) async fn prepare(
    house: &House,
    http_port: Option<u16>,
    lan: bool,
) -> anyhow::Result<Demo> {
    let script = script::read()?;
    let password = password(&house.data, lan)?;
    let mut tenants = Vec::new();
    for organization in &script.organizations {
        tenants.push(Box::pin(made(house, organization, &password)).await?);
    }
    if house.data.join(PASSWORD_CHANGES).exists() {
        for (organization, tenant) in script.organizations.iter().zip(&tenants) {
            give_password(house, organization, *tenant, &password).await?;
        }
        fs::remove_file(house.data.join(PASSWORD_CHANGES)).context("noting the new passwords")?;
    }
    let named: Vec<(&str, TenantId)> = script
        .organizations
        .iter()
        .zip(&tenants)
        .map(|(organization, tenant)| (organization.slug.as_str(), *tenant))
        .collect();
    showcase::show(house, &named)
        .await
        .context("the demo's packages")?;
    let address = match lan {
        true => lan::Address::find(&house.data, house.config.listen.https.port()),
        false => None,
    };
    let mut info = DemoInfo::default();
    for (organization, tenant) in script.organizations.iter().zip(tenants) {
        // The network knows no names of ours: its one address is the first organization's.
        let at = address.as_ref().filter(|_| info.organizations.is_empty());
        lan::give_hosts(house, organization, tenant, at).await?;
        info.organizations
            .push(organization_info(house, organization, tenant, http_port).await?);
    }
    Ok(Demo {
        info,
        password,
        lan: address,
    })
}

/// Everybody's password, kept before anybody has it. On the local network it is a new one at every start.
fn password(data: &Path, lan: bool) -> anyhow::Result<String> {
    let file = data.join(PASSWORD);
    if !lan && let Ok(password) = fs::read_to_string(&file) {
        return Ok(password);
    }
    let chosen = std::env::var(PASSWORD_VARIABLE)
        .ok()
        .filter(|password| !password.is_empty() && !lan);
    if lan {
        write_private(&data.join(PASSWORD_CHANGES), "1\n")?;
    }
    let password = chosen.unwrap_or_else(random_password);
    write_private(&file, &password)?;
    Ok(password)
}

/// Makes an organization unless it was made, and goes on where the making was cut off.
async fn made(
    house: &House,
    organization: &Organization,
    password: &str,
) -> anyhow::Result<TenantId> {
    const MADE: &str = "made";
    let slug = &organization.slug;
    let note = house.data.join(format!("demo-{slug}"));
    let there = operation::tenant_id(house, slug);
    let noted = fs::read_to_string(&note).unwrap_or_default();
    if let (Some(tenant), MADE) = (there, noted.as_str()) {
        return Ok(tenant);
    }
    let now = house.clock.now();
    let begun = noted.parse().map(UnixMs);
    match (there, begun) {
        (None, _) => write_private(&note, &now.0.to_string())?,
        (Some(_), Ok(begun)) if now.since(begun) < GOES_ON_MS => {}
        (Some(_), _) => bail!(
            "the demo in {} was half made, too long ago to go on with; begin anew with an empty directory \
             (`cargo xtask run -- --fresh`)",
            house.data.display()
        ),
    }
    let tenant = Box::pin(script::build(house, organization, password)).await?;
    write_private(&note, MADE)?;
    Ok(tenant)
}

/// Gives the people of the script a new password, which ends their sessions.
async fn give_password(
    house: &House,
    organization: &Organization,
    tenant: TenantId,
    password: &str,
) -> anyhow::Result<()> {
    let cx = OpCx::system(tenant, house.clock.now());
    for person in &organization.people {
        let user = house.identity.user_by_login(tenant, &person.login)?;
        // Who was deactivated stays outside.
        let Some(user) = user.filter(|user| user.active) else {
            continue;
        };
        let link = house.identity.reset(&cx, user.id).await?;
        let password = Secret::new(password.to_owned());
        house
            .identity
            .accept_invite(tenant, link.token.expose(), password, "demo")
            .await?;
    }
    Ok(())
}

/// Writes a file that only its owner can read, whole or not at all.
fn write_private(path: &Path, text: &str) -> anyhow::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let written = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&beside)
        .and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&beside, path));
    written.with_context(|| format!("writing {}", path.display()))
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
    let url = match (http_port, house.identity.tenant(tenant)) {
        (Some(port), _) => format!("http://{}:{port}", script::host_of(organization)),
        (None, Some(tenant)) => house.address_of(&tenant),
        (None, None) => bail!("the demo's organization is gone"),
    };
    let links = organization.links.iter().map(|link| DemoLink {
        title: link.title.clone(),
        url: format!("{url}{}", link.path),
    });
    Ok(DemoOrganization {
        slug: organization.slug.clone(),
        name: organization.name.clone(),
        people,
        links: links.collect(),
        url,
    })
}
