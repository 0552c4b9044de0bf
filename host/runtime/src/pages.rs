//! What people and machines outside reach of a plugin: its pages, and raw HTTP where the organization allows it.

use std::sync::Arc;

use bytes::Bytes;
use vaxel_core::{OpCx, PluginId, Problem, Reason, TenantId};

use crate::admission::Origin;
use crate::call::{Caller, Errand, Manner};
use crate::capability::bindings::exports::vaxel::{http_in::http_in, pages::pages};
use crate::idempotency::Retry;
use crate::manifest::Page;
use crate::outcome::{Failure, storage_problem};
use crate::registry::Active;
use crate::work::{Done, Work};
use crate::{Runtime, runtime::Inner};

/// What is asked of a page.
#[derive(Clone, Debug, Default)]
pub struct PageRequest {
    /// Behind the page's own address, decoded, without a slash before it.
    pub path: String,
    /// Decoded, in order.
    pub query: Vec<(String, String)>,
    /// What was sent: JSON `{"action", "inputs"}`; none when the page is only looked at.
    pub sent: Option<Bytes>,
}

/// One look at a page, or one sending of its form.
#[derive(Clone)]
pub struct PageCall {
    /// Tenant, time and request.
    pub cx: OpCx,
    /// Who looks; nobody on public pages.
    pub caller: Caller,
    /// Whose page.
    pub plugin: PluginId,
    /// Which page.
    pub page: String,
    /// What is asked of it.
    pub request: PageRequest,
    /// Makes sending twice the same as sending once.
    pub sending: Option<String>,
    /// Whether what the plugin answered can be drawn. Asked before anything it wrote is committed.
    pub check: PageCheck,
}

/// Refuses a tree that cannot be drawn.
pub type PageCheck = Arc<dyn Fn(&Bytes) -> Result<(), Problem> + Send + Sync>;

/// A request from outside, as far as a guest sees it.
#[derive(Clone, Debug)]
pub struct HttpRequest {
    /// `POST`.
    pub method: String,
    /// Behind `/hooks/<plugin>/`.
    pub path: String,
    /// As it was sent.
    pub query: String,
    /// Those that a guest may see.
    pub headers: Vec<(String, String)>,
    /// All of it.
    pub body: Bytes,
    /// Where it came from; no guest sees this.
    pub origin: Origin,
}

/// A guest's answer to it. Nothing of it is believed.
#[derive(Clone, Debug)]
pub struct HttpResponse {
    /// The status it asks for.
    pub status: u16,
    /// The headers it asks for.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

impl Runtime {
    /// What a page asks for, if the tenant has it.
    pub fn page(&self, tenant: TenantId, plugin: &PluginId, page: &str) -> Option<Page> {
        let tenant = self.inner.registry.tenant(tenant).ok()?;
        let active = tenant.active.get(plugin)?;
        active.page(page).cloned()
    }

    /// The pages that somebody may open, by plugin.
    pub fn pages(&self, tenant: TenantId, caller: &Caller) -> Vec<(PluginId, Page)> {
        let Ok(tenant) = self.inner.registry.tenant(tenant) else {
            return Vec::new();
        };
        let mut plugins: Vec<_> = tenant.active.iter().collect();
        plugins.sort_by_key(|(id, _)| *id);
        let each = plugins.into_iter().flat_map(|(id, active)| {
            let pages = active.plugin.manifest.pages.iter();
            pages
                .filter(|page| active.may_open(caller, page).is_ok())
                .map(|page| (id.clone(), page.clone()))
        });
        each.collect()
    }

    /// Shows a page: JSON of a tree that passed the caller's check.
    pub async fn show_page(&self, call: PageCall) -> Result<Bytes, Problem> {
        self.inner.show_page(call).await
    }

    /// Whether a plugin takes raw HTTP in a tenant: it asks for that, and it was granted.
    pub fn takes_http(&self, tenant: TenantId, plugin: &PluginId) -> bool {
        let tenant = self.inner.registry.tenant(tenant);
        tenant.is_ok_and(|tenant| tenant.active.get(plugin).is_some_and(Active::takes_http))
    }

    /// Hands raw HTTP to a plugin.
    pub async fn http_in(
        &self,
        cx: OpCx,
        plugin: &PluginId,
        request: HttpRequest,
    ) -> Result<HttpResponse, Problem> {
        self.inner.http_in(cx, plugin, request).await
    }

