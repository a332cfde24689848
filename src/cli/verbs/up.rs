//! `curtain up`.

use std::time::{Duration, Instant};

use curtain_appliance::{
    Before, Facts, Instance, Plane, Stay, Up, demo, memory, progress::Event, status, up,
};
use curtain_provider::Request;

use crate::{
    context::{self, Context},
    environment,
    exit::Exit,
    failure::Failure,
    output::{self, Style},
    progress,
};

pub(crate) const EXAMPLES: &str = "\
Examples:
  curtain up                          # the platform on this machine
  curtain up --demo                   # and a shop of eleven services on it, with visitors
  curtain up --name ci -o json        # another instance beside it, for a script
  curtain up --provider kind          # Kubernetes in Docker; `embedded` needs no Docker
  curtain up --merge-kubeconfig       # its context in your kubeconfig, until `curtain down`
  curtain up --ttl 2h                 # removed by the first command after two hours; again renews";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    cluster: Cluster,
    /// Deploy the sample shop too
    #[arg(long)]
    demo: bool,
    /// Leave nodes that do not come up, to be looked at
    #[arg(long)]
    keep: bool,
    /// Add the instance's context to your kubeconfig; `curtain down` restores the file
    #[arg(long)]
    merge_kubeconfig: bool,
    /// How long it is wanted, for example 2h: the first command after that removes it
    #[arg(long, value_name = "TIME", value_parser = crate::args::duration)]
    ttl: Option<Duration>,
}

/// What cluster a new instance gets.
#[derive(Debug, clap::Args)]
pub(super) struct Cluster {
    /// Where the cluster comes from; auto is kind where a Docker Engine has or can get a node image, else embedded
    #[arg(long, default_value = curtain_provider::AUTO, value_name = "PROVIDER", env = environment::PROVIDER, hide_env = true,
        value_parser = clap::builder::PossibleValuesParser::new(providers()))]
    provider: String,
    /// Image of kind's nodes, of kindest/node
    #[arg(long, value_name = "IMAGE")]
    node_image: Option<String>,
    /// Nodes of kind beside the control plane
    #[arg(long, value_name = "COUNT", default_value_t = 0, value_parser = clap::value_parser!(u16).range(..=9))]
    workers: u16,
    /// Keep pods, pulls of images and webhooks on this machine; only the embedded cluster can
    #[arg(long, value_name = "WHETHER", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    offline: Option<bool>,
}

impl Cluster {
    /// What a user gets who asks for nothing.
    pub(super) fn usual() -> Self {
        let provider = environment::variable(environment::PROVIDER);
        let provider = provider.map_or_else(
            || curtain_provider::AUTO.into(),
            |name| name.to_string_lossy().into_owned(),
        );
        Self { provider, node_image: None, workers: 0, offline: None }
    }

    /// The same as a request.
    pub(super) fn request(self) -> Request {
        Request {
            provider: self.provider,
            node_image: self.node_image,
            usual_node_image: environment::variable(environment::NODE_IMAGE)
                .map(|image| image.to_string_lossy().into_owned()),
            workers: self.workers,
            offline: self.offline,
            keep: false,
            around: environment::surroundings(),
        }
    }
}

