//! Certificates from an ACME directory: one per host name that a tenant owns, ordered and renewed while serving.

mod by_name;
pub(crate) mod challenge;
mod directory;
mod http;
mod plan;
mod store;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::crypto::CryptoProvider;
use rustls::server::ResolvesServerCert;
use vaxel_core::{AlarmLevel, Alarms, Clock};

use crate::certificate::Expiry;
use crate::local_ca::LocalCa;
use crate::resolver::CurrentCertificate;
use crate::{RENEW_BEFORE_DAYS, TlsError};
use by_name::{ByName, Shown};
use directory::Directory;
use plan::{Failed, Plan};
use store::{Issued, Store};

/// Host names of one server: directories allow some hundreds of new orders in a few hours.
const NAMES_MAX: usize = 2_000;
/// A renewal that fails is told from here on; before that there is time enough to try again.
const ALARM_BEFORE_DAYS: u64 = 14;
/// From here on somebody must act.
const CRITICAL_BEFORE_DAYS: u64 = 3;

/// Which directory, and who we are there.
#[derive(Clone, Debug)]
pub struct AcmeConfig {
    /// The directory's address; https only.
    pub directory: String,
    /// A mail address for the directory's operator to write to.
    pub contact: Option<String>,
    /// Certificates of authorities that the directory's own HTTPS may stand on, beside the machine's.
    pub ca: Option<PathBuf>,
}

/// The names, what is shown for each, and how the next certificates come.
pub(crate) struct Acme {
    provider: Arc<CryptoProvider>,
    clock: Arc<dyn Clock>,
    ca: LocalCa,
    store: Store,
    directory: Directory,
    shown: Arc<ByName>,
    /// Held by whoever changes what is shown, never while waiting.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    plan: Plan,
    /// What the certificate without a name carries.
    own_names: BTreeSet<String>,
}

