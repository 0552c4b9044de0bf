//! One type per kind of identifier, so a user can never be handed where a tenant is meant.

use std::cell::RefCell;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::UnixMs;

/// A text that is not an identifier of the wanted kind. Never repeats the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a {kind} identifier")]
pub struct ParseIdError {
    kind: &'static str,
}

/// How much randomness an id takes.
const RANDOM_LEN: usize = 10;
/// For how many ids one visit to the operating system brings randomness: the visit costs more than the rest of an id.
const STOCK_IDS: usize = 64;

/// Randomness for ids that are still to be made. It is no secret, and this process never forks, so nobody else has
/// the same.
struct Stock {
    bytes: [u8; STOCK_IDS * RANDOM_LEN],
    used: usize,
}

impl Stock {
    fn take(&mut self) -> [u8; RANDOM_LEN] {
        let next = |stock: &Self| stock.bytes.get(stock.used..)?.first_chunk().copied();
        let taken = next(self).unwrap_or_else(|| {
            // A machine without randomness cannot make ids that are never reused; the process ends here
            // instead of going on with guessable ones.
            if getrandom::fill(&mut self.bytes).is_err() {
                std::process::abort();
            }
            self.used = 0;
            next(self).unwrap_or_default()
        });
        self.used += RANDOM_LEN;
        taken
    }
}

/// A UUIDv7 (RFC 9562, section 5.7): 48 bits of milliseconds, then randomness, so that ids sort by creation.
fn time_ordered(now: UnixMs) -> u128 {
    thread_local! {
        static STOCK: RefCell<Stock> = const {
            RefCell::new(Stock { bytes: [0; STOCK_IDS * RANDOM_LEN], used: STOCK_IDS * RANDOM_LEN })
        };
    }
    let random = STOCK.with_borrow_mut(Stock::take);
    uuid::Builder::from_unix_timestamp_millis(now.0, &random)
        .into_uuid()
        .as_u128()
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u128);

        impl $name {
            /// What the printed form begins with, before the underscore.
            pub const PREFIX: &'static str = $prefix;

            /// A fresh id that sorts after those made before `now`.
            pub fn new(now: UnixMs) -> Self { Self(time_ordered(now)) }
            /// The id with this number.
            pub const fn from_u128(raw: u128) -> Self { Self(raw) }
            /// The number behind the id.
            pub const fn as_u128(self) -> u128 { self.0 }
            /// Big-endian, so key order is creation order.
            pub const fn to_bytes(self) -> [u8; 16] { self.0.to_be_bytes() }
            /// The inverse of [`Self::to_bytes`].
            pub const fn from_bytes(bytes: [u8; 16]) -> Self { Self(u128::from_be_bytes(bytes)) }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "_{:032x}"), self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { fmt::Display::fmt(self, f) }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                let error = ParseIdError { kind: $prefix };
                let digits = text.strip_prefix(concat!($prefix, "_")).ok_or(error)?;
                let canonical = digits.len() == 32
                    && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
                if !canonical {
                    return Err(error);
                }
                u128::from_str_radix(digits, 16).map(Self).map_err(|_| error)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }
    )*};
}

ids! {
    /// An organization: the wall that no read or write crosses.
    TenantId = "ten";
    /// A person who signs in.
    UserId = "usr";
    /// Several users under one name.
    GroupId = "grp";
    /// Permissions under one name.
    RoleId = "rol";
    /// An act that waits for a second administrator.
    ApprovalId = "apr";
    /// A signed-in device of a user.
    SessionId = "ses";
    /// One request, from the door to the log lines it leaves.
    RequestId = "req";
}

impl TenantId {
    /// The system itself: tenants, host names, packages.
    pub const SYSTEM: Self = Self(0);
}

/// The longest name of a plugin: it stands in URLs, topics and metric labels.
const PLUGIN_ID_LEN_MAX: usize = 32;

/// The name of a plugin: a lower-case letter, then letters, digits and hyphens, at most 32 in all.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PluginId(std::sync::Arc<str>);

impl PluginId {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PluginId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let starts_well = text.bytes().next().is_some_and(|b| b.is_ascii_lowercase());
        let goes_well = text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if starts_well && goes_well && text.len() <= PLUGIN_ID_LEN_MAX {
            Ok(Self(text.into()))
        } else {
            Err(ParseIdError { kind: "plugin" })
        }
    }
}

impl fmt::Display for PluginId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for PluginId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for PluginId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for PluginId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_print_their_kind_and_parse_back() {
        let tenant = TenantId::from_u128(7);
        assert_eq!(tenant.to_string(), "ten_00000000000000000000000000000007");
        assert_eq!(tenant.to_string().parse(), Ok(tenant));
    }

    #[test]
    fn an_id_of_another_kind_or_spelling_is_refused() {
        let user = UserId::from_u128(7).to_string();
        assert!(user.parse::<TenantId>().is_err());
        assert!(user.to_uppercase().parse::<UserId>().is_err());
        assert!("usr_7".parse::<UserId>().is_err());
        assert!(
            "usr_+0000000000000000000000000000007"
                .parse::<UserId>()
                .is_err()
        );
    }

    #[test]
    fn ids_sort_by_creation() {
        assert!(UserId::new(UnixMs(1_000)) < UserId::new(UnixMs(2_000)));
        assert_ne!(UserId::new(UnixMs(1_000)), UserId::new(UnixMs(1_000)));
    }

    #[test]
    fn no_id_comes_twice_on_any_thread() {
        let make = || -> Vec<u128> {
            (0..10 * STOCK_IDS)
                .map(|_| UserId::new(UnixMs(1_000)).as_u128())
                .collect()
        };
        let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(make)).collect();
        let ids: HashSet<u128> = threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect();
        assert_eq!(ids.len(), 4 * 10 * STOCK_IDS);
    }

    #[test]
    fn a_plugin_name_is_lower_case_and_short() {
        assert!("chat".parse::<PluginId>().is_ok());
        assert!("stand-up2".parse::<PluginId>().is_ok());
        for bad in ["", "Chat", "2chat", "-a", "a/b", "å", &"a".repeat(33)] {
            assert!(bad.parse::<PluginId>().is_err(), "{bad}");
        }
    }
}
