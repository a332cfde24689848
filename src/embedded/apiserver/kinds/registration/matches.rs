//! `matchConstraints` of a policy and `matchResources` of a binding: which writes are meant.

use curtain_schema::FieldError;
use serde_json::{Value, json};

use super::super::meta::is_path_segment;
use super::super::template::one_of;
use super::super::{ValueExt, check};
use super::rule;

/// Fills in what is left out.
pub(super) fn default(matches: &mut Value) {
    matches.default_to("matchPolicy", "Equivalent");
    matches.default_to("namespaceSelector", json!({}));
    matches.default_to("objectSelector", json!({}));
    for list in ["resourceRules", "excludeResourceRules"] {
        for rule in matches.items_mut(list) {
            rule.default_to("scope", "*");
        }
    }
}

/// What is wrong with them.
pub(super) fn validate(matches: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let at = |field: &str| format!("{path}.{field}");
    one_of(matches, "matchPolicy", &["Equivalent", "Exact"], &at("matchPolicy"), errors);
    for field in ["namespaceSelector", "objectSelector"] {
        check::selector(&matches[field], &at(field), errors);
    }
    for list in ["resourceRules", "excludeResourceRules"] {
        for (index, rule) in matches.list(&[list]).iter().enumerate() {
            let path = format!("{path}.{list}[{index}]");
            names(rule.list(&["resourceNames"]), &format!("{path}.resourceNames"), errors);
            rule::validate(rule, &path, errors);
        }
    }
}

fn names(names: &[Value], path: &str, errors: &mut Vec<FieldError>) {
    for (index, name) in names.iter().enumerate() {
        let at = format!("{path}[{index}]");
        if let Some(why) = is_path_segment(name.as_str().unwrap_or_default()) {
            errors.push(FieldError::invalid(&at, name.clone(), why));
        }
        if names[..index].contains(name) {
            errors.push(FieldError::duplicate(at, name.clone()));
        }
    }
}
