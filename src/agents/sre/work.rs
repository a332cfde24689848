//! Analyses under way.
//!
//! An analysis belongs to a report that is in the database already. It ends within its time with a report or with the
//! reason why there is none, and one that the end of the process interrupted is begun again by the next one.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use curtain_role::Shutdown;
use jiff::Timestamp;
use serde_json::json;
use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;

use super::alert::Request;
use super::apply;
use super::conclude::conclude;
use super::evidence::{Evidence, gather};
use super::reason;
use super::report::Report;
use super::rules::{Judgement, judge};
use super::store::{Kept, Stage, Store, StoreError, Wanted};
use crate::platform::Tools;

/// Analyses at once.
const AT_ONCE: usize = 5;
/// The longest an analysis may take, with a model that thinks.
const PATIENCE: Duration = Duration::from_secs(1500);
/// Looks at the platform, at most: what is to be seen of trouble comes in over some seconds.
const LOOKS: u32 = 4;
/// Between looks.
const PAUSE: Duration = Duration::from_secs(4);
/// A cause that is as sure as this is not looked into again.
const SURE: f64 = 0.8;

/// Whoever analyses. Clones are the same one.
#[derive(Clone)]
pub(super) struct Analyst {
    pub(super) store: Store,
    pub(super) tools: Arc<dyn Tools>,
    /// Where the settings of a model are.
    model: PathBuf,
    pub(super) places: Arc<Semaphore>,
    pub(super) shutdown: Shutdown,
    /// Told when an analysis has ended.
    news: Arc<Notify>,
}

impl Analyst {
    pub(super) fn new(
        store: Store,
        tools: Arc<dyn Tools>,
        model: PathBuf,
        shutdown: Shutdown,
    ) -> Self {
        let places = Arc::new(Semaphore::new(AT_ONCE));
        Self { store, tools, model, places, shutdown, news: Arc::default() }
    }

    /// Has the alert of `request` looked into, unless that is done already or under way.
    pub(super) async fn begin(&self, request: Request) -> Result<Kept, StoreError> {
        let (kept, new) = self.stored(move |store| store.begin(&request, Timestamp::now())).await?;
        if new {
            self.go_on(kept.clone());
        }
        Ok(kept)
    }

    /// `kept` as it is once its analysis has ended, or after `patience`.
    pub(super) async fn ended(&self, kept: Kept, patience: Duration) -> Result<Kept, StoreError> {
        let give_up = Instant::now() + patience;
        loop {
            // Before the look, so that no news in between is missed.
            let news = self.news.notified();
            let id = kept.id.clone();
            let now = self.stored(move |store| store.get(&id)).await?;
            let now = now.unwrap_or_else(|| kept.clone());
            if now.stage != Stage::Pending || tokio::time::timeout_at(give_up, news).await.is_err()
            {
                return Ok(now);
            }
        }
    }

    /// Begins again what the process before this one was at.
    pub(super) async fn resume(&self) -> Result<(), StoreError> {
        let wanted = Wanted { stage: Some(Stage::Pending), ..Wanted::default() };
        let (pending, _) = self.stored(move |store| store.list(&wanted)).await?;
        for kept in pending {
            tracing::info!(report = kept.id, "an analysis that was interrupted is begun again");
            self.go_on(kept);
        }
        Ok(())
    }

    /// Looks into the alert of `kept` in the background.
    fn go_on(&self, kept: Kept) {
        let analyst = self.clone();
        tokio::spawn(async move {
            // The semaphore is never closed.
            let Ok(_place) = analyst.places.acquire().await else { return };
            let analysis = tokio::time::timeout(PATIENCE, analyst.analyse(&kept.request));
            let report = tokio::select! {
                report = analysis => report,
                () = analyst.shutdown.wait() => return,
            };
            let id = kept.id.clone();
            let ended = match report {
                Ok(report) => {
                    tracing::info!(
                        report = id,
                        summary = report.summary,
                        "an alert was looked into"
                    );
                    let (summary, body) = (report.summary.clone(), json!(report));
                    analyst.stored(move |store| store.end(&id, &summary, Some(&body))).await
                }
                Err(_) => {
                    let seconds = PATIENCE.as_secs();
                    let why = format!("The analysis did not end within {seconds} s.");
                    tracing::warn!(report = id, why, "an alert could not be looked into");
                    analyst.stored(move |store| store.end(&id, &why, None)).await
                }
            };
            if let Err(error) = ended {
                tracing::error!(report = kept.id, %error, "a report could not be kept");
            }
            analyst.news.notify_waiters();
        });
    }

    /// Looks until the rules are sure, or often enough.
    async fn analyse(&self, request: &Request) -> Report {
        let mut best = self.look(request).await;
        for _ in 1..LOOKS {
            if best.1.weight() >= SURE {
                break;
            }
            tokio::time::sleep(PAUSE).await;
            let seen = self.look(request).await;
            if seen.1.weight() >= best.1.weight() {
                best = seen;
            }
        }
        let (evidence, judgement) = best;
        let mut report = conclude(&evidence, judgement);
        reason::further(&self.model, &self.tools, &evidence, &mut report).await;
        apply::where_allowed(self.tools.as_ref(), request, &mut report).await;
        report
    }

    async fn look(&self, request: &Request) -> (Evidence, Judgement) {
        let evidence = gather(self.tools.as_ref(), request, Timestamp::now()).await;
        let judgement = judge(&evidence);
        (evidence, judgement)
    }

    /// Asks the database, which may block, apart from everything else.
    pub(super) async fn stored<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let store = self.store.clone();
        match tokio::task::spawn_blocking(move || ask(&store)).await {
            Ok(answer) => answer,
            Err(_) => Err(StoreError::Interrupted),
        }
    }
}
