//! Pod specs, in pods and in templates: defaults and validation.

use std::collections::HashSet;

use curtain_schema::FieldError;
use serde_json::{Value, json};

use super::meta::{is_dns_label, is_dns_subdomain};
use super::{ValueExt, host_ports, seccomp};

const MODE: i64 = 0o644;

/// Defaults of a pod spec.
pub(super) fn default_spec(spec: &mut Value) {
    if !spec.is_object() {
        return;
    }
    spec.default_to("restartPolicy", "Always");
    spec.default_to("dnsPolicy", "ClusterFirst");
    spec.default_to("schedulerName", "default-scheduler");
    spec.default_to("terminationGracePeriodSeconds", 30);
    spec.default_to("securityContext", json!({}));
    let account = [spec.text(&["serviceAccountName"]), spec.text(&["serviceAccount"])];
    if let Some(name) = account.iter().find(|name| !name.is_empty()).map(|name| name.to_string()) {
        spec["serviceAccountName"] = name.clone().into();
        spec["serviceAccount"] = name.into();
    }
    let host_network = spec["hostNetwork"] == true;
    for field in ["initContainers", "containers", "ephemeralContainers"] {
        for container in spec.items_mut(field) {
            default_container(container, host_network);
        }
    }
    for volume in spec.items_mut("volumes") {
        default_volume(volume);
    }
}

fn default_container(container: &mut Value, host_network: bool) {
    let policy = pull_policy(container.text(&["image"]));
    container.default_to("imagePullPolicy", policy);
    container.default_to("terminationMessagePath", "/dev/termination-log");
    container.default_to("terminationMessagePolicy", "File");
    container.default_to("resources", json!({}));
    for port in container.items_mut("ports") {
        port.default_to("protocol", "TCP");
        if host_network && let Some(number) = port.int(&["containerPort"]) {
            port.default_to("hostPort", number);
        }
    }
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if container.at(&[probe]).is_some() {
            default_probe(&mut container[probe]);
        }
    }
    for hook in ["postStart", "preStop"] {
        if container.at(&["lifecycle", hook, "httpGet"]).is_some() {
            default_http_get(&mut container["lifecycle"][hook]["httpGet"]);
        }
    }
    for variable in container.items_mut("env") {
        if variable.at(&["valueFrom", "fieldRef"]).is_some() {
            variable["valueFrom"]["fieldRef"].default_to("apiVersion", "v1");
        }
    }
}

/// When an image is pulled of which nobody says it.
fn pull_policy(image: &str) -> &'static str {
    let tag = image.rsplit('/').next().unwrap_or_default();
    let latest = !image.contains('@') && (!tag.contains(':') || tag.ends_with(":latest"));
    if latest { "Always" } else { "IfNotPresent" }
}

fn default_probe(probe: &mut Value) {
    probe.default_to("timeoutSeconds", 1);
    probe.default_to("periodSeconds", 10);
    probe.default_to("successThreshold", 1);
    probe.default_to("failureThreshold", 3);
    if probe.at(&["httpGet"]).is_some() {
        default_http_get(&mut probe["httpGet"]);
    }
    if probe.at(&["grpc"]).is_some() {
        probe["grpc"].default_to("service", "");
    }
}

fn default_http_get(get: &mut Value) {
    get.default_to("path", "/");
    get.default_to("scheme", "HTTP");
}

fn default_volume(volume: &mut Value) {
    if volume.as_object().is_some_and(|v| v.keys().all(|k| k == "name")) {
        volume["emptyDir"] = json!({});
    }
    for source in ["secret", "configMap", "projected", "downwardAPI"] {
        if volume.at(&[source]).is_some() {
            volume[source].default_to("defaultMode", MODE);
        }
    }
    if volume.at(&["hostPath"]).is_some() {
        volume["hostPath"].default_to("type", "");
    }
    if volume.at(&["image"]).is_some() {
        let policy = pull_policy(volume.text(&["image", "reference"]));
        volume["image"].default_to("pullPolicy", policy);
    }
    let field_api_versions = |holder: &mut Value| {
        for item in holder.items_mut("items") {
            if item.at(&["fieldRef"]).is_some() {
                item["fieldRef"].default_to("apiVersion", "v1");
            }
        }
    };
    if let Some(downward) = volume.get_mut("downwardAPI") {
        field_api_versions(downward);
    }
    if let Some(projected) = volume.get_mut("projected") {
        for source in projected.items_mut("sources") {
            if source.at(&["serviceAccountToken"]).is_some() {
                source["serviceAccountToken"].default_to("expirationSeconds", 3600);
            }
            if let Some(downward) = source.get_mut("downwardAPI") {
                field_api_versions(downward);
            }
        }
    }
}