fn providers() -> impl Iterator<Item = &'static str> {
    std::iter::once(curtain_provider::AUTO).chain(curtain_provider::ALL.iter().copied())
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    let merge_kubeconfig = if args.merge_kubeconfig { Some(context::kubeconfig()?) } else { None };
    let stay = Stay { at_most: args.ttl, ..Stay::default() };
    let request = Request { keep: args.keep, ..args.cluster.request() };
    let options = Up { merge_kubeconfig, stay, ..options(request, context)? };
    let progress = progress::shown();
    let brought = up(&context.homes, &context.home, &options, &*progress).await;
    drop(progress);
    let facts = brought.map_err(|error| failure(error, context))?;
    if let Some(instance) = Instance::read(&context.home)? {
        for (door, usual, port) in instance.ports.moved() {
            output::note(&format!(
                "{usual} was in use when the instance was made: {port} is the port of {door}"
            ));
        }
    }
    let shop = if args.demo { Some(shop(context).await?) } else { None };
    if context.is_json() {
        let mut facts = serde_json::json!(facts);
        if let Some(url) = shop {
            facts["demo"] = serde_json::json!({ "name": SHOP, "url": url });
        }
        output::json(&facts);
    } else {
        let status = async { Ok(status(&context.homes, &context.home).await?) };
        // It is up all the same where this fails, and where it answers is known.
        let planes = context.within(super::USUAL, status).await.map(|status| status.planes);
        let memory = memory::of(&context.home).await.iter().map(|process| process.pss).sum();
        let flag = context.home.name().flag();
        let text = block(
            &facts,
            &planes.unwrap_or_default(),
            memory,
            &flag,
            shop.as_deref(),
            context.style,
        );
        output::line(&text);
    }
    Ok(Exit::Ok)
}

/// The sample of `--demo`.
const SHOP: &str = "shop";
/// Seconds it may take to answer without `--timeout`.
const SHOP_USUAL: u64 = 60;

/// Deploys the shop and returns its URL.
pub(super) async fn shop(context: &Context) -> Result<String, Failure> {
    let access = context.access()?;
    let limit = context.inner(SHOP_USUAL);
    let progress = progress::shown();
    progress.plan(&[(SHOP.to_owned(), "sample shop".to_owned())]);
    progress.event(SHOP, Event::Started);
    let began = Instant::now();
    let deployed = async { Ok(demo::deploy(&access, SHOP, limit).await?) };
    let deployed = context.within(SHOP_USUAL, deployed).await;
    let end = if deployed.is_ok() { Event::Finished(began.elapsed()) } else { Event::Failed };
    progress.event(SHOP, end);
    deployed
}

/// What every verb that brings an instance up asks for.
pub(super) fn options(request: Request, context: &Context) -> Result<Up, Failure> {
    Ok(Up {
        request,
        evidence: std::env::temp_dir(),
        program: std::env::current_exe()?,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        timeout: context.timeout,
        merge_kubeconfig: None,
        before: Before::Any,
        stay: Stay::default(),
        faults: context.faults.clone(),
    })
}

pub(super) fn failure(error: curtain_appliance::Error, context: &Context) -> Failure {
    let is_provider = matches!(error, curtain_appliance::Error::Provider(_));
    let is_kept = matches!(error, curtain_appliance::Error::Reach { .. });
    let failure = Failure::from(error);
    match failure.exit {
        // These say what to do themselves.
        Exit::PortInUse | Exit::Busy | Exit::VersionMismatch => failure,
        _ if is_kept => failure,
        Exit::Unmet if !context.home.exists() => failure.next(match is_provider {
            true => "`curtain doctor` checks this machine",
            false => {
                "`curtain doctor` checks this machine; CURTAIN_HOME names another folder for instances"
            }
        }),
        Exit::Timeout => {
            let had = context
                .timeout
                .map_or(String::new(), |limit| format!("it had {:.0} s, ", limit.as_secs_f32()));
            let how = format!("{}; {had}`--timeout` gives it longer", super::ONWARDS);
            context.recorded(failure, &how)
        }
        _ => context.recorded(failure, super::ONWARDS),
    }
}

