//! A plugin that is erased takes its connections along: what is held, the clients, and who is on their way to agree.

use vaxel_core::{PluginId, TenantId};
use vaxel_storage::{Order, StorageError, Transaction};

use super::rows::{CLIENTS, Client, HELD, Held, PENDING, Pending};
use super::{ConnectionSpec, Connections, back};
use crate::IdentityError;

/// Rows of which the tokens are given back; the other side lets the rest end by itself.
const GIVEN_BACK_MAX: usize = 1_000;

/// Rows that go in one step.
const PAGE: usize = 100;

/// Takes away some OAuth clients of a plugin, and says whether there may be more. They go first: from then on nobody comes
/// back from the other side with a credential.
pub fn erase_clients(
    tx: &mut Transaction,
    plugin: &PluginId,
    max: usize,
) -> Result<bool, StorageError> {
    tx.clear(CLIENTS, &prefix(plugin, None), max)
}

/// Takes away some credentials of a plugin, and says whether there may be more.
pub fn erase_credentials(
    tx: &mut Transaction,
    plugin: &PluginId,
    max: usize,
) -> Result<bool, StorageError> {
    tx.clear(HELD, &prefix(plugin, None), max)
}

fn prefix(plugin: &PluginId, connection: Option<&str>) -> Vec<u8> {
    let mut prefix = [plugin.as_str().as_bytes(), b"\0"].concat();
    if let Some(name) = connection {
        prefix.extend_from_slice(name.as_bytes());
        prefix.push(0);
    }
    prefix
}

impl Connections {
    /// Before a plugin's connections are erased: nobody who is on their way to agree comes back, and the tokens are on
    /// their way back when this answers, which may take as long as the other side does.
    pub async fn leave(
        &self,
        tenant: TenantId,
        plugin: &PluginId,
        specs: &[ConnectionSpec],
    ) -> Result<(), IdentityError> {
        self.forget_pending(tenant, plugin).await?;
        for spec in specs {
            let mut left = GIVEN_BACK_MAX;
            while left > 0 && self.let_go(tenant, spec).await? {
                left = left.saturating_sub(PAGE);
            }
        }
        self.ring(tenant);
        Ok(())
    }

    /// Lets go of some of what is held, noting what is to be given back in the same step; whether there is more.
    async fn let_go(&self, tenant: TenantId, spec: &ConnectionSpec) -> Result<bool, IdentityError> {
        let (sealed, now) = (self.sealed(tenant), self.0.identity.now());
        let prefix = prefix(&spec.plugin, Some(&spec.name));
        let store = &self.0.identity.inner.store;
        let step = store.change(tenant, |tx| {
            let client: Option<Client> = sealed.get(tx, CLIENTS, &spec.key(None))?;
            let (rows, next) = tx.page(HELD, &prefix, None, PAGE, Order::Ascending)?;
            for (key, row) in rows {
                // Of somebody who was erased: there is nothing to give back.
                if let Ok(held) = sealed.opened::<Held>(&key, &row) {
                    back::note(tx, sealed, spec, &held, client.as_ref(), now)?;
                }
                tx.delete(HELD, &key)?;
            }
            Ok(next.is_some())
        });
        step.await
    }

    async fn forget_pending(
        &self,
        tenant: TenantId,
        plugin: &PluginId,
    ) -> Result<(), IdentityError> {
        let sealed = self.sealed(tenant);
        let store = &self.0.identity.inner.store;
        let forget = store.change(tenant, |tx| {
            for (key, row) in tx.all(PENDING, b"")? {
                let pending: Option<Pending> = sealed.opened(&key, &row).ok();
                // One that does not open any more is nobody's.
                if pending.is_none_or(|pending| pending.spec.plugin == *plugin) {
                    tx.delete(PENDING, &key)?;
                }
            }
            Ok(())
        });
        forget.await
    }
}
