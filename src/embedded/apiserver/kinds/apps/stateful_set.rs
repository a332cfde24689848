//! StatefulSets.

use curtain_schema::FieldError;
use serde_json::Value;

use super::super::columns::{Printer, container_columns, count, name, old as age};
use super::super::meta::{is_dns_label, validate_labels};
use super::super::template::one_of;
use super::super::{Strategy, ValueExt, check};
use super::workload;

pub(super) const STATEFUL_SET: Strategy =
    Strategy { default, prepare, validate, name: is_dns_label, ..Strategy::PLAIN };

/// What an update may change.
const FREE: [&str; 7] = [
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
];
const ROLLING: &str = "RollingUpdate";

fn default(object: &mut Value) {
    workload::default(object);
    let spec = &mut object["spec"];
    spec.default_to("podManagementPolicy", "OrderedReady");
    spec.default_to("revisionHistoryLimit", 10);
    let strategy = spec.sub("updateStrategy");
    if strategy.text(&["type"]).is_empty() {
        strategy["type"] = ROLLING.into();
        strategy.sub("rollingUpdate");
    }
    if strategy["type"] == ROLLING && strategy.at(&["rollingUpdate"]).is_some() {
        strategy["rollingUpdate"].default_to("partition", 0);
    }
    let retention = spec.sub("persistentVolumeClaimRetentionPolicy");
    retention.default_to("whenDeleted", "Retain");
    retention.default_to("whenScaled", "Retain");
    for claim in spec.items_mut("volumeClaimTemplates") {
        claim.default_to("apiVersion", "v1");
        claim.default_to("kind", "PersistentVolumeClaim");
        claim.sub("spec").default_to("volumeMode", "Filesystem");
        claim.sub("status").default_to("phase", "Pending");
    }
}

fn prepare(object: &mut Value, old: Option<&Value>) {
    if old.is_none() {
        workload::begin(object, &["replicas", "availableReplicas"]);
    }
}

fn validate(object: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    let spec = &object["spec"];
    match spec.text(&["podManagementPolicy"]) {
        "OrderedReady" | "Parallel" => {}
        other => errors.push(FieldError::invalid(
            "spec.podManagementPolicy",
            other.into(),
            "must be 'OrderedReady' or 'Parallel'",
        )),
    }
    validate_strategy(&spec["updateStrategy"], errors);
    for field in ["whenDeleted", "whenScaled"] {
        let path = format!("spec.persistentVolumeClaimRetentionPolicy.{field}");
        let policy = &spec["persistentVolumeClaimRetentionPolicy"];
        one_of(policy, field, &["Retain", "Delete"], &path, errors);
    }
    for field in ["replicas", "minReadySeconds", "revisionHistoryLimit"] {
        check::non_negative(spec, "spec", field, errors);
    }
    check::non_negative(&spec["ordinals"], "spec.ordinals", "start", errors);
    if spec.at(&["selector"]).is_none() {
        errors.push(FieldError::required("spec.selector", ""));
    } else {
        workload::validate_selector(object, "statefulset", errors);
    }
    // The pods are validated when they are made: what they mount comes from claims that are made with them.
    validate_labels(spec.at(&["template", "metadata", "labels"]), "spec.template.labels", errors);
    workload::validate_always(object, "StatefulSet", errors);
    if old.is_some_and(|old| fixed(&old["spec"]) != fixed(spec)) {
        errors.push(FieldError::forbidden(
            "spec",
            "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
        ));
    }
}

fn fixed(spec: &Value) -> Value {
    let mut spec = spec.clone();
    for field in FREE {
        spec.drop_field(field);
    }
    spec
}

fn validate_strategy(strategy: &Value, errors: &mut Vec<FieldError>) {
    const AT: &str = "spec.updateStrategy.rollingUpdate";
    let rolling = strategy.at(&["rollingUpdate"]);
    match (strategy.text(&["type"]), rolling) {
        (ROLLING, Some(rolling)) => {
            check::non_negative(rolling, AT, "partition", errors);
            if rolling.at(&["maxUnavailable"]).is_some() {
                check::int_or_share(rolling, AT, "maxUnavailable", errors);
                if check::amount(rolling, "maxUnavailable") == 0 {
                    let value = rolling["maxUnavailable"].clone();
                    let path = format!("{AT}.maxUnavailable");
                    errors.push(FieldError::invalid(path, value, "cannot be 0"));
                }
            }
        }
        (ROLLING, None) | ("OnDelete", None) => {}
        ("OnDelete", Some(rolling)) => errors.push(FieldError::invalid(
            AT,
            rolling.clone(),
            "only allowed for updateStrategy 'RollingUpdate'",
        )),
        _ => errors.push(FieldError::invalid(
            "spec.updateStrategy",
            strategy.clone(),
            "must be 'RollingUpdate' or 'OnDelete'",
        )),
    }
}

