//! The `resolv.conf` of a pod, from its DNS policy and its own settings.

use std::net::{IpAddr, Ipv4Addr};

use k8s_openapi::api::core::v1::{PodDNSConfig, PodSpec};

use crate::node::network::ResolvConf;

/// Most that a pod can have of each, the C library's limit of servers and Kubernetes' of domains.
const SERVERS: usize = 3;
const DOMAINS: usize = 32;

/// The file's content; `cluster` is the cluster's name server, `host` what the machine's own file says.
pub(super) fn of(spec: &PodSpec, namespace: &str, cluster: Ipv4Addr, host: &str) -> ResolvConf {
    let policy = spec.dns_policy.as_deref().unwrap_or("ClusterFirst");
    let on_host = spec.host_network == Some(true);
    let mut conf = match policy {
        "None" => ResolvConf::default(),
        "ClusterFirst" if !on_host => ResolvConf::cluster(namespace, cluster),
        "ClusterFirstWithHostNet" => ResolvConf::cluster(namespace, cluster),
        _ => {
            let mut conf = ResolvConf::parse(host);
            // A resolver on the machine's loopback cannot be reached from a pod; the cluster's asks it.
            if !on_host && conf.servers.iter().any(IpAddr::is_loopback) {
                conf.servers = vec![cluster.into()];
            }
            conf
        }
    };
    if let Some(own) = &spec.dns_config {
        add(&mut conf, own);
    }
    conf.servers.truncate(SERVERS);
    conf.search.truncate(DOMAINS);
    conf
}

/// Adds a pod's own settings: servers and domains behind those of its policy, options in place of them.
fn add(conf: &mut ResolvConf, own: &PodDNSConfig) {
    for server in own.nameservers.iter().flatten().filter_map(|one| one.parse::<IpAddr>().ok()) {
        if !conf.servers.contains(&server) {
            conf.servers.push(server);
        }
    }
    for domain in own.searches.iter().flatten() {
        if !conf.search.contains(domain) {
            conf.search.push(domain.clone());
        }
    }
    for option in own.options.iter().flatten() {
        let Some(name) = &option.name else { continue };
        conf.options.retain(|one| one.split(':').next() != Some(name));
        conf.options.push(match &option.value {
            Some(value) => format!("{name}:{value}"),
            None => name.clone(),
        });
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const HOST: &str = "nameserver 127.0.0.53\nsearch lan\noptions edns0\n";

    fn text(spec: Value) -> String {
        let mut spec = spec;
        spec["containers"] = json!([]);
        let spec = serde_json::from_value(spec).unwrap();
        of(&spec, "shop", Ipv4Addr::new(10, 96, 0, 10), HOST).to_string()
    }

    #[test]
    fn a_pods_own_settings_go_with_its_policys() {
        let own = json!({"nameservers": ["10.96.0.10", "192.0.2.1"], "searches": ["corp", "cluster.local"],
            "options": [{"name": "ndots", "value": "2"}, {"name": "edns0"}]});
        let domains = "shop.svc.cluster.local svc.cluster.local cluster.local";
        assert_eq!(
            text(json!({"dnsConfig": own})),
            format!(
                "search {domains} corp\nnameserver 10.96.0.10\nnameserver 192.0.2.1\noptions ndots:2 edns0\n"
            )
        );
        assert_eq!(
            text(json!({"dnsPolicy": "None", "dnsConfig": {"nameservers": ["192.0.2.1"]}})),
            "nameserver 192.0.2.1\n"
        );
    }

    #[test]
    fn the_machines_resolver_is_asked_where_it_can_be_reached() {
        let rest = "search lan\nnameserver 10.96.0.10\noptions edns0\n";
        assert_eq!(text(json!({"dnsPolicy": "Default"})), rest);
        // On the host's network ClusterFirst falls back to the machine's own file.
        assert_eq!(
            text(json!({"hostNetwork": true})),
            "search lan\nnameserver 127.0.0.53\noptions edns0\n"
        );
    }
}
