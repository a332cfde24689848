//! `/@<first label>/…`: a route's host, written as the start of a path.

use super::router::Port;

/// A request in the path form.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PathForm<'a> {
    /// For `host`; `path` is what follows `prefix`.
    Inside { host: &'a str, prefix: String, path: &'a str },
    /// The prefix without the slash that relative links need.
    Bare(String),
}

/// Read the path form, unless a route has `host` itself. Of several hosts with
/// the same first label the alphabetically first is meant.
pub(super) fn read<'a>(port: &'a Port, host: &str, path: &'a str) -> Option<PathForm<'a>> {
    let rest = path.strip_prefix("/@")?;
    if port.knows(host) {
        return None;
    }
    let (label, rest) = match rest.find('/') {
        Some(slash) => rest.split_at(slash),
        None => (rest, ""),
    };
    let label = label.to_ascii_lowercase();
    let named = |host: &&str| host.split('.').next() == Some(&label);
    let host = port.exact_hosts().filter(named).min()?;
    let prefix = format!("/@{label}");
    Some(match rest {
        "" => PathForm::Bare(prefix),
        path => PathForm::Inside { host, prefix, path },
    })
}
