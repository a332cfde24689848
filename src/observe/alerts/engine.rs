//! Follows the rules and has each of them looked at in its interval.
//!
//! A rule that is new or changed is looked at at once. The engine keeps nothing that a restart would lose: when a rule
//! is due is known anew, and what came of it is in the database.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use curtain_platform::types::ObservabilityAlertRule;
use curtain_role::{Backoff, Shutdown};
use futures::StreamExt;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{Patch, PatchParams};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client};
use serde_json::json;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::judge::{Look, Outcome};
use super::measure::Measure;
use super::rule::{Key, Rule, key};
use super::{Store, status};
use crate::asked::nanoseconds;
use crate::database::{DatabaseError, run};

/// How long a status may take to write.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the engine works with.
pub(super) struct Engine<M> {
    pub(super) store: Store,
    pub(super) measure: M,
    pub(super) client: Client,
    pub(super) suppression: Duration,
    /// Whether there is an agent to look for causes.
    pub(super) rca: bool,
    /// Told when there may be something to deliver.
    pub(super) news: Arc<Notify>,
}

struct Scheduled {
    rule: Rule,
    due: Instant,
}

type Schedule = BTreeMap<Key, Scheduled>;

impl<M: Measure> Engine<M> {
    /// Evaluates rules until `shutdown`.
    pub(super) async fn run(self, shutdown: Shutdown) {
        let api: Api<ObservabilityAlertRule> = Api::all(self.client.clone());
        let config = watcher::Config::default();
        let mut events = std::pin::pin!(watcher(api, config).backoff(Backoff::default()));
        let mut schedule = Schedule::new();
        let mut listed = BTreeSet::new();
        loop {
            let next = schedule.iter().min_by_key(|(_, scheduled)| scheduled.due);
            let next = next.map(|(key, scheduled)| (key.clone(), scheduled.due));
            let due = async {
                match &next {
                    Some((_, due)) => tokio::time::sleep_until(*due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = shutdown.wait() => return,
                event = events.next() => match event {
                    None => return,
                    Some(Err(error)) => tracing::warn!(%error, "the watch of alert rules was interrupted"),
                    Some(Ok(Event::Init)) => listed.clear(),
                    Some(Ok(Event::InitApply(object))) => {
                        listed.insert(key(&object));
                        self.take(&mut schedule, &object).await;
                    }
                    Some(Ok(Event::InitDone)) => {
                        schedule.retain(|key, _| listed.contains(key));
                        let listed = listed.clone();
                        self.end(move |key| listed.contains(key), GONE).await;
                    }
                    Some(Ok(Event::Apply(object))) => self.take(&mut schedule, &object).await,
                    Some(Ok(Event::Delete(object))) => {
                        let gone = key(&object);
                        schedule.remove(&gone);
                        self.end(move |key| *key != gone, GONE).await;
                    }
                },
                () = due => if let Some((key, _)) = next && let Some(scheduled) = schedule.get_mut(&key) {
                    self.look(&scheduled.rule).await;
                    scheduled.due = Instant::now() + scheduled.rule.interval;
                },
            }
        }
    }

    /// Takes in a rule that is new or may have changed.
    async fn take(&self, schedule: &mut Schedule, object: &ObservabilityAlertRule) {
        let name = key(object);
        let checked = Rule::of(object).and_then(|rule| match rule {
            Some(rule) => self.measure.offers(&rule.facts).map(|()| Some(rule)),
            None => Ok(None),
        });
        let taken = match checked {
            Ok(Some(rule)) => {
                if schedule.get(&name).is_none_or(|known| known.rule != rule) {
                    schedule.insert(name, Scheduled { rule, due: Instant::now() });
                }
                Ok(())
            }
            Ok(None) => {
                schedule.remove(&name);
                self.end(move |key| *key != name, DISABLED).await;
                Ok(())
            }
            Err(why) => {
                schedule.remove(&name);
                self.end(move |key| *key != name, BROKEN).await;
                Err(why)
            }
        };
        self.report(object, &taken).await;
    }

    async fn report(&self, object: &ObservabilityAlertRule, taken: &Result<(), String>) {
        let (namespace, name) = key(object);
        if let Err(why) = taken {
            tracing::warn!(rule = %format!("{namespace}/{name}"), %why, "an alert rule cannot be evaluated");
        }
        let now = jiff::Timestamp::now();
        let now = Time(jiff::Timestamp::from_second(now.as_second()).unwrap_or(now));
        let Some(status) = status::of(object, taken, now) else { return };
        let api: Api<ObservabilityAlertRule> = Api::namespaced(self.client.clone(), &namespace);
        let patch = Patch::Merge(json!({ "status": status }));
        let params = PatchParams::default();
        let written = api.patch_status(&name, &params, &patch);
        match tokio::time::timeout(PATIENCE, written).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => {
                tracing::warn!(%namespace, %name, %error, "cannot report on an alert rule")
            }
            Err(_) => {
                tracing::warn!(%namespace, %name, "reporting on an alert rule takes too long")
            }
        }
    }

    /// Looks at a rule once.
    async fn look(&self, rule: &Rule) {
        let (measure, rule) = (self.measure.clone(), rule.clone());
        let (suppression, rca) = (self.suppression, self.rca);
        let name = format!("{}/{}", rule.facts.object_namespace, rule.facts.object);
        let looked = run(&self.store, move |store| {
            let now = nanoseconds(jiff::Timestamp::now());
            let value = measure.value(&rule.facts, rule.between(now))?;
            let look = Look { value, now, watched: measure.watched(), suppression, rca };
            Ok((store.judge(&rule, look)?, value.unwrap_or_default()))
        });
        match looked.await {
            Ok((Outcome::Same, _)) => {}
            Ok((Outcome::Fired, value)) => {
                tracing::info!(rule = name, value, "an alert began");
                self.news.notify_one();
            }
            Ok((Outcome::Resolved, _)) => {
                tracing::info!(rule = name, "an alert is over");
                self.news.notify_one();
            }
            Err(error) => {
                tracing::error!(rule = name, %error, "an alert rule could not be evaluated")
            }
        }
    }

    /// Ends the alerts of rules that do not stay.
    async fn end(&self, stays: impl Fn(&Key) -> bool + Send + 'static, note: &'static str) {
        let now = nanoseconds(jiff::Timestamp::now());
        let ended: Result<usize, DatabaseError> =
            run(&self.store, move |store| store.end(stays, note, now)).await;
        match ended {
            Ok(0) => {}
            Ok(alerts) => {
                tracing::info!(alerts, note, "alerts are over");
                self.news.notify_one();
            }
            Err(error) => {
                tracing::error!(%error, "alerts of rules that are gone could not be ended")
            }
        }
    }
}

/// The notes of incidents whose rule ended.
const GONE: &str = "Resolved by itself: the rule is gone.";
const DISABLED: &str = "Resolved by itself: the rule was switched off.";
const BROKEN: &str = "Resolved by itself: the rule was changed, and cannot be evaluated.";
