//! Following one container's log.

use std::sync::Arc;
use std::time::Duration;

use curtain_role::Backoff;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::api::LogParams;
use kube::{Api, Client};
use tokio::sync::watch;

use super::lines::{Numbering, read_line};
use super::pods::Progress;
use super::queue::Inlet;
use super::ship::Shipped;
use crate::wire::{Position, Source};

/// A stream that ended although its container runs is opened again after this time, unless the container's
/// state changes before.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

pub(super) struct Follower {
    client: Client,
    source: Arc<Source>,
    inlet: Inlet<Shipped>,
    /// The last place that was put into the inlet, or that the observer has.
    last: Option<Position>,
    progress: watch::Receiver<Progress>,
}

impl Follower {
    pub(super) fn new(
        client: Client,
        source: Source,
        inlet: Inlet<Shipped>,
        last: Option<Position>,
        progress: watch::Receiver<Progress>,
    ) -> Self {
        Follower { client, source: Arc::new(source), inlet, last, progress }
    }

    /// Reads until the pod is gone and its log is read. Returns early when nobody takes lines any more.
    pub(super) async fn run(mut self) {
        let mut backoff = Backoff::default();
        // The instance whose log was read to its end.
        let mut complete: Option<i32> = None;
        loop {
            let progress = *self.progress.borrow_and_update();
            if progress.restarts > 0
                && complete != Some(progress.restarts - 1)
                && complete != Some(progress.restarts)
            {
                // The end of the former instance, as far as it is still there; a missing log is no error.
                let _ = self.read(true, false).await;
                complete = Some(progress.restarts - 1);
            }
            let pause = match self.read(false, progress.running).await {
                Ok(true) => {
                    if progress.ended {
                        complete = Some(progress.restarts);
                        None
                    } else {
                        Some(PAUSE)
                    }
                }
                Ok(false) => return,
                Err(error) => {
                    tracing::debug!(pod = self.source.pod, container = self.source.container, %error, "the log is read again");
                    Some(backoff.next().unwrap_or(LONGEST_PAUSE))
                }
            };
            let gone = match pause {
                Some(pause) => tokio::select! {
                    changed = self.progress.changed() => changed.is_err(),
                    () = tokio::time::sleep(pause) => false,
                },
                None => self.progress.changed().await.is_err(),
            };
            if gone {
                if !progress.ended {
                    let _ = self.read(false, false).await;
                }
                return;
            }
        }
    }

    /// Reads the log from the last place to its present end, or with `follow` until the container ends.
    /// `Ok(false)` when nobody takes lines any more.
    async fn read(&mut self, previous: bool, follow: bool) -> Result<bool, kube::Error> {
        let api: Api<Pod> = Api::namespaced(self.client.clone(), &self.source.pod_namespace);
        // Whole seconds are all that the API can say, and it may mean "after". One second more makes sure that
        // all lines of the last time are read again, and so counted alike; what is known is skipped below.
        let since = self.last.map(|last| last.time.div_euclid(1_000_000_000) - 1);
        let params = LogParams {
            container: Some(self.source.container.clone()),
            follow,
            previous,
            since_time: since.and_then(|seconds| Timestamp::from_second(seconds).ok()),
            timestamps: true,
            ..LogParams::default()
        };
        let stream = api.log_stream(&self.source.pod, &params).await?;
        let mut stream = std::pin::pin!(stream);
        let mut numbering = Numbering::new();
        loop {
            let text = match read_line(&mut stream).await {
                Ok(Some(text)) => text,
                Ok(None) => return Ok(true),
                Err(error) => return Err(kube::Error::Service(Box::new(error))),
            };
            let line = numbering.line(&text);
            let place = line.0;
            if self.last.is_some_and(|last| place <= last) {
                continue;
            }
            if !self.inlet.ship(&self.source, line).await {
                return Ok(false);
            }
            self.last = Some(place);
        }
    }
}
