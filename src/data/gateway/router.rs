//! The compiled table that requests are matched against.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, Method};

use super::filter::Filters;
use super::host::Host;
use super::world::Key;

/// All listeners by port.
#[derive(Debug, Default)]
pub(super) struct Router {
    pub(super) ports: BTreeMap<u16, Port>,
}

/// The listeners of one port, the most precise host first.
#[derive(Debug, Default)]
pub(super) struct Port {
    pub(super) listeners: Vec<ListenerTable>,
}

/// What is attached to one listener, in order of precedence.
#[derive(Debug)]
pub(super) struct ListenerTable {
    pub(super) host: Host,
    pub(super) entries: Vec<Entry>,
}

/// One match of one rule for one host.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) host: Host,
    pub(super) path: PathMatch,
    pub(super) method: Option<Method>,
    pub(super) headers: Vec<(HeaderName, String)>,
    pub(super) query: Vec<(String, String)>,
    pub(super) rule: Arc<CompiledRule>,
}

/// How a path is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PathMatch {
    Exact(String),
    /// By elements, without a final slash: `/a` means `/a` and `/a/…`.
    Prefix(String),
}

/// What happens to a matched request.
#[derive(Debug, Default)]
pub(super) struct CompiledRule {
    pub(super) filters: Filters,
    pub(super) backends: Vec<Backend>,
    /// Until the answer starts; none when absent.
    pub(super) timeout: Option<Duration>,
}

/// A weighted backend, or why a share of the requests fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Backend {
    pub(super) weight: u32,
    /// `None` for a reference that does not resolve.
    pub(super) target: Option<Target>,
}

/// Where a backend is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Target {
    /// An address, or a name to look up.
    pub(super) host: String,
    pub(super) port: u16,
    /// Whether it speaks HTTP/2 without TLS.
    pub(super) h2c: bool,
    /// The Service that it is.
    pub(super) service: Key,
}

/// The parts of a request that are matched.
pub(super) struct Asked<'a> {
    /// Lower case, without port.
    pub(super) host: &'a str,
    pub(super) path: &'a str,
    pub(super) query: Option<&'a str>,
    pub(super) method: &'a Method,
    pub(super) headers: &'a HeaderMap,
}

impl Port {
    /// The first entry in order of precedence that means this request.
    pub(super) fn find(&self, asked: &Asked<'_>) -> Option<&Entry> {
        let listener = self.listeners.iter().find(|listener| listener.host.matches(asked.host))?;
        listener.entries.iter().find(|entry| entry.matches(asked))
    }

    /// Whether any route of the listener for this host serves it.
    pub(super) fn serves(&self, host: &str) -> bool {
        let listener = self.listeners.iter().find(|listener| listener.host.matches(host));
        listener.is_some_and(|found| found.entries.iter().any(|entry| entry.host.matches(host)))
    }

    /// Whether a route is there for exactly this host.
    pub(super) fn knows(&self, host: &str) -> bool {
        self.exact_hosts().any(|known| known == host)
    }

    /// Every host that a route names exactly.
    pub(super) fn exact_hosts(&self) -> impl Iterator<Item = &str> {
        let entries = self.listeners.iter().flat_map(|listener| &listener.entries);
        entries.filter_map(|entry| match &entry.host {
            Host::Exact(name) => Some(&**name),
            _ => None,
        })
    }
}

impl Entry {
    fn matches(&self, asked: &Asked<'_>) -> bool {
        self.host.matches(asked.host)
            && self.path.matches(asked.path)
            && self.method.as_ref().is_none_or(|method| method == asked.method)
            && self.headers.iter().all(|(name, value)| has_header(asked.headers, name, value))
            && self.query.iter().all(|(name, value)| has_parameter(asked.query, name, value))
    }
}

impl PathMatch {
    fn matches(&self, path: &str) -> bool {
        match self {
            Self::Exact(exact) => path == exact,
            Self::Prefix(prefix) => path
                .strip_prefix(prefix.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
        }
    }
}

/// Several headers of one name count as one, joined by commas.
fn has_header(headers: &HeaderMap, name: &HeaderName, value: &str) -> bool {
    let mut all = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    let Some(first) = all.next() else { return false };
    match all.next() {
        None => first == value,
        Some(second) => {
            [first, second].into_iter().chain(all).collect::<Vec<_>>().join(",") == value
        }
    }
}

/// The first parameter of that name counts.
fn has_parameter(query: Option<&str>, name: &str, value: &str) -> bool {
    let mut pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    pairs.find(|(key, _)| key == name).is_some_and(|(_, found)| found == value)
}

impl CompiledRule {
    /// The backend for the `turn`th request: shares are exact over time and
    /// spread evenly. `None` when no backend has a weight.
    pub(super) fn backend(&self, turn: u32) -> Option<&Backend> {
        let total: u64 = self.backends.iter().map(|backend| u64::from(backend.weight)).sum();
        // A Weyl sequence: multiples of the golden ratio fall evenly into [0, 2³²).
        let point = u64::from(turn.wrapping_mul(0x9E37_79B9));
        let mut place = ((u128::from(point) * u128::from(total)) >> 32) as u64;
        self.backends.iter().find(|backend| {
            let weight = u64::from(backend.weight);
            let hit = place < weight;
            place = place.saturating_sub(weight);
            hit
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_end_at_elements() {
        let prefix = PathMatch::Prefix("/a".into());
        assert!(prefix.matches("/a") && prefix.matches("/a/") && prefix.matches("/a/b"));
        assert!(!prefix.matches("/ab") && !prefix.matches("/"));
        assert!(PathMatch::Prefix(String::new()).matches("/anything"));
    }

    #[test]
    fn weights_are_kept_exactly() {
        let backend = |weight| Backend { weight, target: None };
        let rule = CompiledRule {
            backends: vec![backend(1), backend(0), backend(3)],
            ..CompiledRule::default()
        };
        let mut hits = [0; 3];
        for turn in 0..4000 {
            let chosen = rule.backend(turn).unwrap();
            let index = rule.backends.iter().position(|b| std::ptr::eq(b, chosen)).unwrap();
            hits[index] += 1;
        }
        assert!((995..=1005).contains(&hits[0]) && hits[1] == 0, "{hits:?}");
        let none = CompiledRule { backends: vec![backend(0)], ..CompiledRule::default() };
        assert_eq!(none.backend(1), None);
        assert_eq!(CompiledRule::default().backend(1), None);
    }

    #[test]
    fn headers_and_parameters_are_compared_whole() {
        let mut headers = HeaderMap::new();
        let name = HeaderName::from_static("x-a");
        headers.append(&name, "1".parse().unwrap());
        assert!(has_header(&headers, &name, "1"));
        headers.append(&name, "2".parse().unwrap());
        assert!(has_header(&headers, &name, "1,2") && !has_header(&headers, &name, "1"));
        assert!(has_parameter(Some("b=2&a=x%20y&a=z"), "a", "x y"));
        assert!(!has_parameter(Some("a=z"), "b", "z") && !has_parameter(None, "a", ""));
    }
}
