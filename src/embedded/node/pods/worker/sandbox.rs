//! The pod's sandbox: shim, address, sockets, volumes.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kube::ResourceExt;
use tokio::sync::mpsc::UnboundedReceiver;

use super::Worker;
use crate::ClusterConfig;
use crate::host_port;
use crate::node::link::{self, Ended, ShimLink};
use crate::node::network::PodIdentity;
use crate::node::pods::build;
use crate::node::pods::context::Context;
use crate::node::pods::events::Severity;
use crate::node::pods::{host_ports, ignored, volumes};
use crate::node::shim::PodSetup;

/// Longest time for a shim to end once its containers have.
const END_LIMIT: Duration = Duration::from_secs(10);

/// Milliseconds until the removal of what a pod has left is tried again after it has failed. The next node tries, too.
const REMOVE_AGAIN: [u64; 6] = [100, 500, 2_000, 10_000, 30_000, 60_000];

/// When volumes are read again after that has failed.
const REFRESH_AGAIN: Duration = Duration::from_secs(20);

/// A running shim.
pub(super) struct Sandbox {
    pub(super) link: ShimLink,
    pub(super) ended: UnboundedReceiver<Ended>,
    /// None on the host's network.
    pub(super) ip: Option<Ipv4Addr>,
    /// Ports of the host that lead into the pod.
    pub(super) ports: Option<host_ports::Open>,
}

impl Worker {
    /// Makes sandbox and volumes if they are not there, and refreshes volumes that are due. `false` after a failure,
    /// which is tried again later.
    pub(super) async fn prepare(&mut self) -> bool {
        if self.sandbox.is_none() {
            if let Err(message) = self.open_sandbox().await {
                self.set_back("FailedCreatePodSandBox", &message);
                return false;
            }
            // What it takes from now on is seen, whatever it has to wait for until its containers run.
            self.post();
        }
        let due = match &self.volumes {
            None => true,
            Some(prepared) => prepared.again_at.is_some_and(|at| at <= Instant::now()),
        };
        if due {
            let dir = self.places.volumes();
            let Some(shim) = self.sandbox.as_ref().map(|sandbox| sandbox.link.clone()) else {
                return false;
            };
            let mut tokens = std::mem::take(&mut self.tokens);
            let (fields, objects) = (self.fields(), &self.objects);
            let (dirs, before) = ((&*dir, &*self.ctx.config.volumes_dir()), self.volumes.as_ref());
            let made =
                volumes::prepare(&self.spec, dirs, before, &mut tokens, fields, objects, &shim)
                    .await;
            self.tokens = tokens;
            match (made, &mut self.volumes) {
                (Ok(prepared), volumes) => *volumes = Some(prepared),
                // What was there is there still, and good enough to start containers with.
                (Err(message), Some(before)) => {
                    before.again_at = Some(Instant::now() + REFRESH_AGAIN);
                    self.tell_failure("FailedMount", &message);
                }
                (Err(message), None) => {
                    self.set_back("FailedMount", &message);
                    return false;
                }
            }
        }
        true
    }

    fn set_back(&mut self, reason: &'static str, message: &str) {
        if self.setback.failed(message) {
            self.tell_failure(reason, message);
        }
    }

    pub(super) fn tell_failure(&self, reason: &'static str, message: &str) {
        self.ctx.events.report(&self.pod, None, Severity::Warning, reason, message);
    }

    async fn open_sandbox(&mut self) -> Result<(), String> {
        // Which addresses are others' is known only once all pods have been listed, and those that run taken over.
        self.ctx.network.settled().await;
        self.tell_ignored();
        let host_network = self.spec.host_network == Some(true);
        if !host_network && self.address.is_none() {
            let free = self.ctx.addresses().take();
            self.address = Some(free.ok_or("all pod addresses are in use")?);
        }
        let ports = self.open_ports(self.address).await?;
        self.sandbox = Some(self.make_sandbox(self.address, ports).await?);
        Ok(())
    }

