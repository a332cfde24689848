//! Pods that do not get on, and why. Controllers tell how many pods are not ready, and nothing of the reason: that is in
//! the pods, which are nobody's manifests.

use super::super::queue::Queue;
use super::super::store::{Key, What};
use super::super::watch::{Change, Collection, Object, follow};
use crate::controllers::names;
use crate::types::labels;
use kube::Client;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// The condition of a rendered release with a pod that does not get on.
pub(crate) const PODS_RUNNING: &str = "PodsRunning";
/// Most characters of what a pod says.
const LONGEST: usize = 600;

/// Why a pod does not get on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// One word, such as `ImagePullBackOff`.
    pub(crate) reason: String,
    /// A sentence that names pod and container.
    pub(crate) message: String,
}

/// A pod with a trouble.
#[derive(Debug)]
struct Stuck {
    release: Key,
    created: Option<jiff::Timestamp>,
    trouble: Trouble,
}

type All = BTreeMap<(String, String), Stuck>;

/// The pods of a plane that do not get on; of the others, nothing is kept.
#[derive(Default)]
pub(super) struct Pods {
    stuck: Arc<Mutex<All>>,
    task: OnceLock<JoinHandle<()>>,
}

impl Drop for Pods {
    fn drop(&mut self) {
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }
}

impl Pods {
    /// Follows the plane's pods from now on; a release is woken when what its pods say changes.
    pub(super) fn follow(&self, client: &Client, queue: &Arc<Queue>, retry: &Arc<Notify>) {
        self.task.get_or_init(|| {
            let (client, queue, retry) = (client.clone(), Arc::clone(queue), Arc::clone(retry));
            let stuck = Arc::clone(&self.stuck);
            let collection = Collection {
                path: "/api/v1/pods".to_owned(),
                selector: format!("{},{}", labels::COMPONENT_UID, labels::ENVIRONMENT_UID),
            };
            tokio::spawn(async move {
                let error = follow(&client, &collection, &retry, |change| {
                    let woken = take_in(&mut lock(&stuck), change);
                    woken.into_iter().for_each(|key| queue.add(key));
                })
                .await;
                tracing::warn!(%error, "no longer following pods");
            })
        });
    }

    /// What keeps a pod of `release` from running. Of several, the newest counts: it has the newest content.
    pub(super) fn trouble(&self, release: &Key) -> Option<Trouble> {
        let stuck = lock(&self.stuck);
        let of_release = stuck.iter().filter(|(_, stuck)| stuck.release == *release);
        let newest = of_release.max_by_key(|(place, stuck)| (stuck.created, *place));
        newest.map(|(_, stuck)| stuck.trouble.clone())
    }
}

fn lock(stuck: &Mutex<All>) -> MutexGuard<'_, All> {
    stuck.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Applies a report; the releases whose pods say something else now.
fn take_in(stuck: &mut All, change: Change) -> Vec<Key> {
    let place = |pod: &Object| (pod.namespace().to_owned(), pod.name().to_owned());
    match change {
        Change::All(pods, _) => {
            let before = std::mem::take(stuck);
            let mut woken: Vec<Key> =
                pods.into_iter().flat_map(|pod| take_in(stuck, Change::Put(pod))).collect();
            woken.extend(before.into_values().map(|stuck| stuck.release));
            woken.sort();
            woken.dedup();
            woken
        }
        Change::Put(pod) => {
            let woken = match stuck_of(&pod) {
                Some(new) => {
                    let (release, trouble) = (new.release.clone(), new.trouble.clone());
                    let old = stuck.insert(place(&pod), new);
                    let same = old.is_some_and(|old| old.trouble == trouble);
                    (!same).then_some(release)
                }
                None => stuck.remove(&place(&pod)).map(|old| old.release),
            };
            woken.into_iter().collect()
        }
        Change::Gone(pod) => {
            stuck.remove(&place(&pod)).map(|old| old.release).into_iter().collect()
        }
    }
}

