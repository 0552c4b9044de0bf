//! JSON from outside, read once: a value, and whether somewhere in it the same key stands twice.

use std::cell::Cell;
use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// What was read. Where a key stands twice, readers differ on which one counts, so callers refuse it.
pub(crate) struct Given {
    pub(crate) value: Value,
    pub(crate) has_twins: bool,
}

impl<'de> Deserialize<'de> for Given {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let twins = Cell::new(false);
        let value = Reader(&twins).deserialize(deserializer)?;
        Ok(Self {
            value,
            has_twins: twins.get(),
        })
    }
}

#[derive(Clone, Copy)]
struct Reader<'a>(&'a Cell<bool>);

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let value = entries.next_value_seed(self)?;
            if map.insert(key, value).is_some() {
                self.0.set(true);
            }
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Given> {
        serde_json::from_slice(text.as_bytes()).ok()
    }

    #[test]
    fn a_value_is_what_it_always_was() {
        let many = [
            "null",
            "true",
            "0",
            "-1",
            "18446744073709551615",
            "-9223372036854775808",
            "1e3",
            "0.1",
            r#""å\u0000""#,
            r#"[1,[],{"a":{"b":[null]},"":"x"}]"#,
        ];
        for text in many {
            let given = read(text).unwrap();
            assert_eq!(given.value, serde_json::from_str::<Value>(text).unwrap());
            assert!(!given.has_twins, "{text}");
        }
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        for text in ["", "{", "1e999", "{} {}", "{1:2}", "[1,]", &deep] {
            assert!(read(text).is_none(), "{text:.40}");
        }
    }

    #[test]
    fn a_key_that_stands_twice_is_noticed_at_any_depth() {
        for (text, has_twins) in [
            (r#"{"a":1,"a":2}"#, true),
            (r#"{"a":1,"\u0061":1}"#, true),
            (r#"[{"b":{"a":null,"a":null}}]"#, true),
            (r#"{"a":{"a":1},"b":{"a":1}}"#, false),
        ] {
            assert_eq!(read(text).unwrap().has_twins, has_twins, "{text}");
        }
    }
}
