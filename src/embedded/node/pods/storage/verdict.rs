//! Whether a pod takes more of the disk than it may, in a kubelet's words. Pure.

use super::{Terms, Usage};
use crate::quantity::Quantity;

/// Why a pod is to go, if it is: a volume beyond its limit, all of it beyond that of all containers, or one container beyond
/// its own, in a kubelet's order.
pub(super) fn exceeded(terms: &Terms, usage: &Usage) -> Option<String> {
    let beyond = |bytes: u64, limit: &Quantity| Quantity::bytes(bytes) > *limit;
    for (name, limit) in &terms.volumes {
        let used = usage.volumes.get(name).map_or(0, |used| used.bytes);
        if let Some(limit) = limit.filter(|limit| beyond(used, limit)) {
            let limit = limit.to_string();
            return Some(format!(
                "Usage of EmptyDir volume {name:?} exceeds the limit {limit:?}. "
            ));
        }
    }
    if let Some(limit) = terms.limit.filter(|limit| beyond(usage.total().bytes, limit)) {
        return Some(format!(
            "Pod ephemeral local storage usage exceeds the total limit of containers {limit}. "
        ));
    }
    for (name, limit) in &terms.containers {
        let used = usage.containers.get(name).map_or(0, |used| used.total().bytes);
        if beyond(used, limit) {
            let limit = limit.to_string();
            return Some(format!(
                "Container {name} exceeded its local ephemeral storage limit {limit:?}. "
            ));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::ContainerUsage;
    use super::*;
    use crate::node::shim::DiskUsage;

    const MIB: u64 = 1 << 20;

    #[test]
    fn who_takes_more_than_it_may_is_told_in_a_kubelets_words() {
        let limit = |text: &str| Quantity::parse(text).unwrap();
        let of = |bytes| DiskUsage { bytes, inodes: 1 };
        // Bytes of layer and logs of `a`, of `b`, and of volume `v`.
        let usage = |layer, logs, other, volume| Usage {
            containers: BTreeMap::from([
                ("a".to_owned(), ContainerUsage { root: of(layer), logs: of(logs) }),
                ("b".to_owned(), ContainerUsage { root: of(other), logs: of(0) }),
            ]),
            volumes: BTreeMap::from([("v".to_owned(), of(volume))]),
            ..Usage::default()
        };
        let terms = |a: &str, total: &str, volume: &str| Terms {
            containers: Some(a)
                .filter(|a| !a.is_empty())
                .map(|a| ("a".into(), limit(a)))
                .into_iter()
                .collect(),
            limit: Some(total).filter(|text| !text.is_empty()).map(limit),
            volumes: BTreeMap::from([(
                "v".to_owned(),
                Some(volume).filter(|text| !text.is_empty()).map(limit),
            )]),
            ..Terms::default()
        };
        let volume = "Usage of EmptyDir volume \"v\" exceeds the limit \"1Mi\". ";
        let pod = "Pod ephemeral local storage usage exceeds the total limit of containers 3Mi. ";
        let container = "Container a exceeded its local ephemeral storage limit \"1Mi\". ";
        for (terms, usage, said) in [
            (terms("", "", ""), usage(9 * MIB, 0, 0, 9 * MIB), None),
            (terms("", "", "1Mi"), usage(9 * MIB, 0, 0, MIB), None),
            (terms("", "", "1Mi"), usage(0, 0, 0, MIB + 1), Some(volume)),
            (terms("1Mi", "3Mi", "1Mi"), usage(9 * MIB, 0, 0, 2 * MIB), Some(volume)),
            // Everything counts for the pod, whoever has a limit.
            (terms("1Mi", "3Mi", ""), usage(MIB, 0, MIB, MIB), None),
            (terms("1Mi", "3Mi", ""), usage(0, 0, 2 * MIB, 2 * MIB), Some(pod)),
            (terms("1Mi", "3Mi", ""), usage(4 * MIB, 0, 0, 0), Some(pod)),
            // Logs count for their container.
            (terms("1Mi", "3Mi", ""), usage(MIB / 2, MIB / 2, 0, 0), None),
            (terms("1Mi", "3Mi", ""), usage(MIB / 2, MIB, 0, 0), Some(container)),
            (terms("1Mi", "3Mi", ""), usage(0, 0, 2 * MIB, 0), None),
        ] {
            assert_eq!(exceeded(&terms, &usage).as_deref(), said, "{terms:?} {usage:?}");
        }
    }
}
