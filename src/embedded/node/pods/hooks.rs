//! What a container wants done after its start and before its end.
//!
//! A program before the end is the shim's to run, within the grace period and whatever happens to the node; a request is the
//! node's, in time that the shim lets pass, and that ends without it. What comes after the start is the node's, like a probe.
//! What is the node's may be done again by one that was started meanwhile.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, LifecycleHandler, Probe};
use tokio::sync::mpsc;

use super::check::{self, Target};
use super::probe::{Kind, News, Probing, What};
use crate::node::shim::StopHook;

/// A container that its hook holds up for longer is killed.
const LONGEST: Duration = Duration::from_secs(3600);

/// What is done before a container is asked to end.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum BeforeEnd {
    /// By its shim.
    Shim(StopHook),
    /// By the node.
    Node(Box<LifecycleHandler>),
}

/// What is done before the container is asked to end.
pub(super) fn before_end(container: &Container) -> Option<BeforeEnd> {
    let handler = container.lifecycle.as_ref()?.pre_stop.as_ref()?;
    Some(match (&handler.exec, &handler.sleep) {
        (Some(exec), _) => {
            BeforeEnd::Shim(StopHook::Exec(exec.command.clone().unwrap_or_default()))
        }
        (None, Some(sleep)) => {
            BeforeEnd::Shim(StopHook::Sleep(u64::try_from(sleep.seconds).unwrap_or(0)))
        }
        (None, None) => BeforeEnd::Node(Box::new(handler.clone())),
    })
}

/// What is done after the container has started.
pub(super) fn after_start(container: &Container) -> Option<&LifecycleHandler> {
    container.lifecycle.as_ref()?.post_start.as_ref()
}

/// Does what a handler says; whatever answers a request is content with it.
///
/// # Errors
/// The sentence for the event.
pub(super) async fn perform(handler: &LifecycleHandler, target: &Target) -> Result<(), String> {
    if let Some(sleep) = &handler.sleep {
        let seconds = u64::try_from(sleep.seconds).unwrap_or(0);
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        Ok(())
    } else if let Some(get) = &handler.http_get {
        check::fetch(get, target, "kube-lifecycle/1.36").await.map(drop)
    } else if handler.exec.is_some() {
        let probe = Probe { exec: handler.exec.clone(), ..Probe::default() };
        check::check(&probe, target, LONGEST).await
    } else {
        // The API has it for the sake of old objects; no kubelet does it.
        Err("invalid handler: tcpSocket is none; exec, httpGet and sleep are".to_owned())
    }
}

/// Does what is to be done after the start; the outcome is told as that of a probe. Dropping the result gives it up.
pub(super) fn run(
    handler: LifecycleHandler,
    attempt: u32,
    target: Target,
    news: &mpsc::UnboundedSender<News>,
) -> Probing {
    let news = news.clone();
    let task = tokio::spawn(async move {
        let outcome = match tokio::time::timeout(LONGEST, perform(&handler, &target)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(format!("it took longer than {} s", LONGEST.as_secs())),
        };
        let what = match outcome {
            Ok(()) => What::Passed,
            Err(message) => What::Failed(message),
        };
        let container = target.container.name.clone();
        // The pod's worker is gone: so is this task, in a moment.
        let _ = news.send(News { container, attempt, kind: Kind::PostStart, what });
    });
    Probing::of(&task)
}
