//! A call's place while it waits for the outside: given to others, and taken again in turn before the guest goes on.

use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;
use vaxel_core::{Problem, Reason};

use crate::admission::{self, Aside, Place, PluginGate, TenantGate};
use crate::guest::{Guest, Stop, guest_error};
use crate::{capability::bindings::vaxel::types::types::Error, guest::Reply};

/// Where a call has its place.
pub(crate) struct Held {
    pub(crate) place: Place,
    pub(crate) tenant: Arc<TenantGate>,
    pub(crate) plugin: Arc<PluginGate>,
    pub(crate) caller: admission::Caller,
}

/// A call that stepped aside.
pub(crate) struct Waits {
    aside: Aside,
    tenant: Arc<TenantGate>,
    plugin: Arc<PluginGate>,
    caller: admission::Caller,
    _permit: OwnedSemaphorePermit,
}

impl Guest {
    /// Lets others run while this call waits. A tenant may have so many that wait, and no more.
    pub(crate) fn steps_aside(&mut self) -> Result<Option<Waits>, Error> {
        let Some(held) = &self.held else {
            return Ok(None);
        };
        let permit = Arc::clone(&held.tenant.outside)
            .try_acquire_owned()
            .map_err(|_| Error {
                retry_after_ms: Some(1_000),
                ..guest_error(
                    "limit",
                    "too many calls of the organization wait for others",
                )
            })?;
        if let Some(pace) = &self.pace {
            pace.rests();
        }
        let held = self.held.take();
        Ok(held.map(|held| Waits {
            aside: held.place.step_aside(),
            tenant: held.tenant,
            plugin: held.plugin,
            caller: held.caller,
            _permit: permit,
        }))
    }

    /// Waits for a place again.
    pub(crate) async fn comes_back(&mut self, waits: Option<Waits>) -> wasmtime::Result<()> {
        let Some(waits) = waits else {
            return Ok(());
        };
        let Waits {
            aside,
            tenant,
            plugin,
            caller,
            _permit,
        } = waits;
        let place = admission::come_back(aside, &tenant, caller, &plugin).await;
        match place {
            Ok(place) => {
                self.held = Some(Held {
                    place,
                    tenant,
                    plugin,
                    caller,
                });
                if let Some(pace) = &self.pace {
                    pace.goes_on();
                }
                Ok(())
            }
            Err(problem) => Err(self.end(Stop::Host(problem))),
        }
    }

    /// Runs what waits for the outside where sockets are, while others have this call's place.
    pub(crate) async fn while_aside<T: Send + 'static>(
        &mut self,
        waiting: impl Future<Output = T> + Send + 'static,
    ) -> Reply<T> {
        let io = self
            .context
            .as_ref()
            .and_then(|c| c.inner.outside.io.clone());
        let Some(io) = io else {
            return Ok(Err(guest_error("unavailable", "there is no way out here")));
        };
        let waits = match self.steps_aside() {
            Ok(waits) => waits,
            Err(refused) => return Ok(Err(refused)),
        };
        // Ends with the call, should its time be up.
        let mut running = tokio::task::JoinSet::new();
        running.spawn_on(waiting, &io);
        let done = running.join_next().await;
        self.comes_back(waits).await?;
        match done {
            Some(Ok(done)) => Ok(Ok(done)),
            _ => Err(self.end(Stop::Host(Problem::from(Reason::Internal)))),
        }
    }
}
