//! Bringing an instance up.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use curtain_bundle::{Bundle, format::Role};
use curtain_machine::files::remove_marked_folder;
use curtain_provider::{AUTO, Choice, Request, Settings, choose};
use jiff::Timestamp;
use serde::Serialize;
use tokio::task::JoinHandle;

use crate::{
    Endpoints, Error, FaultPlan, Home, Homes, Instance, NodePorts, TakeDown, carried,
    down::undo_everything,
    effect::{Effect, Step},
    evidence,
    fault::When,
    home::{release, remove},
    instance::{self, Ports, build_id},
    lease::{self, Lease, Stay},
    ledger::Ledger,
    lock::{self, Lock},
    pause,
    plan::{self, Node},
    progress::Progress,
    snapshot::proof::decided,
    status::{existing, held},
    steps::{
        binary::BinaryStep,
        bundle::{BundleStep, ReadyStep},
        cluster::ClusterStep,
        doors::DoorsStep,
        home::HomeStep,
        kubeconfig::KubeconfigStep,
        merged::MergedStep,
    },
    world::World,
};

/// What to bring up.
#[derive(Clone, Debug)]
pub struct Up {
    /// What cluster to make; counts only when the instance is made.
    pub request: Request,
    /// This program.
    pub program: PathBuf,
    /// This program's version, for the image's tag.
    pub version: String,
    /// How long all of it may take, if not as long as the provider usually needs.
    pub timeout: Option<Duration>,
    /// Where an archive goes that explains why nodes failed.
    pub evidence: PathBuf,
    /// The user's kubeconfig, if the instance's context is to be added to it.
    pub merge_kubeconfig: Option<PathBuf>,
    /// Whether the instance may be, or must be, there before.
    pub before: Before,
    /// For how long it is wanted.
    pub stay: Stay,
    /// What goes wrong on purpose.
    pub faults: FaultPlan,
}

/// What must be true of an instance before it is brought up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Before {
    /// It may exist or not.
    #[default]
    Any,
    /// It must not exist.
    Absent,
    /// It must exist.
    Present,
}

impl Before {
    fn holds(self, homes: &Homes, home: &Home) -> Result<(), Error> {
        match self {
            Self::Absent if home.exists() => {
                Err(Error::Exists { instance: home.name().to_string() })
            }
            Self::Present => existing(homes, home).map(drop),
            Self::Any | Self::Absent => Ok(()),
        }
    }
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
    /// When its time is over, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
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
    options.before.holds(homes, home)?;
    // What this program or the machine lacks is said before anything is made.
    carried::program()?;
    let (provider, choice) = match Instance::read(home)? {
        Some(instance) => {
            let provider = curtain_provider::by_name(&instance.provider)?;
            let asked = &options.request.provider;
            if ![AUTO, "", instance.provider.as_str()].contains(&asked.as_str()) {
                progress.note(&format!(
                    "instance {} stays on {}: a provider is chosen when an instance is made",
                    instance.name, instance.provider
                ));
            }
            if options.request.workers > 0 || options.request.node_image.is_some() {
                progress.note(&format!(
                    "instance {} keeps the nodes that it has: they are chosen when an instance is made",
                    instance.name
                ));
            }
            as_far(&instance, &options.request)?;
            if instance.settings.offline && options.request.offline.is_none() {
                progress.note(&format!("instance {} is offline and stays so", instance.name));
            }
            provider.preflight(&instance.cluster(home)).await?;
            (instance.provider, None)
        }
        None => {
            let choice = choose(&options.request).await?;
            (choice.provider.clone(), Some(choice))
        }
    };
    let usual = curtain_provider::by_name(&provider)?.patience();
    let timeout = options.timeout.unwrap_or(usual);
    let program = options.program.clone();
    let build = tokio::task::spawn_blocking(move || build_id(&program));

    let patience = timeout.min(PATIENCE);
    let _lock = match options.before {
        Before::Present => held(homes, home, patience).await?,
        Before::Any | Before::Absent => Lock::take(home, patience).await?,
    };
    options.before.holds(homes, home)?;
    let work = bring((homes, home), options, (choice, build), (started, timeout), progress);
    decided(home, &options.faults, progress, work).await
}

/// As [`up`], for whoever holds the instance, which must exist.
pub(crate) async fn again(
    homes: &Homes,
    home: &Home,
    options: &Up,
    progress: &dyn Progress,
) -> Result<Facts, Error> {
    let started = Instant::now();
    let provider = existing(homes, home)?.provider;
    let usual = curtain_provider::by_name(&provider)?.patience();
    let timeout = options.timeout.unwrap_or(usual);
    let program = options.program.clone();
    let build = tokio::task::spawn_blocking(move || build_id(&program));
    let work = bring((homes, home), options, (None, build), (started, timeout), progress);
    decided(home, &options.faults, progress, work).await
}

