//! `tenant/*`: the organization itself.

use schemars::JsonSchema;
use serde::Serialize;
use vaxel_core::{Locale, Problem, TenantId};
use vaxel_identity::Tenant;

use super::registry::{Access, Invocation, Nothing, Registry, Reply};
use super::schema;
use crate::{Gateway, GatewayError};

pub(crate) fn register(registry: &mut Registry) -> Result<(), GatewayError> {
    registry.add(
        "tenant/get",
        "The organization one belongs to.",
        Access::User,
        get,
    )?;
    Ok(())
}

/// An organization, as its people see it.
#[derive(Serialize, JsonSchema)]
pub(crate) struct TenantView {
    #[schemars(schema_with = "schema::tenant_id")]
    id: TenantId,
    slug: String,
    name: String,
    #[schemars(schema_with = "schema::locale")]
    locale: Locale,
}

impl TenantView {
    pub(crate) fn of(tenant: &Tenant) -> Self {
        Self {
            id: tenant.id,
            slug: tenant.slug.clone(),
            name: tenant.name.clone(),
            locale: tenant.locale,
        }
    }
}

async fn get(_: Gateway, invocation: Invocation, _: Nothing) -> Result<Reply<TenantView>, Problem> {
    Ok(TenantView::of(&invocation.tenant).into())
}
