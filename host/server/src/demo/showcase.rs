//! What the demo shows of partners' packages: one that waits for consent to its next version, and one whose next
//! version misbehaved where it was tried first and was taken back.

use std::collections::BTreeSet;

use anyhow::Context as _;
use bytes::Bytes;
use rust_embed::RustEmbed;
use vaxel_core::{Actor, OpCx, PluginId, RequestId, TenantId};
use vaxel_runtime::{Caller, File, NewRollout, Package, PluginCall, Target};

use crate::house::House;

/// The packages, as they are built beside those that come with the server.
#[derive(RustEmbed)]
#[folder = "$CARGO_MANIFEST_DIR/../../stage/demo"]
#[allow_missing = true]
struct Packages;

/// The organization that tries new versions first.
const CANARY: &str = "globex";

/// Looks that people take at the new version: more than a rollout needs to judge it.
const LOOKS: usize = 24;

/// What the notice board asks for from its next version on.
const SUBSCRIBES: &str = include_str!("board-next.toml");

/// What makes the lunch list's next version fail now and then.
const DRILL: &str = "
[settings.properties.drill]
type = \"boolean\"
title = \"Drill\"
description = \"Fails one look in four on purpose, so that it can be watched how a rollout is stopped.\"
default = true
";

/// Installs both packages and lets happen what is to be seen, once.
pub(super) async fn show(house: &House, tenants: &[(&str, TenantId)]) -> anyhow::Result<()> {
    let Some(first) = manifest()? else {
        // Built without guests.
        return Ok(());
    };
    let board: PluginId = "noticeboard".parse()?;
    let installed = house.packages.list();
    if installed.iter().any(|package| package.id == board) {
        return Ok(());
    }
    let lunch_list = first
        .replace("id = \"noticeboard\"", "id = \"lunch\"")
        .replace("\"noticeboard.", "\"lunch.")
        .replace("Anslagstavlan", "Lunchlistan");
    let lunch: PluginId = "lunch".parse()?;
    install(house, &first).await?;
    install(house, &lunch_list).await?;
    for (_, tenant) in tenants {
        let cx = OpCx::system(*tenant, house.clock.now());
        house.runtime.enable(&cx, &board).await?;
        house.runtime.enable(&cx, &lunch).await?;
    }
    install(house, &(next(&first, "1.1.0") + SUBSCRIBES)).await?;
    install(house, &(next(&lunch_list, "2.0.0") + DRILL)).await?;
    let canary = tenants.iter().find(|(slug, _)| *slug == CANARY);
    if let Some((_, canary)) = canary {
        let rollout = NewRollout {
            version: "2.0.0".to_owned(),
            target: Target::Tenants(BTreeSet::from([*canary])),
            shadow: false,
            keep: false,
        };
        house.runtime.roll_out(&lunch, rollout).await?;
        for (_, tenant) in tenants {
            look(house, *tenant, &lunch).await?;
        }
        house.runtime.steer().await;
    }
    Ok(())
}

fn manifest() -> anyhow::Result<Option<String>> {
    let Some(manifest) = Packages::get("noticeboard/plugin.toml") else {
        return Ok(None);
    };
    let text = String::from_utf8(manifest.data.into_owned());
    Ok(Some(text.context("the demo's package")?))
}

fn next(manifest: &str, version: &str) -> String {
    manifest.replace("version = \"1.0.0\"", &format!("version = \"{version}\""))
}

async fn install(house: &House, manifest: &str) -> anyhow::Result<()> {
    let component = Packages::get("noticeboard/component.wasm").context("the demo's package")?;
    let file = |name: &str, content: Vec<u8>| File {
        name: name.to_owned(),
        content,
    };
    let package = Package::pack(vec![
        file("plugin.toml", manifest.as_bytes().to_vec()),
        file("component.wasm", component.data.into_owned()),
    ])?;
    house.packages.install(package, false).await?;
    Ok(())
}

/// Everybody looks at the list, in turns: some of it fails in the drill, which is what it is for.
async fn look(house: &House, tenant: TenantId, plugin: &PluginId) -> anyhow::Result<()> {
    let people = house.identity.users(tenant, None, None, LOOKS)?.items;
    for number in 0..LOOKS {
        let now = house.clock.now();
        let Some(person) = people.get(number % people.len().max(1)) else {
            break;
        };
        let call = PluginCall {
            cx: OpCx {
                tenant,
                actor: Actor::User(person.id),
                now,
                request: RequestId::new(now),
                locale: person.locale,
            },
            caller: Caller {
                user: Some(person.id),
                admin: person.admin,
                assurance: "password".to_owned(),
                ..Caller::default()
            },
            plugin: plugin.clone(),
            method: "notices.list".to_owned(),
            params: Bytes::from_static(b"{}"),
            idempotency_key: None,
        };
        if let Err(problem) = house.runtime.call(call).await {
            tracing::debug!(code = %problem.code, "a look in the drill");
        }
    }
    Ok(())
}
