//! The specification of a Job, in Jobs and in the templates of CronJobs.

use curtain_schema::FieldError;
use serde_json::{Value, json};

use super::super::meta::{is_dns_subdomain, validate_labels};
use super::super::{ValueExt, check, template};
use super::policy;

/// The pods of one indexed Job are so many at most.
const MAX_INDEXED: i64 = 100_000;
pub(super) const INDEXED: &str = "Indexed";

/// Defaults of the pods and of the rules about them, which hold in templates, too.
pub(super) fn default_pods(spec: &mut Value) {
    if spec.at(&["template", "spec"]).is_some() {
        template::default_spec(&mut spec["template"]["spec"]);
    }
    if let Some(policy) = spec.get_mut("podFailurePolicy") {
        for rule in policy.items_mut("rules") {
            for pattern in rule.items_mut("onPodConditions") {
                pattern.default_to("status", "True");
            }
        }
    }
}

/// Validates it at `at` (`spec`, or `spec.jobTemplate.spec`), but for the selector.
pub(super) fn validate(spec: &Value, at: &str, errors: &mut Vec<FieldError>) {
    for field in [
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
        "backoffLimitPerIndex",
        "maxFailedIndexes",
    ] {
        check::non_negative(spec, at, field, errors);
    }
    validate_completion(spec, at, errors);
    let policies: &[&str] = match spec.at(&["podFailurePolicy"]) {
        Some(policy) => {
            policy::failure(policy, spec, &format!("{at}.podFailurePolicy"), errors);
            &["Failed"]
        }
        None => &["Failed", "TerminatingOrFailed"],
    };
    if spec.at(&["podReplacementPolicy"]).is_some() {
        let path = format!("{at}.podReplacementPolicy");
        template::one_of(spec, "podReplacementPolicy", policies, &path, errors);
    }
    if let Some(manager) = spec.at(&["managedBy"]).and_then(Value::as_str) {
        validate_manager(manager, &format!("{at}.managedBy"), errors);
    }
    validate_pods(spec, at, errors);
}

fn validate_completion(spec: &Value, at: &str, errors: &mut Vec<FieldError>) {
    let path = |field: &str| format!("{at}.{field}");
    let mode = spec.text(&["completionMode"]);
    if !matches!(mode, "" | "NonIndexed" | INDEXED) {
        let modes = ["NonIndexed", INDEXED];
        errors.push(FieldError::not_supported(path("completionMode"), mode.into(), &modes));
    }
    let completions = spec.int(&["completions"]);
    if mode != INDEXED {
        for field in ["backoffLimitPerIndex", "maxFailedIndexes", "successPolicy"] {
            if let Some(value) = spec.at(&[field]) {
                let why = "requires indexed completion mode";
                errors.push(FieldError::invalid(path(field), value.clone(), why));
            }
        }
        return;
    }
    if completions.is_none() {
        let why = "when completion mode is Indexed";
        errors.push(FieldError::required(path("completions"), why));
    }
    if spec.int(&["parallelism"]).is_some_and(|n| n > MAX_INDEXED) {
        let why =
            format!("must be less than or equal to {MAX_INDEXED} when completion mode is Indexed");
        errors.push(FieldError::invalid(path("parallelism"), spec["parallelism"].clone(), why));
    }
    if let Some(failed) = spec.int(&["maxFailedIndexes"]) {
        if completions.is_some_and(|completions| failed > completions) {
            let why = "must be less than or equal to completions";
            errors.push(FieldError::invalid(path("maxFailedIndexes"), failed.into(), why));
        }
        if failed > MAX_INDEXED {
            let why = format!("must be less than or equal to {MAX_INDEXED}");
            errors.push(FieldError::invalid(path("maxFailedIndexes"), failed.into(), why));
        }
        if spec.at(&["backoffLimitPerIndex"]).is_none() {
            let why = "when maxFailedIndexes is specified";
            errors.push(FieldError::required(path("backoffLimitPerIndex"), why));
        }
    }
    if let Some(policy) = spec.at(&["successPolicy"]) {
        policy::success(policy, completions.unwrap_or(0), &path("successPolicy"), errors);
    }
}

fn validate_manager(manager: &str, path: &str, errors: &mut Vec<FieldError>) {
    let value = || Value::from(manager);
    match manager.split_once('/') {
        _ if manager.is_empty() => errors.push(FieldError::required(path, "")),
        Some((domain, rest)) if !domain.is_empty() && !rest.is_empty() => {
            if let Some(why) = is_dns_subdomain(domain) {
                errors.push(FieldError::invalid(path, value(), why));
            }
        }
        _ => {
            let why = "must be a domain-prefixed path (such as \"acme.io/foo\")";
            errors.push(FieldError::invalid(path, value(), why));
        }
    }
    if manager.len() > 63 {
        errors.push(FieldError::too_long(path, 63));
    }
}

fn validate_pods(spec: &Value, at: &str, errors: &mut Vec<FieldError>) {
    let labels = spec.at(&["template", "metadata", "labels"]);
    validate_labels(labels, &format!("{at}.template.metadata.labels"), errors);
    let path = format!("{at}.template.spec");
    let Some(pod) = spec.at(&["template", "spec"]) else {
        errors.push(FieldError::required(format!("{path}.containers"), ""));
        return;
    };
    template::validate_template(pod, &path, errors);
    let policy = pod.text(&["restartPolicy"]);
    let place = format!("{path}.restartPolicy");
    match policy {
        // What pods do that say nothing; for these it is neither asked for nor possible.
        "" | "Always" => {
            errors.push(FieldError::required(
                place.as_str(),
                "valid values: \"OnFailure\", \"Never\"",
            ));
        }
        "OnFailure" | "Never" => {}
        other => errors.push(FieldError::not_supported(
            place.as_str(),
            other.into(),
            &["OnFailure", "Never"],
        )),
    }
    if spec.at(&["podFailurePolicy"]).is_some() && policy != "Never" {
        let why = "only \"Never\" is supported when podFailurePolicy is specified";
        errors.push(FieldError::invalid(place, json!(policy), why));
    }
}
