//! A plane as the controllers see it: its client, what it serves, and the live objects that come from our releases.

use super::gvk::{Discovery, Gvk, Served};
use super::health::{Health, of_live};
use super::pods::{Pods, Trouble};
use crate::controllers::context::Error;
use crate::controllers::queue::Queue;
use crate::controllers::store::{Key, What};
use crate::controllers::watch::{Change, Collection, Object, follow};
use crate::remote::{PlaneRef, Planes};
use crate::types::labels;
use kube::Client;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

/// Our field manager, and the value of the label that marks live objects as ours.
pub(crate) const MANAGER: &str = "renderedrelease-controller";

/// How long the first list of a collection may take.
const FIRST_LIST_LIMIT: Duration = Duration::from_secs(15);

/// Where a live object is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place {
    pub(crate) gvk: Gvk,
    /// Empty for cluster-scoped objects.
    pub(crate) namespace: String,
    pub(crate) name: String,
}

/// A live object that comes from a release: enough to judge, report, compare and delete it.
#[derive(Clone, Debug)]
pub(crate) struct Child {
    pub(crate) uid: Box<str>,
    pub(crate) generation: Option<i64>,
    pub(crate) release_uid: Box<str>,
    pub(crate) health: Health,
    pub(crate) deleting: bool,
    /// JSON text of its status, empty when it has none.
    pub(crate) status: Box<str>,
    version: Box<str>,
    release: Key,
}

impl Child {
    fn of(gvk: &Gvk, object: &Object) -> Self {
        let release = Key::new(
            What::RenderedRelease,
            object.label(labels::RELEASE_NAMESPACE),
            object.label(labels::RELEASE_NAME),
        );
        Self {
            uid: object.uid().into(),
            generation: object.meta.generation,
            release_uid: object.label(labels::RELEASE_UID).into(),
            health: of_live(gvk, object),
            deleting: object.deleting(),
            status: object.status.clone(),
            version: object.version().into(),
            release,
        }
    }
}

/// The planes in use.
pub(crate) struct Remotes {
    planes: Planes,
    queue: Arc<Queue>,
    open: Mutex<BTreeMap<String, Arc<Remote>>>,
}

impl Remotes {
    pub(crate) fn new(planes: Planes, queue: Arc<Queue>) -> Self {
        Self { planes, queue, open: Mutex::default() }
    }

    /// The plane, opened when it is first used.
    pub(crate) fn open(&self, plane: &PlaneRef) -> Result<Arc<Remote>, Error> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(remote) = open.get(&plane.path()) {
            return Ok(Arc::clone(remote));
        }
        let remote = Arc::new(Remote {
            client: self.planes.client(plane)?,
            queue: Arc::clone(&self.queue),
            discovery: Discovery::default(),
            children: Arc::default(),
            pods: Pods::default(),
            follows: Mutex::default(),
            retry: Arc::default(),
        });
        open.insert(plane.path(), Arc::clone(&remote));
        Ok(remote)
    }

    /// Ends every watch of a plane that was deleted.
    pub(crate) fn forget(&self, plane: &PlaneRef) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&plane.path());
    }
}

type Children = BTreeMap<Place, Child>;

pub(crate) struct Remote {
    pub(crate) client: Client,
    queue: Arc<Queue>,
    discovery: Discovery,
    children: Arc<Mutex<Children>>,
    pods: Pods,
    follows: Mutex<HashMap<Gvk, Follow>>,
    retry: Arc<Notify>,
}

struct Follow {
    listed: watch::Receiver<bool>,
    task: JoinHandle<()>,
}

impl Drop for Follow {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Remote {
    /// The collection of a kind, with its live objects known; `None` when the plane does not serve the kind.
    pub(crate) async fn follow(&self, gvk: &Gvk) -> Result<Option<Served>, Error> {
        let Some(served) = self.discovery.find(&self.client, gvk).await? else { return Ok(None) };
        let mut listed = self.listed(gvk, &served);
        match tokio::time::timeout(FIRST_LIST_LIMIT, listed.wait_for(|listed| *listed)).await {
            Ok(Ok(_)) => Ok(Some(served)),
            // The watch ended because the collection is gone.
            Ok(Err(_)) => {
                self.follows().remove(gvk);
                Ok(None)
            }
            Err(_) => Err(Error::Timeout { verb: "list", target: served.all() }),
        }
    }

