//! NetworkPolicies: which pods may talk.
//!
//! [`compile`] makes what a policy says small and quick to ask, [`rules`] keeps it with what is known of pods and
//! namespaces, [`verdict`] answers for one connection. All three are without a clock, a client or a socket.
//!
//! Invariants:
//! - a connection of a pod needs the leave of the policies that select its source, for `Egress`, and of those that
//!   select its destination, for `Ingress`; a pod that none selects in a direction is free in it;
//! - what is judged is the pod that is really reached, and its own port: Services have been resolved before;
//! - the node is always let in (probes, port-forwards, front doors, node ports, webhooks), and a pod always reaches
//!   itself;
//! - whoever is attached is known here before its first connection, and policies and namespaces have been listed;
//! - memory grows with policies and pods, never with connections; where there is no policy, nothing is looked up.
//!
//! What is no pod looks like this to the rules of a pod's `egress`:
//!
//! | destination | matched by |
//! |---|---|
//! | the name server | selectors, as a pod of `kube-system` with the label `k8s-app: kube-dns` and the ports `dns` (UDP) and `dns-tcp`; blocks with the address of its Service |
//! | the API server | blocks with the address of `default/kubernetes` or that of its endpoint, if they except neither; either's port |
//! | everything outside | blocks |
//!
//! The name server is part of the node: policies of `kube-system` do not shut it off.
//!
//! What a pod sends to an address of the machine, and the machine back to a node port, comes from the machine.
//!
//! A connection that is not let through is reset, a datagram is lost. A connection that the rules of a later time no
//! longer allow is reset, and a session of datagrams forgotten, when these rules come.

#[cfg(test)]
pub(in crate::node::network) mod cases;
mod compile;
mod rules;
#[cfg(test)]
mod tests;
mod verdict;

use std::sync::{PoisonError, RwLock};

use tokio::sync::watch;

use super::decide::{Refusal, Route, Source};
use super::index::Protocol;
use super::settings::Settings;

pub(super) use self::compile::Policy;
pub(super) use self::rules::Rules;

/// The rules of the moment, and word of their changes.
pub(super) struct Policies {
    rules: RwLock<Rules>,
    changes: watch::Sender<()>,
}

/// Sees the changes that come after it was made.
pub(super) type Changes = watch::Receiver<()>;

impl Default for Policies {
    fn default() -> Self {
        Self { rules: RwLock::default(), changes: watch::Sender::new(()) }
    }
}

impl Policies {
    /// Whether `source` may have what it asks for on its `route`.
    ///
    /// # Errors
    /// [`Refusal::EgressDenied`] or [`Refusal::IngressDenied`].
    pub(super) fn admit(
        &self,
        settings: &Settings,
        source: Source,
        route: Route,
        protocol: Protocol,
    ) -> Result<(), Refusal> {
        let rules = self.rules.read().unwrap_or_else(PoisonError::into_inner);
        verdict::verdict(&rules, settings, source, route, protocol)
    }

    /// To be asked for before a connection is judged, so that no change is missed.
    pub(super) fn changes(&self) -> Changes {
        self.changes.subscribe()
    }

    /// Change the rules; `change` says whether a verdict may be another one now, which is what is returned, too.
    pub(super) fn change(&self, change: impl FnOnce(&mut Rules) -> bool) -> bool {
        let changed = change(&mut self.rules.write().unwrap_or_else(PoisonError::into_inner));
        if changed {
            self.changes.send_replace(());
        }
        changed
    }
}
