//! What is measured, in the form of a kubelet's Summary. Pure.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Room, Usage};
use crate::node::pods::stats::time;
use crate::node::shim::DiskUsage;

/// A file system of this room, of which `used` is used.
pub(in crate::node::pods) fn fs(room: Option<&Room>, used: DiskUsage, at: Timestamp) -> Value {
    let mut fs = json!({"time": time(at), "usedBytes": used.bytes, "inodesUsed": used.inodes});
    if let Some(Room { bytes, inodes }) = room {
        fs["capacityBytes"] = bytes.capacity.into();
        fs["availableBytes"] = bytes.available.into();
        fs["inodes"] = inodes.capacity.into();
        fs["inodesFree"] = inodes.available.into();
    }
    fs
}

/// Puts what a pod takes into what is said of it and of its containers.
pub(in crate::node::pods) fn put(pod: &mut Value, usage: &Usage, room: Option<&Room>) {
    let at = usage.at;
    for container in pod["containers"].as_array_mut().into_iter().flatten() {
        let Some(used) = container["name"].as_str().and_then(|name| usage.containers.get(name))
        else {
            continue;
        };
        container["rootfs"] = fs(room, used.root, at);
        container["logs"] = fs(room, used.logs, at);
    }
    let volumes = usage.volumes.iter().map(|(name, used)| {
        let mut volume = fs(room, *used, at);
        volume["name"] = name.as_str().into();
        volume
    });
    let volumes: Vec<Value> = volumes.collect();
    if !volumes.is_empty() {
        pod["volume"] = volumes.into();
    }
    pod["ephemeral-storage"] = fs(room, usage.total(), at);
}
