//! Analyses under way.
//!
//! An analysis belongs to a report that is in the database already. Every part of it has a bound, so that it ends with a
//! report or with the reason why there is none; one that the end of the process interrupted is begun again by the next.

use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use curtain_role::Shutdown;
use futures::FutureExt as _;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;

use super::alert::Request;
use super::apply::{self, Remedy};
use super::conclude::conclude;
use super::evidence::{Evidence, gather};
use super::leave::Leave;
use super::reason;
use super::report::Report;
use super::rules::{Judgement, judge};
use super::store::{Kept, Stage, Store, StoreError, Wanted};
use crate::platform::Tools;

/// Analyses at once.
const AT_ONCE: usize = 5;
/// Looks at the platform, at most: what is to be seen of trouble comes in over some seconds.
const LOOKS: u32 = 4;
/// Between looks.
const PAUSE: Duration = Duration::from_secs(4);
/// A cause that is as sure as this is not looked into again.
pub(super) const SURE: f64 = 0.8;

/// Whoever analyses. Clones are the same one.
#[derive(Clone)]
pub(super) struct Analyst {
    pub(super) store: Store,
    pub(super) tools: Arc<dyn Tools>,
    /// Whom it asks before it changes something.
    leave: Arc<dyn Leave>,
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
        (tools, leave): (Arc<dyn Tools>, Arc<dyn Leave>),
        model: PathBuf,
        shutdown: Shutdown,
    ) -> Self {
        let places = Arc::new(Semaphore::new(AT_ONCE));
        Self { store, tools, leave, model, places, shutdown, news: Arc::default() }
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
        let wanted = Wanted { stage: Some(Stage::Pending), limit: u32::MAX, ..Wanted::default() };
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
            let analysis = AssertUnwindSafe(analyst.analyse(&kept.request)).catch_unwind();
            let analysed = tokio::select! {
                analysed = analysis => analysed,
                () = analyst.shutdown.wait() => return,
            };
            if let Err(error) = analyst.conclude(&kept, analysed.ok()).await {
                tracing::error!(report = kept.id, %error, "a report could not be kept");
            }
            analyst.news.notify_waiters();
        });
    }

    /// Keeps what came of an analysis, and then makes the change that may be made: never twice, whatever interrupts this.
    async fn conclude(
        &self,
        kept: &Kept,
        analysed: Option<(Report, Option<Remedy>)>,
    ) -> Result<(), StoreError> {
        let id = kept.id.clone();
        let Some((report, remedy)) = analysed else {
            let why = "The analysis failed: the log of the SRE agent says why.";
            return self.stored(move |store| store.end(&id, why, None)).await;
        };
        tracing::info!(report = id, summary = report.summary, "an alert was looked into");
        let (summary, body) = (report.summary.clone(), json!(report));
        self.stored(move |store| store.end(&id, &summary, Some(&body))).await?;
        let Some(remedy) = remedy else { return Ok(()) };
        let platform = (self.tools.as_ref(), self.leave.as_ref());
        let tried = apply::where_allowed(platform, &kept.request, &report, &remedy);
        let Some(attempt) = tried.await else { return Ok(()) };
        let id = kept.id.clone();
        let noted = move |report: &mut Value| {
            attempt.note(report, &remedy.change);
            Ok::<(), ()>(())
        };
        self.stored(move |store| store.change(&id, noted)).await.map(drop)
    }

    /// Looks until the rules are sure, or often enough; then asks the model, if there is one. With the report comes the
    /// change that the rules are sure of.
    async fn analyse(&self, request: &Request) -> (Report, Option<Remedy>) {
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
        let remedy = apply::remedy(&judgement);
        let mut report = conclude(&evidence, judgement);
        reason::further(&self.model, &self.tools, &evidence, &mut report).await;
        (report, remedy)
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