    fn listed(&self, gvk: &Gvk, served: &Served) -> watch::Receiver<bool> {
        let mut follows = self.follows();
        if let Some(follow) = follows.get(gvk) {
            return follow.listed.clone();
        }
        let (tell, listed) = watch::channel(false);
        let collection = Collection {
            path: served.all(),
            selector: format!("{}={MANAGER}", labels::MANAGED_BY),
        };
        let (client, queue) = (self.client.clone(), Arc::clone(&self.queue));
        let (children, of, retry) =
            (Arc::clone(&self.children), gvk.clone(), Arc::clone(&self.retry));
        let task = tokio::spawn(async move {
            let error = follow(&client, &collection, &retry, |change| {
                let all = matches!(change, Change::All(..));
                let woken = take_in(&mut lock(&children), &of, change);
                woken.into_iter().for_each(|key| queue.add(key));
                if all {
                    tell.send_replace(true);
                }
            })
            .await;
            tracing::warn!(%error, "no longer following {of}");
        });
        follows.insert(gvk.clone(), Follow { listed: listed.clone(), task });
        listed
    }

    fn follows(&self) -> MutexGuard<'_, HashMap<Gvk, Follow>> {
        self.follows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the pods of all releases looked at from now on.
    pub(super) fn follow_pods(&self) {
        self.pods.follow(&self.client, &self.queue, &self.retry);
    }

    /// What keeps a pod of a release from running.
    pub(super) fn trouble(&self, release: &Key) -> Option<Trouble> {
        self.pods.trouble(release)
    }

    /// Ends the pauses of watches that broke off: the plane is there again.
    pub(crate) fn retry(&self) {
        self.retry.notify_waiters();
    }

    /// Takes in what the plane answered to an apply.
    pub(crate) fn learn(&self, gvk: &Gvk, object: Object) -> Child {
        let child = Child::of(gvk, &object);
        take_in(&mut lock(&self.children), gvk, Change::Put(object));
        child
    }

    pub(crate) fn child(&self, place: &Place) -> Option<Child> {
        lock(&self.children).get(place).cloned()
    }

    /// The live objects of a release.
    pub(crate) fn children(&self, release_uid: &str) -> Vec<(Place, Child)> {
        let children = lock(&self.children);
        let own = children.iter().filter(|(_, child)| &*child.release_uid == release_uid);
        own.map(|(place, child)| (place.clone(), child.clone())).collect()
    }
}

fn lock(children: &Mutex<Children>) -> MutexGuard<'_, Children> {
    children.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Applies a report to the known objects; the releases it concerns.
fn take_in(children: &mut Children, gvk: &Gvk, change: Change) -> Vec<Key> {
    let place = |object: &Object| Place {
        gvk: gvk.clone(),
        namespace: object.namespace().to_owned(),
        name: object.name().to_owned(),
    };
    let mut woken = Vec::new();
    match change {
        Change::All(objects, version) => {
            let listed: BTreeMap<Place, &Object> = objects.iter().map(|o| (place(o), o)).collect();
            let newer = |child: &Child| match (child.version.parse::<u64>(), version.parse::<u64>())
            {
                (Ok(child), Ok(list)) => child > list,
                _ => false,
            };
            children.retain(|at, child| {
                let keep = at.gvk != *gvk || listed.contains_key(at) || newer(child);
                if !keep {
                    woken.push(child.release.clone());
                }
                keep
            });
            for object in objects {
                woken.extend(take_in(children, gvk, Change::Put(object)));
            }
        }
        Change::Put(object) => {
            let child = Child::of(gvk, &object);
            let at = place(&object);
            let known = children.get(&at);
            if known.is_some_and(|k| *k.uid == *child.uid && !object.is_later_than(&k.version)) {
                return woken;
            }
            let same = known.is_some_and(|k| {
                *k.uid == *child.uid
                    && k.generation == child.generation
                    && k.health == child.health
                    && k.status == child.status
                    && k.deleting == child.deleting
                    && k.release_uid == child.release_uid
            });
            if !same {
                woken.push(child.release.clone());
            }
            children.insert(at, child);
        }
        Change::Gone(object) => {
            let at = place(&object);
            if children.get(&at).is_some_and(|k| *k.uid == *object.uid()) {
                woken.extend(children.remove(&at).map(|child| child.release));
            }
        }
    }
    woken
}