/// Validates the pod spec of a template at `path`.
pub(super) fn validate_template(spec: &Value, path: &str, errors: &mut Vec<FieldError>) {
    validate_spec(spec, path, errors);
    let added = "ephemeralContainers";
    if !spec.list(&[added]).is_empty() {
        let why = "ephemeral containers not allowed in pod template";
        errors.push(FieldError::forbidden(format!("{path}.{added}"), why));
    }
}

/// Validates a pod spec at `path` (`spec`, or `spec.template.spec`).
pub(super) fn validate_spec(spec: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let at = |field: &str| format!("{path}.{field}");
    let volumes = validate_volumes(spec.list(&["volumes"]), &at("volumes"), errors);
    if spec.list(&["containers"]).is_empty() {
        errors.push(FieldError::required(at("containers"), ""));
    }
    let mut names = HashSet::new();
    for field in ["containers", "initContainers"] {
        for (index, container) in spec.list(&[field]).iter().enumerate() {
            let path = format!("{}[{index}]", at(field));
            let name = container.text(&["name"]);
            if !name.is_empty() && !names.insert(name.to_owned()) {
                errors.push(FieldError::duplicate(format!("{path}.name"), name.into()));
            }
            validate_container(container, &path, &volumes, errors);
            validate_hooks(container, &path, spec, errors);
        }
    }
    host_ports::validate(spec, path, errors);
    seccomp::validate(spec, path, errors);
    one_of(spec, "restartPolicy", &["Always", "OnFailure", "Never"], &at("restartPolicy"), errors);
    one_of(
        spec,
        "dnsPolicy",
        &["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"],
        &at("dnsPolicy"),
        errors,
    );
    if spec.int(&["terminationGracePeriodSeconds"]).is_some_and(|n| n < 0) {
        errors.push(FieldError::invalid(
            at("terminationGracePeriodSeconds"),
            spec["terminationGracePeriodSeconds"].clone(),
            "must be greater than or equal to 0",
        ));
    }
    let account = spec.text(&["serviceAccountName"]);
    if !account.is_empty()
        && let Some(why) = is_dns_subdomain(account)
    {
        errors.push(FieldError::invalid(at("serviceAccountName"), account.into(), why));
    }
}

pub(super) fn one_of(
    object: &Value,
    field: &str,
    supported: &[&str],
    path: &str,
    errors: &mut Vec<FieldError>,
) {
    match object.at(&[field]) {
        None => errors.push(FieldError::required(path, "")),
        Some(value) if !value.as_str().is_some_and(|v| supported.contains(&v)) => {
            errors.push(FieldError::not_supported(path, value.clone(), supported));
        }
        Some(_) => {}
    }
}

fn validate_volumes(
    volumes: &[Value],
    path: &str,
    errors: &mut Vec<FieldError>,
) -> HashSet<String> {
    let mut names = HashSet::new();
    for (index, volume) in volumes.iter().enumerate() {
        let name = volume.text(&["name"]);
        let path = format!("{path}[{index}]");
        let name_path = format!("{path}.name");
        if name.is_empty() {
            errors.push(FieldError::required(name_path, ""));
        } else if let Some(why) = is_dns_label(name) {
            errors.push(FieldError::invalid(name_path, name.into(), why));
        } else if !names.insert(name.to_owned()) {
            errors.push(FieldError::duplicate(name_path, name.into()));
        }
        let sources = volume
            .as_object()
            .map_or(0, |v| v.iter().filter(|(k, v)| *k != "name" && !v.is_null()).count());
        if sources > 1 {
            errors.push(FieldError::forbidden(
                path.clone(),
                "may not specify more than 1 volume type",
            ));
        }
        for (source, field) in [
            ("secret", "secretName"),
            ("configMap", "name"),
            ("hostPath", "path"),
            ("persistentVolumeClaim", "claimName"),
        ] {
            if volume.at(&[source]).is_some() && volume.text(&[source, field]).is_empty() {
                errors.push(FieldError::required(format!("{path}.{source}.{field}"), ""));
            }
        }
        if let Some(image) = volume.at(&["image"]) {
            // A template may leave it to whoever makes pods of it.
            if path.starts_with("spec.volumes[") && image.text(&["reference"]).is_empty() {
                errors.push(FieldError::required(format!("{path}.image.reference"), ""));
            }
            let at = format!("{path}.image.pullPolicy");
            one_of(image, "pullPolicy", &["Always", "IfNotPresent", "Never"], &at, errors);
        }
    }
    names
}

