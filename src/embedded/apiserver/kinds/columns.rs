//! Printer columns: what `kubectl get` shows.

mod pod;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::time::age;
use super::ValueExt;
pub(super) use pod::POD;

/// One column of a Table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Column {
    /// Heading.
    pub name: String,
    /// `string`, `integer`, `number`, `boolean` or `date`.
    pub kind: String,
    /// `name` marks the column of names.
    pub format: String,
    /// What it shows.
    pub description: String,
    /// 0 is always shown, 1 only with `-o wide`.
    pub priority: i64,
}

/// The columns of a kind and how their cells are filled.
pub(crate) enum Columns {
    /// Compiled in: `name`, `type`, priority.
    Builtin(&'static [(&'static str, &'static str, i64)], fn(&Value, Timestamp) -> Vec<Value>),
    /// From a definition: each with the field path of its cell.
    Paths(Vec<(Column, super::super::jsonpath::Path)>),
}

impl Columns {
    /// The headings.
    pub(crate) fn headings(&self) -> Vec<Column> {
        match self {
            Columns::Builtin(columns, _) => columns
                .iter()
                .map(|(name, kind, priority)| Column {
                    name: (*name).into(),
                    kind: (*kind).into(),
                    format: if *name == "Name" { "name".into() } else { String::new() },
                    description: (*name).into(),
                    priority: *priority,
                })
                .collect(),
            Columns::Paths(columns) => {
                let name = Column {
                    name: "Name".into(),
                    kind: "string".into(),
                    format: "name".into(),
                    description: "Name must be unique within a namespace.".into(),
                    priority: 0,
                };
                std::iter::once(name)
                    .chain(columns.iter().map(|(column, _)| column.clone()))
                    .collect()
            }
        }
    }

    /// The cells of one object.
    pub(crate) fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        match self {
            Columns::Builtin(_, cells) => cells(object, now),
            Columns::Paths(columns) => {
                let name = object["metadata"]["name"].clone();
                let cell = |(column, path): &(Column, super::super::jsonpath::Path)| {
                    let value = path.first(object);
                    match (column.kind.as_str(), value) {
                        (_, None | Some(Value::Null)) => Value::Null,
                        ("date", Some(value)) => {
                            age(value.as_str().unwrap_or_default(), now).into()
                        }
                        ("string", Some(Value::String(text))) => text.as_str().into(),
                        ("string", Some(other)) => other.to_string().into(),
                        ("integer", Some(value)) => {
                            value.as_f64().map_or(Value::Null, |n| json!(n as i64))
                        }
                        (_, Some(value)) => value.clone(),
                    }
                };
                std::iter::once(name).chain(columns.iter().map(cell)).collect()
            }
        }
    }
}

fn name(object: &Value) -> Value {
    object["metadata"]["name"].clone()
}

fn old(object: &Value, now: Timestamp) -> Value {
    age(object.text(&["metadata", "creationTimestamp"]), now).into()
}

fn or_none(text: &str) -> Value {
    if text.is_empty() { "<none>".into() } else { text.into() }
}

fn count(object: &Value, path: &[&str]) -> i64 {
    object.int(path).unwrap_or(0)
}

fn entries(object: &Value, fields: &[&str]) -> Value {
    fields
        .iter()
        .filter_map(|f| object.at(&[f])?.as_object())
        .map(serde_json::Map::len)
        .sum::<usize>()
        .into()
}

/// Name and age.
pub(super) const PLAIN: Columns =
    Columns::Builtin(&[("Name", "string", 0), ("Age", "date", 0)], |o, now| {
        vec![name(o), old(o, now)]
    });

/// Name and creation time, as RBAC kinds print it.
pub(super) const CREATED: Columns =
    Columns::Builtin(&[("Name", "string", 0), ("Created At", "date", 0)], |o, _| {
        vec![name(o), o["metadata"]["creationTimestamp"].clone()]
    });

