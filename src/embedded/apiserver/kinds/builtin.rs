//! The table of built-in kinds. A kind is served because it has a line here.

use std::sync::{Arc, LazyLock};

use curtain_schema::builtin;

use super::{Columns, Resource, Scale, Schema, Strategy, api_version, columns};
use super::{apps, coordination, core, extensions, networking, pod, rbac, reviews, service};

/// What a line says about a kind; `PLAIN` is a namespaced kind with nothing special.
struct Line {
    short: &'static [&'static str],
    categories: &'static [&'static str],
    cluster: bool,
    columns: Columns,
    selectable: &'static [&'static str],
    status: bool,
    scale: bool,
    generation: bool,
    /// The resource whose objects these are, in another form: its group, version and plural.
    stored_as: Option<(&'static str, &'static str)>,
}

const PLAIN: Line = Line {
    short: &[],
    categories: &[],
    cluster: false,
    columns: columns::PLAIN,
    selectable: &[],
    status: false,
    scale: false,
    generation: false,
    stored_as: None,
};
const CLUSTER: Line = Line { cluster: true, ..PLAIN };
/// `all` of `kubectl get all`.
const ALL: &[&str] = &["all"];
const RBAC: &str = "rbac.authorization.k8s.io";
const AUTHORIZATION: &str = "authorization.k8s.io";
const AUTHENTICATION: &str = "authentication.k8s.io";

const EVENT_FIELDS: &[&str] = &[
    "involvedObject.kind",
    "involvedObject.namespace",
    "involvedObject.name",
    "involvedObject.uid",
    "involvedObject.apiVersion",
    "involvedObject.resourceVersion",
    "involvedObject.fieldPath",
    "reason",
    "reportingComponent",
    "source",
    "type",
];
const POD_FIELDS: &[&str] = &[
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "spec.hostNetwork",
    "status.phase",
    "status.podIP",
    "status.nominatedNodeName",
];

/// Is this the group and plural of a built-in resource, in whatever version?
pub(super) fn is_served(group: &str, plural: &str) -> bool {
    static NAMES: LazyLock<Vec<(String, String)>> =
        LazyLock::new(|| resources().iter().map(|r| (r.group.clone(), r.plural.clone())).collect());
    NAMES.iter().any(|(g, p)| g == group && p == plural)
}

