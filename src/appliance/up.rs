//! Bringing an instance up.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use curtain_bundle::{Bundle, format::Role};
use serde::Serialize;

use crate::{
    Endpoints, Error, FaultPlan, Home, Homes, Instance,
    effect::Effect,
    fault::When,
    home::create_private,
    instance::{self, Ports, build_id},
    ledger::Ledger,
    lock::Lock,
    plan::{self, Node},
    progress::Progress,
    steps::{
        binary::BinaryStep,
        bundle::{BundleStep, ReadyStep},
        cluster::ClusterStep,
        home::HomeStep,
        kubeconfig::KubeconfigStep,
        merged::MergedStep,
    },
    world::World,
};

/// What to bring up.
#[derive(Clone, Debug)]
pub struct Up {
    /// Provider of the cluster; counts only when the instance is made.
    pub provider: String,
    /// This program.
    pub program: PathBuf,
    /// This program's version, for the image's tag.
    pub version: String,
    /// How long all of it may take.
    pub timeout: Duration,
    /// The user's kubeconfig, if the instance's context is to be added to it.
    pub merge_kubeconfig: Option<PathBuf>,
    /// What goes wrong on purpose.
    pub faults: FaultPlan,
}

/// What an instance is, as `up -o json` prints it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Facts {
    /// The instance's name.
    pub instance: String,
    /// Provider of its cluster.
    pub provider: String,
    /// Whether all of it works.
    pub ready: bool,
    /// How long this call took, in seconds.
    pub seconds: f64,
    /// The instance's kubeconfig.
    pub kubeconfig: PathBuf,
    /// Where it answers.
    pub endpoints: Endpoints,
}

/// How long another command on the same instance is waited for, at most.
const PATIENCE: Duration = Duration::from_secs(60);

/// Brings the instance of `home` up: makes it, repairs it, or finds that there is nothing to do.
///
/// # Errors
/// The first step that failed. What was done stays recorded: calling again goes on, [`crate::down()`]
/// takes it back.
pub async fn up(
    homes: &Homes,
    home: &Home,
    options: &Up,
    progress: &dyn Progress,
) -> Result<Facts, Error> {
    let started = Instant::now();
    let program = options.program.clone();
    let build = tokio::task::spawn_blocking(move || build_id(&program));

    let created = create_private(home.path())?;
    let lock = Lock::take(home, options.timeout.min(PATIENCE)).await?;
    let mut ledger = match Ledger::open(&home.ledger()) {
        Ok(ledger) => ledger,
        Err(error) => {
            // Nothing is recorded yet, so nothing would undo what was just created.
            drop(lock);
            discard(home, &created);
            return Err(error);
        }
    };
    let (build, size) = build.await.map_err(|error| {
        Error::file("read", &options.program, std::io::Error::other(error.to_string()))
    })??;
    if ledger.entry("home").is_none() {
        let effect = Effect::Home(HomeStep { created });
        ledger.doing(&effect)?;
        options.faults.at("home", When::AfterDo)?;
        ledger.did(&effect)?;
    }
    let instance = settle(homes, home, options, &build)?;
    let nodes = nodes(home, &instance, options, size)?;
    let mut world = World::new(home, Some(instance.clone()), ledger, progress, options.timeout);
    world.program = options.program.clone();
    plan::perform(&nodes, &world, &options.faults).await?;
    facts(home, &instance, true, started.elapsed())
}

/// Names of the steps of `up`, in the order they are recorded at the latest: what a test of faults walks through.
///
/// # Errors
/// A broken bundle.
pub fn plan_names() -> Result<Vec<String>, Error> {
    let mut names: Vec<String> =
        ["home", "binary", "cluster", "kubeconfig"].map(str::to_owned).to_vec();
    names.extend(bundles()?.into_iter().flat_map(|bundle| {
        let name = bundle.name().to_owned();
        [format!("bundle/{name}"), format!("ready/{name}")]
    }));
    Ok(names)
}

