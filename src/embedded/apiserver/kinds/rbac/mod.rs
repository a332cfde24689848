//! `rbac.authorization.k8s.io`: who may do what.

mod grants;

use super::ValueExt;
use super::builtin::{CLUSTER, Line, PLAIN};
use super::columns::{CREATED, Printer, name, old};

pub(super) const GROUP: &str = "rbac.authorization.k8s.io";

pub(super) const KINDS: &[Line] = &[
    Line { kind: "Role", plural: "roles", strategy: grants::ROLE, columns: CREATED, ..PLAIN },
    Line {
        kind: "ClusterRole",
        plural: "clusterroles",
        strategy: grants::ROLE,
        columns: CREATED,
        ..CLUSTER
    },
    Line {
        kind: "RoleBinding",
        plural: "rolebindings",
        strategy: grants::BINDING,
        columns: BINDING,
        ..PLAIN
    },
    Line {
        kind: "ClusterRoleBinding",
        plural: "clusterrolebindings",
        strategy: grants::BINDING,
        columns: BINDING,
        ..CLUSTER
    },
];

const BINDING: Printer = Printer(
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
