//! Taking over a pod that an earlier node has left.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::time::Duration;

use k8s_openapi::api::core::v1::{ContainerStatus, PodStatus};

use super::Worker;
use super::containers::starts_slowly;
use super::sandbox::Sandbox;
use crate::node::link::{Ended, ShimError, ShimLink};
use crate::node::pods::runtime::{Runtime, Terminated};
use crate::node::shim::PodState;

impl Worker {
    /// Starts from what the API and, if the pod still runs, its shim tell.
    pub(super) async fn adopt(&mut self, shim: Option<OwnedFd>) {
        let status = self.pod.status.clone().unwrap_or_default();
        for one in statuses(&status) {
            self.runtimes.insert(one.name.clone(), Runtime::from_status(one));
        }
        let mut confirmed = BTreeSet::new();
        if let Some(socket) = shim {
            match self.adopt_shim(socket).await {
                Ok(found) => confirmed = found,
                Err(error) => {
                    let pod = self.pod.metadata.name.as_deref();
                    tracing::warn!(pod, %error, "the running pod was not adopted");
                }
            }
        }
        for container in self.containers() {
            let runtime = self.runtimes.entry(container.name.clone()).or_insert_with(Runtime::new);
            let lost = runtime.is_running() && !confirmed.contains(&container.name);
            if lost {
                runtime.forgive();
                let message = "The container ended while the node was not running";
                let end = Terminated::unseen("ContainerStatusUnknown", message, 137);
                self.apply_end(&container, end);
            }
        }
    }

    /// The names of the containers that the shim knows.
    async fn adopt_shim(&mut self, socket: OwnedFd) -> Result<BTreeSet<String>, ShimError> {
        let (link, ended) = ShimLink::new(socket)?;
        let state = match link.state().await {
            Ok(state) => state,
            Err(error) => {
                let _ = link.shut_down(Duration::ZERO).await;
                return Err(error);
            }
        };
        let Some(setup) = state.setup.clone() else {
            link.shut_down(Duration::ZERO).await?;
            return Ok(BTreeSet::new());
        };
        if setup.ip.is_some() && setup.ip != self.address {
            // The status was not written before the node ended.
            self.address = setup.ip.filter(|ip| self.ctx.addresses().keep(*ip));
        }
        let ports = self.open_ports(setup.ip).await.unwrap_or_else(|why| {
            // The pod runs, and whoever took the port meanwhile has it.
            self.tell_failure("HostPortNotServed", &why);
            None
        });
        let sandbox = Sandbox { link, ended, ip: setup.ip, ports };
        if let Err(message) = self.attach(&sandbox).await {
            self.release(&sandbox);
            let _ = sandbox.link.shut_down(Duration::ZERO).await;
            return Err(ShimError::Refused(message));
        }
        self.sandbox = Some(sandbox);
        let names = state.containers.iter().map(|one| one.name.clone()).collect();
        self.adopt_containers(state).await;
        Ok(names)
    }

    async fn adopt_containers(&mut self, state: PodState) {
        let status = self.pod.status.clone().unwrap_or_default();
        for found in state.containers {
            let Some(container) = self.find(&found.name) else {
                continue;
            };
            let known = statuses(&status).find(|one| one.name == found.name);
            let mut runtime = known.map_or_else(Runtime::new, Runtime::from_status);
            if runtime.finished().is_some() && found.exit.is_some() {
                continue;
            }
            runtime.attempt = found.attempt;
            runtime.running(
                found.started_at.clone(),
                known.map(|one| one.image_id.clone()).unwrap_or_default(),
                starts_slowly(&container),
            );
            runtime.started |= known.is_some_and(|one| one.started == Some(true));
            runtime.ready = runtime.started
                && (container.readiness_probe.is_none() || known.is_some_and(|one| one.ready));
            self.runtimes.insert(found.name.clone(), runtime);
            match found.exit {
                None => self.follow_start(&container),
                Some(exit) => {
                    let (name, attempt) = (found.name, found.attempt);
                    self.ended(Some(Ended::Container { name, attempt, exit })).await;
                }
            }
        }
    }
}

/// What the API knows of all containers.
fn statuses(status: &PodStatus) -> impl Iterator<Item = &ContainerStatus> {
    [
        &status.init_container_statuses,
        &status.container_statuses,
        &status.ephemeral_container_statuses,
    ]
    .into_iter()
    .flatten()
    .flatten()
}
