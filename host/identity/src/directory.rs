//! Tenants and their host names: stored in the system tenant, looked up in memory on every request.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use vaxel_core::{Locale, TenantId, UnixMs};
use vaxel_crypto::ErasureKey;
use vaxel_storage::Space;

use crate::identity::{Identity, blocking};
use crate::store::{Row, Store, TENANT_NAMES, TENANTS, Tx, decode};
use crate::{IdentityError, names};

/// Host names of one tenant: each stands in a certificate and in a map in memory.
const HOSTS_MAX: usize = 32;

/// An organization.
#[derive(Clone, Serialize, Deserialize)]
pub struct Tenant {
    /// Its id.
    pub id: TenantId,
    /// Stands for it in commands and addresses.
    pub slug: String,
    /// What people read.
    pub name: String,
    /// Where its people find it; the first is the one that links and tokens name.
    pub hosts: Vec<String>,
    /// The language of what nobody chose a language for.
    pub locale: Locale,
    /// When it was made.
    pub created_at: UnixMs,
}

impl std::fmt::Debug for Tenant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tenant")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl Row for Tenant {
    const SPACE: Space = TENANTS;
    const WHAT: &'static str = "tenant";
}

/// What a new tenant begins with.
#[derive(Clone)]
pub struct NewTenant {
    /// Stands for it in commands and addresses.
    pub slug: String,
    /// What people read.
    pub name: String,
    /// Where its people find it.
    pub hosts: Vec<String>,
    /// Its language.
    pub locale: Locale,
}

impl std::fmt::Debug for NewTenant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NewTenant(…)")
    }
}

/// All tenants in memory. Replaced as a whole when one changes.
#[derive(Default)]
pub(crate) struct Directory {
    by_id: HashMap<TenantId, Arc<Tenant>>,
    by_host: HashMap<String, Arc<Tenant>>,
    by_slug: HashMap<String, Arc<Tenant>>,
}

impl Directory {
    pub(crate) fn load(store: &Store) -> Result<Self, IdentityError> {
        let rows = store.look(TenantId::SYSTEM, |tx| tx.all(TENANTS, b""))?;
        let mut directory = Self::default();
        for (_, bytes) in rows {
            let tenant: Arc<Tenant> = Arc::new(decode(&bytes, Tenant::WHAT)?);
            for host in &tenant.hosts {
                directory.by_host.insert(host.clone(), Arc::clone(&tenant));
            }
            directory
                .by_slug
                .insert(tenant.slug.clone(), Arc::clone(&tenant));
            directory.by_id.insert(tenant.id, tenant);
        }
        Ok(directory)
    }

    pub(crate) fn get(&self, tenant: TenantId) -> Option<&Arc<Tenant>> {
        self.by_id.get(&tenant)
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = TenantId> + '_ {
        self.by_id.keys().copied()
    }
}

impl Identity {
    /// All tenants, by slug.
    pub fn tenants(&self) -> Vec<Arc<Tenant>> {
        let mut tenants: Vec<_> = self
            .inner
            .directory
            .load()
            .by_id
            .values()
            .cloned()
            .collect();
        tenants.sort_by(|a, b| a.slug.cmp(&b.slug));
        tenants
    }

    /// The tenant with this id.
    pub fn tenant(&self, tenant: TenantId) -> Option<Arc<Tenant>> {
        self.inner.directory.load().get(tenant).cloned()
    }

    /// Whose host this is. Takes what stands in a `Host` header; nobody's is `None`.
    pub fn tenant_by_host(&self, host: &str) -> Option<Arc<Tenant>> {
        let host = names::normalised_host(names::without_port(host));
        self.inner.directory.load().by_host.get(&host).cloned()
    }

    /// The tenant with this slug.
    pub fn tenant_by_slug(&self, slug: &str) -> Option<Arc<Tenant>> {
        self.inner.directory.load().by_slug.get(slug).cloned()
    }

    /// Every host name of every tenant, for certificates.
    pub fn host_names(&self) -> Vec<String> {
        let mut names: Vec<_> = self
            .inner
            .directory
            .load()
            .by_host
            .keys()
            .cloned()
            .collect();
        names.sort();
        names
    }