    /// Listens on the ports of the host that the pod asks for, and says which of them it does not get.
    pub(super) async fn open_ports(
        &self,
        ip: Option<Ipv4Addr>,
    ) -> Result<Option<host_ports::Open>, String> {
        let wanted = host_port::of(&self.spec);
        let Some(ip) = ip.filter(|_| !wanted.is_empty()) else { return Ok(None) };
        let ranges = &self.ctx.config.reach.node_port_addresses;
        let (open, refused) = host_ports::open(&wanted, ranges, ip, &self.ctx.network).await?;
        for why in refused {
            self.tell_failure("HostPortNotServed", &why);
        }
        Ok(Some(open))
    }

    /// Says what the pod asks for in vain.
    fn tell_ignored(&self) {
        let fields: Vec<&str> = ignored::fields(&self.pod).into_iter().collect();
        if !fields.is_empty() {
            let text = format!("This node does not support, and ignores: {}", fields.join(", "));
            self.ctx.events.report(&self.pod, None, Severity::Warning, "FieldsIgnored", text);
        }
    }

    async fn make_sandbox(
        &self,
        ip: Option<Ipv4Addr>,
        ports: Option<host_ports::Open>,
    ) -> Result<Sandbox, String> {
        let shown = ip.unwrap_or(self.ctx.host_ip);
        let socket = self.ctx.supervisor.start_shim(&self.uid).await?;
        let (link, ended) = ShimLink::new(socket).map_err(|error| error.to_string())?;
        let setup = PodSetup {
            ip,
            hostname: build::hostname(&self.pod),
            config: self.ctx.config.path(),
            dir: self.places.dir.clone(),
            files: build::network_files(
                &self.ctx.config,
                &self.ctx.machine.resolvers,
                &self.pod,
                shown,
            ),
            shared_processes: self.spec.share_process_namespace == Some(true),
            memory_volumes: volumes::in_memory(&self.spec, &self.places.volumes()),
        };
        let sandbox = Sandbox { link, ended, ip, ports };
        let ready = match sandbox.link.set_up(setup).await {
            Ok(()) => self.attach(&sandbox).await,
            Err(error) => Err(error.to_string()),
        };
        if let Err(message) = ready {
            let _ = sandbox.link.shut_down(Duration::ZERO).await;
            return Err(message);
        }
        Ok(sandbox)
    }

    /// Lets the network serve the pod.
    pub(super) async fn attach(&self, sandbox: &Sandbox) -> Result<(), String> {
        let Some(ip) = sandbox.ip else {
            return Ok(());
        };
        let sockets = sandbox.link.sockets().await.map_err(|error| error.to_string())?;
        let identity = PodIdentity {
            uid: self.uid.clone(),
            namespace: self.pod.namespace().unwrap_or_default(),
            name: self.pod.name_any(),
            ip,
        };
        let (network, link, uid) =
            (self.ctx.network.clone(), sandbox.link.clone(), self.uid.clone());
        let refill = move |count: usize| {
            let (network, link, uid) = (network.clone(), link.clone(), uid.clone());
            tokio::spawn(async move {
                match link.dial_sockets(count).await {
                    Ok(sockets) => network.add_dial_sockets(&uid, sockets),
                    Err(error) => tracing::debug!(%error, "no more sockets for the pod"),
                }
            });
        };
        self.ctx
            .network
            .attach(identity, sockets, Box::new(refill))
            .map_err(|error| format!("cannot serve the pod's network: {error}"))
    }

    /// Ends the sandbox for good and waits for it. Then everybody knows: what follows may take a while.
    pub(super) async fn close_sandbox(&mut self, grace: Duration) {
        if let Some(sandbox) = self.sandbox.take() {
            self.shut_down(sandbox, grace).await;
            self.post();
        }
        if let Some(ip) = self.address.take() {
            self.ctx.addresses().give_back(ip);
        }
    }

    async fn shut_down(&mut self, mut sandbox: Sandbox, grace: Duration) {
        self.probing.clear();
        self.release(&sandbox);
        if let Err(error) = sandbox.link.shut_down(grace).await {
            tracing::warn!(pod = self.pod.name_any(), %error, "the shim did not take leave");
        }
        let ended = async {
            while let Some(ended) = sandbox.ended.recv().await {
                if let Ended::Shim = ended {
                    return;
                }
            }
        };
        if tokio::time::timeout(grace + END_LIMIT, ended).await.is_err() {
            tracing::warn!(pod = self.pod.name_any(), "the shim has not ended");
        }
    }

