//! `plugins/pages` and `plugins/show_page`: pages of plugins for those who are signed in.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use vaxel_core::{PluginId, Problem, Reason};
use vaxel_runtime::PageRequest;

use super::invoke::check_idempotency_key;
use super::registry::{Access, Invocation, Nothing, Registry, Reply};
use super::{plugin, schema};
use crate::pages::public::{Look, look};
use crate::pages::tree::Page;
use crate::pages::{form, stepup};
use crate::{Gateway, GatewayError};

pub(crate) fn register(registry: &mut Registry) -> Result<(), GatewayError> {
    registry.add(
        "plugins/pages",
        "The pages of plugins that the caller may open.",
        Access::User,
        list,
    )?;
    registry.add(
        "plugins/show_page",
        "A page of a plugin, or its answer to what was filled in.",
        Access::User,
        show,
    )?;
    Ok(())
}

/// A page that can be opened.
#[derive(Serialize, JsonSchema)]
struct PageView {
    #[schemars(schema_with = "schema::plugin_id")]
    plugin: PluginId,
    page: String,
    title: String,
    /// Whether it stands in the navigation.
    navigation: bool,
    /// Whether it shows something of its own; one that is not listed needs more behind its address.
    listed: bool,
    /// Whether anybody may open it at `/p/`.
    public: bool,
}

/// All of them.
#[derive(Serialize, JsonSchema)]
struct PageList {
    items: Vec<PageView>,
}

/// Which page, where in it, and what was filled in.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Shown {
    #[schemars(schema_with = "schema::plugin_id")]
    plugin: PluginId,
    #[schemars(length(min = 1, max = 64))]
    page: String,
    /// Behind the page's own address.
    #[serde(default)]
    #[schemars(length(max = 2000))]
    path: String,
    /// Names and values, in order.
    #[serde(default)]
    #[schemars(length(max = 50))]
    query: Vec<(String, String)>,
    #[serde(default)]
    sent: Option<Filled>,
}

/// What was filled in.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Filled {
    /// The id of the action.
    #[schemars(length(min = 1, max = 64))]
    action: String,
    /// By input; what was left empty is absent.
    inputs: Map<String, Value>,
    /// Names this sending: with the same name it happens once, however often it is tried.
    #[serde(default)]
    #[schemars(length(min = 1, max = 128))]
    id: Option<String>,
}

async fn list(
    gateway: Gateway,
    invocation: Invocation,
    _: Nothing,
) -> Result<Reply<PageList>, Problem> {
    let caller = plugin::caller(&gateway, &invocation)?;
    let pages = gateway.runtime().pages(invocation.tenant.id, &caller);
    let items = pages.into_iter().map(|(plugin, page)| PageView {
        plugin,
        page: page.name,
        title: page.title,
        navigation: page.navigation,
        listed: page.listed,
        public: page.public,
    });
    Ok(PageList {
        items: items.collect(),
    }
    .into())
}

async fn show(
    gateway: Gateway,
    invocation: Invocation,
    params: Shown,
) -> Result<Reply<Page>, Problem> {
    let caller = plugin::caller(&gateway, &invocation)?;
    let Shown {
        plugin,
        page,
        path,
        query,
        sent,
    } = params;
    let sending = sent.as_ref().and_then(|sent| sent.id.clone());
    if let Some(key) = &sending {
        check_idempotency_key(key)?;
    }
    let request = PageRequest {
        path,
        query,
        sent: sent.map(|sent| form::told(&sent.action, &sent.inputs)),
    };
    // Before it is spent.
    let (tenant, shown) = (&invocation.tenant, caller.proof.as_ref());
    let proven = stepup::proven(&gateway, tenant, &plugin, shown)?;
    let asked = Look {
        cx: invocation.cx,
        caller,
        plugin,
        page,
        request,
        sending,
    };
    let page = look(&gateway, asked).await?;
    match &page.proof {
        // In the app everybody is somebody: nothing there is anonymous.
        Some(required) if required.anonymous || proven.as_ref() != Some(&required.purpose) => {
            Err(Problem::from(Reason::StepUpRequired))
        }
        _ => Ok(page.into()),
    }
}