pub(super) const COLUMNS: Printer = Printer(
    &[
        ("Name", "string", 0),
        ("Ready", "string", 0),
        ("Age", "string", 0),
        ("Containers", "string", 1),
        ("Images", "string", 1),
    ],
    |o, now| {
        let ready = count(o, &["status", "readyReplicas"]);
        let [containers, images] = container_columns(&o["spec"]["template"]["spec"]);
        let ready = format!("{ready}/{}", count(o, &["spec", "replicas"]));
        vec![name(o), ready.into(), age(o, now), containers, images]
    },
);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn set() -> Value {
        let mut set = json!({"metadata": {"name": "db"}, "spec": {"serviceName": "db",
            "selector": {"matchLabels": {"a": "b"}},
            "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i:1"}]}},
            "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Gi"}}}}]}});
        default(&mut set);
        set
    }

    fn errors(set: &Value, old: Option<&Value>) -> Vec<String> {
        let mut errors = Vec::new();
        validate(set, old, &mut errors);
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_left_out_is_what_real_servers_fill_in() {
        let set = set();
        assert_eq!(errors(&set, None), Vec::<String>::new());
        let mut spec = set["spec"].clone();
        spec["template"] = Value::Null;
        insta::assert_json_snapshot!("defaults", spec);
        // An update strategy that names its type says itself whether pods are rolled in part.
        let mut plain = json!({"spec": {"updateStrategy": {"type": "RollingUpdate"}}});
        default(&mut plain);
        assert_eq!(plain["spec"]["updateStrategy"], json!({"type": "RollingUpdate"}));
    }

    #[test]
    fn what_is_wrong_is_named_where_it_is() {
        for (path, value, expected) in [
            (
                "/spec/podManagementPolicy",
                json!("Any"),
                "spec.podManagementPolicy: Invalid value: \"Any\": must be 'OrderedReady' or 'Parallel'",
            ),
            (
                "/spec/updateStrategy/type",
                json!("OnDelete"),
                "spec.updateStrategy.rollingUpdate: Invalid value: {\"partition\":0}: only allowed for updateStrategy 'RollingUpdate'",
            ),
            (
                "/spec/updateStrategy/rollingUpdate",
                json!({"maxUnavailable": "0%"}),
                "spec.updateStrategy.rollingUpdate.maxUnavailable: Invalid value: \"0%\": cannot be 0",
            ),
            (
                "/spec/persistentVolumeClaimRetentionPolicy/whenScaled",
                json!("Keep"),
                "spec.persistentVolumeClaimRetentionPolicy.whenScaled: Unsupported value: \"Keep\": supported values: \"Retain\", \"Delete\"",
            ),
            (
                "/spec/replicas",
                json!(-1),
                "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
            ),
            (
                "/spec/selector",
                json!({}),
                "spec.selector: Invalid value: {}: empty selector is invalid for statefulset",
            ),
            ("/spec/selector", Value::Null, "spec.selector: Required value"),
            (
                "/spec/template/metadata/labels",
                json!({"a": "c"}),
                "spec.template.metadata.labels: Invalid value: {\"a\":\"c\"}: `selector` does not match template `labels`",
            ),
            (
                "/spec/template/spec/restartPolicy",
                json!("Never"),
                "spec.template.spec.restartPolicy: Unsupported value: \"Never\": supported values: \"Always\"",
            ),
        ] {
            let mut wrong = set();
            *wrong.pointer_mut(path).unwrap() = value;
            assert_eq!(errors(&wrong, None), [expected]);
        }
    }

    #[test]
    fn updates_change_what_may_change() {
        let old = set();
        for field in FREE {
            let mut new = old.clone();
            new["spec"][field] = match field {
                "replicas" | "minReadySeconds" | "revisionHistoryLimit" => json!(3),
                "ordinals" => json!({"start": 2}),
                "updateStrategy" => json!({"type": "OnDelete"}),
                "template" => {
                    let mut template = old["spec"]["template"].clone();
                    template["spec"]["containers"][0]["image"] = "i:2".into();
                    template
                }
                _ => json!({"whenDeleted": "Delete", "whenScaled": "Retain"}),
            };
            assert_eq!(errors(&new, Some(&old)), Vec::<String>::new(), "{field}");
        }
        for field in ["serviceName", "podManagementPolicy", "volumeClaimTemplates"] {
            let mut new = old.clone();
            new["spec"][field] =
                if field == "podManagementPolicy" { json!("Parallel") } else { Value::Null };
            let found = errors(&new, Some(&old));
            assert!(
                found.len() == 1 && found[0].starts_with("spec: Forbidden: updates to statefulset"),
                "{found:?}"
            );
        }
    }
}