pub(super) fn validate_container(
    container: &Value,
    path: &str,
    volumes: &HashSet<String>,
    errors: &mut Vec<FieldError>,
) {
    let name = container.text(&["name"]);
    if name.is_empty() {
        errors.push(FieldError::required(format!("{path}.name"), ""));
    } else if let Some(why) = is_dns_label(name) {
        errors.push(FieldError::invalid(format!("{path}.name"), name.into(), why));
    }
    if container.text(&["image"]).is_empty() {
        errors.push(FieldError::required(format!("{path}.image"), ""));
    }
    one_of(
        container,
        "imagePullPolicy",
        &["Always", "IfNotPresent", "Never"],
        &format!("{path}.imagePullPolicy"),
        errors,
    );
    let mut port_names = HashSet::new();
    for (index, port) in container.list(&["ports"]).iter().enumerate() {
        let path = format!("{path}.ports[{index}]");
        match port.int(&["containerPort"]) {
            None => errors.push(FieldError::required(format!("{path}.containerPort"), "")),
            Some(1..=65535) => {}
            Some(n) => errors.push(port_range(format!("{path}.containerPort"), n)),
        }
        one_of(port, "protocol", &["SCTP", "TCP", "UDP"], &format!("{path}.protocol"), errors);
        let name = port.text(&["name"]);
        if !name.is_empty() {
            if name.len() > 15 {
                let why = "must be no more than 15 characters";
                errors.push(FieldError::invalid(format!("{path}.name"), name.into(), why));
            } else if !port_names.insert(name.to_owned()) {
                errors.push(FieldError::duplicate(format!("{path}.name"), name.into()));
            }
        }
    }
    for (index, variable) in container.list(&["env"]).iter().enumerate() {
        let path = format!("{path}.env[{index}]");
        if variable.text(&["name"]).is_empty() {
            errors.push(FieldError::required(format!("{path}.name"), ""));
        }
        if !variable.text(&["value"]).is_empty() && variable.at(&["valueFrom"]).is_some() {
            let why = "may not be specified when `value` is not empty";
            errors.push(FieldError::invalid(format!("{path}.valueFrom"), "".into(), why));
        }
    }
    let mut paths = HashSet::new();
    for (index, mount) in container.list(&["volumeMounts"]).iter().enumerate() {
        let path = format!("{path}.volumeMounts[{index}]");
        let name = mount.text(&["name"]);
        if name.is_empty() {
            errors.push(FieldError::required(format!("{path}.name"), ""));
        } else if !volumes.contains(name) {
            errors.push(FieldError::not_found(format!("{path}.name"), name.into()));
        }
        let target = mount.text(&["mountPath"]);
        if target.is_empty() {
            errors.push(FieldError::required(format!("{path}.mountPath"), ""));
        } else if !paths.insert(target.to_owned()) {
            errors.push(FieldError::invalid(
                format!("{path}.mountPath"),
                target.into(),
                "must be unique",
            ));
        }
    }
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(value) = container.at(&[probe]) {
            validate_probe(value, &format!("{path}.{probe}"), probe != "readinessProbe", errors);
        }
    }
}

/// A grace period that is out of range is named elsewhere.
fn validate_hooks(container: &Value, path: &str, spec: &Value, errors: &mut Vec<FieldError>) {
    let grace = spec.int(&["terminationGracePeriodSeconds"]).filter(|grace| *grace >= 0);
    for hook in ["postStart", "preStop"] {
        let seconds = container.int(&["lifecycle", hook, "sleep", "seconds"]);
        let (Some(seconds), Some(grace)) = (seconds, grace) else {
            continue;
        };
        if !(0..=grace).contains(&seconds) {
            errors.push(FieldError::invalid(
                format!("{path}.lifecycle.{hook}.sleep"),
                seconds.into(),
                format!(
                    "must be non-negative and less than terminationGracePeriodSeconds ({grace})"
                ),
            ));
        }
    }
}

