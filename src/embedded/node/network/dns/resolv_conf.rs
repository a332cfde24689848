//! Both ends of name lookup as files: what a pod reads, and what the host has.

use std::net::{IpAddr, Ipv4Addr};

use super::name::DOMAIN;

/// `/etc/resolv.conf` of a pod in `namespace` with the usual `ClusterFirst`
/// policy; `server` is the cluster's name server.
pub fn for_pod(namespace: &str, server: Ipv4Addr) -> String {
    format!(
        "search {namespace}.svc.{DOMAIN} svc.{DOMAIN} {DOMAIN}\n\
         nameserver {server}\n\
         options ndots:5\n"
    )
}

/// The name servers that a `resolv.conf` lists.
pub(super) fn servers(text: &str) -> Vec<IpAddr> {
    let server = |line: &str| {
        let mut words = line.split_whitespace();
        (words.next() == Some("nameserver")).then(|| words.next()?.parse().ok()).flatten()
    };
    text.lines().filter_map(server).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_read_past_everything_else() {
        let text = "# nameserver 9.9.9.9\nsearch lan\nnameserver 10.0.0.1 # home\nnameserver ::1\n\
                    nameserver\noptions edns0\n";
        assert_eq!(servers(text), ["10.0.0.1".parse::<IpAddr>().unwrap(), "::1".parse().unwrap()]);
    }

    #[test]
    fn what_a_pod_gets_reads_back() {
        let server = Ipv4Addr::new(10, 96, 0, 10);
        let text = for_pod("shop", server);
        assert_eq!(servers(&text), [IpAddr::from(server)]);
        assert!(
            text.starts_with("search shop.svc.cluster.local svc.cluster.local cluster.local\n")
        );
    }
}