pub(super) const BINDING: Columns = Columns::Builtin(
    &[
        ("Name", "string", 0),
        ("Role", "string", 0),
        ("Age", "date", 0),
        ("Users", "string", 1),
        ("Groups", "string", 1),
        ("ServiceAccounts", "string", 1),
    ],
    |o, now| {
        let subjects = |kind: &str| {
            let names = o.list(&["subjects"]).iter().filter(|s| s["kind"] == kind).map(|s| match s
                .text(&["namespace"])
            {
                "" => s.text(&["name"]).to_owned(),
                namespace => format!("{namespace}/{}", s.text(&["name"])),
            });
            names.collect::<Vec<_>>().join(", ").into()
        };
        let role = format!("{}/{}", o.text(&["roleRef", "kind"]), o.text(&["roleRef", "name"]));
        vec![
            name(o),
            role.into(),
            old(o, now),
            subjects("User"),
            subjects("Group"),
            subjects("ServiceAccount"),
        ]
    },
);

pub(super) const CRD: Columns =
    Columns::Builtin(&[("Name", "string", 0), ("Created At", "date", 0)], |o, _| {
        vec![name(o), o["metadata"]["creationTimestamp"].clone()]
    });

pub(super) const CONFIG_MAP: Columns = Columns::Builtin(
    &[("Name", "string", 0), ("Data", "integer", 0), ("Age", "date", 0)],
    |o, now| vec![name(o), entries(o, &["data", "binaryData"]), old(o, now)],
);

pub(super) const SECRET: Columns = Columns::Builtin(
    &[("Name", "string", 0), ("Type", "string", 0), ("Data", "integer", 0), ("Age", "date", 0)],
    |o, now| vec![name(o), o["type"].clone(), entries(o, &["data"]), old(o, now)],
);

pub(super) const SERVICE_ACCOUNT: Columns = Columns::Builtin(
    &[("Name", "string", 0), ("Secrets", "integer", 0), ("Age", "date", 0)],
    |o, now| vec![name(o), o.list(&["secrets"]).len().into(), old(o, now)],
);

pub(super) const NAMESPACE: Columns = Columns::Builtin(
    &[("Name", "string", 0), ("Status", "string", 0), ("Age", "date", 0)],
    |o, now| vec![name(o), o.text(&["status", "phase"]).into(), old(o, now)],
);

pub(super) const EVENT: Columns = Columns::Builtin(
    &[
        ("Last Seen", "string", 0),
        ("Type", "string", 0),
        ("Reason", "string", 0),
        ("Object", "string", 0),
        ("Subobject", "string", 1),
        ("Source", "string", 1),
        ("Message", "string", 0),
        ("First Seen", "string", 1),
        ("Count", "string", 1),
        ("Name", "string", 1),
    ],
    |o, now| {
        // Both forms of events are shown from the stored one.
        let o = &super::core::stored_event(o);
        let event_time = o.text(&["eventTime"]);
        let time = |field: &str| match o.text(&[field]) {
            "" => age(event_time, now),
            time => age(time, now),
        };
        let last = match o.text(&["series", "lastObservedTime"]) {
            "" => time("lastTimestamp"),
            seen => age(seen, now),
        };
        let object = format!(
            "{}/{}",
            o.text(&["involvedObject", "kind"]).to_lowercase(),
            o.text(&["involvedObject", "name"])
        );
        let source = match o.text(&["source", "component"]) {
            "" => o.text(&["reportingComponent"]),
            component => component,
        };
        vec![
            last.into(),
            o["type"].clone(),
            o["reason"].clone(),
            object.into(),
            o.text(&["involvedObject", "fieldPath"]).into(),
            source.into(),
            o.text(&["message"]).trim().into(),
            time("firstTimestamp").into(),
            o.int(&["series", "count"]).or(o.int(&["count"])).unwrap_or(1).to_string().into(),
            name(o),
        ]
    },
);

