//! Which provider makes a new cluster, and why.

use std::time::Duration;

use crate::{
    ClusterSpec, Error, Settings, Surroundings,
    kind::{self, Engine, Machine},
};

/// The name of the choice itself, as `--provider` takes it.
pub const AUTO: &str = "auto";

/// What a user asks for.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// A provider's name, or [`AUTO`].
    pub provider: String,
    /// Image of the nodes, which only kind has.
    pub node_image: Option<String>,
    /// Image of the nodes where there are any and none was named.
    pub usual_node_image: Option<String>,
    /// Nodes beside the control plane.
    pub workers: u16,
    /// Whether nothing is to leave the machine; for whoever does not say, a new cluster may reach out.
    pub offline: Option<bool>,
    /// Whether nodes that failed stay.
    pub keep: bool,
    /// Where an Engine may be.
    pub around: Surroundings,
}

impl Request {
    fn is_offline(&self) -> bool {
        self.offline.unwrap_or_default()
    }

    fn image(&self) -> Option<&str> {
        self.node_image.as_deref().or(self.usual_node_image.as_deref())
    }
}

/// What was chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The provider's name.
    pub provider: String,
    /// What the cluster is to remember.
    pub settings: Settings,
    /// Why, what it costs and how to avoid it, in one line; nothing if the user chose.
    pub because: Option<String>,
}

/// How long looking for an Engine and asking about its image may take in all.
const PATIENCE: Duration = Duration::from_secs(10);

/// Chooses the provider of a new cluster: what the user names, else kind where an Engine has or can get the node image,
/// else the embedded cluster.
///
/// # Errors
/// What is missing for the provider that was named; or, for [`AUTO`], for each.
pub async fn choose(request: &Request) -> Result<Choice, Error> {
    match request.provider.as_str() {
        AUTO if request.is_offline() => return offline(request).await,
        AUTO => {}
        "kind" if request.is_offline() => return Err(Error::NotOffline),
        "kind" => return kind_as_asked(request).await,
        name => {
            crate::by_name(name)?;
            refuse_nodes(request, name)?;
            let settings = Settings { offline: request.is_offline(), ..Settings::default() };
            preflight(name, &settings).await?;
            return Ok(Choice { provider: name.to_owned(), settings, because: None });
        }
    }
    let looked = tokio::time::timeout(PATIENCE, kind_if_it_can(request)).await;
    let reason = match looked {
        Ok(Ok(choice)) => return Ok(choice),
        Ok(Err(reason)) => reason,
        Err(_) => Error::NoEngine {
            address: "its socket".to_owned(),
            why: format!("it did not answer within {} s", PATIENCE.as_secs()),
        },
    };
    // Whoever asks for nodes asks for kind.
    if request.node_image.is_some() || request.workers > 0 {
        return Err(reason);
    }
    let settings = Settings::default();
    match preflight("embedded", &settings).await {
        Ok(()) => {
            let because = format!("embedded cluster, as {}", in_a_sentence(&reason));
            Ok(Choice { provider: "embedded".to_owned(), settings, because: Some(because) })
        }
        Err(embedded) => {
            Err(Error::NoProvider { kind: Box::new(reason), embedded: Box::new(embedded) })
        }
    }
}

/// Whoever wants nothing to leave the machine wants the cluster that can see to it.
async fn offline(request: &Request) -> Result<Choice, Error> {
    refuse_nodes(request, "embedded")?;
    let settings = Settings { offline: true, ..Settings::default() };
    preflight("embedded", &settings).await?;
    let because = Some("embedded cluster, as only that can be offline".to_owned());
    Ok(Choice { provider: "embedded".to_owned(), settings, because })
}

async fn preflight(name: &str, settings: &Settings) -> Result<(), Error> {
    crate::by_name(name)?.preflight(&nothing(settings)).await
}

async fn kind_as_asked(request: &Request) -> Result<Choice, Error> {
    let (engine, _) = kind::find(&request.around).await?;
    Machine::of(&engine).await?.runs_the_platform(&engine)?;
    Ok(Choice { provider: "kind".to_owned(), settings: settings(request, &engine), because: None })
}

async fn kind_if_it_can(request: &Request) -> Result<Choice, Error> {
    let (engine, by) = kind::find(&request.around).await?;
    let machine = Machine::of(&engine).await?;
    machine.runs_the_platform(&engine)?;
    let mib = machine.memory / 1024 / 1024;
    if mib < kind::MEMORY_MIB {
        let why =
            format!("its machine has {mib} MiB of memory, and nodes need {}", kind::MEMORY_MIB);
        return Err(Error::NoEngine { address: engine.address().to_owned(), why });
    }
    let image = request.image().unwrap_or(kind::DEFAULT_IMAGE);
    let cost = if kind::present(&engine, image).await?.is_some() {
        "its node image is there".to_owned()
    } else {
        kind::available(&engine, image).await.map_err(|error| Error::NodeImageMissing {
            image: image.to_owned(),
            why: error.to_string(),
        })?;
        format!("its node image is downloaded once ({})", kind::DOWNLOAD)
    };
    let mut because = format!("kind, as a Docker Engine answers ({by}) and {cost}");
    if cfg!(target_os = "linux") {
        because.push_str("; `--provider embedded` needs neither and starts in a second");
    }
    let settings = settings(request, &engine);
    Ok(Choice { provider: "kind".to_owned(), settings, because: Some(because) })
}

fn settings(request: &Request, engine: &Engine) -> Settings {
    Settings {
        id: Some(id()),
        engine: Some(engine.address().to_owned()),
        node_image: request.image().map(str::to_owned),
        workers: request.workers,
        keep: request.keep,
        offline: false,
    }
}

/// A random name for a cluster.
fn id() -> String {
    let mut bytes = [0_u8; 12];
    rand::fill(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Options of nodes mean nothing to a provider without them.
fn refuse_nodes(request: &Request, provider: &str) -> Result<(), Error> {
    let option = if request.node_image.is_some() {
        "--node-image"
    } else if request.workers > 0 {
        "--workers"
    } else {
        return Ok(());
    };
    Err(Error::NoNodes { option, provider: provider.to_owned() })
}

/// A cluster that does not exist yet, for a provider's first look.
fn nothing(settings: &Settings) -> ClusterSpec {
    ClusterSpec {
        provider: String::new(),
        instance: String::new(),
        home: std::path::PathBuf::new(),
        binary: std::path::PathBuf::new(),
        image: String::new(),
        api_port: 0,
        doors: Vec::new(),
        settings: settings.clone(),
    }
}

/// The first clause of an error: what happened, without what to do about it.
fn in_a_sentence(error: &Error) -> String {
    let text = error.to_string();
    text.split("; ").next().unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests;
