//! The kubelet's Summary of what node, pods and containers use, from control groups, the proxy's counters and what was
//! measured on the disk.

use std::fs;
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::context::{Attempt, Context, Entry};
use super::rates::Rates;
use super::storage::{self, Room};
use crate::node::cgroup::{Group, Memory, Usage};
use crate::node::shim::DiskUsage;

/// The clock of `/proc/stat`.
const TICK_NS: u64 = 10_000_000;
/// What the machine's rate is kept under.
pub(super) const NODE: &str = "node";

/// Reads what is used.
pub(super) struct Stats {
    pub(super) ctx: Arc<Context>,
    pub(super) rates: Rates,
}

impl Stats {
    pub(super) fn new(ctx: Arc<Context>) -> Self {
        Self { ctx, rates: Rates::default() }
    }

    /// The whole document.
    pub(super) async fn summary(&self) -> Value {
        let mut pods = Vec::new();
        self.ctx.storage.ask();
        let room = Room::of(&self.ctx.config.home);
        for entry in self.ctx.board.all() {
            if entry.containers.values().any(|attempt| attempt.running) {
                pods.push(self.pod(&entry, room.as_ref()));
            }
            // Each takes a while to read, and others wait for this thread.
            tokio::task::yield_now().await;
        }
        json!({"node": self.node(room.as_ref()), "pods": pods})
    }

    fn node(&self, room: Option<&Room>) -> Value {
        let now = Timestamp::now();
        let usage = machine();
        let mut node = json!({"nodeName": self.ctx.config.node_name()});
        if let Some(booted) = booted() {
            node["startTime"] = time(booted).into();
        }
        self.put(&mut node, NODE, &usage, now);
        if let Some(Room { bytes, inodes }) = room {
            let used = DiskUsage { bytes: bytes.used, inodes: inodes.used };
            node["fs"] = storage::fs(room, used, now);
        }
        node["network"] = interfaces(&fs::read_to_string("/proc/net/dev").unwrap_or_default(), now);
        node
    }

    fn pod(&self, entry: &Entry, room: Option<&Room>) -> Value {
        let now = Timestamp::now();
        let uid = &entry.pod.uid;
        let group = |path: String| self.ctx.groups.as_ref().map(|groups| groups.group(&path));
        let usage = |group: &Option<Group>| group.as_ref().map(Group::usage).unwrap_or_default();
        let running = entry.containers.iter().filter(|(_, attempt)| attempt.running);
        let container = |(name, attempt): (&String, &Attempt)| {
            let path = place(uid, name, attempt);
            let mut container = json!({"name": name});
            if let Some(since) = attempt.since {
                container["startTime"] = time(since).into();
            }
            let used = usage(&group(path.clone()));
            self.put(&mut container, &path, &used, now);
            container
        };
        let containers: Vec<Value> = running.map(container).collect();
        let mut pod = json!({
            "podRef": {"name": entry.pod.name, "namespace": entry.pod.namespace, "uid": uid},
            "startTime": time(entry.started),
            "containers": containers,
        });
        let path = format!("pods/{uid}");
        let whole = group(path.clone());
        self.put(&mut pod, &path, &usage(&whole), now);
        if let Some(group) = whole {
            pod["process_stats"] = json!({"process_count": group.processes().len()});
        }
        if let Some(usage) = self.ctx.storage.of(uid) {
            storage::put(&mut pod, &usage, room);
        }
        // On the host's network there is nothing that is the pod's alone.
        if let Some((received, sent)) = self.ctx.network.traffic(uid) {
            let interface = json!({"name": "lo", "rxBytes": received, "txBytes": sent});
            pod["network"] = network(now, &interface, std::slice::from_ref(&interface));
        }
        pod
    }

    fn put(&self, into: &mut Value, key: &str, usage: &Usage, now: Timestamp) {
        if let Some(used) = usage.cpu {
            into["cpu"] = json!({"time": time(now), "usageCoreNanoSeconds": used});
            if let Some(rate) = self.rates.of(key, used, Instant::now(), now) {
                into["cpu"]["usageNanoCores"] = rate.nanocores.into();
            }
        }
        if let Some(memory) = &usage.memory {
            into["memory"] = json!({
                "time": time(now),
                "usageBytes": memory.usage,
                "workingSetBytes": memory.working_set,
                "rssBytes": memory.rss,
                "pageFaults": memory.page_faults,
                "majorPageFaults": memory.major_page_faults,
            });
            if let Some(limit) = memory.limit {
                into["memory"]["availableBytes"] = limit.saturating_sub(memory.working_set).into();
            }
        }
    }
}