/// What people see in the end: at most 20 lines.
fn block(
    facts: &Facts,
    planes: &[Plane],
    memory: u64,
    flag: &str,
    shop: Option<&str>,
    style: Style,
) -> String {
    let row = |name: &str, value: &str, note: &str| {
        let note = if note.is_empty() { String::new() } else { format!("  {}", style.dim(note)) };
        format!("  {}{value}{note}", style.dim(&format!("{name:<9}")))
    };
    let megabytes = memory.div_ceil(1_000_000);
    let title = format!(
        "{} {}",
        style.green("●"),
        style.bold(&format!("Curtain is up: {} on {}", facts.instance, facts.provider))
    );
    let planes: Vec<String> = planes
        .iter()
        .map(|plane| {
            let available =
                plane.deployments.iter().filter(|one| one.available >= one.desired).count();
            match (plane.deployments.len(), &plane.note) {
                (0, Some(_)) => format!("{} (registered)", plane.name),
                (0, None) => plane.name.clone(),
                (all, _) => format!("{} {available}/{all}", plane.name),
            }
        })
        .collect();
    let planes = match planes.as_slice() {
        [] => format!("ready; `curtain status{flag}` shows them"),
        known => known.join(", "),
    };
    let endpoints = &facts.endpoints;
    let width = "curtain mcp install claude-code".len() + flag.len();
    let next = |command: &str, note: &str| {
        let command = format!("curtain {command}{flag}");
        format!("    {}  {}", style.cyan(&format!("{command:<width$}")), style.dim(note))
    };
    let expires = facts.expires.map(|at| row("Expires", &at.to_string(), "`up --ttl` renews"));
    let first = [
        String::new(),
        format!(
            "{title}  {}",
            style.dim(&match megabytes {
                // The nodes' memory is the Engine's to tell.
                0 => format!("{:.1} s", facts.seconds),
                _ => format!("{:.1} s, {megabytes} MB of memory", facts.seconds),
            })
        ),
        String::new(),
        row("Portal", &endpoints.portal, ""),
        row("API", &format!("{}/api/v1", endpoints.api), ""),
        row("MCP", &endpoints.mcp, ""),
        row("", &endpoints.observer_mcp, ""),
        row("", &endpoints.sre_agent_mcp, ""),
        row("Apps", &endpoints.gateway, ""),
        row("Cluster", &facts.kubeconfig.display().to_string(), ""),
        row("Planes", &planes, ""),
    ];
    let sample = shop.map(|url| row("Shop", url, ""));
    let last = [
        String::new(),
        "  Next".to_owned(),
        match shop {
            None => next("demo deploy shop", "an application of eleven services, and its URL"),
            Some(_) => next("demo break checkout", "trouble to be found, until `demo heal`"),
        },
        next("open", "the portal, signed in"),
        next("mcp install claude-code", "your agent, connected (read-only)"),
        next("down", "all of it gone, without a trace"),
    ];
    first.into_iter().chain(sample).chain(expires).chain(last).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use curtain_appliance::{Deployment, Endpoints};

    use super::*;

    #[test]
    fn the_block_is_short_and_says_where_everything_is() {
        let facts = Facts {
            instance: "ci".into(),
            provider: "embedded".into(),
            ready: true,
            seconds: 1.84,
            kubeconfig: "/data/curtain/ci/kubeconfig".into(),
            endpoints: Endpoints {
                portal: "http://localhost:8080".into(),
                api: "http://localhost:8080".into(),
                mcp: "http://localhost:8081/mcp".into(),
                observer_mcp: "http://localhost:8081/observer/mcp".into(),
                sre_agent_mcp: "http://localhost:8081/sre-agent/mcp".into(),
                gateway: "http://localhost:19080".into(),
            },
            expires: None,
        };
        let deployment =
            Deployment { namespace: "n".into(), name: "gateway".into(), available: 1, desired: 1 };
        let plane = |name: &str, deployments: Vec<Deployment>| Plane {
            name: name.into(),
            ready: true,
            deployments,
            note: None,
        };
        let planes = vec![
            plane("control", vec![deployment]),
            Plane { note: Some("no engine".into()), ..plane("workflow", Vec::new()) },
        ];
        let text = block(&facts, &planes, 168_000_000, " --name ci", None, Style::plain());
        assert!(text.lines().count() <= 20);
        insta::assert_snapshot!(text);
        let expires = "2026-05-04T03:02:01Z".parse().ok();
        let shop = Some("http://localhost:19080/@http-web/");
        let text = block(&Facts { expires, ..facts }, &planes, 0, "", shop, Style::plain());
        assert!(text.lines().count() <= 20, "{text}");
        assert!(text.contains("  Shop     http://localhost:19080/@http-web/"), "{text}");
        assert!(text.contains("  Expires  2026-05-04T03:02:01Z"), "{text}");
    }
}
