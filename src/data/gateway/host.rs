//! Host names, wildcards, and which of two is meant more precisely.

use std::cmp::Ordering;
use std::fmt;

/// A host name as listeners and routes give it; lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Host {
    /// Any host.
    Any,
    /// `*.example.org`, kept as `.example.org`: one label or more before it.
    Below(Box<str>),
    /// Exactly this one.
    Exact(Box<str>),
}

impl Host {
    /// Read a name; an empty one or none at all means any.
    pub(super) fn parse(name: Option<&str>) -> Self {
        match name.unwrap_or_default().to_ascii_lowercase() {
            name if name.is_empty() => Self::Any,
            name => match name.strip_prefix('*') {
                Some(rest) => Self::Below(rest.into()),
                None => Self::Exact(name.into()),
            },
        }
    }

    /// Whether a request for `host` (lower case, without port) is meant.
    pub(super) fn matches(&self, host: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(name) => **name == *host,
            Self::Below(rest) => host.len() > rest.len() && host.ends_with(&**rest),
        }
    }

    /// The names that both mean, if any: what a route gets of a listener.
    pub(super) fn intersect(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Self::Any, name) | (name, Self::Any) => Some(name.clone()),
            (Self::Exact(name), pattern) | (pattern, Self::Exact(name)) => {
                pattern.matches(name).then(|| Self::Exact(name.clone()))
            }
            (Self::Below(a), Self::Below(b)) => {
                let (short, long) = if a.len() < b.len() { (a, b) } else { (b, a) };
                long.ends_with(&**short).then(|| Self::Below(long.clone()))
            }
        }
    }

    /// Less is more precise: exact names, then longer wildcards, then any.
    pub(super) fn precision(&self, other: &Self) -> Ordering {
        let rank = |host: &Self| match host {
            Self::Exact(name) => (0, usize::MAX - name.len()),
            Self::Below(rest) => (1, usize::MAX - rest.len()),
            Self::Any => (2, 0),
        };
        rank(self).cmp(&rank(other))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Below(rest) => write!(f, "*{rest}"),
            Self::Exact(name) => f.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str) -> Host {
        Host::parse(Some(name))
    }

    #[test]
    fn wildcards_mean_one_label_or_more() {
        assert!(host("*.a.b").matches("x.a.b") && host("*.a.b").matches("y.x.a.b"));
        assert!(!host("*.a.b").matches("a.b") && !host("*.a.b").matches("xa.b"));
        assert!(host("A.b").matches("a.b"));
    }

    #[test]
    fn a_route_gets_what_its_listener_allows() {
        let meet = |a, b| host(a).intersect(&host(b)).map(|host| host.to_string());
        assert_eq!(meet("", "a.b").as_deref(), Some("a.b"));
        assert_eq!(meet("*.b", "a.b").as_deref(), Some("a.b"));
        assert_eq!(meet("*.b", "*.a.b").as_deref(), Some("*.a.b"));
        assert_eq!(meet("*.a.b", "*.b").as_deref(), Some("*.a.b"));
        assert_eq!(meet("*.b", "a.c"), None);
        assert_eq!(meet("a.b", "b.b"), None);
    }

    #[test]
    fn precise_names_come_first() {
        let mut hosts = ["", "*.b", "x.b", "*.a.b", "x.a.b"].map(host);
        hosts.sort_by(Host::precision);
        assert_eq!(hosts.map(|host| host.to_string()), ["x.a.b", "x.b", "*.a.b", "*.b", "*"]);
    }
}
