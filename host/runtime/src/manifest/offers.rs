//! What a plugin offers and takes part in, beyond its methods.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::asks::{is_host, is_method};
use super::{Manifest, is_dotted_name, refuse};
use crate::queue::Every;
use crate::{RuntimeError, settings};

/// Most of each kind: an admin reads them all.
const OFFERS_MAX: usize = 64;

/// The longest time that a method may wait for a hook before it.
const HOOK_MS_MAX: u32 = 200;

/// What a hook has if its manifest does not say.
const HOOK_MS: u32 = 20;

/// A page that people open.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Page {
    /// Its name in addresses, one word.
    pub name: String,
    /// Its title for people, in English.
    pub title: String,
    /// What one must hold to open it. None only for public pages.
    #[serde(default)]
    pub permission: Option<String>,
    /// Whether it is at `/p/` for anybody.
    #[serde(default)]
    pub public: bool,
    /// Whether it stands in the navigation of the app.
    #[serde(default)]
    pub navigation: bool,
    /// Whether people are offered it where they look for pages. Not one that shows nothing without more behind its
    /// address.
    #[serde(default = "yes")]
    pub listed: bool,
}

/// Work that nobody waits for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// Its name.
    pub name: String,
    /// What it does.
    pub summary: String,
    /// When it repeats: the five fields of crontab(5). None for what is only scheduled.
    #[serde(default)]
    pub every: Option<String>,
    /// The time zone of `every`; UTC if not said.
    #[serde(default)]
    pub timezone: Option<String>,
}

/// Events of another plugin.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subscription {
    /// Their topic.
    pub topic: String,
    /// Why it wants them.
    pub reason: String,
    /// Whether it is of no use without.
    #[serde(default = "yes")]
    pub required: bool,
}

/// A say in another plugin's method.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hook {
    /// `plugin/method`.
    pub on: String,
    /// Before it runs, or after it is committed.
    pub when: When,
    /// Why.
    pub reason: String,
    /// For `before`: how long the method waits, in milliseconds.
    #[serde(default = "hook_ms")]
    pub deadline_ms: u32,
    /// For `before`: what holds where it does not answer.
    #[serde(default)]
    pub on_failure: Failing,
    /// Whether it is of no use without.
    #[serde(default = "yes")]
    pub required: bool,
}

/// When a hook runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum When {
    /// It may refuse or change what the method gets.
    Before,
    /// It is told, in a queue.
    After,
}

/// What holds where a hook does not answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Failing {
    /// The method runs.
    #[default]
    Open,
    /// The method is refused.
    Closed,
}

/// A credential that the host holds for the plugin.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Connection {
    /// Its name in requests.
    pub name: String,
    /// Its title for people.
    pub title: String,
    /// How it is obtained and sent.
    pub kind: ConnectionKind,
    /// Whether each person has one of their own; otherwise the organization has one.
    #[serde(default)]
    pub per_user: bool,
    /// Hosts that it is ever sent to, all of which `http` asks for.
    pub hosts: BTreeSet<String>,
    /// For `oauth2`: where people agree (RFC 6749 section 3.1).
    #[serde(default)]
    pub authorize_url: Option<String>,
    /// For both OAuth kinds: where tokens are had (RFC 6749 section 3.2).
    #[serde(default)]
    pub token_url: Option<String>,
    /// For both OAuth kinds: where tokens are given back (RFC 7009).
    #[serde(default)]
    pub revoke_url: Option<String>,
    /// For both OAuth kinds.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// For `api_key`: the header that carries it.
    #[serde(default)]
    pub header: Option<String>,
}

/// How a credential is obtained and sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ConnectionKind {
    /// OAuth 2 authorization code with PKCE (RFC 7636).
    Oauth2,
    /// OAuth 2 client credentials (RFC 6749 section 4.4).
    ClientCredentials,
    /// A key in a header.
    ApiKey,
    /// A name and a password (RFC 7617).
    Basic,
}

/// Raw HTTP from anybody.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpIn {
    /// Why it wants it.
    pub reason: String,
    /// Whether it is of no use without.
    #[serde(default = "yes")]
    pub required: bool,
}

/// What one call may take; never more than the server allows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AskedLimits {
    /// Processor time, in milliseconds.
    #[serde(default)]
    pub cpu_ms: Option<u64>,
    /// Memory, in MiB.
    #[serde(default)]
    pub memory_mib: Option<usize>,
}

fn yes() -> bool {
    true
}