    /// Makes a tenant. Its keys are durable before anything is sealed under them.
    pub async fn create_tenant(&self, new: NewTenant) -> Result<Arc<Tenant>, IdentityError> {
        let now = self.now();
        let tenant = Tenant {
            id: TenantId::new(now),
            slug: names::slug(&new.slug)?,
            name: names::display_name(&new.name)?,
            hosts: hosts(&new.hosts)?,
            locale: new.locale,
            created_at: now,
        };
        let me = self.clone();
        self.detached(async move {
            let _turn = me.inner.changing.lock().await;
            let keyring = Arc::clone(&me.inner.keyring);
            let id = tenant.id;
            blocking(move || keyring.create_tenant(id).map_err(Into::into)).await?;
            let slug_key = me.tenant_name_key("tenant-slug", &tenant.slug)?;
            me.inner
                .store
                .change(TenantId::SYSTEM, |tx| {
                    if tx.get_raw(TENANT_NAMES, &slug_key)?.is_some() {
                        return Err(IdentityError::SlugTaken);
                    }
                    let owner = tenant.id.to_bytes().to_vec();
                    tx.put_raw(TENANT_NAMES, &slug_key, owner, ErasureKey::TENANT)?;
                    me.claim_hosts(tx, tenant.id, &tenant.hosts)?;
                    tx.put(&tenant.id.to_bytes(), &tenant, ErasureKey::TENANT)
                })
                .await?;
            me.reload_directory(tenant.id)
        })
        .await
    }

    /// Gives a tenant other host names. Those it had before are free again.
    pub async fn set_tenant_hosts(
        &self,
        tenant: TenantId,
        new: &[String],
    ) -> Result<Arc<Tenant>, IdentityError> {
        let new = hosts(new)?;
        let me = self.clone();
        self.detached(async move {
            let _turn = me.inner.changing.lock().await;
            me.inner
                .store
                .change(TenantId::SYSTEM, |tx| {
                    let mut row: Tenant =
                        tx.get(&tenant.to_bytes())?.ok_or(IdentityError::Unknown {
                            what: "organization",
                        })?;
                    for host in &row.hosts {
                        tx.delete(TENANT_NAMES, &me.tenant_name_key("tenant-host", host)?)?;
                    }
                    me.claim_hosts(tx, tenant, &new)?;
                    row.hosts.clone_from(&new);
                    tx.put(&tenant.to_bytes(), &row, ErasureKey::TENANT)
                })
                .await?;
            me.reload_directory(tenant)
        })
        .await
    }

    fn claim_hosts(
        &self,
        tx: &mut Tx,
        tenant: TenantId,
        hosts: &[String],
    ) -> Result<(), IdentityError> {
        for host in hosts {
            let key = self.tenant_name_key("tenant-host", host)?;
            let owner = tx.get_raw(TENANT_NAMES, &key)?;
            if owner.is_some_and(|owner| owner != tenant.to_bytes()) {
                return Err(IdentityError::HostTaken);
            }
            tx.put_raw(
                TENANT_NAMES,
                &key,
                tenant.to_bytes().to_vec(),
                ErasureKey::TENANT,
            )?;
        }
        Ok(())
    }

    fn tenant_name_key(&self, purpose: &str, name: &str) -> Result<[u8; 32], IdentityError> {
        Ok(self
            .inner
            .keyring
            .blind(TenantId::SYSTEM, purpose, name.as_bytes())?)
    }

    fn reload_directory(&self, tenant: TenantId) -> Result<Arc<Tenant>, IdentityError> {
        let directory = Directory::load(&self.inner.store)?;
        let found = directory.get(tenant).cloned();
        self.inner.directory.store(Arc::new(directory));
        found.ok_or(IdentityError::Unknown {
            what: "organization",
        })
    }

    pub(crate) fn tenant_required(&self, tenant: TenantId) -> Result<Arc<Tenant>, IdentityError> {
        self.tenant(tenant).ok_or(IdentityError::Unknown {
            what: "organization",
        })
    }
}

/// Each once, in the order given: the first is the one that links name.
fn hosts(given: &[String]) -> Result<Vec<String>, IdentityError> {
    if given.is_empty() || given.len() > HOSTS_MAX {
        return Err(IdentityError::Malformed {
            what: "hosts",
            must: "1 to 32 host names",
        });
    }
    let mut seen = BTreeSet::new();
    let mut hosts = Vec::with_capacity(given.len());
    for host in given {
        let host = names::host(host)?;
        if seen.insert(host.clone()) {
            hosts.push(host);
        }
    }
    Ok(hosts)
}
