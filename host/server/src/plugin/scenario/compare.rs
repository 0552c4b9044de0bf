//! What was expected beside what came, with the place where they part.

use serde_json::{Map, Value};

use super::stage::Stage;
use super::{Came, Expect};

/// Stands for anything.
const ANYTHING: &str = "*";

/// Everything about a step that is not as it was expected to be.
pub(crate) fn step(expect: &Expect, came: &Came, stage: &Stage) -> Vec<String> {
    let mut faults = Vec::new();
    match (&expect.error, &came.answer) {
        (Some(code), Err(error)) => {
            if error.split(':').next() != Some(code) {
                faults.push(format!("expected the error {code}, got {error}"));
            }
        }
        (Some(code), Ok(reply)) => {
            faults.push(format!("expected the error {code}, got the reply {reply}"));
        }
        (None, Err(error)) => faults.push(format!("failed: {error}")),
        (None, Ok(reply)) => {
            if let Some(wanted) = &expect.reply {
                value("reply", &stage.named(wanted), reply, &mut faults);
            }
        }
    }
    if let Some(wanted) = &expect.events {
        let wanted = stage.named(&Value::Array(wanted.clone()));
        let came = Value::Array(came.events.clone());
        value("events", &wanted, &came, &mut faults);
    }
    faults
}

/// Objects may hold more than is wanted, lists may not.
pub(crate) fn value(place: &str, wanted: &Value, came: &Value, faults: &mut Vec<String>) {
    match (wanted, came) {
        (Value::String(text), _) if text == ANYTHING && !came.is_null() => {}
        (Value::Object(wanted), Value::Object(came)) => object(place, wanted, came, faults),
        (Value::Array(wanted), Value::Array(came)) if wanted.len() == came.len() => {
            for (index, (wanted, came)) in wanted.iter().zip(came).enumerate() {
                value(&format!("{place}[{index}]"), wanted, came, faults);
            }
        }
        _ if is_same(wanted, came) => {}
        _ => faults.push(format!("{place}: expected {wanted}, got {came}")),
    }
}

fn object(
    place: &str,
    wanted: &Map<String, Value>,
    came: &Map<String, Value>,
    faults: &mut Vec<String>,
) {
    for (key, wanted) in wanted {
        match came.get(key) {
            Some(came) => value(&format!("{place}.{key}"), wanted, came, faults),
            None => faults.push(format!("{place}.{key}: expected {wanted}, got nothing")),
        }
    }
}

// TOML knows 1 and 1.0 apart, JSON does not.
fn is_same(wanted: &Value, came: &Value) -> bool {
    wanted == came || (wanted.is_number() && wanted.as_f64() == came.as_f64())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn faults(wanted: Value, came: Value) -> Vec<String> {
        let mut faults = Vec::new();
        value("reply", &wanted, &came, &mut faults);
        faults
    }

    #[test]
    fn what_is_wanted_is_found_in_what_holds_more() {
        let came = json!({ "id": "n1", "items": [{ "a": 1.0, "b": 2 }] });
        assert!(faults(json!({ "id": "*", "items": [{ "a": 1 }] }), came).is_empty());
    }

    #[test]
    fn a_fault_names_its_place_and_both_sides() {
        let found = faults(
            json!({ "items": [{ "a": 1 }] }),
            json!({ "items": [{ "a": 2 }] }),
        );
        assert_eq!(found, ["reply.items[0].a: expected 1, got 2"]);
        assert_eq!(
            faults(json!([1]), json!([1, 2])),
            ["reply: expected [1], got [1,2]"]
        );
        assert_eq!(faults(json!("*"), json!(null)).len(), 1);
    }
}