fn hook_ms() -> u32 {
    HOOK_MS
}

pub(super) fn first_data_version() -> u32 {
    1
}

impl Manifest {
    pub(super) fn check_offers(&self) -> Result<(), RuntimeError> {
        let counts = [
            self.pages.len(),
            self.jobs.len(),
            self.subscriptions.len(),
            self.hooks.len(),
            self.connections.len(),
        ];
        if counts.into_iter().any(|count| count > OFFERS_MAX) {
            return Err(refuse(format!("at most {OFFERS_MAX} of each kind")));
        }
        self.check_pages()?;
        self.check_takes_part()?;
        if let Some(fault) = self.settings.as_ref().and_then(settings::fault_of) {
            return Err(refuse(fault));
        }
        self.check_connections()
    }

    fn check_pages(&self) -> Result<(), RuntimeError> {
        let mut seen = BTreeSet::new();
        for Page {
            name,
            permission,
            public,
            navigation,
            listed,
            ..
        } in &self.pages
        {
            if !is_dotted_name(name) || name.contains('.') || !seen.insert(name) {
                return Err(refuse(format!("{name} is no name for a page, or twice")));
            }
            if *navigation && !listed {
                return Err(refuse(format!(
                    "the page {name} stands in the navigation, so it is listed"
                )));
            }
            match permission {
                Some(permission) if !self.declares(permission) => {
                    return Err(refuse(format!(
                        "the page {name} requires {permission}, which is not declared"
                    )));
                }
                None if !public => {
                    return Err(refuse(format!(
                        "the page {name} must require a permission or be public"
                    )));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn check_takes_part(&self) -> Result<(), RuntimeError> {
        let mut seen = BTreeSet::new();
        for Job {
            name,
            every,
            timezone,
            ..
        } in &self.jobs
        {
            if !is_dotted_name(name) || !seen.insert(name) {
                return Err(refuse(format!("{name} is no name for a job, or twice")));
            }
            if let Some(every) = every {
                Every::new(every, timezone.as_deref())
                    .map_err(|why| refuse(format!("the job {name}: {why}")))?;
            }
        }
        for Subscription { topic, .. } in &self.subscriptions {
            if !is_dotted_name(topic) || !topic.contains('.') {
                return Err(refuse(format!("{topic} is no topic")));
            }
        }
        for Hook {
            on, deadline_ms, ..
        } in &self.hooks
        {
            if !is_method(on) || on.starts_with(&format!("{}/", self.id)) {
                return Err(refuse(format!("{on} is no other plugin's method")));
            }
            if *deadline_ms == 0 || *deadline_ms > HOOK_MS_MAX {
                return Err(refuse(format!(
                    "a hook has 1 to {HOOK_MS_MAX} ms, and that on {on} asks for {deadline_ms}"
                )));
            }
        }
        if self.data_version == 0 {
            return Err(refuse("data_version begins at 1"));
        }
        Ok(())
    }

    fn check_connections(&self) -> Result<(), RuntimeError> {
        let http = self.capabilities.iter().find(|asked| asked.name == "http");
        let mut seen = BTreeSet::new();
        for connection in &self.connections {
            let Connection { name, hosts, .. } = connection;
            if !is_dotted_name(name) || !seen.insert(name) {
                return Err(refuse(format!(
                    "{name} is no name for a connection, or twice"
                )));
            }
            let may_reach =
                |host: &String| is_host(host) && http.is_some_and(|http| http.hosts.contains(host));
            if hosts.is_empty() || !hosts.iter().all(may_reach) {
                return Err(refuse(format!(
                    "the connection {name} must name hosts that http asks for"
                )));
            }
            let needs = match connection.kind {
                ConnectionKind::Oauth2 => {
                    connection.authorize_url.is_some() && connection.token_url.is_some()
                }
                ConnectionKind::ClientCredentials => connection.token_url.is_some(),
                ConnectionKind::ApiKey => connection.header.is_some(),
                ConnectionKind::Basic => true,
            };
            let addresses = [
                &connection.authorize_url,
                &connection.token_url,
                &connection.revoke_url,
            ];
            let is_plain = |url: &&String| !url.starts_with("https://");
            if let Some(url) = addresses.into_iter().flatten().find(is_plain) {
                return Err(refuse(format!("{url} is no https address")));
            }
            if !needs {
                return Err(refuse(format!(
                    "the connection {name} lacks an address or a header that its kind needs"
                )));
            }
        }
        Ok(())
    }
}