impl Acme {
    /// Shows what is kept in `dir`, and the local authority's certificates for all other names.
    pub(crate) fn open(
        dir: &Path,
        config: AcmeConfig,
        names: &BTreeSet<String>,
        provider: Arc<CryptoProvider>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, TlsError> {
        let ca = LocalCa::open(dir, &provider, clock.now())?;
        let store = Store::open(dir, &config.directory)?;
        let own_names = own_names(names);
        let own = ca.issue(&provider, &own_names, clock.now())?;
        let acme = Self {
            directory: Directory::new(config, Arc::clone(&provider), Arc::clone(&clock))?,
            provider,
            clock,
            ca,
            store,
            shown: Arc::new(ByName::new(own)),
            state: Mutex::new(State {
                plan: Plan::default(),
                own_names,
            }),
        };
        acme.set_names(names)?;
        Ok(acme)
    }

    /// The names from now on: nothing is shown or ordered for any other. Answers whether anything changed.
    pub(crate) fn set_names(&self, names: &BTreeSet<String>) -> Result<bool, TlsError> {
        let asked: BTreeSet<String> = names
            .iter()
            .filter(|name| !is_address(name))
            .cloned()
            .collect();
        if asked.len() > NAMES_MAX {
            return Err(TlsError::TooManyNames { max: NAMES_MAX });
        }
        let mut state = self.state();
        let before = self.shown.names.load_full();
        let own_names = own_names(names);
        if before.keys().eq(asked.iter()) && state.own_names == own_names {
            return Ok(false);
        }
        let mut shown = BTreeMap::new();
        for name in &asked {
            let one = match before.get(name) {
                Some(one) => one.clone(),
                None => self.first_shown(name)?,
            };
            shown.insert(name.clone(), one);
        }
        let own = self
            .ca
            .issue(&self.provider, &own_names, self.clock.now())?;
        self.shown.own.replace(own);
        state.own_names = own_names;
        let some_are_new = asked.iter().any(|name| !before.contains_key(name));
        state.plan.keep(&asked, some_are_new);
        self.shown.names.store(Arc::new(shown));
        Ok(true)
    }

    /// Renews what the local authority stands in with. Answers whether anything changed.
    pub(crate) fn refresh(&self) -> Result<bool, TlsError> {
        let now = self.clock.now();
        let old = |expiry: Expiry| expiry.days_left(now) < RENEW_BEFORE_DAYS;
        let state = self.state();
        let mut shown = BTreeMap::clone(&self.shown.names.load());
        let mut changed = false;
        if old(self.shown.own.expiry()) {
            let own = self.ca.issue(&self.provider, &state.own_names, now)?;
            self.shown.own.replace(own);
            changed = true;
        }
        for (name, one) in &mut shown {
            if !one.ordered && old(one.usable.expiry) {
                *one = self.stand_in(name)?;
                changed = true;
            }
        }
        if changed {
            self.shown.names.store(Arc::new(shown));
        }
        Ok(changed)
    }

    /// Whole days until each name's own certificate ends; nothing where the local authority stands in.
    pub(crate) fn days_left_by_name(&self) -> Vec<(String, Option<u64>)> {
        let now = self.clock.now();
        let of = |(name, one): (&String, &Shown)| {
            let days = one.ordered.then(|| one.usable.expiry.days_left(now));
            (name.clone(), days)
        };
        self.shown.names.load().iter().map(of).collect()
    }

    /// Orders what is due the most. Answers whether it tried.
    pub(crate) async fn order_next(&self, alarms: &dyn Alarms) -> bool {
        let begun = self
            .state()
            .plan
            .begin(&self.shown.names.load(), self.clock.now());
        let Some(name) = begun else {
            return false;
        };
        let ordering = self
            .directory
            .order(&self.store, &self.shown.challenges, &name);
        // Boxed: an order's state is large and would otherwise stay part of the caller's task for good.
        let taken = match Box::pin(ordering).await {
            Ok(issued) => self.take(&name, &issued),
            Err(error) => Err(error),
        };
        let now = self.clock.now();
        match taken {
            Ok(()) => {
                self.state().plan.succeeded(&name, now);
                tracing::info!(name, "a certificate was issued and taken into use");
            }
            Err(error) => {
                let how = match error {
                    TlsError::Directory(_) => Failed::Directory,
                    TlsError::Order { later: true, .. } => Failed::NameForLong,
                    _ => Failed::Name,
                };
                self.state().plan.failed(&name, how, now);
                self.tell(alarms, &name, &error);
            }
        }
        true
    }

    /// Keeps what was issued and shows it from the next handshake on; open connections go on with what they have.
    fn take(&self, name: &str, issued: &Issued) -> Result<(), TlsError> {
        let usable = self.store.save(&self.provider, name, issued)?;
        let _changing = self.state();
        let mut shown = BTreeMap::clone(&self.shown.names.load());
        // The name may have left while its order was under way.
        if let Some(one) = shown.get_mut(name) {
            *one = Shown {
                usable,
                ordered: true,
            };
            self.shown.names.store(Arc::new(shown));
        }
        Ok(())
    }

    fn tell(&self, alarms: &dyn Alarms, name: &str, error: &TlsError) {
        let shown = self.shown.names.load();
        let Some(one) = shown.get(name) else {
            return;
        };
        if !one.ordered {
            let detail =
                format!("{name} has no certificate yet, so the local authority stands in: {error}");
            alarms.raise(AlarmLevel::Warning, "tls.renewal", &detail);
            return;
        }
        let days = one.usable.expiry.days_left(self.clock.now());
        let level = match days {
            0..CRITICAL_BEFORE_DAYS => AlarmLevel::Critical,
            CRITICAL_BEFORE_DAYS..ALARM_BEFORE_DAYS => AlarmLevel::Warning,
            _ => {
                tracing::warn!(name, days, %error, "a certificate could not be renewed yet");
                return;
            }
        };
        let detail =
            format!("the certificate of {name} ends in {days} days and was not renewed: {error}");
        alarms.raise(level, "tls.renewal", &detail);
    }

    /// What is kept for a name, or a stand-in.
    fn first_shown(&self, name: &str) -> Result<Shown, TlsError> {
        if !plan::orderable(name) {
            return self.stand_in(name);
        }
        match self.store.certificate(&self.provider, name) {
            Ok(Some(usable)) => Ok(Shown {
                usable,
                ordered: true,
            }),
            Ok(None) => self.stand_in(name),
            Err(error) => {
                tracing::warn!(name, %error, "a kept certificate is not used; another is ordered");
                self.stand_in(name)
            }
        }
    }

    fn stand_in(&self, name: &str) -> Result<Shown, TlsError> {
        let names = BTreeSet::from([name.to_owned()]);
        let usable = self.ca.issue(&self.provider, &names, self.clock.now())?;
        Ok(Shown {
            usable,
            ordered: false,
        })
    }

    pub(crate) fn own(&self) -> &Arc<CurrentCertificate> {
        &self.shown.own
    }

    pub(crate) fn ca_pem(&self) -> &str {
        self.ca.certificate_pem()
    }

    pub(crate) fn resolver(&self) -> Arc<dyn ResolvesServerCert> {
        Arc::clone(&self.shown) as Arc<dyn ResolvesServerCert>
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What somebody who asks for no name may see: this machine's own names and addresses, nobody's host name.
fn own_names(names: &BTreeSet<String>) -> BTreeSet<String> {
    let own = |name: &&String| *name == "localhost" || is_address(name);
    names.iter().filter(own).cloned().collect()
}

fn is_address(name: &str) -> bool {
    name.parse::<std::net::IpAddr>().is_ok()
}

#[cfg(test)]
mod tests;
