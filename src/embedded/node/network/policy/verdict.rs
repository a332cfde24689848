//! Whether one connection is let through.

use std::net::{Ipv4Addr, SocketAddr};

use super::compile::{Peer, Policy, Ports, Rule};
use super::rules::{Pod, Rules};
use crate::controllers::selects;
use crate::node::network::decide::{Refusal, Route, Source};
use crate::node::network::index::Protocol;
use crate::node::network::settings::Settings;

/// What a direction's rules are asked about.
struct Question<'a> {
    rules: &'a Rules,
    /// The other end, if it is a pod.
    peer: Option<&'a Pod>,
    /// Where the other end is; the API server is at more than one place.
    addresses: &'a [Ipv4Addr],
    /// The destination's, whoever's rules these are.
    ports: &'a [u16],
    /// The destination, if its ports can have names.
    destination: Option<&'a Pod>,
    protocol: Protocol,
}

/// The verdict on a connection from `source` that goes where `route` says.
///
/// # Errors
/// The direction in which it is not let through; the way out is asked for first.
pub(super) fn verdict(
    rules: &Rules,
    settings: &Settings,
    source: Source,
    route: Route,
    protocol: Protocol,
) -> Result<(), Refusal> {
    if rules.is_empty() {
        return Ok(());
    }
    // The node is always let in.
    let Source::Pod(from) = source else { return Ok(()) };
    let sender = rules.pod(from);
    let asks = |destination, addresses, ports| {
        let peer = destination;
        goes_out(sender, &Question { rules, peer, addresses, ports, destination, protocol })
    };
    let at = match route {
        Route::Pod(at) => at,
        Route::Outside(at) => return asks(None, &[*at.ip()], &[at.port()]),
        Route::Dns => {
            let at = settings.dns_service;
            return asks(Some(&rules.name_server), &[*at.ip()], &[at.port()]);
        }
        Route::Api(server) => {
            let service = settings.api_service;
            let addresses = match server {
                SocketAddr::V4(server) => [*service.ip(), *server.ip()],
                SocketAddr::V6(_) => [*service.ip(); 2],
            };
            return asks(None, &addresses, &[service.port(), server.port()]);
        }
    };
    if *at.ip() == from {
        return Ok(());
    }
    let receiver = rules.pod(*at.ip());
    let ports = &[at.port()];
    asks(receiver, &[*at.ip()], ports)?;
    let (peer, destination) = (sender, receiver);
    let question = Question { rules, peer, addresses: &[from], ports, destination, protocol };
    let isolated = receiver.map_or(&[][..], |pod| &pod.ingress);
    match allow(isolated, receiver, |policy| policy.ingress.as_deref(), &question) {
        true => Ok(()),
        false => Err(Refusal::IngressDenied),
    }
}

fn goes_out(sender: Option<&Pod>, question: &Question<'_>) -> Result<(), Refusal> {
    let isolated = sender.map_or(&[][..], |pod| &pod.egress);
    match allow(isolated, sender, |policy| policy.egress.as_deref(), question) {
        true => Ok(()),
        false => Err(Refusal::EgressDenied),
    }
}

/// Whether the policies that select `own` let through what is asked about: any of them does, or there is none.
fn allow<'a>(
    policies: &'a [std::sync::Arc<Policy>],
    own: Option<&Pod>,
    rules: impl Fn(&'a Policy) -> Option<&'a [Rule]>,
    question: &Question<'_>,
) -> bool {
    let namespace = own.map_or("", |pod| &pod.namespace);
    let mut all = policies.iter().filter_map(|policy| rules(policy)).flatten();
    policies.is_empty() || all.any(|rule| question.meets(rule, namespace))
}

impl Question<'_> {
    fn meets(&self, rule: &Rule, namespace: &str) -> bool {
        rule.ports.as_ref().is_none_or(|ports| ports.iter().any(|ports| self.is_for(ports)))
            && rule
                .peers
                .as_ref()
                .is_none_or(|peers| peers.iter().any(|peer| self.is_with(peer, namespace)))
    }

    fn is_for(&self, ports: &Ports) -> bool {
        match ports {
            Ports::Numbers(protocol, first, last) => {
                *protocol == self.protocol
                    && self.ports.iter().any(|port| (first..=last).contains(&port))
            }
            Ports::Named(protocol, name) => {
                let named = self.destination.iter().flat_map(|pod| &pod.ports);
                *protocol == self.protocol
                    && named.into_iter().any(|port| {
                        port.name == *name
                            && port.protocol == *protocol
                            && self.ports.contains(&port.number)
                    })
            }
            Ports::Nothing => false,
        }
    }

    /// `namespace` is the policy's own.
    fn is_with(&self, peer: &Peer, namespace: &str) -> bool {
        match peer {
            Peer::Pods { pods, namespaces } => self.peer.is_some_and(|pod| {
                let there = match namespaces {
                    None => *pod.namespace == *namespace,
                    Some(namespaces) => self
                        .rules
                        .with_namespace(&pod.namespace, |labels| selects(namespaces, Some(labels))),
                };
                there && selects(pods, Some(&pod.labels))
            }),
            Peer::Block { range, except } => {
                let any = |range: &crate::Cidr| self.addresses.iter().any(|ip| range.contains(*ip));
                any(range) && !except.iter().any(any)
            }
            Peer::Nobody => false,
        }
    }
}
