//! The context that every operation carries from the door to the disk.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{PluginId, Reason, RequestId, TenantId, UnixMs, UserId};

/// The languages that people can read the product in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Locale {
    /// Swedish.
    #[default]
    Sv,
    /// English.
    En,
}

impl Locale {
    /// The BCP 47 tag.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sv => "sv",
            Self::En => "en",
        }
    }
}

impl fmt::Display for Locale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who is asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A signed-in person.
    User(UserId),
    /// A plugin acting on its own, for example on a timer.
    Plugin(PluginId),
    /// Somebody who has not said who they are.
    Anonymous,
    /// The host itself: backups, retention, drain.
    System,
}

/// One operation: whose tenant, which actor, at what time.
///
/// Built once where the work enters (a request, a frame, a timer) and passed by reference from then on.
#[derive(Clone, Debug)]
pub struct OpCx {
    /// The organization that the operation happens in.
    pub tenant: TenantId,
    /// Who asked for it.
    pub actor: Actor,
    /// When it entered.
    pub now: UnixMs,
    /// What ties its log lines and its answer together.
    pub request: RequestId,
    /// The language that the asker reads.
    pub locale: Locale,
}

impl OpCx {
    /// The host's own operation in this tenant.
    pub fn system(tenant: TenantId, now: UnixMs) -> Self {
        Self {
            tenant,
            actor: Actor::System,
            now,
            request: RequestId::new(now),
            locale: Locale::default(),
        }
    }

    /// The user behind this operation, or the reason there is none.
    pub fn user_required(&self) -> Result<UserId, Reason> {
        match self.actor {
            Actor::User(user) => Ok(user),
            Actor::Plugin(_) | Actor::Anonymous | Actor::System => Err(Reason::Unauthenticated),
        }
    }
}
