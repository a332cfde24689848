//! Values inside a longer string.

use serde_json::Value as Json;

/// The text of a value: strings as they are, numbers as Go prints them, the rest as compact JSON.
pub(crate) fn text(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        Json::Number(number) if !number.is_i64() && !number.is_u64() => {
            number.as_f64().map_or_else(|| number.to_string(), shortest)
        }
        other => other.to_string(),
    }
}

/// Go's `%g`: the shortest digits, with an exponent from 1e+06 on and below 1e-04.
fn shortest(double: f64) -> String {
    let scientific = format!("{double:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else { return scientific };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..6).contains(&exponent) {
        return format!("{double}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::text;
    use serde_json::json;

    #[test]
    fn values_in_strings() {
        for (value, expected) in [
            (json!("a"), "a"),
            (json!(8080), "8080"),
            (json!(1_000_000), "1000000"),
            (json!(0.5), "0.5"),
            (json!(1_234_567.5), "1.2345675e+06"),
            (json!(0.000_012), "1.2e-05"),
            (json!(true), "true"),
            (json!({"b": [1, null]}), r#"{"b":[1,null]}"#),
        ] {
            assert_eq!(text(&value), expected);
        }
    }
}