/// All built-in resources.
pub(crate) fn resources() -> Vec<Arc<Resource>> {
    let workload = |columns, short| Line {
        short,
        categories: ALL,
        columns,
        selectable: &["status.replicas"],
        status: true,
        scale: true,
        generation: true,
        ..PLAIN
    };
    let lines: [(&str, &str, &str, &str, Strategy, Line); 26] = [
        (
            "",
            "v1",
            "Namespace",
            "namespaces",
            core::NAMESPACE,
            Line {
                short: &["ns"],
                columns: columns::NAMESPACE,
                selectable: &["status.phase"],
                status: true,
                ..CLUSTER
            },
        ),
        (
            "",
            "v1",
            "Node",
            "nodes",
            core::NODE,
            Line {
                short: &["no"],
                columns: columns::NODE,
                selectable: &["spec.unschedulable"],
                status: true,
                ..CLUSTER
            },
        ),
        (
            "",
            "v1",
            "Pod",
            "pods",
            pod::POD,
            Line {
                short: &["po"],
                categories: ALL,
                columns: columns::POD,
                selectable: POD_FIELDS,
                status: true,
                generation: true,
                ..PLAIN
            },
        ),
        (
            "",
            "v1",
            "Service",
            "services",
            service::SERVICE,
            Line {
                short: &["svc"],
                categories: ALL,
                columns: columns::SERVICE,
                selectable: &["spec.clusterIP", "spec.type"],
                status: true,
                ..PLAIN
            },
        ),
        (
            "",
            "v1",
            "Endpoints",
            "endpoints",
            networking::ENDPOINTS,
            Line { short: &["ep"], columns: columns::ENDPOINTS, ..PLAIN },
        ),
        (
            "",
            "v1",
            "ConfigMap",
            "configmaps",
            core::CONFIG_MAP,
            Line { short: &["cm"], columns: columns::CONFIG_MAP, ..PLAIN },
        ),
        (
            "",
            "v1",
            "Secret",
            "secrets",
            core::SECRET,
            Line { columns: columns::SECRET, selectable: &["type"], ..PLAIN },
        ),
        (
            "",
            "v1",
            "ServiceAccount",
            "serviceaccounts",
            core::SERVICE_ACCOUNT,
            Line { short: &["sa"], columns: columns::SERVICE_ACCOUNT, ..PLAIN },
        ),
        (
            "",
            "v1",
            "Event",
            "events",
            core::EVENT,
            Line { short: &["ev"], columns: columns::EVENT, selectable: EVENT_FIELDS, ..PLAIN },
        ),
        (
            "events.k8s.io",
            "v1",
            "Event",
            "events",
            core::NEW_EVENT,
            Line { short: &["ev"], columns: columns::EVENT, stored_as: Some(("", "v1")), ..PLAIN },
        ),
        (
            "apps",
            "v1",
            "Deployment",
            "deployments",
            apps::DEPLOYMENT,
            workload(columns::DEPLOYMENT, &["deploy"]),
        ),
        (
            "apps",
            "v1",
            "ReplicaSet",
            "replicasets",
            apps::REPLICA_SET,
            workload(columns::REPLICA_SET, &["rs"]),
        ),
        (
            "discovery.k8s.io",
            "v1",
            "EndpointSlice",
            "endpointslices",
            networking::ENDPOINT_SLICE,
            Line { columns: columns::ENDPOINT_SLICE, generation: true, ..PLAIN },
        ),
        (
            "coordination.k8s.io",
            "v1",
            "Lease",
            "leases",
            coordination::LEASE,
            Line { columns: columns::LEASE, ..PLAIN },
        ),
        (
            "networking.k8s.io",
            "v1",
            "NetworkPolicy",
            "networkpolicies",
            networking::NETWORK_POLICY,
            Line {
                short: &["netpol"],
                columns: columns::NETWORK_POLICY,
                generation: true,
                ..PLAIN
            },
        ),
        (RBAC, "v1", "Role", "roles", rbac::ROLE, Line { columns: columns::CREATED, ..PLAIN }),
        (
            RBAC,
            "v1",
            "ClusterRole",
            "clusterroles",
            rbac::ROLE,
            Line { columns: columns::CREATED, ..CLUSTER },
        ),
        (
            RBAC,
            "v1",
            "RoleBinding",
            "rolebindings",
            rbac::BINDING,
            Line { columns: columns::BINDING, ..PLAIN },
        ),
        (
            RBAC,
            "v1",
            "ClusterRoleBinding",
            "clusterrolebindings",
            rbac::BINDING,
            Line { columns: columns::BINDING, ..CLUSTER },
        ),
        (
            "apiextensions.k8s.io",
            "v1",
            "CustomResourceDefinition",
            "customresourcedefinitions",
            extensions::DEFINITION,
            Line {
                short: &["crd", "crds"],
                categories: &["api-extensions"],
                columns: columns::CRD,
                status: true,
                generation: true,
                ..CLUSTER
            },
        ),
        (
            AUTHORIZATION,
            "v1",
            "SelfSubjectAccessReview",
            "selfsubjectaccessreviews",
            reviews::SELF_ACCESS,
            CLUSTER,
        ),
        (
            AUTHORIZATION,
            "v1",
            "SubjectAccessReview",
            "subjectaccessreviews",
            reviews::ACCESS,
            CLUSTER,
        ),
        (
            AUTHORIZATION,
            "v1",
            "LocalSubjectAccessReview",
            "localsubjectaccessreviews",
            reviews::ACCESS,
            PLAIN,
        ),
        (
            AUTHORIZATION,
            "v1",
            "SelfSubjectRulesReview",
            "selfsubjectrulesreviews",
            reviews::SELF_RULES,
            CLUSTER,
        ),
        (AUTHENTICATION, "v1", "SelfSubjectReview", "selfsubjectreviews", reviews::SELF, CLUSTER),
        (AUTHENTICATION, "v1", "TokenReview", "tokenreviews", reviews::TOKEN, CLUSTER),
    ];
    lines
        .into_iter()
        .filter_map(|(group, version, kind, plural, strategy, line)| {
            let (stored_group, stored_version) = line.stored_as.unwrap_or((group, version));
            let schema = Schema::Builtin(builtin::root(group, version, kind)?);
            Some(Arc::new(Resource {
                group: group.into(),
                version: version.into(),
                served_api_version: api_version(group, version),
                stored_api_version: api_version(stored_group, stored_version),
                kind: kind.into(),
                list_kind: format!("{kind}List"),
                plural: plural.into(),
                singular: kind.to_lowercase(),
                short_names: line.short.iter().map(|s| (*s).into()).collect(),
                categories: line.categories.iter().map(|s| (*s).into()).collect(),
                namespaced: !line.cluster,
                table: format!("{stored_group}/{plural}").into(),
                selectable: line.selectable.iter().map(|s| (*s).into()).collect(),
                columns: line.columns,
                has_status: line.status,
                scale: line.scale.then(|| Scale {
                    replicas: vec!["spec".into(), "replicas".into()],
                    status_replicas: vec!["status".into(), "replicas".into()],
                    selector: Some(vec!["spec".into(), "selector".into()]),
                }),
                generation: line.generation,
                revision: String::new(),
                strategy,
                schema,
            }))
        })
        .collect()
}
