//! The table of built-in kinds. A kind is served because it has a line in the table of its group.

use std::sync::{Arc, LazyLock};

use curtain_schema::builtin;

use super::columns::{self, Columns, Printer};
use super::{Resource, Scale, Schema, Strategy, Subresource, api_version};
use super::{
    apps, autoscaling, batch, coordination, core, discovery, events, extensions, metrics,
    networking, policy, rbac, registration, reviews, scheduling, storage,
};

/// What a line says about a kind; `PLAIN` is a namespaced kind with nothing special.
pub(super) struct Line {
    pub version: &'static str,
    pub kind: &'static str,
    pub plural: &'static str,
    pub short: &'static [&'static str],
    pub categories: &'static [&'static str],
    pub cluster: bool,
    pub strategy: Strategy,
    pub columns: Printer,
    pub selectable: &'static [&'static str],
    /// Besides `status` and `scale`.
    pub subresources: &'static [Subresource],
    pub status: bool,
    /// Replicas are where workloads have them.
    pub scale: bool,
    pub generation: bool,
    /// The resource whose objects these are, in another form: its group and version.
    pub stored_as: Option<(&'static str, &'static str)>,
}

pub(super) const PLAIN: Line = Line {
    version: "v1",
    kind: "",
    plural: "",
    short: &[],
    categories: &[],
    cluster: false,
    strategy: Strategy::PLAIN,
    columns: columns::PLAIN,
    selectable: &[],
    subresources: &[],
    status: false,
    scale: false,
    generation: false,
    stored_as: None,
};
pub(super) const CLUSTER: Line = Line { cluster: true, ..PLAIN };
/// `all` of `kubectl get all`.
pub(super) const ALL: &[&str] = &["all"];

const GROUPS: [(&str, &[Line]); 17] = [
    ("", core::KINDS),
    (registration::GROUP, registration::KINDS),
    ("apiextensions.k8s.io", extensions::KINDS),
    ("apps", apps::KINDS),
    ("authentication.k8s.io", reviews::AUTHENTICATION),
    ("authorization.k8s.io", reviews::AUTHORIZATION),
    ("autoscaling", autoscaling::KINDS),
    ("batch", batch::KINDS),
    ("coordination.k8s.io", coordination::KINDS),
    ("discovery.k8s.io", discovery::KINDS),
    ("events.k8s.io", events::KINDS),
    (metrics::GROUP, metrics::KINDS),
    ("networking.k8s.io", networking::KINDS),
    ("policy", policy::KINDS),
    (rbac::GROUP, rbac::KINDS),
    (scheduling::GROUP, scheduling::KINDS),
    ("storage.k8s.io", storage::KINDS),
];

/// Is this the group and plural of a built-in resource, in whatever version?
pub(super) fn is_served(group: &str, plural: &str) -> bool {
    static NAMES: LazyLock<Vec<(String, String)>> =
        LazyLock::new(|| resources().iter().map(|r| (r.group.clone(), r.plural.clone())).collect());
    NAMES.iter().any(|(g, p)| g == group && p == plural)
}

/// All built-in resources.
pub(crate) fn resources() -> Vec<Arc<Resource>> {
    let lines =
        GROUPS.iter().flat_map(|(group, lines)| lines.iter().map(move |line| (*group, line)));
    lines.filter_map(|(group, line)| resource(group, line).map(Arc::new)).collect()
}

fn resource(group: &str, line: &Line) -> Option<Resource> {
    let (stored_group, stored_version) = line.stored_as.unwrap_or((group, line.version));
    let strings = |list: &[&str]| list.iter().map(|s| (*s).into()).collect();
    Some(Resource {
        group: group.into(),
        version: line.version.into(),
        served_api_version: api_version(group, line.version),
        stored_api_version: api_version(stored_group, stored_version),
        kind: line.kind.into(),
        list_kind: format!("{}List", line.kind),
        plural: line.plural.into(),
        singular: line.kind.to_lowercase(),
        short_names: strings(line.short),
        categories: strings(line.categories),
        namespaced: !line.cluster,
        table: format!("{stored_group}/{}", line.plural).into(),
        selectable: strings(line.selectable),
        columns: Columns::Builtin(line.columns),
        subresources: line.subresources,
        has_status: line.status,
        scale: line.scale.then(|| Scale {
            replicas: vec!["spec".into(), "replicas".into()],
            status_replicas: vec!["status".into(), "replicas".into()],
            selector: Some(vec!["spec".into(), "selector".into()]),
        }),
        generation: line.generation,
        revision: String::new(),
        ending: false,
        strategy: line.strategy,
        schema: Schema::Builtin(builtin::root(group, line.version, line.kind)?),
        reading: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_served() {
        let lines: usize = GROUPS.iter().map(|(_, lines)| lines.len()).sum();
        assert_eq!(resources().len(), lines, "a kind has no schema");
    }

    #[test]
    fn cells_are_as_many_as_headings() {
        let now = jiff::Timestamp::UNIX_EPOCH;
        for resource in resources() {
            let cells = resource.columns.cells(&serde_json::json!({}), now);
            assert_eq!(cells.len(), resource.columns.headings().len(), "{}", resource.kind);
        }
    }
}
