//! Where two answers differ: places in the JSON, never what stands there.

use std::collections::BTreeSet;

use serde_json::Value;

/// Most places that one comparison names.
const PLACES_MAX: usize = 16;

/// How deep it looks.
const DEPTH_MAX: usize = 16;

/// The longest key that is named.
const KEY_LEN_MAX: usize = 40;

/// The places at which they differ, as JSON paths. Items of lists are all named alike, and so are keys that look like
/// data (ids, names of people) and not like names of fields.
pub(super) fn between(a: &Value, b: &Value) -> BTreeSet<String> {
    let mut places = BTreeSet::new();
    look(a, b, "$", DEPTH_MAX, &mut places);
    places
}

fn look(a: &Value, b: &Value, path: &str, depth: usize, places: &mut BTreeSet<String>) {
    if a == b || places.len() >= PLACES_MAX {
        return;
    }
    match (a, b) {
        (Value::Object(a), Value::Object(b)) if depth > 0 => {
            let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            for key in keys {
                let path = format!("{path}.{}", named(key));
                match (a.get(key), b.get(key)) {
                    (Some(a), Some(b)) => look(a, b, &path, depth - 1, places),
                    _ => {
                        places.insert(path);
                    }
                }
            }
        }
        (Value::Array(a), Value::Array(b)) if depth > 0 && a.len() == b.len() => {
            let path = format!("{path}[]");
            for (a, b) in a.iter().zip(b) {
                look(a, b, &path, depth - 1, places);
            }
        }
        _ => {
            places.insert(path.to_owned());
        }
    }
}

fn named(key: &str) -> &str {
    let is_field = key.len() <= KEY_LEN_MAX
        && key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
        && !key.is_empty();
    if is_field { key } else { "*" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn places_are_named_and_contents_are_not() {
        let a = json!({"id": 1, "items": [{"name": "Anna"}, {"name": "Bo"}], "by": {"usr_1": 2}, "gone": 1});
        let b = json!({"id": 1, "items": [{"name": "Anna"}, {"name": "Ola"}], "by": {"usr_1": 3}, "new": 1});
        let places: Vec<String> = between(&a, &b).into_iter().collect();
        assert_eq!(places, ["$.by.*", "$.gone", "$.items[].name", "$.new"]);
        assert!(between(&a, &a).is_empty());
        assert_eq!(
            between(&json!([1]), &json!([1, 2]))
                .into_iter()
                .collect::<Vec<_>>(),
            ["$"]
        );
    }
}