/// This program's build and size, which are being found out.
type Build = JoinHandle<Result<(String, u64), Error>>;

/// Brings up what the caller holds: what cluster was chosen, if none was before, and who this program is, within the time
/// that is left.
async fn bring(
    (homes, home): (&Homes, &Home),
    options: &Up,
    (choice, build): (Option<Choice>, Build),
    (started, timeout): (Instant, Duration),
    progress: &dyn Progress,
) -> Result<Facts, Error> {
    let recorded = home.ledger().exists();
    // Nothing is made for a while without a record that it is for a while. One that is there without anything else is
    // that of an instance whose `down` died.
    if !recorded
        && let Err(error) =
            remove(&home.lease()).and_then(|_| Lease::keep(home, options.stay, Timestamp::now()))
    {
        discard(home).await;
        return Err(error);
    }
    let mut ledger = match Ledger::open(&home.ledger()) {
        Ok(ledger) => ledger,
        Err(error) => {
            // What an unreadable ledger records must not be lost; without one there is only the folder to take back.
            if !recorded {
                discard(home).await;
            }
            return Err(error);
        }
    };
    let (build, size) = build.await.map_err(|error| {
        Error::file("read", &options.program, std::io::Error::other(error.to_string()))
    })??;
    let is_new = choice.is_some() && ledger.entry("home").is_none();
    if ledger.entry("home").is_none() {
        let effect = Effect::Home(HomeStep {});
        options.faults.at("home", When::BeforeDo)?;
        ledger.doing(&effect)?;
        options.faults.at("home", When::AfterDo)?;
        ledger.did(&effect)?;
    }
    let instance = {
        // Two new instances must not choose the same ports.
        let _guard = lock::guard(home).await?;
        settle(homes, home, options, &build, choice, progress).await?
    };
    if recorded {
        Lease::keep(home, options.stay, Timestamp::now())?;
    }
    let mut nodes = nodes(home, &instance, options.merge_kubeconfig.as_deref(), size)?;
    for node in &mut nodes {
        // What the user's file was before is known from the first time only.
        if let Effect::MergedKubeconfig(_) = node.effect
            && let Some(known) = ledger.entry(&node.effect.name())
        {
            node.effect = known.effect.clone();
        }
    }
    let left = timeout.saturating_sub(started.elapsed());
    let mut world = World::new(home, Some(instance.clone()), ledger, progress, left);
    world.program = options.program.clone();
    let outcome = plan::perform(&nodes, &world, &options.faults).await;
    drop(world);
    // What could not be started again is as paused as it was.
    let provider = curtain_provider::by_name(&instance.provider)?;
    if outcome.is_ok() || provider.is_up(&instance.cluster(home)).await {
        pause::end(home)?;
    }
    if let Err(error) = outcome {
        return Err(explained(error, home, &instance, options, is_new, progress).await);
    }
    facts(home, &instance, true, started.elapsed())
}

/// How long taking back what failed may take.
const TAKING_BACK: Duration = Duration::from_secs(120);

/// `error`, with an archive of what the nodes say about it if it is about them. Nodes that never worked are taken back
/// then, unless the user wants to look at them: trying again begins with new ones.
async fn explained(
    error: Error,
    home: &Home,
    instance: &Instance,
    options: &Up,
    is_new: bool,
    progress: &dyn Progress,
) -> Error {
    if !error.is_in_nodes() {
        return error;
    }
    let evidence = evidence::archive(home, instance, &options.evidence).await;
    let taken_back = if is_new && !instance.settings.keep {
        let faults = FaultPlan::default();
        let how = TakeDown { timeout: TAKING_BACK, images: false, faults };
        let undone = undo_everything(home, &how, progress).await;
        undone.is_ok_and(|down| down.leftovers.is_empty())
    } else {
        false
    };
    Error::Nodes { source: Box::new(error), evidence, taken_back }
}

/// Names of the steps of `up` with its context merged into `merge`, in the order they are recorded at the latest: what
/// a test of faults walks through.
///
/// # Errors
/// A broken bundle.
pub fn plan_names(home: &Home, provider: &str, merge: &Path) -> Result<Vec<String>, Error> {
    let instance = Instance {
        version: instance::VERSION,
        name: home.name().clone(),
        provider: provider.to_owned(),
        build: String::new(),
        image: String::new(),
        ports: Ports { portal: 0, mcp: 0, gateway: 0, api: 0, node: NodePorts::default() },
        settings: Settings::default(),
    };
    let nodes = nodes(home, &instance, Some(merge), 0)?;
    let names = nodes.iter().map(|node| node.effect.name());
    Ok(std::iter::once(HomeStep {}.name()).chain(names).collect())
}

