//! What every step works with.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::Mutex,
    time::{Duration, Instant},
};

use curtain_provider::{ClusterSpec, Leftover, Provider};
use tokio::sync::OnceCell;

use crate::{
    Error, Home, Instance,
    ledger::Ledger,
    progress::{Event, Progress},
};

/// The surroundings of a plan: the instance, its cluster and its ledger.
pub(crate) struct World<'a> {
    /// Where the instance lives.
    pub(crate) home: &'a Home,
    /// What it is; unknown when its file was lost or never written.
    pub(crate) instance: Option<Instance>,
    /// This program, the source of the kept copy.
    pub(crate) program: PathBuf,
    /// The record of effects.
    pub(crate) ledger: Mutex<Ledger>,
    /// Who watches.
    pub(crate) progress: &'a dyn Progress,
    /// When the plan must be done.
    pub(crate) deadline: Instant,
    /// Whether the whole instance goes: then what lives inside the cluster goes with it.
    pub(crate) leaving: bool,
    /// Steps that were begun and perhaps not completed, when the plan began.
    pub(crate) half: BTreeSet<String>,
    /// Whether images that were downloaded for the cluster go, too.
    pub(crate) images: bool,
    kept: Mutex<Vec<Leftover>>,
    client: OnceCell<kube::Client>,
}

impl<'a> World<'a> {
    pub(crate) fn new(
        home: &'a Home,
        instance: Option<Instance>,
        ledger: Ledger,
        progress: &'a dyn Progress,
        timeout: Duration,
    ) -> Self {
        let half = ledger.entries().iter().filter(|entry| !entry.done);
        let half = half.map(|entry| entry.effect.name()).collect();
        Self {
            home,
            instance,
            half,
            program: PathBuf::new(),
            ledger: Mutex::new(ledger),
            progress,
            deadline: Instant::now() + timeout,
            leaving: false,
            images: false,
            kept: Mutex::new(Vec::new()),
            client: OnceCell::new(),
        }
    }

    /// The ledger. A panic while it was held leaves it as consistent as a crash does.
    pub(crate) fn ledger(&self) -> std::sync::MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Notes what stays on purpose.
    pub(crate) fn keep(&self, kept: Vec<Leftover>) {
        self.kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner).extend(kept);
    }

    /// What stays on purpose.
    pub(crate) fn kept(&self) -> Vec<Leftover> {
        self.kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// Time left until the deadline.
    pub(crate) fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// The instance's own data.
    pub(crate) fn instance(&self) -> Result<&Instance, Error> {
        self.instance.as_ref().ok_or_else(|| Error::Stored {
            path: self.home.state(),
            why: "it is missing".to_owned(),
        })
    }

    /// The cluster and who provides it.
    pub(crate) fn cluster(&self) -> Result<(Box<dyn Provider>, ClusterSpec), Error> {
        let instance = self.instance()?;
        Ok((curtain_provider::by_name(&instance.provider)?, instance.cluster(self.home)))
    }

    /// A client of the cluster's API as its administrator.
    pub(crate) async fn client(&self) -> Result<&kube::Client, Error> {
        self.client
            .get_or_try_init(|| async {
                let (provider, spec) = self.cluster()?;
                kube_client(&provider.kubeconfig(&spec)).await
            })
            .await
    }

    /// Tells the watcher.
    pub(crate) fn tell(&self, step: &str, event: Event) {
        self.progress.event(step, event);
    }
}

/// A client from the kubeconfig at `path`.
pub(crate) async fn kube_client(path: &std::path::Path) -> Result<kube::Client, Error> {
    let unreachable = |why: String| Error::Unreachable {
        what: format!("the cluster of {}", path.display()),
        why,
    };
    let mut config =
        curtain_provider::direct(path).await.map_err(|error| unreachable(error.to_string()))?;
    config.connect_timeout = Some(Duration::from_secs(5));
    kube::Client::try_from(config).map_err(|error| unreachable(error.to_string()))
}
