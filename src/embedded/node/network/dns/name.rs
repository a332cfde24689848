//! What a name inside the cluster asks for.

use std::net::Ipv4Addr;

/// The cluster's domain.
pub(super) const DOMAIN: &str = "cluster.local";

/// A parsed name; labels are lower case.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked<'a> {
    /// Not below the cluster's domain.
    Outside,
    /// The domain itself, `svc`, `pod`: exists and has no records.
    Inner,
    /// `<namespace>.svc` or `.pod`: exists when the namespace has Services.
    Namespace(&'a str),
    /// `<service>.<namespace>.svc`.
    Service(&'a str, &'a str),
    /// `<endpoint>.<service>.<namespace>.svc`.
    Endpoint(&'a str, &'a str, &'a str),
    /// `_<port>._<protocol>.<service>.<namespace>.svc`.
    Port(&'a str, &'a str, &'a str, &'a str),
    /// `<a-b-c-d>.<namespace>.pod`.
    Pod(Ipv4Addr),
    /// `<d.c.b.a>.in-addr.arpa`.
    Reverse(Ipv4Addr),
    /// `localhost` and below.
    Localhost,
    /// Below the domain, and nothing has that shape.
    Nothing,
}

/// Parse a name without its final dot.
pub(super) fn parse(name: &str) -> Asked<'_> {
    if name == "localhost" || name.ends_with(".localhost") {
        return Asked::Localhost;
    }
    if let Some(reversed) = name.strip_suffix(".in-addr.arpa") {
        return reverse(reversed).map_or(Asked::Outside, Asked::Reverse);
    }
    let inner = match name.strip_suffix(DOMAIN) {
        Some("") => return Asked::Inner,
        Some(inner) => match inner.strip_suffix('.') {
            Some(inner) => inner,
            None => return Asked::Outside,
        },
        None => return Asked::Outside,
    };
    let labels: Vec<&str> = inner.split('.').collect();
    match labels[..] {
        ["svc" | "pod"] => Asked::Inner,
        [namespace, "svc" | "pod"] => Asked::Namespace(namespace),
        [service, namespace, "svc"] => Asked::Service(service, namespace),
        [protocol, _, _, "svc"] if protocol.starts_with('_') => Asked::Nothing,
        [endpoint, service, namespace, "svc"] => Asked::Endpoint(endpoint, service, namespace),
        [port, protocol, service, namespace, "svc"] => {
            match (port.strip_prefix('_'), protocol.strip_prefix('_')) {
                (Some(port), Some(protocol)) => Asked::Port(port, protocol, service, namespace),
                _ => Asked::Nothing,
            }
        }
        [address, _, "pod"] => dashed(address).map_or(Asked::Nothing, Asked::Pod),
        _ => Asked::Nothing,
    }
}

/// `10-244-0-5` as an address.
pub(super) fn dashed(label: &str) -> Option<Ipv4Addr> {
    label.replace('-', ".").parse().ok()
}

fn reverse(labels: &str) -> Option<Ipv4Addr> {
    let address: Ipv4Addr = labels.parse().ok()?;
    Some(Ipv4Addr::from_bits(address.to_bits().swap_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_is_told_apart() {
        let cases = [
            ("web.shop.svc.cluster.local", Asked::Service("web", "shop")),
            ("db-0.db.shop.svc.cluster.local", Asked::Endpoint("db-0", "db", "shop")),
            ("_sql._tcp.db.shop.svc.cluster.local", Asked::Port("sql", "tcp", "db", "shop")),
            ("_tcp.db.shop.svc.cluster.local", Asked::Nothing),
            ("10-244-0-5.shop.pod.cluster.local", Asked::Pod(Ipv4Addr::new(10, 244, 0, 5))),
            ("web.shop.pod.cluster.local", Asked::Nothing),
            ("shop.svc.cluster.local", Asked::Namespace("shop")),
            ("svc.cluster.local", Asked::Inner),
            ("cluster.local", Asked::Inner),
            ("notcluster.local", Asked::Outside),
            ("web.shop.svc", Asked::Outside),
            ("example.org", Asked::Outside),
            ("localhost", Asked::Localhost),
            ("api.openchoreo.localhost", Asked::Localhost),
            ("5.0.244.10.in-addr.arpa", Asked::Reverse(Ipv4Addr::new(10, 244, 0, 5))),
            ("0.244.10.in-addr.arpa", Asked::Outside),
        ];
        for (name, asked) in cases {
            assert_eq!(parse(name), asked, "{name}");
        }
    }
}
