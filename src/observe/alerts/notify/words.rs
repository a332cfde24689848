//! The words that templates of channels know of an alert, and how templates are filled in.

use curtain_template::{Engine, Vars};
use serde_json::{Map, Value, json};

use crate::alerts::answer::timestamp;
use crate::alerts::delivery::Errand;

/// Every word with its value; also what a webhook without a template is sent.
pub(super) fn all(errand: &Errand) -> Value {
    let alert = &errand.alert;
    let rule = &alert.rule;
    let incident = errand.incident.as_ref().map(|incident| incident.id.as_str());
    json!({
        "alertId": alert.id,
        "alertName": rule.name,
        "alertTimestamp": timestamp(alert.time),
        "alertSeverity": rule.severity,
        "alertDescription": rule.description,
        "alertThreshold": rule.threshold,
        "alertValue": alert.value,
        "alertType": rule.source,
        "namespace": rule.place.namespace,
        "project": rule.place.project,
        "component": rule.place.component,
        "environment": rule.place.environment,
        "projectId": rule.project_uid,
        "componentId": rule.component_uid,
        "environmentId": rule.environment_uid,
        "notificationChannels": rule.channels,
        "incidentEnabled": rule.incident,
        "incidentId": incident.unwrap_or_default(),
        "triggerAiRca": rule.rca,
        "triggerAiCostAnalysis": rule.cost_analysis,
    })
}

/// Fills a template of text in. The error is a sentence for whoever wrote it.
pub(super) fn text(template: &str, errand: &Errand) -> Result<String, String> {
    let words = all(errand);
    let rendered = render(template, &words)?;
    Ok(match rendered {
        Value::String(text) => text,
        other => other.to_string(),
    })
}

/// Fills a template of JSON in. An expression in a string stays text, whatever the alert says; where the template is
/// JSON only once it is filled in, it is filled in as text.
pub(super) fn json(template: &str, errand: &Errand) -> Result<Value, String> {
    let words = all(errand);
    if let Ok(tree) = serde_json::from_str::<Value>(template) {
        return fill(&tree, &words);
    }
    let filled = match render(template, &words)? {
        Value::String(text) => text,
        other => return Ok(other),
    };
    serde_json::from_str(&filled).map_err(|error| format!("filled in, it is no JSON: {error}"))
}

fn fill(tree: &Value, words: &Value) -> Result<Value, String> {
    Ok(match tree {
        Value::String(template) => match render(template, words)? {
            scalar @ (Value::Number(_) | Value::Bool(_)) => Value::String(scalar.to_string()),
            other => other,
        },
        Value::Array(items) => {
            items.iter().map(|item| fill(item, words)).collect::<Result<_, _>>()?
        }
        Value::Object(map) => {
            let filled = map.iter().map(|(key, value)| Ok((key.clone(), fill(value, words)?)));
            Value::Object(filled.collect::<Result<Map<_, _>, String>>()?)
        }
        other => other.clone(),
    })
}

fn render(template: &str, words: &Value) -> Result<Value, String> {
    let mut vars = Vars::from_object(words);
    // The names that upstream's guides use for two of them, and one that CEL lets nobody use.
    for (name, same) in [
        ("alertIncidentEnabled", "incidentEnabled"),
        ("alertTriggerAiRca", "triggerAiRca"),
        (NAMESPACE, RESERVED),
    ] {
        vars.insert(name, &words[same]);
    }
    let template = without_reserved(template);
    let rendered = Engine::base().value(&template, &vars).map_err(|error| error.to_string())?;
    Ok(rendered.unwrap_or(Value::Null))
}

/// A word of alerts, and one that CEL reserves.
const RESERVED: &str = "namespace";
/// What stands for it.
const NAMESPACE: &str = "namespaceName";

/// The template with [`NAMESPACE`] for [`RESERVED`] wherever an expression means the word by it.
fn without_reserved(template: &str) -> String {
    let (mut out, mut depth, mut quote) = (String::with_capacity(template.len()), 0_usize, None);
    let mut rest = template;
    while let Some(next) = rest.chars().next() {
        let inside = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
        let starts = depth > 0 && quote.is_none() && !out.ends_with(inside);
        if starts
            && let Some(after) = rest.strip_prefix(RESERVED)
            && !after.starts_with(|c: char| c.is_alphanumeric() || c == '_')
        {
            out.push_str(NAMESPACE);
            rest = after;
            continue;
        }
        match (next, quote) {
            ('{', _) if depth == 0 && out.ends_with('$') => depth = 1,
            _ if depth == 0 => {}
            (same, Some(open)) if same == open && !out.ends_with('\\') => quote = None,
            ('\'' | '"', None) => quote = Some(next),
            ('{', None) => depth += 1,
            ('}', None) => depth -= 1,
            _ => {}
        }
        out.push(next);
        rest = &rest[next.len_utf8()..];
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserved_word_is_replaced_where_it_is_one() {
        for (template, wanted) in [
            ("namespace ${namespace}", "namespace ${namespaceName}"),
            (
                "${namespace + 'namespace' + a.namespace}",
                "${namespaceName + 'namespace' + a.namespace}",
            ),
            ("${{'a': namespace}.a} namespace", "${{'a': namespaceName}.a} namespace"),
            ("${namespaces + my_namespace}", "${namespaces + my_namespace}"),
            ("${'\\'namespace'}", "${'\\'namespace'}"),
        ] {
            assert_eq!(without_reserved(template), wanted);
        }
    }
}