/// The instance in `home`, or a new one with ports of its own and the cluster that was chosen.
async fn settle(
    homes: &Homes,
    home: &Home,
    options: &Up,
    build: &str,
    choice: Option<Choice>,
    progress: &dyn Progress,
) -> Result<Instance, Error> {
    if let Some(instance) = Instance::read(home)? {
        of_build(home, &instance, build)?;
        as_far(&instance, &options.request)?;
        return Ok(instance);
    }
    let choice = match choice {
        Some(choice) => choice,
        // It was there a moment ago, and another command took it down.
        None => choose(&options.request).await?,
    };
    if let Some(because) = &choice.because {
        progress.note(because);
    }
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
        provider: choice.provider,
        build: build.to_owned(),
        image: format!("docker.io/library/curtain:{}-{build}", options.version),
        ports: Ports::choose(&others)?,
        settings: choice.settings,
    };
    instance.write(home)?;
    Ok(instance)
}

/// Checks that the instance reaches as far as it is asked to: a limit that is asked for and not there must not be taken for
/// one that is.
fn as_far(instance: &Instance, request: &Request) -> Result<(), Error> {
    let offline = instance.settings.offline;
    match request.offline {
        Some(wanted) if wanted != offline => {
            Err(Error::Reach { instance: instance.name.to_string(), offline })
        }
        _ => Ok(()),
    }
}

/// Checks that `build` made the instance in `home`.
pub(crate) fn of_build(home: &Home, instance: &Instance, build: &str) -> Result<(), Error> {
    if instance.build == build {
        return Ok(());
    }
    Err(Error::VersionMismatch {
        instance: home.name().to_string(),
        there: instance.build.clone(),
        here: build.to_owned(),
        binary: home.binary(),
    })
}

/// The plan: bundles in parallel as far as their requirements allow, and the wait for each as soon as it is applied.
fn nodes(
    home: &Home,
    instance: &Instance,
    merge: Option<&Path>,
    size: u64,
) -> Result<Vec<Node>, Error> {
    let mut nodes =
        vec![Node::new(Effect::Binary(BinaryStep { build: instance.build.clone(), size }), &[])];
    let spec = instance.cluster(home);
    let mut cluster = Vec::new();
    for stage in curtain_provider::by_name(&instance.provider)?.stages(&spec) {
        let mut after: Vec<String> =
            stage.after.iter().map(|name| ClusterStep::name_of(name)).collect();
        after.push("binary".to_owned());
        let step = ClusterStep { spec: spec.clone(), stage: stage.name.to_owned() };
        let effect = Effect::Cluster(step);
        cluster.push(effect.name());
        nodes.push(Node { effect, after });
    }
    let kubeconfig = Effect::Kubeconfig(KubeconfigStep { path: home.kubeconfig() });
    nodes.push(Node { effect: kubeconfig, after: cluster.clone() });
    for bundle in bundles()? {
        let name = bundle.name().to_owned();
        let mut after: Vec<String> =
            bundle.requires().iter().map(|name| format!("bundle/{name}")).collect();
        after.extend(cluster.iter().cloned());
        nodes.push(Node { effect: Effect::Bundle(BundleStep { name: name.clone() }), after });
        let installed = format!("bundle/{name}");
        nodes.push(Node::new(Effect::Ready(ReadyStep { name }), &[installed.as_str()]));
    }
    let ready: Vec<String> = nodes
        .iter()
        .map(|node| node.effect.name())
        .filter(|name| name.starts_with("ready/"))
        .collect();
    let doors = DoorsStep::of(&instance.endpoints(home)?);
    nodes.push(Node { effect: Effect::Doors(doors), after: ready });
    if let Some(path) = merge {
        let step = MergedStep::prepare(path.to_owned(), format!("curtain-{}", instance.name))?;
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
        expires: lease::expires(home),
    })
}