pub(super) const NODE: Columns = Columns::Builtin(
    &[
        ("Name", "string", 0),
        ("Status", "string", 0),
        ("Roles", "string", 0),
        ("Age", "string", 0),
        ("Version", "string", 0),
        ("Internal-IP", "string", 1),
        ("External-IP", "string", 1),
        ("OS-Image", "string", 1),
        ("Kernel-Version", "string", 1),
        ("Container-Runtime", "string", 1),
    ],
    |o, now| {
        let ready = o.list(&["status", "conditions"]).iter().find(|c| c["type"] == "Ready");
        let mut status = match ready.map(|c| c.text(&["status"])) {
            Some("True") => "Ready".to_owned(),
            Some(_) => "NotReady".to_owned(),
            None => "Unknown".to_owned(),
        };
        if o.at(&["spec", "unschedulable"]) == Some(&Value::Bool(true)) {
            status.push_str(",SchedulingDisabled");
        }
        let labels = o.at(&["metadata", "labels"]).and_then(Value::as_object);
        let roles: Vec<_> = labels
            .into_iter()
            .flatten()
            .filter_map(|(label, _)| label.strip_prefix("node-role.kubernetes.io/"))
            .filter(|role| !role.is_empty())
            .collect();
        let address = |kind: &str| {
            let found = o.list(&["status", "addresses"]).iter().find(|a| a["type"] == kind);
            or_none(found.map_or("", |a| a.text(&["address"])))
        };
        let info = |field: &str| o.text(&["status", "nodeInfo", field]).into();
        vec![
            name(o),
            status.into(),
            or_none(&roles.join(",")),
            old(o, now),
            info("kubeletVersion"),
            address("InternalIP"),
            address("ExternalIP"),
            info("osImage"),
            info("kernelVersion"),
            info("containerRuntimeVersion"),
        ]
    },
);

fn container_columns(spec: &Value) -> [Value; 2] {
    let column = |field: &str| {
        let names = spec.list(&["containers"]).iter().map(|c| c.text(&[field]));
        names.collect::<Vec<_>>().join(",").into()
    };
    [column("name"), column("image")]
}

/// A label selector as text.
fn selector(selector: Option<&Value>) -> Value {
    let Some(selector) = selector else { return "<none>".into() };
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let mut parts: Vec<String> = selector
        .at(&["matchLabels"])
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .map(|(name, value)| format!("{name}={}", text(value)))
        .collect();
    for expression in selector.list(&["matchExpressions"]) {
        let key = expression.text(&["key"]);
        let values = expression.list(&["values"]).iter().map(text).collect::<Vec<_>>().join(",");
        parts.push(match expression.text(&["operator"]) {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "DoesNotExist" => format!("!{key}"),
            _ => key.to_owned(),
        });
    }
    or_none(&parts.join(","))
}

pub(super) const DEPLOYMENT: Columns = Columns::Builtin(
    &[
        ("Name", "string", 0),
        ("Ready", "string", 0),
        ("Up-to-date", "string", 0),
        ("Available", "string", 0),
        ("Age", "string", 0),
        ("Containers", "string", 1),
        ("Images", "string", 1),
        ("Selector", "string", 1),
    ],
    |o, now| {
        let status = |field: &str| count(o, &["status", field]);
        let ready = format!("{}/{}", status("readyReplicas"), count(o, &["spec", "replicas"]));
        let [containers, images] = container_columns(&o["spec"]["template"]["spec"]);
        let selector = selector(o.at(&["spec", "selector"]));
        let (updated, available) = (status("updatedReplicas"), status("availableReplicas"));
        vec![
            name(o),
            ready.into(),
            updated.into(),
            available.into(),
            old(o, now),
            containers,
            images,
            selector,
        ]
    },
);

pub(super) const REPLICA_SET: Columns = Columns::Builtin(
    &[
        ("Name", "string", 0),
        ("Desired", "integer", 0),
        ("Current", "integer", 0),
        ("Ready", "integer", 0),
        ("Age", "string", 0),
        ("Containers", "string", 1),
        ("Images", "string", 1),
        ("Selector", "string", 1),
    ],
    |o, now| {
        let [containers, images] = container_columns(&o["spec"]["template"]["spec"]);
        let numbers =
            [&["spec", "replicas"], &["status", "replicas"], &["status", "readyReplicas"]];
        let [desired, current, ready] = numbers.map(|path| count(o, path));
        let selector = selector(o.at(&["spec", "selector"]));
        vec![
            name(o),
            desired.into(),
            current.into(),
            ready.into(),
            old(o, now),
            containers,
            images,
            selector,
        ]
    },
);

