//! What a pod asks for and this node does not do. It is told, never passed over in silence. Pure.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Container, Pod, Volume};

use super::storage::EPHEMERAL_STORAGE;
use crate::host_port;

/// The fields of a pod that have no effect here, as paths that name no index; none for most pods.
pub(super) fn fields(pod: &Pod) -> BTreeSet<&'static str> {
    let mut found = BTreeSet::new();
    let Some(spec) = &pod.spec else {
        return found;
    };
    let mut note = |set: bool, path: &'static str| {
        if set {
            found.insert(path);
        }
    };
    note(spec.host_pid == Some(true), "spec.hostPID");
    note(spec.host_ipc == Some(true), "spec.hostIPC");
    note(spec.host_users == Some(false), "spec.hostUsers");
    note(spec.set_hostname_as_fqdn == Some(true), "spec.setHostnameAsFQDN");
    note(spec.hostname_override.is_some(), "spec.hostnameOverride");
    note(spec.runtime_class_name.is_some(), "spec.runtimeClassName");
    note(is_some(&spec.resource_claims), "spec.resourceClaims");
    note(spec.resources.is_some(), "spec.resources");
    if let Some(context) = &spec.security_context {
        note(is_some(&context.sysctls), "spec.securityContext.sysctls");
        note(context.se_linux_options.is_some(), "spec.securityContext.seLinuxOptions");
        note(context.app_armor_profile.is_some(), "spec.securityContext.appArmorProfile");
        let strict = context.supplemental_groups_policy.as_deref() == Some("Strict");
        note(strict, "spec.securityContext.supplementalGroupsPolicy");
    }
    for volume in spec.volumes.iter().flatten() {
        of_volume(volume, &mut note);
    }
    if spec.host_network != Some(true) {
        let other = host_port::of(spec).iter().any(|port| port.protocol != "TCP");
        note(other, "spec.containers.ports.hostPort of protocols other than TCP");
    }
    for container in spec.init_containers.iter().flatten().chain(&spec.containers) {
        of_container(container, &mut note);
    }
    found
}

fn of_volume(volume: &Volume, note: &mut impl FnMut(bool, &'static str)) {
    if let Some(empty) = &volume.empty_dir {
        let medium = empty.medium.as_deref().unwrap_or_default();
        note(!matches!(medium, "" | "Memory"), "spec.volumes.emptyDir.medium");
        note(empty.mode.is_some(), "spec.volumes.emptyDir.mode");
    }
}

fn of_container(container: &Container, note: &mut impl FnMut(bool, &'static str)) {
    note(is_some(&container.volume_devices), "spec.containers.volumeDevices");
    note(is_some(&container.restart_policy_rules), "spec.containers.restartPolicyRules");
    for mount in container.volume_mounts.iter().flatten() {
        let propagation = mount.mount_propagation.as_deref().unwrap_or("None");
        note(propagation != "None", "spec.containers.volumeMounts.mountPropagation");
        let recursive = mount.recursive_read_only.as_deref().unwrap_or("Disabled");
        note(recursive != "Disabled", "spec.containers.volumeMounts.recursiveReadOnly");
        let options = mount.bind_mount_options.is_some();
        note(options, "spec.containers.volumeMounts.bindMountOptions");
    }
    if let Some(context) = &container.security_context {
        note(
            context.app_armor_profile.is_some(),
            "spec.containers.securityContext.appArmorProfile",
        );
        note(context.se_linux_options.is_some(), "spec.containers.securityContext.seLinuxOptions");
        let proc_mount = context.proc_mount.as_deref().unwrap_or("Default");
        note(proc_mount != "Default", "spec.containers.securityContext.procMount");
    }
    let resources = container.resources.as_ref();
    let limits = resources.and_then(|resources| resources.limits.as_ref());
    for name in limits.into_iter().flat_map(|limits| limits.keys()) {
        let kept = matches!(name.as_str(), "cpu" | "memory" | EPHEMERAL_STORAGE);
        note(!kept, "spec.containers.resources.limits");
    }
}

fn is_some<T>(list: &Option<Vec<T>>) -> bool {
    list.as_ref().is_some_and(|list| !list.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(spec: serde_json::Value) -> Vec<&'static str> {
        let pod: Pod = serde_json::from_value(json!({"spec": spec})).unwrap();
        fields(&pod).into_iter().collect()
    }

    #[test]
    fn an_ordinary_pod_asks_for_nothing_that_is_not_done() {
        let spec = json!({
            "restartPolicy": "Always", "terminationGracePeriodSeconds": 5, "activeDeadlineSeconds": 9,
            "enableServiceLinks": true, "dnsPolicy": "ClusterFirst", "serviceAccountName": "default",
            "securityContext": {"runAsNonRoot": true, "fsGroup": 7,
                "seccompProfile": {"type": "RuntimeDefault"}},
            "volumes": [{"name": "a", "emptyDir": {"sizeLimit": "1Gi"}}, {"name": "m", "emptyDir": {"medium": "Memory",
                "sizeLimit": "1Mi"}}],
            "containers": [{"name": "c", "image": "app", "imagePullPolicy": "Always",
                "stdin": true, "stdinOnce": true, "tty": true,
                "ports": [{"containerPort": 80, "hostPort": 80}], "resources": {"limits": {"cpu": 1, "memory": "1Gi", "ephemeral-storage": "1Gi"}},
                "volumeMounts": [{"name": "a", "mountPath": "/a", "readOnly": true}],
                "lifecycle": {"postStart": {"exec": {"command": ["x"]}}, "preStop": {"sleep": {"seconds": 1}}}}],
        });
        assert_eq!(of(spec), [""; 0]);
    }

    #[test]
    fn what_has_no_effect_is_named_once() {
        let container = json!({"name": "c", "image": "app:1", "imagePullPolicy": "Always",
            "ports": [{"containerPort": 80, "hostPort": 80, "protocol": "UDP"}],
            "volumeMounts": [{"name": "a", "mountPath": "/a", "mountPropagation": "Bidirectional"}]});
        let spec = json!({"hostPID": true, "containers": [container, container],
            "volumes": [{"name": "a", "emptyDir": {"mode": 448}}]});
        assert_eq!(
            of(spec),
            [
                "spec.containers.ports.hostPort of protocols other than TCP",
                "spec.containers.volumeMounts.mountPropagation",
                "spec.hostPID",
                "spec.volumes.emptyDir.mode",
            ]
        );
    }
}