/// Takes back the folder that was made before anything could be recorded; what cannot be removed is for `down`.
async fn discard(home: &Home) {
    let Ok(_guard) = lock::guard(home).await else { return };
    for path in [home.ledger(), home.lease(), home.lock()] {
        let _ = remove(&path);
    }
    if remove_marked_folder(home.path()) {
        release(home.path());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_os = "linux")]
    use crate::progress::Silent;

    /// An instance that is made here without anything else.
    #[cfg(target_os = "linux")]
    fn options(evidence: &Path) -> Up {
        Up {
            request: Request { provider: "embedded".to_owned(), ..Request::default() },
            program: std::env::current_exe().unwrap(),
            version: "0".to_owned(),
            timeout: Some(Duration::from_secs(5)),
            evidence: evidence.to_owned(),
            merge_kubeconfig: None,
            before: Before::Any,
            stay: Stay::default(),
            faults: FaultPlan::default(),
        }
    }

    #[tokio::test]
    async fn what_was_made_in_vain_is_taken_back_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let homes = Homes::new(dir.path().join("data"));
        let home = homes.instance(&"x".parse().unwrap());
        for theirs in [None, Some(home.path().join("theirs"))] {
            let lock = Lock::take(&home, Duration::ZERO).await.unwrap();
            std::fs::write(home.ledger(), "").unwrap();
            if let Some(theirs) = &theirs {
                std::fs::write(theirs, "").unwrap();
            }
            discard(&home).await;
            drop(lock);
            assert_eq!(homes.root().exists(), theirs.is_some());
            assert!(!home.ledger().exists());
        }
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_ledger_that_cannot_be_read_is_kept_and_a_folder_made_in_vain_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let homes = Homes::new(dir.path().join("data"));
        let home = homes.instance(&"x".parse().unwrap());
        let options = options(dir.path());
        crate::home::claim(home.path()).unwrap();
        std::fs::write(home.ledger(), "{\"ledger\":99}\n").unwrap();
        let error = up(&homes, &home, &options, &Silent).await.unwrap_err();
        assert!(error.to_string().contains("version 99"), "{error}");
        assert_eq!(std::fs::read_to_string(home.ledger()).unwrap(), "{\"ledger\":99}\n");
        std::fs::remove_dir_all(homes.root()).unwrap();

        // A link that leads nowhere can be neither read nor made.
        crate::home::claim(home.path()).unwrap();
        curtain_machine::files::link("/nonexistent/ledger".as_ref(), &home.ledger()).unwrap();
        up(&homes, &home, &options, &Silent).await.unwrap_err();
        assert!(!homes.root().exists());
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn what_a_down_that_died_left_of_a_lease_is_not_inherited() {
        let dir = tempfile::tempdir().unwrap();
        let homes = Homes::new(dir.path().join("data"));
        let home = homes.instance(&"x".parse().unwrap());
        let hour = Stay { at_most: Some(Duration::from_secs(3_600)), ..Stay::default() };
        let died = Stay { with_this_process: true, ..hour };
        for stay in [Stay::default(), hour] {
            crate::home::claim(home.path()).unwrap();
            Lease::keep(&home, died, "2026-05-04T03:02:01Z".parse().unwrap()).unwrap();
            let options =
                Up { stay, faults: "home:before-do:fail".parse().unwrap(), ..options(dir.path()) };
            let error = up(&homes, &home, &options, &Silent).await.unwrap_err();
            assert!(matches!(error, Error::Injected { .. }), "{error}");
            let lease = Lease::read(&home).unwrap();
            match stay.at_most {
                None => assert_eq!(lease, None),
                Some(_) => assert_eq!(lease.unwrap().over(Timestamp::now()), None, "it is new"),
            }
            assert!(!lease::is_own(&home), "and nobody's alone");
            std::fs::remove_dir_all(homes.root()).unwrap();
        }
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn an_instance_stays_offline_or_not_and_who_asks_for_the_other_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let homes = Homes::new(dir.path().join("data"));
        let home = homes.instance(&"x".parse().unwrap());
        crate::home::claim(home.path()).unwrap();
        let of = |is: bool| Instance {
            version: instance::VERSION,
            name: home.name().clone(),
            provider: "embedded".to_owned(),
            build: "another".to_owned(),
            image: String::new(),
            ports: Ports { portal: 0, mcp: 0, gateway: 0, api: 0, node: NodePorts::default() },
            settings: Settings { offline: is, ..Settings::default() },
        };
        for (is, asked, fits) in [
            (false, Some(true), false),
            (true, Some(false), false),
            (true, Some(true), true),
            (false, Some(false), true),
            // Whoever only repairs it need not know.
            (true, None, true),
            (false, None, true),
        ] {
            of(is).write(&home).unwrap();
            let mut options = options(dir.path());
            options.request.offline = asked;
            let error = up(&homes, &home, &options, &Silent).await.unwrap_err();
            if fits {
                // What comes after that is none of this test's.
                assert_eq!(error.kind(), crate::Kind::VersionMismatch, "{error}");
                continue;
            }
            assert_eq!(error.kind(), crate::Kind::BadInput, "{error}");
            let said = error.to_string();
            let state = if is { "is offline and stays" } else { "is not offline and stays" };
            assert!(said.contains(state) && said.contains("`curtain down`"), "{said}");
            assert!(!home.ledger().exists(), "nothing was begun");
        }
    }

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
        let home = Homes::new("/nonexistent").instance(&"x".parse().unwrap());
        for provider in curtain_provider::NAMES {
            let mut names = plan_names(&home, provider, Path::new("/nonexistent/config")).unwrap();
            assert_eq!(names[..2], ["home", "binary"]);
            let count = names.len();
            names.sort();
            names.dedup();
            assert_eq!(names.len(), count);
        }
    }
}
