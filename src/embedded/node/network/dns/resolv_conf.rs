//! `resolv.conf` (resolv.conf(5)): what the host has, and what a pod is given.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use super::name::DOMAIN;

/// What a `resolv.conf` says.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct ResolvConf {
    /// Name servers, first first.
    pub servers: Vec<IpAddr>,
    /// Domains in which a short name is looked for.
    pub search: Vec<String>,
    /// Options, such as `ndots:5`.
    pub options: Vec<String>,
}

impl ResolvConf {
    /// Reads a file's text past everything it does not know; the last `search` counts.
    pub fn parse(text: &str) -> Self {
        let mut conf = Self::default();
        for line in text.lines() {
            // Comments may follow, too.
            let mut words =
                line.split_whitespace().take_while(|word| !word.starts_with(['#', ';']));
            let key = words.next();
            let words = words.map(str::to_owned);
            match key {
                Some("nameserver") => {
                    conf.servers.extend(words.take(1).filter_map(|one| one.parse::<IpAddr>().ok()));
                }
                Some("search") => conf.search = words.collect(),
                Some("domain") => conf.search = words.take(1).collect(),
                Some("options") => conf.options.extend(words),
                _ => {}
            }
        }
        conf
    }

    /// Of a pod in `namespace` whose names the cluster's `server` answers.
    pub fn cluster(namespace: &str, server: Ipv4Addr) -> Self {
        let search =
            [format!("{namespace}.svc.{DOMAIN}"), format!("svc.{DOMAIN}"), DOMAIN.to_owned()];
        Self {
            servers: vec![server.into()],
            search: search.into(),
            options: vec!["ndots:5".to_owned()],
        }
    }
}

impl fmt::Display for ResolvConf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.search.is_empty() {
            writeln!(f, "search {}", self.search.join(" "))?;
        }
        for server in &self.servers {
            writeln!(f, "nameserver {server}")?;
        }
        if !self.options.is_empty() {
            writeln!(f, "options {}", self.options.join(" "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_past_everything_else() {
        let text = "# nameserver 9.9.9.9\ndomain old\nsearch lan corp ; both\nnameserver 10.0.0.1 # home\n\
                    nameserver ::1\nnameserver\nsortlist 10.0.0.0\noptions edns0 trust-ad\n";
        let conf = ResolvConf::parse(text);
        assert_eq!(conf.servers, ["10.0.0.1".parse::<IpAddr>().unwrap(), "::1".parse().unwrap()]);
        assert_eq!(conf.search, ["lan", "corp"]);
        assert_eq!(conf.options, ["edns0", "trust-ad"]);
    }

    #[test]
    fn what_a_pod_gets_reads_back() {
        let conf = ResolvConf::cluster("shop", Ipv4Addr::new(10, 96, 0, 10));
        let text = conf.to_string();
        assert_eq!(
            text,
            "search shop.svc.cluster.local svc.cluster.local cluster.local\n\
             nameserver 10.96.0.10\noptions ndots:5\n"
        );
        assert_eq!(ResolvConf::parse(&text), conf);
    }
}