fn stuck_of(pod: &Object) -> Option<Stuck> {
    // What is on its way out needs not get on.
    let trouble = trouble(pod.name(), &pod.status).filter(|_| !pod.deleting())?;
    let (component, environment) = (pod.label(labels::COMPONENT), pod.label(labels::ENVIRONMENT));
    let release = Key::new(
        What::RenderedRelease,
        pod.label(labels::NAMESPACE),
        &names::rendered_release(component, environment),
    );
    let created = pod.meta.creation_timestamp.as_ref().map(|time| time.0);
    Some(Stuck { release, created, trouble })
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Status {
    init_container_statuses: Vec<Container>,
    container_statuses: Vec<Container>,
    conditions: Vec<Condition>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Container {
    name: String,
    state: State,
    last_state: State,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct State {
    waiting: Option<Words>,
    terminated: Option<End>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Words {
    reason: String,
    message: String,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct End {
    exit_code: i64,
    reason: String,
    message: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Condition {
    r#type: String,
    status: String,
    reason: String,
    message: String,
}

/// What a pod called `name` with this status, a JSON text, waits for that does not come by itself.
fn trouble(name: &str, status: &str) -> Option<Trouble> {
    let status: Status = serde_json::from_str(status).ok()?;
    let containers = status.init_container_statuses.iter().chain(&status.container_statuses);
    let waiting = containers.filter_map(|container| {
        let waiting = container.state.waiting.as_ref()?;
        // These are the ordinary course.
        let ordinary = ["", "ContainerCreating", "PodInitializing"].contains(&&*waiting.reason);
        (!ordinary).then_some((container, waiting))
    });
    if let Some((container, Words { reason, message })) = waiting.into_iter().next() {
        let end = container.last_state.terminated.as_ref().map(ended).unwrap_or_default();
        let said = [message.as_str(), &end].into_iter().filter(|text| !text.is_empty());
        let said = said.collect::<Vec<_>>().join("; ");
        let message = format!("pod {name}, container {}: {reason}: {said}", container.name);
        return Some(Trouble { reason: reason.clone(), message: shortened(&message) });
    }
    let unscheduled = status
        .conditions
        .iter()
        .find(|condition| condition.r#type == "PodScheduled" && condition.status == "False")?;
    let message = format!("pod {name}: {}: {}", unscheduled.reason, unscheduled.message);
    Some(Trouble { reason: unscheduled.reason.clone(), message: shortened(&message) })
}

/// How a container ended that is to be started again.
fn ended(end: &End) -> String {
    let words = [end.reason.as_str(), end.message.trim()].into_iter();
    let words = words.filter(|text| !text.is_empty() && *text != "Error").collect::<Vec<_>>();
    let words = if words.is_empty() { String::new() } else { format!(" ({})", words.join(": ")) };
    format!("it ended with exit code {}{words}", end.exit_code)
}

fn shortened(text: &str) -> String {
    let text = text.trim_end_matches([' ', ':']);
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn said(status: Value) -> Option<String> {
        trouble("web-1", &status.to_string()).map(|trouble| trouble.message)
    }

    #[test]
    fn a_pod_that_does_not_get_on_says_why() {
        let waiting = |reason: &str, message: &str| json!({"name": "main", "state": {"waiting": {"reason": reason, "message": message}}});
        let missing = waiting("ImagePullBackOff", "image \"x\" is not on this node");
        assert_eq!(
            said(json!({"containerStatuses": [missing]})).as_deref(),
            Some("pod web-1, container main: ImagePullBackOff: image \"x\" is not on this node")
        );
        let mut crashed = waiting("CrashLoopBackOff", "back-off 20s");
        crashed["lastState"] = json!({"terminated": {"exitCode": 3, "reason": "Error"}});
        assert_eq!(
            said(json!({"containerStatuses": [crashed]})).as_deref(),
            Some(
                "pod web-1, container main: CrashLoopBackOff: back-off 20s; it ended with exit code 3"
            )
        );
        let killed = json!({"exitCode": 137, "reason": "OOMKilled"});
        let mut killed_twice = waiting("CrashLoopBackOff", "");
        killed_twice["lastState"] = json!({"terminated": killed});
        let message = said(json!({"initContainerStatuses": [killed_twice]})).unwrap();
        assert!(message.ends_with("it ended with exit code 137 (OOMKilled)"), "{message}");
        let unscheduled = json!({"type": "PodScheduled", "status": "False",
            "reason": "Unschedulable", "message": "0/1 nodes are available"});
        assert_eq!(
            said(json!({"conditions": [unscheduled]})).as_deref(),
            Some("pod web-1: Unschedulable: 0/1 nodes are available")
        );
        let long = said(json!({"containerStatuses": [waiting("X", &"ü".repeat(9000))]})).unwrap();
        assert_eq!(long.chars().count(), LONGEST + 1);
    }

    #[test]
    fn the_ordinary_course_is_no_trouble() {
        for reason in ["ContainerCreating", "PodInitializing"] {
            let waiting = json!({"name": "main", "state": {"waiting": {"reason": reason}}});
            assert_eq!(said(json!({"containerStatuses": [waiting]})), None);
        }
        let running = json!({"name": "main", "state": {"running": {}},
            "lastState": {"terminated": {"exitCode": 3}}});
        let scheduled = json!({"type": "PodScheduled", "status": "True"});
        let status = json!({"containerStatuses": [running], "conditions": [scheduled]});
        assert_eq!(said(status), None);
        assert_eq!(trouble("web-1", ""), None);
    }
}
