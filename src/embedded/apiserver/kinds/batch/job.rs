//! Jobs: defaults, the selector that is made for them, and what an update may change.

use curtain_schema::FieldError;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::columns::{
    Printer, container_columns, count, name, old as age, selector as selector_column,
};
use super::super::meta::{immutable, is_dns_label};
use super::super::{Strategy, ValueExt, check};
use super::spec::{self, INDEXED};
use crate::apiserver::time::human;

pub(super) const JOB: Strategy = Strategy {
    default,
    prepare,
    validate,
    orphans: Some(
        "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress this warning",
    ),
    ..Strategy::PLAIN
};

const UID: &str = "batch.kubernetes.io/controller-uid";
/// Labels of the pods that tell Jobs apart: each with where its value is in the metadata.
const LABELS: [(&str, &str); 4] = [
    ("controller-uid", "uid"),
    ("job-name", "name"),
    (UID, "uid"),
    ("batch.kubernetes.io/job-name", "name"),
];

fn default(job: &mut Value) {
    inherit_labels(job);
    let spec = job.sub("spec");
    if spec.at(&["parallelism"]).is_none() {
        spec.default_to("completions", 1);
    }
    spec.default_to("parallelism", 1);
    let per_index = spec.at(&["backoffLimitPerIndex"]).is_some();
    spec.default_to("backoffLimit", if per_index { i32::MAX } else { 6 });
    spec.default_to("completionMode", "NonIndexed");
    spec.default_to("suspend", false);
    spec.default_to("manualSelector", false);
    let ruled = spec.at(&["podFailurePolicy"]).is_some();
    spec.default_to("podReplacementPolicy", if ruled { "Failed" } else { "TerminatingOrFailed" });
    spec::default_pods(spec);
}

/// A Job without labels has those of its pods.
fn inherit_labels(job: &mut Value) {
    let own = job.at(&["metadata", "labels"]).and_then(Value::as_object);
    if own.is_none_or(|labels| labels.is_empty())
        && let Some(labels) = job.at(&["spec", "template", "metadata", "labels"]).cloned()
    {
        job.sub("metadata")["labels"] = labels;
    }
}

fn is_manual(job: &Value) -> bool {
    job["spec"]["manualSelector"] == true
}

/// A new Job selects its pods by its own uid, unless it says that it selects them by itself.
fn prepare(job: &mut Value, old: Option<&Value>) {
    if old.is_some() || is_manual(job) || !job["spec"]["template"].is_object() {
        return;
    }
    let metadata = job["metadata"].clone();
    let labels = job["spec"]["template"].sub("metadata").sub("labels");
    for (label, field) in LABELS {
        // What is there already and says something else is refused by validation.
        labels.default_to(label, metadata.text(&[field]));
    }
    let selector = job["spec"].sub("selector").sub("matchLabels");
    selector.default_to(UID, metadata.text(&["uid"]));
    inherit_labels(job);
}

fn validate(job: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    let spec = &job["spec"];
    validate_generated(job, errors);
    spec::validate(spec, "spec", errors);
    match spec.at(&["selector"]) {
        None => errors.push(FieldError::required("spec.selector", "")),
        Some(selector) => {
            check::selector(selector, "spec.selector", errors);
            check::selects_template(spec, "spec", errors);
        }
    }
    if spec["completionMode"] == INDEXED
        && let Some(last) = spec.int(&["completions"]).filter(|n| *n > 0)
    {
        let name = job.text(&["metadata", "name"]);
        let host = format!("{name}-{}", last - 1);
        if is_dns_label(&host).is_some() {
            let why = format!("will not able to create pod with invalid DNS label: {host}");
            errors.push(FieldError::invalid("metadata.name", name.into(), why));
        }
    }
    if let Some(old) = old {
        validate_update(job, old, errors);
    }
}

/// The labels and the selector are those that [`prepare`] gives.
fn validate_generated(job: &Value, errors: &mut Vec<FieldError>) {
    let Some(selector) = job.at(&["spec", "selector"]).filter(|_| !is_manual(job)) else { return };
    let labels = job.at(&["spec", "template", "metadata", "labels"]);
    let mut expected = json!({});
    for (label, field) in LABELS {
        let value = job.text(&["metadata", field]);
        expected[label] = value.into();
        let path = format!("spec.template.metadata.labels[{label}]");
        let why = format!("must be '{value}'");
        match labels.and_then(|labels| labels.get(label)) {
            None => errors.push(FieldError::required(path, why)),
            Some(found) if found != value => {
                let labels = labels.cloned().unwrap_or_default();
                errors.push(FieldError::invalid(path, labels, why));
            }
            Some(_) => {}
        }
    }
    if !check::selects(selector, &expected) {
        let why = "`selector` not auto-generated";
        errors.push(FieldError::invalid("spec.selector", selector.clone(), why));
    }
}

