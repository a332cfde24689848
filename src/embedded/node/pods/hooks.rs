//! What a container wants done after its start and before its end.
//!
//! The hook before the end is the shim's to run, within the grace period and whatever happens to the node; the one
//! after the start is the node's, like a probe. It may be run again by a node that was started meanwhile.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, LifecycleHandler, Probe};
use tokio::sync::mpsc;

use super::check::{self, Target};
use super::probe::{Kind, News, Probing, What};
use crate::node::shim::StopHook;

/// A container that its hook holds up for longer is killed.
const LONGEST: Duration = Duration::from_secs(3600);

/// What is done before the container is asked to end.
pub(super) fn before_end(container: &Container) -> Option<StopHook> {
    let handler = container.lifecycle.as_ref()?.pre_stop.as_ref()?;
    if let Some(exec) = &handler.exec {
        return Some(StopHook::Exec(exec.command.clone().unwrap_or_default()));
    }
    let seconds = handler.sleep.as_ref()?.seconds;
    Some(StopHook::Sleep(u64::try_from(seconds).unwrap_or(0)))
}

/// What is done after the container has started.
pub(super) fn after_start(container: &Container) -> Option<&LifecycleHandler> {
    let handler = container.lifecycle.as_ref()?.post_start.as_ref()?;
    let known = handler.exec.is_some() || handler.http_get.is_some() || handler.sleep.is_some();
    known.then_some(handler)
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
        let outcome = match &handler.sleep {
            Some(sleep) => {
                let seconds = u64::try_from(sleep.seconds).unwrap_or(0);
                tokio::time::sleep(Duration::from_secs(seconds)).await;
                Ok(())
            }
            None => {
                let probe =
                    Probe { exec: handler.exec, http_get: handler.http_get, ..Probe::default() };
                let check = check::check(&probe, &target, LONGEST);
                match tokio::time::timeout(LONGEST, check).await {
                    Ok(outcome) => outcome,
                    Err(_) => Err(format!("it took longer than {} s", LONGEST.as_secs())),
                }
            }
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