/// The control group of a container; each attempt has one of its own.
pub(super) fn place(uid: &str, name: &str, attempt: &Attempt) -> String {
    format!("pods/{uid}/{name}-{}", attempt.number)
}

/// As the API writes times.
pub(super) fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// What the whole machine uses.
pub(super) fn machine() -> Usage {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let vmstat = fs::read_to_string("/proc/vmstat").unwrap_or_default();
    Usage { cpu: busy(&stat), memory: memory(&meminfo, &vmstat) }
}

/// Processor time that was not idle: user, nice, system, interrupts and what was stolen.
fn busy(stat: &str) -> Option<u64> {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let ticks: Vec<u64> = line.split_whitespace().filter_map(|field| field.parse().ok()).collect();
    let of = |nth: &usize| ticks.get(*nth).copied().unwrap_or(0);
    Some([0, 1, 2, 5, 6, 7].iter().map(of).sum::<u64>() * TICK_NS)
}

fn memory(meminfo: &str, vmstat: &str) -> Option<Memory> {
    let kib = |name: &str| {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.trim().strip_suffix(" kB")?.parse::<u64>().ok()
    };
    let count = |name: &str| {
        let line = vmstat.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|value| value.parse().ok()).unwrap_or(0)
    };
    let (total, free) = (kib("MemTotal")? * 1024, kib("MemFree")? * 1024);
    let usage = total.saturating_sub(free);
    Some(Memory {
        usage,
        working_set: usage.saturating_sub(kib("Inactive(file)").unwrap_or(0) * 1024),
        rss: kib("AnonPages").unwrap_or(0) * 1024,
        limit: Some(total),
        page_faults: count("pgfault"),
        major_page_faults: count("pgmajfault"),
    })
}

/// When the machine was started.
fn booted() -> Option<Timestamp> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let seconds = stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    Timestamp::from_second(seconds).ok()
}

/// The machine's interfaces; the one with the most traffic stands for all.
fn interfaces(dev: &str, now: Timestamp) -> Value {
    let interface = |line: &str| {
        let (name, counts) = line.split_once(':')?;
        let counts: Vec<u64> = counts.split_whitespace().filter_map(|n| n.parse().ok()).collect();
        let of = |nth: usize| counts.get(nth).copied().unwrap_or(0);
        let name = name.trim();
        (name != "lo").then(|| {
            json!({"name": name, "rxBytes": of(0), "rxErrors": of(2), "txBytes": of(8), "txErrors": of(10)})
        })
    };
    let mut all: Vec<Value> = dev.lines().filter_map(interface).collect();
    all.sort_by_key(|one| std::cmp::Reverse(one["rxBytes"].as_u64()));
    let first = all.first().cloned().unwrap_or_else(|| json!({"name": ""}));
    network(now, &first, &all)
}

fn network(now: Timestamp, first: &Value, all: &[Value]) -> Value {
    let mut network = first.clone();
    network["time"] = time(now).into();
    network["interfaces"] = all.into();
    network
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_is_read() {
        let stat = "cpu  10 1 5 100 7 2 3 4 0 0\ncpu0 1 1 1 1\nbtime 5\n";
        assert_eq!(busy(stat), Some((10 + 1 + 5 + 2 + 3 + 4) * TICK_NS));
        let meminfo = "MemTotal: 100 kB\nMemFree: 40 kB\nInactive(file): 10 kB\nAnonPages: 20 kB\n";
        let memory = memory(meminfo, "pgfault 3\npgmajfault 1\n").unwrap();
        assert_eq!((memory.usage, memory.working_set), (60 * 1024, 50 * 1024));
        assert_eq!((memory.rss, memory.limit), (20 * 1024, Some(100 * 1024)));
        assert_eq!((memory.page_faults, memory.major_page_faults), (3, 1));
        assert!(machine().cpu.unwrap() > 0 && booted().is_some());
    }

    #[test]
    fn the_busiest_interface_stands_for_the_machine() {
        let dev = "Inter-| Receive\n face |bytes\n    lo: 9 9 9 9 9 9 9 9 9 9 9 9\n\
                   eth0: 5 1 0 0 0 0 0 0 7 1 2 0\n  eth1:50 1 3 0 0 0 0 0 70 1 0 0\n";
        let network = interfaces(dev, Timestamp::UNIX_EPOCH);
        assert_eq!((&network["name"], &network["txBytes"]), (&"eth1".into(), &70.into()));
        assert_eq!(network["rxErrors"], 3);
        assert_eq!(network["interfaces"].as_array().unwrap().len(), 2);
        assert_eq!(network["interfaces"][1]["txErrors"], 2);
    }
}