fn validate_update(job: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    let (spec, before) = (&job["spec"], &old["spec"]);
    if spec.at(&["completions"]) != before.at(&["completions"]) {
        let value = spec.at(&["completions"]);
        if spec["completionMode"] != INDEXED {
            errors.push(immutable("spec.completions", value));
        } else if value != spec.at(&["parallelism"]) {
            let why = "can only be modified in tandem with spec.parallelism";
            let value = value.cloned().unwrap_or_default();
            errors.push(FieldError::invalid("spec.completions", value, why));
        }
    }
    for field in [
        "selector",
        "completionMode",
        "podFailurePolicy",
        "backoffLimitPerIndex",
        "managedBy",
        "successPolicy",
    ] {
        if spec.at(&[field]) != before.at(&[field]) {
            errors.push(immutable(&format!("spec.{field}"), spec.at(&[field])));
        }
    }
    let unstarted = before["suspend"] == true && old.at(&["status", "startTime"]).is_none();
    if fixed(&spec["template"], unstarted) != fixed(&before["template"], unstarted) {
        errors.push(immutable("spec.template", spec.at(&["template"])));
    }
}

/// What never changes of the template: where the pods may run is open until the Job starts.
fn fixed(template: &Value, unstarted: bool) -> Value {
    let mut template = template.clone();
    if unstarted {
        for field in ["labels", "annotations"] {
            template.sub("metadata").drop_field(field);
        }
        let spec = template.sub("spec");
        for field in ["nodeSelector", "tolerations", "schedulingGates"] {
            spec.drop_field(field);
        }
        if spec.at(&["affinity"]).is_some() {
            spec["affinity"].drop_field("nodeAffinity");
        }
        if spec.at(&["affinity"]).and_then(Value::as_object).is_none_or(|a| a.is_empty()) {
            spec.drop_field("affinity");
        }
    }
    template
}

pub(super) const COLUMNS: Printer = Printer(
    &[
        ("Name", "string", 0),
        ("Status", "string", 0),
        ("Completions", "string", 0),
        ("Duration", "string", 0),
        ("Age", "string", 0),
        ("Containers", "string", 1),
        ("Images", "string", 1),
        ("Selector", "string", 1),
    ],
    |o, now| {
        let succeeded = count(o, &["status", "succeeded"]);
        let wanted = match (o.int(&["spec", "completions"]), count(o, &["spec", "parallelism"])) {
            (Some(completions), _) => completions.to_string(),
            (None, parallel) if parallel > 1 => format!("1 of {parallel}"),
            (None, _) => "1".into(),
        };
        let [containers, images] = container_columns(&o["spec"]["template"]["spec"]);
        vec![
            name(o),
            state(o).into(),
            format!("{succeeded}/{wanted}").into(),
            duration(o, now).into(),
            age(o, now),
            containers,
            images,
            selector_column(o.at(&["spec", "selector"])),
        ]
    },
);

fn state(job: &Value) -> &'static str {
    let is = |kind: &str| {
        let mut conditions = job.list(&["status", "conditions"]).iter();
        conditions.any(|c| c["type"] == kind && c["status"] == "True")
    };
    let going = job.at(&["metadata", "deletionTimestamp"]).is_some();
    match () {
        () if is("Complete") => "Complete",
        () if is("Failed") => "Failed",
        () if going => "Terminating",
        () if is("Suspended") => "Suspended",
        () if is("FailureTarget") => "FailureTarget",
        () if is("SuccessCriteriaMet") => "SuccessCriteriaMet",
        () => "Running",
    }
}

fn duration(job: &Value, now: Timestamp) -> String {
    let time = |field: &str| job.text(&["status", field]).parse::<Timestamp>().ok();
    let Some(start) = time("startTime") else { return String::new() };
    let end = time("completionTime").unwrap_or(now);
    human(end.as_second() - start.as_second())
}

#[cfg(test)]
mod tests;
