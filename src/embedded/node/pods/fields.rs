//! The downward API: a pod's own fields as text.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use k8s_openapi::api::core::v1::{Container, Pod, ResourceFieldSelector};

use super::quantity;
use super::resources::{self, Which};
use super::storage::EPHEMERAL_STORAGE;

/// What a pod's fields are read from: the object, and what the node knows before the object does.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a> {
    pub(super) pod: &'a Pod,
    pub(super) pod_ip: Ipv4Addr,
    pub(super) host_ip: Ipv4Addr,
    /// Thousandths of CPUs, and bytes of memory and of the disk, of the machine: what a container without limits has.
    pub(super) machine: (u64, u64, u64),
}

impl Fields<'_> {
    /// The field at a path such as `metadata.labels['app']`.
    pub(super) fn field(&self, path: &str) -> Result<String, String> {
        let meta = &self.pod.metadata;
        let spec = self.pod.spec.as_ref();
        let text = |value: Option<&String>| value.cloned().unwrap_or_default();
        if let Some((map, key)) = subscript(path) {
            let map = match map {
                "metadata.labels" => meta.labels.as_ref(),
                "metadata.annotations" => meta.annotations.as_ref(),
                _ => return Err(format!("the field {path:?} is not supported")),
            };
            return Ok(map.and_then(|map| map.get(key)).cloned().unwrap_or_default());
        }
        Ok(match path {
            "metadata.name" => text(meta.name.as_ref()),
            "metadata.namespace" => text(meta.namespace.as_ref()),
            "metadata.uid" => text(meta.uid.as_ref()),
            "metadata.labels" => lines(meta.labels.as_ref()),
            "metadata.annotations" => lines(meta.annotations.as_ref()),
            "spec.nodeName" => text(spec.and_then(|spec| spec.node_name.as_ref())),
            "spec.serviceAccountName" => {
                text(spec.and_then(|spec| spec.service_account_name.as_ref()))
            }
            "status.podIP" | "status.podIPs" => self.pod_ip.to_string(),
            "status.hostIP" | "status.hostIPs" => self.host_ip.to_string(),
            _ => return Err(format!("the field {path:?} is not supported")),
        })
    }

    /// A resource of a container, in units of the divisor; `own` is the container that asks.
    pub(super) fn resource(
        &self,
        selector: &ResourceFieldSelector,
        own: Option<&Container>,
    ) -> Result<String, String> {
        let spec = self.pod.spec.as_ref();
        let containers = || spec.into_iter().flat_map(|spec| &spec.containers);
        let container = match &selector.container_name {
            Some(name) if !name.is_empty() => containers().find(|one| one.name == *name),
            _ => own,
        };
        let container = container.ok_or("the resource names no container of the pod")?;
        let (which, name) = match selector.resource.split_once('.') {
            Some(("limits", name)) => (Which::Limits, name),
            Some(("requests", name)) => (Which::Requests, name),
            _ => return Err(format!("the resource {:?} is not supported", selector.resource)),
        };
        let fallback = match (which, name) {
            (Which::Limits, "cpu") => self.machine.0,
            (Which::Limits, "memory") => self.machine.1.saturating_mul(1000),
            (Which::Limits, EPHEMERAL_STORAGE) => self.machine.2.saturating_mul(1000),
            _ => 0,
        };
        let value = resources::value(container, which, name).unwrap_or(fallback);
        let divisor = selector.divisor.as_ref().and_then(|divisor| quantity::millis(&divisor.0));
        let divisor = divisor.filter(|divisor| *divisor > 0).unwrap_or(1000);
        Ok(value.div_ceil(divisor).to_string())
    }
}

/// `metadata.labels['app']` → (`metadata.labels`, `app`).
fn subscript(path: &str) -> Option<(&str, &str)> {
    let (map, rest) = path.split_once('[')?;
    let key = rest.strip_suffix(']')?.trim_matches(['\'', '"']);
    Some((map, key))
}

/// `key="value"` lines, as files of the downward API have them.
fn lines(map: Option<&BTreeMap<String, String>>) -> String {
    let entries = map.into_iter().flatten();
    let lines: Vec<String> = entries.map(|(key, value)| format!("{key}={value:?}")).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_and_resources_are_read() {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "p", "namespace": "n", "labels": {"a/b": "1", "c": "2"}},
            "spec": {"nodeName": "node", "containers": [
                {"name": "x", "resources": {"limits": {"cpu": "1500m", "memory": "64Mi"}}},
            ]},
        }))
        .unwrap();
        let fields = Fields {
            pod: &pod,
            pod_ip: Ipv4Addr::new(10, 0, 0, 1),
            host_ip: Ipv4Addr::new(10, 0, 0, 2),
            machine: (4000, 1 << 30, 8 << 30),
        };
        assert_eq!(fields.field("metadata.labels['a/b']").unwrap(), "1");
        assert_eq!(fields.field("metadata.labels").unwrap(), "a/b=\"1\"\nc=\"2\"");
        assert_eq!(fields.field("status.podIP").unwrap(), "10.0.0.1");
        assert!(fields.field("spec.secret").is_err());
        let own = &pod.spec.as_ref().unwrap().containers[0];
        let get = |value: serde_json::Value| {
            fields.resource(&serde_json::from_value(value).unwrap(), Some(own)).unwrap()
        };
        assert_eq!(get(json!({"resource": "limits.cpu"})), "2");
        assert_eq!(get(json!({"resource": "limits.cpu", "divisor": "1m"})), "1500");
        assert_eq!(get(json!({"resource": "limits.memory", "divisor": "1Mi"})), "64");
        assert_eq!(get(json!({"resource": "requests.memory"})), "0");
        let disk = json!({"resource": "limits.ephemeral-storage", "divisor": "1Gi"});
        assert_eq!(get(disk), "8", "that of the node");
    }
}
