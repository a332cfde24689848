//! The workloads of a run, and whether all is well with them: everything is ready and answers, the count did not go back,
//! the Job of the round has succeeded, and the node has the processes, files and control groups of its pods and no others.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use curtain_embedded::{Leftover, residue};
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{
    ContainerStateTerminated, ContainerStatus, PersistentVolumeClaim, Pod, Service,
};
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::{Api, Client, ResourceExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::Outcome;
use crate::door::ask;
use crate::instance::Instance;
use crate::manifests::{self, COMPLETIONS, WEBS};
use crate::process::{self, Role};

/// One request may wait for a node that is not there for a while, and have to be sent again.
const REQUEST: Duration = Duration::from_secs(15);
/// How often something that has failed is tried.
const TRIES: usize = 20;

/// What a look shows.
pub(crate) enum Verdict {
    Settled,
    /// It can still become well.
    NotYet(String),
    /// It will not.
    Wrong(String),
}

pub(crate) struct Workloads {
    client: Client,
    doors: Vec<SocketAddr>,
    /// The Job of this round.
    job: Option<String>,
    /// The number that was counted to, and read, last.
    counted: u64,
    /// The volume that it is kept in.
    volume: Option<String>,
}

impl Workloads {
    /// Services that the host reaches.
    pub(crate) const DOORS: [&'static str; 3] = ["web", "visitor", "tally"];

    pub(crate) async fn start(instance: &Instance) -> Outcome<Self> {
        let client = instance.client().await?;
        for name in Self::DOORS {
            create::<Service>(&client, &manifests::service(name)).await?;
        }
        for deployment in manifests::deployments() {
            create::<Deployment>(&client, &deployment).await?;
        }
        create::<StatefulSet>(&client, &manifests::stateful_set()).await?;
        let doors = instance.config.front_doors.iter().map(|door| door.listen).collect();
        Ok(Self { client, doors, job: None, counted: 0, volume: None })
    }

    pub(crate) async fn start_job(&mut self, number: u64) -> Outcome<()> {
        let job = manifests::job(number);
        create::<Job>(&self.client, &job).await?;
        self.job = Some(format!("job-{number}"));
        Ok(())
    }

    /// Deletes the Job, and pods that would wait long before they start again after one more kill. What comes next may find
    /// them still ending.
    pub(crate) async fn freshen(&mut self) -> Outcome<()> {
        if let Some(job) = self.job.take() {
            Api::<Job>::default_namespaced(self.client.clone())
                .delete(&job, &DeleteParams::background())
                .await?;
        }
        let pods = Api::<Pod>::default_namespaced(self.client.clone());
        for pod in pods.list(&ListParams::default().labels("app")).await? {
            if containers(&pod).any(|one| one.restart_count > 0) {
                pods.delete(&pod.name_any(), &DeleteParams::default()).await?;
            }
        }
        Ok(())
    }

    pub(crate) async fn look(&mut self, instance: &Instance) -> Verdict {
        match self.examine(instance).await {
            Ok(()) => Verdict::Settled,
            Err(verdict) => verdict,
        }
    }

    async fn examine(&mut self, instance: &Instance) -> Result<(), Verdict> {
        let pods = self.list::<Pod>().await?;
        has_no_failure_of_its_own(&pods)?;
        for deployment in self.list::<Deployment>().await? {
            let wanted = if deployment.name_any() == "web" { WEBS } else { 1 };
            let status = deployment.status.clone().unwrap_or_default();
            let found = [status.ready_replicas, status.updated_replicas, status.replicas];
            if found != [Some(wanted); 3] {
                return not_yet(format!("Deployment {}: {status:?}", deployment.name_any()));
            }
        }
        for set in self.list::<StatefulSet>().await? {
            if set.status.as_ref().and_then(|status| status.ready_replicas) != Some(1) {
                return not_yet(format!("StatefulSet {}: {:?}", set.name_any(), set.status));
            }
        }
        self.examine_jobs().await?;
        examine_node(instance, &pods)?;
        self.examine_answers().await?;
        self.examine_volume().await
    }

    async fn examine_jobs(&self) -> Result<(), Verdict> {
        let jobs = self.list::<Job>().await?;
        for job in &jobs {
            let status = job.status.clone().unwrap_or_default();
            let name = job.name_any();
            let is = |kind: &str| {
                let mut conditions = status.conditions.iter().flatten();
                conditions.any(|one| one.type_ == kind && one.status == "True")
            };
            if self.job.as_ref() != Some(&name) {
                return not_yet(format!("Job {name} is there still"));
            }
            if is("Failed") || status.succeeded > Some(COMPLETIONS) {
                return Err(Verdict::Wrong(format!("Job {name}: {status:?}")));
            }
            if !is("Complete") {
                return not_yet(format!("Job {name}: {status:?}"));
            }
            if status.succeeded != Some(COMPLETIONS) {
                return Err(Verdict::Wrong(format!("Job {name} is complete with {status:?}")));
            }
        }
        match (&self.job, jobs.is_empty()) {
            (Some(job), true) => Err(Verdict::Wrong(format!("Job {job} is gone"))),
            _ => Ok(()),
        }
    }

    async fn examine_answers(&mut self) -> Result<(), Verdict> {
        for (name, door) in Self::DOORS.iter().zip(&self.doors) {
            let answer = ask(*door).await;
            let answer = answer.map_err(|why| Verdict::NotYet(format!("Service {name}: {why}")))?;
            if *name != "tally" {
                if answer != "web" {
                    return Err(Verdict::Wrong(format!("Service {name} answers {answer:?}")));
                }
                continue;
            }
            let counted = answer.parse().ok().filter(|number: &u64| *number >= self.counted);
            self.counted = counted.ok_or_else(|| {
                Verdict::Wrong(format!("it was counted to {}, and now {answer:?}", self.counted))
            })?;
        }
        Ok(())
    }

    async fn examine_volume(&mut self) -> Result<(), Verdict> {
        for claim in self.list::<PersistentVolumeClaim>().await? {
            let volume = claim.spec.and_then(|spec| spec.volume_name);
            if volume.is_none() || self.volume.is_some() && self.volume != volume {
                let before = &self.volume;
                return Err(Verdict::Wrong(format!("the volume was {before:?}, is {volume:?}")));
            }
            self.volume = volume;
        }
        Ok(())
    }

    async fn list<K>(&self) -> Result<Vec<K>, Verdict>
    where
        K: kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
            + Clone
            + DeserializeOwned
            + std::fmt::Debug,
    {
        let api = Api::<K>::default_namespaced(self.client.clone());
        match tokio::time::timeout(REQUEST, api.list(&ListParams::default())).await {
            Ok(Ok(list)) => Ok(list.items),
            Ok(Err(error)) => Err(Verdict::NotYet(format!("{}: {error}", K::kind(&())))),
            Err(_) => Err(Verdict::NotYet(format!("{}: no answer in {REQUEST:?}", K::kind(&())))),
        }
    }
}

fn not_yet(what: String) -> Result<(), Verdict> {
    Err(Verdict::NotYet(what))
}

fn containers(pod: &Pod) -> impl Iterator<Item = &ContainerStatus> {
    pod.status.iter().flat_map(|status| &status.container_statuses).flatten()
}

fn is_over(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

/// Containers end when they are asked to or killed, or are not started as their shim was killed. A program that ends with 1
/// says that something was not as it has to be, as another one that counts at the same time.
fn has_no_failure_of_its_own(pods: &[Pod]) -> Result<(), Verdict> {
    for pod in pods {
        let states = containers(pod).flat_map(|one| [&one.state, &one.last_state]).flatten();
        let mut ends = states.filter_map(|state| state.terminated.as_ref());
        let unstarted = |end: &ContainerStateTerminated| {
            let message = end.message.as_deref().unwrap_or_default();
            end.reason.as_deref() == Some("StartError") && message.contains("shim has ended")
        };
        if let Some(end) = ends.find(|end| !matches!(end.exit_code, 0 | 137) && !unstarted(end)) {
            return Err(Verdict::Wrong(format!("pod {}: {end:?}", pod.name_any())));
        }
    }
    Ok(())
}

/// Every pod that runs has a shim and a container, and is ready; every one that is there has files, and nobody else.
fn examine_node(instance: &Instance, pods: &[Pod]) -> Result<(), Verdict> {
    if let Some(pod) = pods.iter().find(|pod| pod.metadata.deletion_timestamp.is_some()) {
        return not_yet(format!("pod {} is ending", pod.name_any()));
    }
    let running: Vec<&Pod> = pods.iter().filter(|pod| !is_over(pod)).collect();
    if let Some(pod) = running.iter().find(|pod| !containers(pod).all(|one| one.ready)) {
        return not_yet(format!("pod {}: {:?}", pod.name_any(), pod.status));
    }
    let uids = |pods: &mut dyn Iterator<Item = &Pod>| -> BTreeSet<String> {
        pods.map(|pod| pod.uid().unwrap_or_default()).collect()
    };
    let (all, running) = (uids(&mut pods.iter()), uids(&mut running.into_iter()));

    let processes = process::all(&instance.config.path());
    let count = |role| processes.iter().filter(|one| one.role == role).count();
    let counts = [Role::Supervisor, Role::Node, Role::Shim, Role::Container].map(count);
    if counts != [1, 1, running.len(), running.len()] {
        return not_yet(format!("{} pods run with {processes:?}", running.len()));
    }
    let files = names(&instance.config.pods_dir());
    if !files.is_subset(&all) || !running.is_subset(&files) {
        return not_yet(format!("pods {all:?}, of which {running:?} run, have {files:?}"));
    }
    let owner = |name: &String| name.rsplit_once('_').map(|(_, uid)| uid.to_owned());
    let logs: BTreeSet<String> =
        names(&instance.config.logs_dir()).iter().filter_map(owner).collect();
    if !logs.is_subset(&all) {
        return not_yet(format!("pods {all:?} have logs of {logs:?}"));
    }
    let groups = groups(instance).map_err(Verdict::Wrong)?;
    if !groups.is_subset(&running) {
        return not_yet(format!("pods {running:?} run with control groups of {groups:?}"));
    }
    Ok(())
}

fn names(directory: &std::path::Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

/// Uids of the pods that have control groups.
fn groups(instance: &Instance) -> Result<BTreeSet<String>, String> {
    let left = residue(&instance.config).map_err(|error| error.to_string())?;
    let paths = left.into_iter().filter_map(|one| match one {
        Leftover::ControlGroup { path } => Some(path),
        _ => None,
    });
    let uid = |path: std::path::PathBuf| {
        let mut words = path.iter().map(|word| word.to_string_lossy().into_owned());
        words.find(|word| word == "pods")?;
        words.next()
    };
    Ok(paths.filter_map(uid).collect())
}

/// Creates an object, however often it has to be tried while a node is not there.
async fn create<K>(client: &Client, object: &Value) -> Outcome<()>
where
    K: kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
        + Clone
        + Serialize
        + DeserializeOwned
        + std::fmt::Debug,
{
    let api = Api::<K>::default_namespaced(client.clone());
    let object: K = serde_json::from_value(object.clone())?;
    let (params, mut last) = (PostParams::default(), String::new());
    for _ in 0..TRIES {
        let created = api.create(&params, &object);
        match tokio::time::timeout(REQUEST, created).await {
            Ok(Ok(_)) => return Ok(()),
            // An answer got lost.
            Ok(Err(kube::Error::Api(status))) if status.code == 409 => return Ok(()),
            Ok(Err(error)) => last = error.to_string(),
            Err(_) => last = format!("no answer in {REQUEST:?}"),
        }
    }
    Err(format!("{} was not created: {last}", K::kind(&())).into())
}
