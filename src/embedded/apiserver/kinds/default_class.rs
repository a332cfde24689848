//! The class of objects that name none: the one that is annotated as default, of several the newest.

use serde_json::Value;

use super::ValueExt;
use crate::apiserver::Api;

/// Whether one of these annotations says so.
pub(super) fn is_default(class: &Value, marks: &[&str]) -> bool {
    marks.iter().any(|mark| class.text(&["metadata", "annotations", mark]) == "true")
}

/// The name of the default among the classes of a table.
pub(super) fn default_class(api: &Api, table: &str, marks: &[&str]) -> Option<String> {
    let classes = api.store.list(&table.into(), None).objects;
    let classes = classes.iter().filter(|class| class.mentions("is-default-class"));
    newest(classes.map(|class| class.value()).filter(|class| is_default(class, marks)))
}

fn newest(classes: impl Iterator<Item = Value>) -> Option<String> {
    let since = |class: &Value| class.text(&["metadata", "creationTimestamp"]).to_owned();
    let name = |class: &Value| class.text(&["metadata", "name"]).to_owned();
    let newest = classes.max_by(|a, b| since(a).cmp(&since(b)).then_with(|| name(b).cmp(&name(a))));
    newest.as_ref().map(name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const MARK: &str = "example.com/is-default-class";

    #[test]
    fn of_several_defaults_the_newest_is_taken() {
        let class = |name: &str, default: &str, day: u32| {
            json!({"metadata": {"name": name, "creationTimestamp": format!("2026-01-0{day}T00:00:00Z"),
                "annotations": {MARK: default}}})
        };
        let all = [class("a", "true", 1), class("c", "true", 2), class("b", "true", 2)];
        assert_eq!(newest(all.into_iter()).as_deref(), Some("b"));
        assert!(!is_default(&class("a", "false", 1), &[MARK]));
        assert!(is_default(&class("a", "true", 1), &["example.com/other", MARK]));
    }
}
