//! `/api/v1/namespaces/{ns}/{plural}/{name}/{subresource}` and its relatives.

use super::super::status::ApiError;

/// The parts of a resource path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ResourcePath {
    /// API group, empty for core.
    pub group: String,
    /// API version.
    pub version: String,
    /// Namespace, empty when the path names none.
    pub namespace: String,
    /// Plural resource.
    pub plural: String,
    /// Object name, empty for a collection.
    pub name: String,
    /// Subresource, empty for the object itself.
    pub subresource: String,
    /// What follows `nodes/{name}/proxy`, without a slash at its ends.
    pub rest: String,
}

impl ResourcePath {
    /// `None` when the path is not below a group and version.
    pub(crate) fn parse(path: &str) -> Result<Option<Self>, ApiError> {
        let mut parts = path.trim_matches('/').split('/');
        let group = match parts.next() {
            Some("api") => "",
            Some("apis") => match parts.next() {
                Some(group) => group,
                None => return Ok(None),
            },
            _ => return Ok(None),
        };
        let Some(version) = parts.next() else { return Ok(None) };
        let rest = parts.map(decoded).collect::<Result<Vec<_>, _>>()?;
        let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
        let (namespace, mut rest) = match rest.as_slice() {
            [] => return Ok(None),
            ["namespaces", name, sub @ ("status" | "finalize")] => {
                ("", vec!["namespaces", *name, *sub])
            }
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (*namespace, rest.to_vec()),
            other => ("", other.to_vec()),
        };
        let behind = match (group, rest.as_slice()) {
            ("", ["nodes", _, "proxy", ..]) => rest.split_off(3).join("/"),
            _ => String::new(),
        };
        if rest.len() > 3 || rest.iter().any(|part| part.is_empty()) {
            return Err(ApiError::no_such_path());
        }
        let part = |at: usize| rest.get(at).copied().unwrap_or_default().to_owned();
        Ok(Some(Self {
            group: group.into(),
            version: version.into(),
            namespace: namespace.into(),
            plural: part(0),
            name: part(1),
            subresource: part(2),
            rest: behind,
        }))
    }
}

fn decoded(part: &str) -> Result<String, ApiError> {
    super::query::percent_decode(part, false).ok_or_else(|| {
        ApiError::bad_request(format!("the path segment {part:?} is not valid UTF-8"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(path: &str) -> String {
        let p = ResourcePath::parse(path).unwrap().unwrap();
        [p.group, p.version, p.namespace, p.plural, p.name, p.subresource].join("|")
    }

    #[test]
    fn paths_are_taken_apart() {
        assert_eq!(parse("/api/v1/pods"), "|v1||pods||");
        assert_eq!(parse("/api/v1/namespaces"), "|v1||namespaces||");
        assert_eq!(parse("/api/v1/namespaces/a"), "|v1||namespaces|a|");
        assert_eq!(parse("/api/v1/namespaces/a/finalize"), "|v1||namespaces|a|finalize");
        assert_eq!(parse("/api/v1/namespaces/a/pods/b/log"), "|v1|a|pods|b|log");
        assert_eq!(parse("/apis/apps/v1/namespaces/a/deployments"), "apps|v1|a|deployments||");
        assert_eq!(
            parse("/apis/r/v1/clusterroles/system%3Anode"),
            "r|v1||clusterroles|system:node|"
        );
        for path in ["/api", "/api/v1", "/apis/apps", "/apis/apps/v1/", "/version"] {
            assert!(ResourcePath::parse(path).unwrap().is_none(), "{path}");
        }
        assert!(ResourcePath::parse("/api/v1/namespaces/a/pods/b/c/d").is_err());
        assert!(ResourcePath::parse("/api/v1/pods//log").is_err());
        assert!(ResourcePath::parse("/apis/x/v1/nodes/a/proxy/b").is_err());
    }

    #[test]
    fn what_is_behind_a_nodes_proxy_is_the_nodes() {
        let rest = |path: &str| ResourcePath::parse(path).unwrap().unwrap().rest;
        assert_eq!(parse("/api/v1/nodes/a/proxy/stats/summary"), "|v1||nodes|a|proxy");
        assert_eq!(rest("/api/v1/nodes/a/proxy/stats/summary"), "stats/summary");
        assert_eq!(rest("/api/v1/nodes/a/proxy/"), "");
        assert_eq!(rest("/api/v1/nodes/a/proxy/x%2Fy/z"), "x/y/z");
        assert_eq!(rest("/api/v1/nodes/a/status"), "");
    }
}
