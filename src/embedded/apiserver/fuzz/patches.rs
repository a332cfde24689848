//! The four patches.

use curtain_json::managed::{self, Reset, Writer};
use curtain_json::{MAX_COPIED, MAX_DEPTH, deeper_than, merge_patch, strategic_merge};
use curtain_schema::{Node, builtin};
use serde_json::Value;

use super::parts;

fn deployment() -> Option<Node<'static>> {
    builtin::root("apps", "v1", "Deployment")
}

/// What a patch makes of a document is neither deeper than can be stored nor much larger than the two together.
pub(super) fn json_patch(data: &[u8]) {
    let Some([mut document, patch]) = parts(data, ["document", "patch"]) else { return };
    if deeper_than(&document, MAX_DEPTH) || curtain_json::json_patch(&mut document, &patch).is_err()
    {
        return;
    }
    assert!(!deeper_than(&document, MAX_DEPTH));
    assert!(document.to_string().len() <= 2 * data.len() + MAX_COPIED);
}

/// A merge patch that is applied again changes nothing, and a strategic one without directives neither.
pub(super) fn merge(data: &[u8]) {
    let Some([document, patch]) = parts(data, ["document", "patch"]) else { return };
    let mut once = document.clone();
    merge_patch(&mut once, &patch);
    let mut twice = once.clone();
    merge_patch(&mut twice, &patch);
    assert_eq!(once, twice);
    let Some(schema) = deployment() else { return };
    let mut once = document;
    if strategic_merge(&mut once, &patch, schema).is_err() {
        return;
    }
    let mut same = once.clone();
    assert_eq!(strategic_merge(&mut same, &Value::Object(serde_json::Map::new()), schema), Ok(()));
    assert_eq!(same, once, "nothing to change");
}

/// What was applied can be applied again, which changes nothing; and so can what was updated.
pub(super) fn apply(data: &[u8]) {
    let Some([live, applied, updated]) = parts(data, ["live", "applied", "updated"]) else {
        return;
    };
    let Some(schema) = deployment().filter(|_| live.is_object() && applied.is_object()) else {
        return;
    };
    let writer = |now| Writer {
        manager: "fuzz",
        api_version: "apps/v1",
        subresource: "",
        now,
        reset: Reset::Status,
    };
    let (first, second) = (writer("2026-01-01T00:00:00Z"), writer("2026-01-02T00:00:00Z"));
    let fits = |value: &Value| {
        let mut copy = value.clone();
        managed::check(value, schema).is_ok() && builtin::decode(&mut copy, schema).is_ok()
    };
    let mut known = live.clone();
    if !fits(&applied) || builtin::decode(&mut known, schema).is_err() {
        return;
    }
    if let Ok(once) = managed::apply(Some(&live), &applied, &first, true, schema) {
        assert_eq!(managed::apply(Some(&once), &applied, &second, false, schema), Ok(once));
    }
    if updated.is_object() {
        let mut once = updated;
        managed::update(Some(&live), &mut once, &first, schema);
        let mut again = once.clone();
        managed::update(Some(&once), &mut again, &second, schema);
        assert_eq!(again, once);
    }
}
