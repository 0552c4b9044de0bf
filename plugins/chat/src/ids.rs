//! The three identifiers of chat: one type each, text towards callers and 16 bytes in storage.

use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Text that is not an identifier of the kind asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a {kind} id: expected {prefix}_ and 32 lower-case hex digits")]
pub(crate) struct NotAnId {
    kind: &'static str,
    prefix: &'static str,
}

const HEX_DIGITS: usize = 32;

fn parse_hex(text: &str, prefix: &str) -> Option<u128> {
    let hex = text.strip_prefix(prefix)?.strip_prefix('_')?;
    let lower_hex = hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if hex.len() != HEX_DIGITS || !lower_hex {
        return None;
    }
    u128::from_str_radix(hex, 16).ok()
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal, $kind:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(crate) struct $name(u128);

        impl $name {
            #[allow(dead_code, reason = "users come from the host as text")]
            pub(crate) const fn from_u128(raw: u128) -> Self {
                Self(raw)
            }
            /// Big-endian, so key order is creation order.
            pub(crate) const fn to_bytes(self) -> [u8; 16] {
                self.0.to_be_bytes()
            }
            pub(crate) const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(u128::from_be_bytes(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "_{:032x}"), self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;
            fn from_str(text: &str) -> Result<Self, NotAnId> {
                parse_hex(text, $prefix)
                    .map(Self)
                    .ok_or(NotAnId { kind: $kind, prefix: $prefix })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(self)
                } else {
                    self.to_bytes().serialize(serializer)
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                    text.parse().map_err(de::Error::custom)
                } else {
                    <[u8; 16]>::deserialize(deserializer).map(Self::from_bytes)
                }
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn inline_schema() -> bool {
                true
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({
                    "type": "string",
                    "pattern": concat!("^", $prefix, "_[0-9a-f]{32}$"),
                })
            }
        }
    )*};
}

ids! {
    /// A chat between two people, in a group or in a channel.
    ConversationId = "cnv", "conversation";
    /// One entry in a conversation.
    MessageId = "msg", "message";
    /// A person of the organization; the host knows the rest of them.
    UserId = "usr", "user";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_text_and_bytes() {
        let id = MessageId::from_u128(0xfeed);
        assert_eq!(id.to_string(), "msg_0000000000000000000000000000feed");
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(MessageId::from_bytes(id.to_bytes()), id);
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(serde_json::from_str::<MessageId>(&json).unwrap(), id);
        let raw = postcard::to_allocvec(&id).unwrap();
        assert_eq!(raw.len(), 16);
        assert_eq!(postcard::from_bytes::<MessageId>(&raw).unwrap(), id);
    }

    #[test]
    fn text_of_another_kind_or_shape_is_refused() {
        for text in [
            "",
            "msg_",
            "cnv_0000000000000000000000000000feed",
            "msg_0000000000000000000000000000FEED",
            "msg_+000000000000000000000000000feed",
            "msg_0000000000000000000000000000feed0",
            "msg-0000000000000000000000000000feed",
            "msg_000000000000000000000000000åfeed",
        ] {
            assert!(text.parse::<MessageId>().is_err(), "{text:?} was taken");
        }
    }
}