fn port_range(path: String, port: i64) -> FieldError {
    FieldError::invalid(path, port.into(), "must be between 1 and 65535, inclusive")
}

fn validate_probe(probe: &Value, path: &str, success_is_one: bool, errors: &mut Vec<FieldError>) {
    let handlers = ["exec", "httpGet", "tcpSocket", "grpc"]
        .iter()
        .filter(|h| probe.at(&[h]).is_some())
        .count();
    match handlers {
        0 => errors.push(FieldError::required(path, "must specify a handler type")),
        1 => {}
        _ => errors.push(FieldError::forbidden(path, "may not specify more than 1 handler type")),
    }
    for field in [
        "initialDelaySeconds",
        "timeoutSeconds",
        "periodSeconds",
        "successThreshold",
        "failureThreshold",
    ] {
        if probe.int(&[field]).is_some_and(|n| n < 0) {
            let why = "must be greater than or equal to 0";
            errors.push(FieldError::invalid(format!("{path}.{field}"), probe[field].clone(), why));
        }
    }
    if success_is_one && probe.int(&["successThreshold"]).is_some_and(|n| n != 1) {
        errors.push(FieldError::invalid(
            format!("{path}.successThreshold"),
            probe["successThreshold"].clone(),
            "must be 1",
        ));
    }
    for handler in ["httpGet", "tcpSocket"] {
        if let Some(port) = probe.at(&[handler, "port"]).and_then(Value::as_i64)
            && !(1..=65535).contains(&port)
        {
            errors.push(port_range(format!("{path}.{handler}.port"), port));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hook_may_sleep_as_long_as_the_grace_period() {
        let refused = |hook: &str, seconds: i64, grace: i64| {
            let sleep = json!({"sleep": {"seconds": seconds}});
            let mut spec = json!({"terminationGracePeriodSeconds": grace, "containers": [
                {"name": "main", "image": "app:1", "lifecycle": {hook: sleep}}]});
            default_spec(&mut spec);
            let mut errors = Vec::new();
            validate_spec(&spec, "spec", &mut errors);
            errors.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        for hook in ["preStop", "postStart"] {
            for seconds in [0, 1, 30] {
                assert_eq!(refused(hook, seconds, 30), Vec::<String>::new());
            }
            for seconds in [-1, 31, i64::MAX] {
                let errors = refused(hook, seconds, 30);
                let place = format!("spec.containers[0].lifecycle.{hook}.sleep");
                assert!(errors.len() == 1 && errors[0].contains(&place), "{errors:?}");
                assert!(errors[0].contains("terminationGracePeriodSeconds (30)"), "{errors:?}");
            }
        }
    }

    #[test]
    fn an_image_that_is_a_volume_is_defaulted_and_checked() {
        let check = |image: Value, path: &str| {
            let mut spec = json!({"containers": [{"name": "main", "image": "app:1"}],
                "volumes": [{"name": "v", "image": image}]});
            default_spec(&mut spec);
            let mut errors = Vec::new();
            validate_spec(&spec, path, &mut errors);
            let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
            (spec["volumes"][0]["image"]["pullPolicy"].clone(), errors.join("; "))
        };
        for (reference, policy) in [("data", "Always"), ("data:1", "IfNotPresent")] {
            let (defaulted, errors) = check(json!({"reference": reference}), "spec");
            assert_eq!((defaulted, errors.as_str()), (policy.into(), ""));
        }
        let (_, errors) = check(json!({"reference": "a", "pullPolicy": "Often"}), "spec");
        assert!(errors.starts_with("spec.volumes[0].image.pullPolicy: Unsupported"), "{errors}");
        let (_, errors) = check(json!({}), "spec");
        assert!(errors.starts_with("spec.volumes[0].image.reference: Required"), "{errors}");
        assert_eq!(check(json!({}), "spec.template.spec").1, "", "whoever makes pods may say it");
    }
}