pub(super) const SERVICE: Columns = Columns::Builtin(
    &[
        ("Name", "string", 0),
        ("Type", "string", 0),
        ("Cluster-IP", "string", 0),
        ("External-IP", "string", 0),
        ("Port(s)", "string", 0),
        ("Age", "string", 0),
        ("Selector", "string", 1),
    ],
    |o, now| {
        let ports = o.list(&["spec", "ports"]).iter().map(|p| match p.int(&["nodePort"]) {
            Some(node) if node != 0 => {
                format!("{}:{node}/{}", count(p, &["port"]), p.text(&["protocol"]))
            }
            _ => format!("{}/{}", count(p, &["port"]), p.text(&["protocol"])),
        });
        let ports = ports.collect::<Vec<_>>().join(",");
        let external = match o.text(&["spec", "type"]) {
            "ExternalName" => o.text(&["spec", "externalName"]).to_owned(),
            "LoadBalancer" => {
                let ingress = o.list(&["status", "loadBalancer", "ingress"]).iter();
                let ips = ingress.map(|i| i.text(&["ip"])).collect::<Vec<_>>().join(",");
                if ips.is_empty() { "<pending>".into() } else { ips }
            }
            _ => o
                .list(&["spec", "externalIPs"])
                .iter()
                .filter_map(Value::as_str)
                .collect::<Vec<_>>()
                .join(","),
        };
        let labels = o.at(&["spec", "selector"]).map(|s| json!({"matchLabels": s}));
        let kind = o["spec"]["type"].clone();
        let ip = or_none(o.text(&["spec", "clusterIP"]));
        vec![
            name(o),
            kind,
            ip,
            or_none(&external),
            or_none(&ports),
            old(o, now),
            selector(labels.as_ref()),
        ]
    },
);

fn joined<'a>(all: impl Iterator<Item = String> + 'a, shown: usize) -> Value {
    let all: Vec<_> = all.collect();
    let text = all.iter().take(shown).cloned().collect::<Vec<_>>().join(",");
    if all.len() > shown {
        format!("{text} + {} more...", all.len() - shown).into()
    } else {
        or_none(&text)
    }
}

pub(super) const ENDPOINTS: Columns = Columns::Builtin(
    &[("Name", "string", 0), ("Endpoints", "string", 0), ("Age", "date", 0)],
    |o, now| {
        let pairs = o.list(&["subsets"]).iter().flat_map(|subset| {
            let ports = subset.list(&["ports"]);
            subset.list(&["addresses"]).iter().flat_map(move |address| {
                let ip = address.text(&["ip"]);
                ports.iter().map(move |port| format!("{ip}:{}", count(port, &["port"])))
            })
        });
        vec![name(o), joined(pairs, 3), old(o, now)]
    },
);

pub(super) const ENDPOINT_SLICE: Columns = Columns::Builtin(
    &[
        ("Name", "string", 0),
        ("AddressType", "string", 0),
        ("Ports", "string", 0),
        ("Endpoints", "string", 0),
        ("Age", "string", 0),
    ],
    |o, now| {
        let ports = o.list(&["ports"]).iter().map(|p| count(p, &["port"]).to_string());
        let addresses = o.list(&["endpoints"]).iter().flat_map(|e| e.list(&["addresses"]));
        let addresses = addresses.filter_map(Value::as_str).map(str::to_owned);
        vec![name(o), o["addressType"].clone(), joined(ports, 3), joined(addresses, 3), old(o, now)]
    },
);

pub(super) const LEASE: Columns = Columns::Builtin(
    &[("Name", "string", 0), ("Holder", "string", 0), ("Age", "string", 0)],
    |o, now| vec![name(o), o.text(&["spec", "holderIdentity"]).into(), old(o, now)],
);

pub(super) const NETWORK_POLICY: Columns = Columns::Builtin(
    &[("Name", "string", 0), ("Pod-Selector", "string", 0), ("Age", "string", 0)],
    |o, now| vec![name(o), selector(o.at(&["spec", "podSelector"])), old(o, now)],
);