    /// What proves that a form is one that this server drew (HMAC under the server's key).
    pub fn form_proof(&self, form: &[u8]) -> Result<[u8; 32], Problem> {
        let proof = self.inner.keyring.mac_host("page-form", form);
        proof.map_err(|_| Reason::Internal.into())
    }
}

impl Active {
    fn page(&self, name: &str) -> Option<&Page> {
        let mut pages = self.plugin.manifest.pages.iter();
        pages.find(|page| page.name == name)
    }

    fn may_open(&self, caller: &Caller, page: &Page) -> Result<(), Problem> {
        match &page.permission {
            // Whoever is not signed in has no permission that could be asked for.
            _ if page.public && caller.user.is_none() => Ok(()),
            Some(permission) if self.plugin.permits(caller, permission) => Ok(()),
            None if page.public => Ok(()),
            Some(permission) if caller.user.is_some() => Err(Problem::new(
                Reason::Forbidden,
                format!("This needs {permission}."),
            )),
            _ => Err(Reason::Unauthenticated.into()),
        }
    }

    fn takes_http(&self) -> bool {
        self.plugin.manifest.http_in.is_some() && self.grants.has("http-in")
    }
}

impl Inner {
    async fn show_page(self: &Arc<Self>, call: PageCall) -> Result<Bytes, Problem> {
        let tenant = self
            .registry
            .tenant(call.cx.tenant)
            .map_err(|error| storage_problem(&error))?;
        let active = tenant.active.get(&call.plugin);
        let page = active.and_then(|active| active.page(&call.page));
        let (Some(active), Some(page)) = (active, page) else {
            return Err(Problem::new(Reason::NotFound, "There is no such page."));
        };
        active.may_open(&call.caller, page)?;
        let PageRequest { path, query, sent } = call.request;
        if sent.as_ref().map_or(0, Bytes::len) > self.limits.params_bytes {
            return Err(Problem::new(
                Reason::TooLarge,
                "What was sent is too large.",
            ));
        }
        let retry = match (&call.sending, &sent) {
            (Some(key), Some(sent)) => {
                let name = format!("{}/page/{}/{path}", call.plugin, call.page);
                let (keyring, now) = (&self.keyring, self.clock.now());
                let (tenant, user) = (call.cx.tenant, call.caller.user);
                let retry = Retry::new(keyring, tenant, user, &name, key, sent, now);
                Some(retry.map_err(|_| Problem::from(Reason::Internal))?)
            }
            _ => None,
        };
        let request = pages::Request {
            path,
            query,
            sent: sent.map(Vec::from),
        };
        let errand = Errand {
            cx: call.cx,
            caller: call.caller,
            work: Work::Page {
                page: call.page,
                request,
            },
            alongside: None,
        };
        let mut going = self.going(&tenant, active, errand, Manner::default(), retry)?;
        going.check = Some(call.check);
        match going.drive().await.map_err(Failure::problem)? {
            Done::Json(tree) => Ok(tree),
            _ => Err(Reason::Internal.into()),
        }
    }

    async fn http_in(
        self: &Arc<Self>,
        cx: OpCx,
        plugin: &PluginId,
        request: HttpRequest,
    ) -> Result<HttpResponse, Problem> {
        let tenant = self
            .registry
            .tenant(cx.tenant)
            .map_err(|error| storage_problem(&error))?;
        let Some(active) = tenant.active.get(plugin).filter(|on| on.takes_http()) else {
            return Err(Problem::new(Reason::NotFound, "There is nothing here."));
        };
        let HttpRequest {
            method,
            path,
            query,
            headers,
            body,
            origin,
        } = request;
        let errand = Errand {
            cx,
            caller: Caller {
                origin: Some(origin),
                ..Caller::default()
            },
            work: Work::Http(http_in::Request {
                method,
                path,
                query,
                headers,
                body: body.into(),
            }),
            alongside: None,
        };
        match self.errand(&tenant, active, errand).await? {
            Done::Http(http_in::Response {
                status,
                headers,
                body,
            }) => Ok(HttpResponse {
                status,
                headers,
                body: body.into(),
            }),
            _ => Err(Reason::Internal.into()),
        }
    }
}
