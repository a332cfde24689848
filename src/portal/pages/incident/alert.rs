//! The alert that an incident is of: the rule, and what it saw.

use crate::chart::plain;
use maud::{Markup, html};
use serde_json::Value;

/// The rule of `alert`, and what it saw: `seen` in words, if the observer told.
pub(super) fn rule(alert: &Value, seen: &str) -> Markup {
    let rule = &alert["metadata"]["alertRule"];
    let member = |pointer: &str| match rule.pointer(pointer) {
        Some(Value::String(text)) => text.clone(),
        Some(value) if !value.is_null() => value.to_string(),
        _ => String::new(),
    };
    let asked = [member("/source/query"), member("/source/metric")].concat();
    let value = alert["alertValue"].as_str().unwrap_or_default();
    let value = match seen {
        "" => value.parse().map_or(value.to_owned(), plain),
        seen => seen.to_owned(),
    };
    let window = member("/condition/window");
    let operator = match member("/condition/operator").as_str() {
        "gt" => "above".to_owned(),
        "gte" => "at least".to_owned(),
        "lt" => "below".to_owned(),
        "lte" => "at most".to_owned(),
        other => other.to_owned(),
    };
    html! {
        dl {
            dt { "Rule" } dd { (member("/name")) }
            @if !member("/severity").is_empty() { dt { "Severity" } dd { (member("/severity")) } }
            dt { "Condition" }
            dd {
                (member("/source/type")) " " code { (asked) } " " (operator) " "
                (member("/condition/threshold")) " in " (window)
            }
            dt { "At the start" } dd { (value) @if !window.is_empty() { ", in the " (window) " before" } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::rule;
    use serde_json::json;

    #[test]
    fn what_was_counted_is_told_with_its_unit_and_when() {
        let source = json!({"type": "metric", "metric": "failures"});
        let condition = json!({"operator": "gt", "threshold": 0, "window": "15s"});
        let alert = json!({"alertValue": "1", "metadata": {"alertRule": {"source": source, "condition": condition}}});
        let shown = |seen: &str| rule(&alert, seen).into_string();
        assert!(
            shown("1 pod or release failed")
                .contains("<dd>1 pod or release failed, in the 15s before</dd>")
        );
        // An observer that says nothing of it.
        assert!(shown("").contains("<dd>1, in the 15s before</dd>"));
    }
}
