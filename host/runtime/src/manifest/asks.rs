//! What a plugin asks an organization for, item by item, and what the organization granted of it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Manifest, When, is_dotted_name, refuse};
use crate::RuntimeError;

/// Most hosts or methods that one capability names: an admin reads them all.
const DETAILS_MAX: usize = 32;

/// What a manifest may ask for. Each is the WIT package of that name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Cap {
    Storage,
    Events,
    Identity,
    Clock,
    Crypto,
    Log,
    Blobs,
    Interop,
    StepUp,
    Http,
    Schedule,
    Config,
}

impl Cap {
    /// How many there are.
    pub(crate) const COUNT: usize = 12;

    /// Each, in the order of their numbers.
    pub(crate) const ALL: [Self; Self::COUNT] = [
        Self::Storage,
        Self::Events,
        Self::Identity,
        Self::Clock,
        Self::Crypto,
        Self::Log,
        Self::Blobs,
        Self::Interop,
        Self::StepUp,
        Self::Http,
        Self::Schedule,
        Self::Config,
    ];

    /// The WIT package without its prefix.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Storage => "storage",
            Self::Events => "events",
            Self::Identity => "identity",
            Self::Clock => "clock",
            Self::Crypto => "crypto",
            Self::Log => "log",
            Self::Blobs => "blobs",
            Self::Interop => "interop",
            Self::StepUp => "step-up",
            Self::Http => "http",
            Self::Schedule => "schedule",
            Self::Config => "config",
        }
    }

    /// The one of that name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cap| cap.name() == name)
    }

    /// Whether each use has a row in the audit. What is used hundreds of times in a call is counted.
    pub(crate) const fn is_audited_one_by_one(self) -> bool {
        matches!(
            self,
            Self::Http | Self::Interop | Self::StepUp | Self::Blobs
        )
    }

    /// Whether what it does is put back with a migration that failed.
    pub(crate) const fn can_be_undone(self) -> bool {
        matches!(
            self,
            Self::Storage | Self::Identity | Self::Clock | Self::Crypto | Self::Log | Self::Config
        )
    }

    /// Whether a plugin can be run without it: its functions can say no.
    const fn can_be_refused(self) -> bool {
        !matches!(
            self,
            Self::Identity | Self::Clock | Self::Log | Self::Config
        )
    }
}

/// A capability with the reason that an admin reads before granting it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Capability {
    /// The WIT package without its prefix.
    pub name: String,
    /// Why the plugin wants it.
    pub reason: String,
    /// Whether it is of no use without. What is not required may be refused on its own.
    #[serde(default = "yes")]
    pub required: bool,
    /// For `http`: hosts that it may reach, `api.example.com` or `*.example.com`.
    #[serde(default)]
    pub hosts: BTreeSet<String>,
    /// For `interop`: methods that it may call, `chat/messages.send`.
    #[serde(default)]
    pub methods: BTreeSet<String>,
}

fn yes() -> bool {
    true
}

/// What kind of thing is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AskKind {
    /// To use a capability of the host.
    Capability,
    /// To be told of another plugin's events.
    Events,
    /// To have a say before another plugin's method.
    HookBefore,
    /// To be told after another plugin's method.
    HookAfter,
    /// To answer raw HTTP from anybody.
    HttpIn,
}

/// One thing that an organization consents to or refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// What names it in a grant: `storage`, `events:chat.message.created`, `before:chat/messages.send`.
    pub id: String,
    /// What kind of thing it is.
    pub kind: AskKind,
    /// Why, in its author's words.
    pub reason: String,
    /// Whether the plugin is of no use without.
    pub required: bool,
    /// Hosts or methods, where it is about some and not about all.
    pub details: BTreeSet<String>,
}

/// What an organization granted: the id of each ask, with the details that it had then.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Grants(pub(crate) BTreeMap<String, BTreeSet<String>>);

impl Grants {
    /// All that is asked for.
    pub fn all(asks: &[Ask]) -> Self {
        Self::chosen(asks, |_| true)
    }

    /// Of what is asked for, what `choose` says.
    pub fn chosen(asks: &[Ask], choose: impl Fn(&Ask) -> bool) -> Self {
        let granted = asks.iter().filter(|ask| choose(ask));
        Self(
            granted
                .map(|ask| (ask.id.clone(), ask.details.clone()))
                .collect(),
        )
    }

    /// What these ids name, or which of them nobody asks for, or which are required and not among them.
    pub fn of_ids(asks: &[Ask], ids: &BTreeSet<String>) -> Result<Self, RuntimeError> {
        let is_asked = |id: &&String| asks.iter().any(|ask| ask.id == **id);
        if let Some(unknown) = ids.iter().find(|id| !is_asked(id)) {
            return Err(RuntimeError::Refused {
                code: "unknown_grant",
                what: format!("it does not ask for {unknown}"),
            });
        }
        let chosen = Self::chosen(asks, |ask| ids.contains(&ask.id));
        chosen.check_suffices(asks, "required_grant")?;
        Ok(chosen)
    }