/// The instance in `home`, or a new one with ports of its own.
fn settle(homes: &Homes, home: &Home, options: &Up, build: &str) -> Result<Instance, Error> {
    if let Some(instance) = Instance::read(home)? {
        if instance.build != build {
            return Err(Error::VersionMismatch {
                instance: home.name().to_string(),
                there: instance.build,
                here: build.to_owned(),
                binary: home.binary(),
            });
        }
        return Ok(instance);
    }
    curtain_provider::by_name(&options.provider)?;
    let others: Vec<Ports> = homes
        .list()?
        .iter()
        .filter(|other| other.name() != home.name())
        .filter_map(|other| Instance::read(other).ok().flatten())
        .map(|other| other.ports)
        .collect();
    let instance = Instance {
        version: instance::VERSION,
        name: home.name().clone(),
        provider: options.provider.clone(),
        build: build.to_owned(),
        image: format!("docker.io/library/curtain:{}-{build}", options.version),
        ports: Ports::choose(&others)?,
    };
    instance.write(home)?;
    Ok(instance)
}

/// The plan: bundles in parallel as far as their requirements allow, and the wait for each as soon as it is applied.
fn nodes(home: &Home, instance: &Instance, options: &Up, size: u64) -> Result<Vec<Node>, Error> {
    let mut nodes = vec![
        Node::new(Effect::Binary(BinaryStep { build: instance.build.clone(), size }), &[]),
        Node::new(Effect::Cluster(ClusterStep { spec: instance.cluster(home) }), &["binary"]),
        Node::new(Effect::Kubeconfig(KubeconfigStep { path: home.kubeconfig() }), &["cluster"]),
    ];
    for bundle in bundles()? {
        let name = bundle.name().to_owned();
        let mut after: Vec<String> =
            bundle.requires().iter().map(|name| format!("bundle/{name}")).collect();
        after.push("cluster".to_owned());
        nodes.push(Node { effect: Effect::Bundle(BundleStep { name: name.clone() }), after });
        let installed = format!("bundle/{name}");
        nodes.push(Node::new(Effect::Ready(ReadyStep { name }), &[installed.as_str()]));
    }
    if let Some(path) = &options.merge_kubeconfig {
        let step = MergedStep::prepare(path.clone(), format!("curtain-{}", instance.name))?;
        nodes.push(Node::new(Effect::MergedKubeconfig(step), &["kubeconfig"]));
    }
    Ok(nodes)
}

/// The bundles of this build, each after those it requires.
fn bundles() -> Result<Vec<Bundle>, Error> {
    let mut rest = Bundle::all(Role::Platform)?;
    let mut sorted: Vec<Bundle> = Vec::new();
    while !rest.is_empty() {
        let known: Vec<String> = sorted.iter().map(|bundle| bundle.name().to_owned()).collect();
        let (ready, waiting): (Vec<_>, Vec<_>) = rest
            .into_iter()
            .partition(|bundle| bundle.requires().iter().all(|name| known.contains(name)));
        // What requires something that does not exist is left to the plan, which says so.
        if ready.is_empty() {
            sorted.extend(waiting);
            break;
        }
        sorted.extend(ready);
        rest = waiting;
    }
    Ok(sorted)
}

pub(crate) fn facts(
    home: &Home,
    instance: &Instance,
    ready: bool,
    took: Duration,
) -> Result<Facts, Error> {
    Ok(Facts {
        instance: instance.name.to_string(),
        provider: instance.provider.clone(),
        ready,
        seconds: (took.as_secs_f64() * 1_000.0).round() / 1_000.0,
        kubeconfig: home.kubeconfig(),
        endpoints: instance.endpoints(home)?,
    })
}

/// Takes back folders that were made before anything could be recorded.
fn discard(home: &Home, created: &[PathBuf]) {
    for path in [home.ledger(), home.lock()] {
        let _ = std::fs::remove_file(path);
    }
    for folder in created.iter().rev() {
        let _ = std::fs::remove_dir(folder);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bundles_come_after_what_they_require_and_every_step_has_a_name_of_its_own() {
        let sorted = bundles().unwrap();
        for (index, bundle) in sorted.iter().enumerate() {
            for required in bundle.requires() {
                assert!(
                    sorted[..index].iter().any(|before| before.name() == required),
                    "{}",
                    bundle.name()
                );
            }
        }
        let mut names = plan_names().unwrap();
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
