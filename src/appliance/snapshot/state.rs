//! An instance in the hands of one command, which stops it and lets it go on.

use std::time::{Duration, Instant};

use curtain_provider::{ClusterSpec, Keeper, Provider, Stop};
use jiff::Timestamp;
use kube::{
    Api,
    api::{ApiResource, DynamicObject, GroupVersionKind, ListParams},
};

use super::STEP;
use crate::{
    Before, Error, Home, Homes, Instance, Up,
    access::Access,
    instance::build_id,
    lock::Lock,
    pause,
    progress::{Event, Progress, Silent},
    status::{existing, held},
    up::{again, of_build},
};

/// How long the API may take to tell what is in the instance: it is only shown.
const ANSWER: Duration = Duration::from_secs(3);

/// How long another command on the same instance is waited for, at most.
const PATIENCE: Duration = Duration::from_secs(60);

/// An instance that nobody else touches.
pub(super) struct State<'a> {
    pub(super) homes: &'a Homes,
    pub(super) home: &'a Home,
    pub(super) instance: Instance,
    pub(super) spec: ClusterSpec,
    provider: Box<dyn Provider>,
    up: &'a Up,
    /// Since when it is paused, if it was before.
    paused: Option<Timestamp>,
    _lock: Lock,
}

impl<'a> State<'a> {
    /// Takes hold of the instance in `home`, which `up` can start again.
    ///
    /// # Errors
    /// An instance that does not exist, whose provider has no snapshots, or that another build made; another command on it
    /// for as long as `stop` gives.
    pub(super) async fn hold(
        homes: &'a Homes,
        home: &'a Home,
        up: &'a Up,
        stop: &Stop,
    ) -> Result<Self, Error> {
        let instance = existing(homes, home)?;
        let provider = curtain_provider::by_name(&instance.provider)?;
        provider.keeper()?;
        let spec = instance.cluster(home);
        provider.preflight(&spec).await?;
        // Whoever cannot start it again must not stop it.
        let program = up.program.clone();
        let build = tokio::task::spawn_blocking(move || build_id(&program)).await;
        let failed = |error| Error::file("read", &up.program, std::io::Error::other(error));
        of_build(home, &instance, &build.map_err(failed)??.0)?;
        let lock = tokio::select! {
            lock = held(homes, home, stop.left().min(PATIENCE)) => lock?,
            over = stop.over() => return Err(over.into()),
        };
        let instance = existing(homes, home)?;
        let spec = instance.cluster(home);
        let paused = pause::since(home)?;
        Ok(Self { homes, home, instance, spec, provider, up, paused, _lock: lock })
    }

    /// Who has its state.
    pub(super) fn keeper(&self) -> Result<&dyn Keeper, Error> {
        Ok(self.provider.keeper()?)
    }

    /// Whether somebody paused it before.
    pub(super) fn was_paused(&self) -> bool {
        self.paused.is_some()
    }

    /// Whether anything of it runs.
    pub(super) async fn runs(&self) -> Result<bool, Error> {
        Ok(pause::processes(&*self.provider, &self.spec).await? > 0)
    }

    /// Starts it, by the steps that `curtain up` takes.
    pub(super) async fn start(&self) -> Result<(), Error> {
        let options = Up { before: Before::Present, ..self.up.clone() };
        again(self.homes, self.home, &options, &Silent).await.map(drop)
    }

    /// Lets it be as it was found: what ran runs again, what was paused is so still.
    pub(super) async fn go_on(&self, ran: bool) -> Result<(), Error> {
        match (ran, self.paused) {
            (true, None) => self.start().await,
            (false, None) => pause::end(self.home),
            (_, Some(_)) => Ok(()),
        }
    }

    /// How many components it has; nobody tells where it does not run.
    pub(super) async fn components(&self) -> Option<usize> {
        let asked = async {
            let client = Access::to(self.homes, self.home).ok()?.kube().await.ok()?;
            let kind = GroupVersionKind::gvk("openchoreo.dev", "v1alpha1", "Component");
            let resource = ApiResource::from_gvk(&kind);
            let api: Api<DynamicObject> = Api::all_with(client, &resource);
            Some(api.list_metadata(&ListParams::default()).await.ok()?.items.len())
        };
        tokio::time::timeout(ANSWER, asked).await.ok().flatten()
    }
}

/// Shows `work` as the one step `title`, which says what it is at by [`at`].
pub(super) async fn shown<T>(
    progress: &dyn Progress,
    title: String,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    progress.plan(&[(STEP.to_owned(), title)]);
    progress.event(STEP, Event::Started);
    let began = Instant::now();
    let outcome = work.await;
    let end = if outcome.is_ok() { Event::Finished(began.elapsed()) } else { Event::Failed };
    progress.event(STEP, end);
    outcome
}

/// Says what the step is at.
pub(super) fn at(progress: &dyn Progress, what: &str) {
    progress.event(STEP, Event::Detail(what.to_owned()));
}