    /// What of this still counts for a version that asks for these: never more than was granted.
    pub fn carried(&self, asks: &[Ask]) -> Self {
        let granted = asks.iter().filter_map(|ask| {
            let had = self.0.get(&ask.id)?;
            let kept: BTreeSet<String> = ask.details.intersection(had).cloned().collect();
            let is_nothing = kept.is_empty() && !ask.details.is_empty();
            (!is_nothing).then(|| (ask.id.clone(), kept))
        });
        Self(granted.collect())
    }

    /// Refuses by name what is required and was not granted.
    pub(crate) fn check_suffices(
        &self,
        asks: &[Ask],
        code: &'static str,
    ) -> Result<(), RuntimeError> {
        let missing = asks.iter().filter(|ask| ask.required && !self.covers(ask));
        let missing: Vec<&str> = missing.map(|ask| ask.id.as_str()).collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(RuntimeError::Refused {
            code,
            what: format!("it cannot do without {}", missing.join(", ")),
        })
    }

    /// Whether this much of it was granted.
    pub fn covers(&self, ask: &Ask) -> bool {
        self.0
            .get(&ask.id)
            .is_some_and(|details| ask.details.is_subset(details))
    }

    /// Whether nothing that is required is missing.
    pub fn suffice_for(&self, asks: &[Ask]) -> bool {
        asks.iter().all(|ask| !ask.required || self.covers(ask))
    }

    /// Whether the other one has all of this.
    pub(crate) fn is_within(&self, other: &Self) -> bool {
        let has = |(id, details): (&String, &BTreeSet<String>)| {
            let had = other.0.get(id);
            had.is_some_and(|had| details.is_subset(had))
        };
        self.0.iter().all(has)
    }

    /// Whether the id was granted with this detail.
    pub fn has_detail(&self, id: &str, detail: &str) -> bool {
        self.0
            .get(id)
            .is_some_and(|details| details.contains(detail))
    }

    /// Whether the id was granted.
    pub fn has(&self, id: &str) -> bool {
        self.0.contains_key(id)
    }

    /// The granted ids.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    pub(crate) fn allows(&self, cap: Cap) -> bool {
        self.has(cap.name())
    }
}

impl Manifest {
    /// Everything that an organization is asked for, in the order of the manifest.
    pub fn asks(&self) -> Vec<Ask> {
        let capabilities = self.capabilities.iter().map(|asked| Ask {
            id: asked.name.clone(),
            kind: AskKind::Capability,
            reason: asked.reason.clone(),
            required: asked.required,
            details: asked.hosts.union(&asked.methods).cloned().collect(),
        });
        let events = self.subscriptions.iter().map(|wanted| Ask {
            id: format!("events:{}", wanted.topic),
            kind: AskKind::Events,
            reason: wanted.reason.clone(),
            required: wanted.required,
            details: BTreeSet::new(),
        });
        let hooks = self.hooks.iter().map(|hook| {
            let (kind, word) = match hook.when {
                When::Before => (AskKind::HookBefore, "before"),
                When::After => (AskKind::HookAfter, "after"),
            };
            Ask {
                id: format!("{word}:{}", hook.on),
                kind,
                reason: hook.reason.clone(),
                required: hook.required,
                details: BTreeSet::new(),
            }
        });
        let http_in = self.http_in.iter().map(|http_in| Ask {
            id: "http-in".to_owned(),
            kind: AskKind::HttpIn,
            reason: http_in.reason.clone(),
            required: http_in.required,
            details: BTreeSet::new(),
        });
        capabilities
            .chain(events)
            .chain(hooks)
            .chain(http_in)
            .collect()
    }

    pub(super) fn check_asks(&self) -> Result<(), RuntimeError> {
        for asked in &self.capabilities {
            let Capability { name, .. } = asked;
            let Some(cap) = Cap::named(name) else {
                return Err(refuse(format!("there is no capability {name}")));
            };
            if !asked.required && !cap.can_be_refused() {
                return Err(refuse(format!(
                    "the functions of {name} cannot fail, so it must be required"
                )));
            }
            let (wants_hosts, wants_methods) = (cap == Cap::Http, cap == Cap::Interop);
            if asked.hosts.is_empty() == wants_hosts || asked.methods.is_empty() == wants_methods {
                return Err(refuse(format!(
                    "hosts belong to http and methods to interop, at least one; {name} has it otherwise"
                )));
            }
            if asked.hosts.len().max(asked.methods.len()) > DETAILS_MAX {
                return Err(refuse(format!("{name} names more than {DETAILS_MAX}")));
            }
            if let Some(host) = asked.hosts.iter().find(|host| !is_host(host)) {
                return Err(refuse(format!("{host} is no name of a host to reach")));
            }
            if let Some(method) = asked.methods.iter().find(|method| !is_method(method)) {
                return Err(refuse(format!("{method} is no plugin/method")));
            }
        }
        let mut seen = BTreeSet::new();
        for Ask { id, reason, .. } in self.asks() {
            if reason.trim().is_empty() {
                return Err(refuse(format!("{id} needs a reason")));
            }
            if !seen.insert(id.clone()) {
                return Err(refuse(format!("{id} is asked for twice")));
            }
        }
        Ok(())
    }
}