    /// Ends what the network does for a sandbox.
    pub(super) fn release(&self, sandbox: &Sandbox) {
        sandbox.ports.iter().for_each(host_ports::Open::close);
        if sandbox.ip.is_some() {
            self.ctx.network.detach(&self.uid);
        }
    }

    /// Has the pod's files removed but its logs, unless they are being removed.
    pub(super) fn remove_dir(&mut self) {
        // Each removal has a shim of that name, and ends the other's.
        if self.removing.as_ref().is_some_and(|removing| !removing.is_finished()) {
            return;
        }
        self.remove_later(Removal::of(&self.uid, vec![self.places.dir.clone()]));
    }

    /// Removes the pod's files; its logs too, as nobody can ask for them any more. What cannot be removed at once is later.
    pub(super) async fn remove_files(&mut self) {
        // Each has a shim of that name.
        if let Some(removing) = self.removing.take() {
            removing.abort();
        }
        let paths = vec![self.places.dir.clone(), self.places.logs.clone()];
        let mut removal = Removal::of(&self.uid, paths);
        if !removal.is_done(&self.ctx).await {
            self.remove_later(removal);
        }
    }

    fn remove_later(&mut self, removal: Removal) {
        let ctx = self.ctx.clone();
        let task = tokio::spawn(async move { removal.finish(&ctx).await });
        self.removing = Some(task.abort_handle());
    }
}

/// Ends a shim whose pod's object is gone, and removes what is left of the pod.
pub(in crate::node::pods) async fn end_stray(ctx: Arc<Context>, uid: String, socket: OwnedFd) {
    match ShimLink::new(socket) {
        Ok((link, mut ended)) => {
            let _ = link.shut_down(Duration::ZERO).await;
            let gone = async { while !matches!(ended.recv().await, Some(Ended::Shim) | None) {} };
            let _ = tokio::time::timeout(END_LIMIT, gone).await;
        }
        Err(error) => tracing::warn!(%error, "cannot reach a shim without a pod"),
    }
    remove_stray(ctx, uid).await;
}

/// Removes what is left of a pod whose object and shim are gone.
pub(in crate::node::pods) async fn remove_stray(ctx: Arc<Context>, uid: String) {
    let mut paths = vec![ctx.config.pods_dir().join(&uid)];
    paths.extend(names(&ctx.config.logs_dir()).into_iter().filter_map(|name| {
        let own = name.rsplit_once('_').is_some_and(|(_, owner)| owner == uid);
        own.then(|| ctx.config.logs_dir().join(name))
    }));
    Removal::of(&uid, paths).finish(&ctx).await;
}

/// Uids of the pods that have left files.
pub(in crate::node::pods) fn with_files(config: &ClusterConfig) -> BTreeSet<String> {
    let logs = names(&config.logs_dir()).into_iter();
    let logs = logs.filter_map(|name| Some(name.rsplit_once('_')?.1.to_owned()));
    names(&config.pods_dir()).into_iter().chain(logs).collect()
}

fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

/// The removal of what a pod has left. The files are root's and the containers' users'. Nobody asks for it a second time:
/// what removes them may be killed, and what has them may be slow to end.
struct Removal {
    uid: String,
    paths: Vec<PathBuf>,
    /// Before each try that is left.
    pauses: std::vec::IntoIter<Duration>,
}

impl Removal {
    fn of(uid: &str, paths: Vec<PathBuf>) -> Self {
        let pauses = [0].into_iter().chain(REMOVE_AGAIN).map(Duration::from_millis);
        let pauses = pauses.collect::<Vec<_>>().into_iter();
        Self { uid: uid.to_owned(), paths, pauses }
    }

    /// Tries once more; whether there is nothing left to do.
    async fn is_done(&mut self, ctx: &Context) -> bool {
        let Some(pause) = self.pauses.next() else { return true };
        tokio::time::sleep(pause).await;
        let (paths, group) = (self.paths.clone(), Some(format!("pods/{}", self.uid)));
        let removed = link::remove(&ctx.supervisor, &ctx.config, &self.uid, paths, group).await;
        if let Err(error) = &removed {
            tracing::warn!(pod = self.uid, error, "not all of a pod's files were removed");
        }
        removed.is_ok()
    }

    async fn finish(mut self, ctx: &Context) {
        while !self.is_done(ctx).await {}
    }
}
