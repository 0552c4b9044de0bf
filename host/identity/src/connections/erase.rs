//! A plugin that is erased takes its connections along: what is held, the clients, and who is on their way to agree.

use vaxel_core::{PluginId, TenantId};
use vaxel_storage::{Order, StorageError, Transaction};

use super::rows::{CLIENTS, Client, HELD, Held, PENDING, Pending};
use super::{ConnectionSpec, Connections};
use crate::IdentityError;

/// Rows of which the tokens are given back; the other side lets the rest end by itself.
const GIVEN_BACK_MAX: usize = 1_000;

/// Rows looked through at once.
const PAGE: usize = 200;

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
    /// Before a plugin's connections are erased: nobody who is on their way to agree comes back, and the tokens are given
    /// back behind everybody's back, since the other side may take its time.
    pub async fn leave(
        &self,
        tenant: TenantId,
        plugin: &PluginId,
        specs: &[ConnectionSpec],
    ) -> Result<(), IdentityError> {
        self.forget_pending(tenant, plugin).await?;
        let mut tokens = Vec::new();
        for spec in specs {
            tokens.extend(self.all_held(tenant, spec)?);
        }
        let me = self.clone();
        tokio::spawn(async move {
            for (spec, held, client) in tokens {
                me.give_back(tenant, &spec, held, client).await;
            }
        });
        Ok(())
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

    fn all_held(
        &self,
        tenant: TenantId,
        spec: &ConnectionSpec,
    ) -> Result<Vec<(ConnectionSpec, Held, Option<Client>)>, IdentityError> {
        let sealed = self.sealed(tenant);
        let prefix = prefix(&spec.plugin, Some(&spec.name));
        self.0.identity.inner.store.look(tenant, |tx| {
            let client: Option<Client> = sealed.get(tx, CLIENTS, &spec.key(None))?;
            let (mut found, mut after) = (Vec::new(), None);
            loop {
                let last = after.take();
                let (rows, next) =
                    tx.page(HELD, &prefix, last.as_deref(), PAGE, Order::Ascending)?;
                for (key, row) in rows {
                    // Of somebody who was erased: there is nothing to give back.
                    if let Ok(held) = sealed.opened(&key, &row) {
                        found.push((spec.clone(), held, client.clone()));
                    }
                }
                match next {
                    Some(next) if found.len() < GIVEN_BACK_MAX => after = Some(next),
                    _ => return Ok(found),
                }
            }
        })
    }
}
