//! `plugins/get`: what one plugin asks for, what was granted, what it offers, and what a newer version would ask.

use schemars::JsonSchema;
use serde::Serialize;
use vaxel_core::{PluginId, Problem};
use vaxel_runtime::{Ask, AskKind, Manifest, PluginDetail, RolloutState, Update};

use super::{StateView, Which, refused};
use crate::rpc::outside::{self, ConnectionView, SettingsView};
use crate::rpc::registry::{Access, Invocation, Registry, Reply};
use crate::rpc::schema;
use crate::{Gateway, GatewayError};

pub(super) fn register(registry: &mut Registry) -> Result<(), GatewayError> {
    registry.add(
        "plugins/get",
        "What a plugin asks for, what it was granted, and what a newer version would ask for.",
        Access::Admin,
        get,
    )?;
    Ok(())
}

/// A plugin as administrators see it.
#[derive(Serialize, JsonSchema)]
struct DetailView {
    #[schemars(schema_with = "schema::plugin_id")]
    id: PluginId,
    name: String,
    summary: String,
    /// The version that runs here, or would if it were switched on.
    version: String,
    /// Who published it, by the operator's trust file.
    #[serde(skip_serializing_if = "Option::is_none")]
    publisher: Option<String>,
    enabled: bool,
    state: StateView,
    /// It was switched on, and now asks for more than was granted then.
    needs_consent: bool,
    asks: Vec<AskView>,
    /// Another version that it could go on with.
    #[serde(skip_serializing_if = "Option::is_none")]
    update: Option<UpdateView>,
    /// The version that going back would bring.
    #[serde(skip_serializing_if = "Option::is_none")]
    former: Option<String>,
    /// What the operator tries here.
    #[serde(skip_serializing_if = "Option::is_none")]
    rollout: Option<RolloutView>,
    permissions: Vec<PermissionView>,
    pages: Vec<PageView>,
    jobs: Vec<JobView>,
    /// What can be set, while it is on.
    #[serde(skip_serializing_if = "Option::is_none")]
    settings: Option<SettingsView>,
    /// Credentials that the host holds for it, while it is on.
    connections: Vec<ConnectionView>,
    /// Whether erasing it would destroy anything.
    has_data: bool,
    /// Why it cannot be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    unavailable: Option<String>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum KindView {
    Capability,
    Events,
    HookBefore,
    HookAfter,
    HttpIn,
}

impl From<AskKind> for KindView {
    fn from(kind: AskKind) -> Self {
        match kind {
            AskKind::Capability => Self::Capability,
            AskKind::Events => Self::Events,
            AskKind::HookBefore => Self::HookBefore,
            AskKind::HookAfter => Self::HookAfter,
            AskKind::HttpIn => Self::HttpIn,
        }
    }
}

/// One thing that is consented to or refused.
#[derive(Serialize, JsonSchema)]
struct AskView {
    /// What names it in a grant.
    id: String,
    kind: KindView,
    /// Why, in its author's words.
    reason: String,
    /// Hosts or methods, where it is about some and not about all.
    details: Vec<String>,
    /// Whether the plugin is of no use without.
    required: bool,
    granted: bool,
}

impl AskView {
    fn of(ask: Ask, granted: bool) -> Self {
        Self {
            id: ask.id,
            kind: ask.kind.into(),
            reason: ask.reason,
            details: ask.details.into_iter().collect(),
            required: ask.required,
            granted,
        }
    }
}

/// One thing that another version asks for.
#[derive(Serialize, JsonSchema)]
struct UpdateAskView {
    #[serde(flatten)]
    ask: AskView,
    /// Those that the version which runs does not name.
    added_details: Vec<String>,
    /// The version that runs does not ask for it at all.
    is_new: bool,
}

#[derive(Serialize, JsonSchema)]
struct UpdateView {
    version: String,
    asks: Vec<UpdateAskView>,
    /// It requires more than was granted.
    waits_for_consent: bool,
}

impl From<Update> for UpdateView {
    fn from(update: Update) -> Self {
        let asks = update.asks.into_iter().map(|one| UpdateAskView {
            ask: AskView::of(one.ask, one.granted),
            added_details: one.added_details,
            is_new: one.is_new,
        });
        Self {
            version: update.version,
            asks: asks.collect(),
            waits_for_consent: update.waits_for_consent,
        }
    }
}

#[derive(Serialize, JsonSchema)]
struct RolloutView {
    version: String,
    state: RolloutStateView,
    /// Why it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum RolloutStateView {
    Running,
    /// It stopped by itself.
    Stopped,
    /// The operator took it back.
    Withdrawn,
    Done,
}

impl From<RolloutState> for RolloutStateView {
    fn from(state: RolloutState) -> Self {
        match state {
            RolloutState::Running => Self::Running,
            RolloutState::Stopped => Self::Stopped,
            RolloutState::Withdrawn => Self::Withdrawn,
            RolloutState::Done => Self::Done,
        }
    }
}

#[derive(Serialize, JsonSchema)]
struct PermissionView {
    name: String,
    summary: String,
    /// Who should have it.
    roles: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
struct PageView {
    name: String,
    title: String,
    /// Whether anybody can open it.
    public: bool,
    /// Whether it stands in the navigation of the app.
    navigation: bool,
}

#[derive(Serialize, JsonSchema)]
struct JobView {
    name: String,
    summary: String,
    /// When it repeats, as crontab(5) says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    every: Option<String>,
}

async fn get(
    gateway: Gateway,
    invocation: Invocation,
    params: Which,
) -> Result<Reply<DetailView>, Problem> {
    let detail = gateway
        .runtime()
        .detail(invocation.tenant.id, &params.plugin)
        .map_err(refused)?;
    let (settings, connections) = outside::given(&gateway, &invocation, &params.plugin)?;
    let has_data = gateway
        .runtime()
        .has_data(invocation.tenant.id, &params.plugin)?;
    let view = DetailView {
        settings,
        connections,
        has_data,
        ..view(detail)
    };
    Ok(view.into())
}

fn view(detail: PluginDetail) -> DetailView {
    let (permissions, pages, jobs) = detail.manifest.map(offers).unwrap_or_default();
    let state = detail.state;
    DetailView {
        id: state.id,
        name: state.name,
        summary: state.summary,
        version: state.version,
        publisher: detail.publisher,
        enabled: state.enabled,
        state: state.state.into(),
        needs_consent: state.needs_consent,
        asks: detail
            .asks
            .into_iter()
            .map(|one| AskView::of(one.ask, one.granted))
            .collect(),
        update: detail.update.map(UpdateView::from),
        former: detail.former,
        rollout: detail.rollout.map(|(version, state, reason)| RolloutView {
            version,
            state: state.into(),
            reason,
        }),
        permissions,
        pages,
        jobs,
        settings: None,
        connections: Vec::new(),
        has_data: false,
        unavailable: state.unavailable,
    }
}

fn offers(manifest: Manifest) -> (Vec<PermissionView>, Vec<PageView>, Vec<JobView>) {
    let permissions = manifest.permissions.into_iter().map(|one| PermissionView {
        name: one.name,
        summary: one.summary,
        roles: one.roles.into_iter().collect(),
    });
    let pages = manifest.pages.into_iter().map(|one| PageView {
        name: one.name,
        title: one.title,
        public: one.public,
        navigation: one.navigation,
    });
    let jobs = manifest.jobs.into_iter().map(|one| JobView {
        name: one.name,
        summary: one.summary,
        every: one.every,
    });
    (permissions.collect(), pages.collect(), jobs.collect())
}
