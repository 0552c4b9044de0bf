//! Whole numbers written with a fraction: JSON Schema counts `42.0` as an integer, types do not.

use serde_json::{Number, Value};

/// Beyond this a double no longer names one integer (RFC 8259, section 6).
const EXACT_MAX: f64 = 9_007_199_254_740_991.0;

/// Writes every whole number as an integer.
pub(crate) fn make_whole(value: &mut Value) {
    match value {
        Value::Number(number) => {
            if let Some(whole) = whole(number) {
                *number = whole;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(make_whole),
        Value::Object(fields) => fields.values_mut().for_each(make_whole),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

fn whole(number: &Number) -> Option<Number> {
    if !number.is_f64() {
        return None;
    }
    let float = number
        .as_f64()
        .filter(|float| float.fract() == 0.0 && float.abs() <= EXACT_MAX)?;
    // Exact: whole and within what a double holds exactly.
    #[allow(clippy::cast_possible_truncation, reason = "whole and in range")]
    let integer = float as i64;
    Some(integer.into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn whole_numbers_become_integers_wherever_they_stand() {
        let mut value = json!({"limit": 42.0, "at": [1.5, -3.0, 1e300], "n": 7, "t": "2.0"});
        make_whole(&mut value);
        assert_eq!(
            value,
            json!({"limit": 42, "at": [1.5, -3, 1e300], "n": 7, "t": "2.0"})
        );
    }
}
