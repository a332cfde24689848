//! The controllers of the platform, in one process.
//!
//! Watches fill one [store]; whatever changes asks for the objects it [concerns](wake); a [queue] hands
//! them to their reconcilers, a few at a time, one object never twice at once. A pass reads the store, writes what is
//! missing, reports in the status, and ends; nothing polls. Answers to our own writes enter the store at once, so a chain
//! of passes (component, release, binding, rendered release, live objects) does not wait for watches.
//!
//! Validation: what a schema can say is in the CRDs. The rest of what upstream's admission does is told in conditions
//! here (traits allowed and unique, type and workload type, snapshots complete, templates that do not render); the REST
//! API checks the same before it writes.

mod binding;
mod channel;
mod component;
mod context;
mod environment;
mod events;
mod names;
mod pipeline;
mod plane;
mod project;
mod queue;
mod rendered;
mod store;
mod wake;
mod watch;

use crate::remote::Planes;
use context::{Context, Error};
use curtain_role::{Health, Shutdown};
use futures::stream::{FuturesUnordered, StreamExt};
use queue::Outcome;
use std::collections::VecDeque;
use std::sync::Arc;
use store::{Key, What};
use tokio::sync::{Notify, watch::channel as watch_channel};
use watch::{Change, Collection};

/// How many objects are worked on at once here, and how many in planes.
const WORKERS: usize = 8;

/// What the controllers run with.
pub struct Config {
    /// The control plane.
    pub control: kube::Client,
    /// How planes are reached.
    pub planes: Planes,
    /// Ready when every kind has been listed once.
    pub health: Health,
}

/// Why the controllers ended before they were told to.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A kind they need is not served.
    #[error("cannot follow {kind}: {reason}; are the CustomResourceDefinitions installed?")]
    NotServed {
        /// The kind.
        kind: &'static str,
        /// What the API server said.
        reason: String,
    },
}

/// Runs every controller until `shutdown`.
///
/// # Errors
/// When a kind of the platform is not served.
pub async fn run(config: Config, shutdown: Shutdown) -> Result<(), RunError> {
    let Config { control, planes, health } = config;
    let ctx = Arc::new(Context::new(control, planes));
    let (listed, mut all_listed) = watch_channel(What::ALL.len());
    let mut follows: FuturesUnordered<_> = What::ALL
        .into_iter()
        .map(|what| {
            let check = health.check(what.info().plural);
            let listed = listed.clone();
            follow(Arc::clone(&ctx), what, move || {
                check.pass();
                listed.send_modify(|left| *left = left.saturating_sub(1));
            })
        })
        .collect();
    let work = async {
        // What is not listed yet would look missing.
        let _ = all_listed.wait_for(|left| *left == 0).await;
        work(&ctx).await;
    };
    tokio::select! {
        Some(error) = follows.next() => Err(error),
        () = work => Ok(()),
        () = shutdown.wait() => Ok(()),
    }
}

/// Follows one kind for ever; `listed` is called once, when its objects are known.
async fn follow(ctx: Arc<Context>, what: What, listed: impl FnOnce()) -> RunError {
    let info = what.info();
    let path = format!("/apis/{}/{}", crate::types::API_VERSION, info.plural);
    let collection = Collection { path, selector: String::new() };
    let mut listed = Some(listed);
    let never = Notify::new();
    let error = watch::follow(&ctx.control, &collection, &never, |change| {
        let all = matches!(change, Change::All(..));
        ctx.observe(what, change);
        if all && let Some(listed) = listed.take() {
            listed();
        }
    })
    .await;
    RunError::NotServed { kind: info.kind, reason: error.to_string() }
}

/// Works the queue off. A plane that does not answer holds up its own releases, and nothing else.
async fn work(ctx: &Context) {
    let mut here = FuturesUnordered::new();
    let mut away = FuturesUnordered::new();
    let mut held = VecDeque::new();
    loop {
        tokio::select! {
            key = ctx.queue.next(), if here.len() < WORKERS => match reaches_a_plane(&key) {
                false => here.push(one(ctx, key)),
                true if away.len() < WORKERS => away.push(one(ctx, key)),
                true => held.push_back(key),
            },
            Some(()) = here.next() => {}
            Some(()) = away.next() => away.extend(held.pop_front().map(|key| one(ctx, key))),
        }
    }
}

/// Whether a pass waits for a plane, and not only for the control plane.
fn reaches_a_plane(key: &Key) -> bool {
    matches!(
        key.what,
        What::RenderedRelease
            | What::ClusterDataPlane
            | What::ObservabilityAlertsNotificationChannel
    )
}

async fn one(ctx: &Context, key: Key) {
    let start = tokio::time::Instant::now();
    let result = reconcile(ctx, &key).await;
    tracing::debug!(%key, micros = start.elapsed().as_micros(), "passed");
    let outcome = match result {
        Ok(outcome) => outcome,
        Err(error) => {
            // Somebody else wrote first: the next try sees it.
            match error.code() {
                Some(409) => tracing::debug!(%key, %error, "trying again"),
                _ => tracing::warn!(%key, %error, "trying again"),
            }
            Outcome::Failed
        }
    };
    ctx.queue.done(key, outcome);
}

async fn reconcile(ctx: &Context, key: &Key) -> Result<Outcome, Error> {
    match key.what {
        What::Component => component::reconcile(ctx, key).await,
        What::ReleaseBinding => binding::reconcile(ctx, key).await,
        What::RenderedRelease => rendered::reconcile(ctx, key).await,
        What::Project => project::reconcile(ctx, key).await,
        What::Environment => environment::reconcile(ctx, key).await,
        What::ObservabilityAlertsNotificationChannel => channel::reconcile(ctx, key).await,
        What::DeploymentPipeline => pipeline::reconcile(ctx, key).await,
        What::ClusterDataPlane => plane::data(ctx, key).await,
        What::ClusterObservabilityPlane => plane::observability(ctx, key).await,
        What::ClusterWorkflowPlane => plane::workflow(ctx, key).await,
        // Read by others, changed by nobody here.
        What::ClusterComponentType
        | What::ClusterTrait
        | What::ComponentRelease
        | What::Trait
        | What::Workload => Ok(Outcome::Settled),
    }
}
