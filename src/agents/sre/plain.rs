//! A report in plain words.
//!
//! Its texts name things as `<comp:web>`, which a page turns into links, and its numbers come as they were computed. Who
//! reads them as they are is told the names alone, and no more of a number than tells something. What is quoted or is to
//! be written somewhere stays as it is.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Number, Value};

/// Decimals of a number at most; of one that is less than 1, digits after its zeros.
const DECIMALS: i32 = 3;
/// What is not our words.
const VERBATIM: [&str; 2] = ["change", "log_lines"];

/// `text` with the names of things as they are.
pub(super) fn text(text: &str) -> String {
    static NAMED: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new("<(?:comp|proj|env|ns):([A-Za-z0-9._-]+)>").ok());
    match &*NAMED {
        Some(named) => named.replace_all(text, "$1").into_owned(),
        None => text.to_owned(),
    }
}

/// The same of all texts of a report.
pub(super) fn report(report: &Value) -> Value {
    let mut told = report.clone();
    walk(&mut told);
    if let Some(value) = told.pointer_mut("/alert_context/trigger_value") {
        *value = rounded(value);
    }
    told
}

fn walk(value: &mut Value) {
    match value {
        Value::String(words) => *words = text(words),
        Value::Array(items) => items.iter_mut().for_each(walk),
        Value::Object(members) => {
            let ours = members.iter_mut().filter(|(key, _)| !VERBATIM.contains(&key.as_str()));
            ours.for_each(|(_, value)| walk(value));
        }
        _ => {}
    }
}

/// A number, or a text that is one, without the digits that computing leaves.
fn rounded(value: &Value) -> Value {
    let round = |number: f64| {
        let zeros = if number == 0.0 { 0.0 } else { -number.abs().log10().floor() - 1.0 };
        let factor = 10_f64.powf(f64::from(DECIMALS) + zeros.max(0.0));
        let rounded = (number * factor).round() / factor;
        if rounded.is_finite() { rounded } else { number }
    };
    match value {
        Value::String(words) => match words.parse::<f64>() {
            Ok(number) if number.is_finite() => round(number).to_string().into(),
            _ => value.clone(),
        },
        Value::Number(number) if number.is_f64() => {
            let number = number.as_f64().map(round).and_then(Number::from_f64);
            number.map_or_else(|| value.clone(), Value::Number)
        }
        _ => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_are_plain_and_what_is_quoted_or_written_stays() {
        let given = json!({
            "alert_context": {"trigger_value": "7.000000000000001"},
            "summary": "x fired for <comp:web> in <env:development>, a < b <script:x> <comp:../x>",
            "result": {"root_causes": [{"supporting_findings": [{"evidence": {
                "log_lines": [{"log": "<comp:web>"}], "summary": "<comp:web>",
            }}]}]},
            "recommended_actions": [{"description": "Set <comp:web>", "change": {"env": [{"value": "<env:a>"}]}}],
        });
        let told = report(&given);
        assert_eq!(told["summary"], "x fired for web in development, a < b <script:x> <comp:../x>");
        let evidence = &told["result"]["root_causes"][0]["supporting_findings"][0]["evidence"];
        assert_eq!(evidence, &json!({"log_lines": [{"log": "<comp:web>"}], "summary": "web"}));
        let change = json!({"env": [{"value": "<env:a>"}]});
        let action = json!({"description": "Set web", "change": change});
        assert_eq!(told["recommended_actions"][0], action);
        assert_eq!(told["alert_context"]["trigger_value"], "7");
    }

    #[test]
    fn a_number_keeps_what_tells_something() {
        for (given, told) in [
            (json!("7.000000000000001"), json!("7")),
            (json!(0.30000000000000004), json!(0.3)),
            (json!("0.00012345"), json!("0.000123")),
            (json!("-1234.56789"), json!("-1234.568")),
            (json!(12), json!(12)),
            (json!("0"), json!("0")),
            (json!("NaN"), json!("NaN")),
            (json!("many"), json!("many")),
            (json!(null), json!(null)),
        ] {
            assert_eq!(rounded(&given), told);
        }
    }
}