/// Whether it is `plugin/method`.
pub(super) fn is_method(name: &str) -> bool {
    name.split_once('/').is_some_and(|(plugin, method)| {
        plugin.parse::<vaxel_core::PluginId>().is_ok() && is_dotted_name(method)
    })
}

/// Whether it is a name that a certificate could have; addresses are not, and `*` stands for one whole label in front.
pub(super) fn is_host(host: &str) -> bool {
    let name = host.strip_prefix("*.").unwrap_or(host);
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    let last_is_number = name
        .rsplit('.')
        .next()
        .is_some_and(|label| label.bytes().all(|b| b.is_ascii_digit()));
    name.len() <= 253 && name.contains('.') && name.split('.').all(is_label) && !last_is_number
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(id: &str, required: bool, details: &[&str]) -> Ask {
        Ask {
            id: id.to_owned(),
            kind: AskKind::Capability,
            reason: "for the test".to_owned(),
            required,
            details: details.iter().map(|&d| d.to_owned()).collect(),
        }
    }

    #[test]
    fn a_grant_covers_what_was_asked_then_and_no_more() {
        let grants = Grants::all(&[ask("http", true, &["a.example.com"])]);
        assert!(grants.covers(&ask("http", true, &["a.example.com"])));
        assert!(!grants.covers(&ask("http", true, &["a.example.com", "b.example.com"])));
        assert!(!grants.covers(&ask("storage", true, &[])));
    }

    #[test]
    fn one_grant_is_within_another_with_all_of_its_details() {
        let small = Grants::all(&[ask("http", true, &["a.example.com"])]);
        let large = Grants::all(&[
            ask("http", true, &["a.example.com", "b.example.com"]),
            ask("storage", true, &[]),
        ]);
        assert!(small.is_within(&large) && large.is_within(&large));
        assert!(!large.is_within(&small));
        assert!(Grants::default().is_within(&small) && !small.is_within(&Grants::default()));
    }

    #[test]
    fn what_is_not_required_may_be_missing() {
        let asks = [ask("storage", true, &[]), ask("events", false, &[])];
        let some = Grants::chosen(&asks, |ask| ask.required);
        assert!(some.suffice_for(&asks));
        assert!(!some.has("events"));
        assert!(!Grants::default().suffice_for(&asks));
    }

    #[test]
    fn what_is_carried_over_is_never_more_than_was_granted() {
        let granted = Grants::all(&[
            ask("http", true, &["a.example.com", "b.example.com"]),
            ask("storage", true, &[]),
        ]);
        let wider = [
            ask("http", true, &["a.example.com", "c.example.com"]),
            ask("crypto", false, &[]),
        ];
        let carried = granted.carried(&wider);
        assert!(carried.has_detail("http", "a.example.com"));
        assert!(!carried.has_detail("http", "c.example.com"));
        assert!(!carried.has("storage") && !carried.has("crypto"));
        assert!(!carried.suffice_for(&wider));
        let elsewhere = [ask("http", false, &["d.example.com"])];
        assert_eq!(granted.carried(&elsewhere), Grants::default());
    }

    #[test]
    fn grants_by_id_refuse_what_is_not_asked_and_what_is_missing_by_name() {
        let asks = [ask("storage", true, &[]), ask("events", false, &[])];
        let ids = |ids: &[&str]| ids.iter().map(|&id| id.to_owned()).collect();
        let code = |result: Result<Grants, RuntimeError>| result.unwrap_err().problem().code;
        assert!(
            Grants::of_ids(&asks, &ids(&["storage"]))
                .unwrap()
                .has("storage")
        );
        assert_eq!(
            code(Grants::of_ids(&asks, &ids(&["events"]))),
            "required_grant"
        );
        assert_eq!(
            code(Grants::of_ids(&asks, &ids(&["storage", "http"]))),
            "unknown_grant"
        );
    }

    #[test]
    fn hosts_are_names_and_never_addresses() {
        for good in ["api.example.com", "*.example.com", "xn--bcher-kva.example"] {
            assert!(is_host(good), "{good}");
        }
        for bad in [
            "localhost",
            "127.0.0.1",
            "[::1]",
            "*",
            "a.*.com",
            "API.example.com",
            "a..b",
            "-a.com",
            "0x7f.1",
            "a.example.com:8080",
            "",
        ] {
            assert!(!is_host(bad), "{bad}");
        }
    }
}
