//! A watched kind, kept in memory and shared by the controllers that need it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Debug;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use futures::StreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;

use super::key::Key;

const RETRY: [Duration; 2] = [Duration::from_millis(20), Duration::from_secs(5)];

/// The objects of one kind as the watch last told, without their field managers.
///
/// A controller that writes puts the answer in at once ([`Cache::put`]), so that it never acts twice on what
/// its own watch has not told it yet.
pub(super) struct Cache<K> {
    objects: RwLock<State<K>>,
}

struct State<K> {
    objects: BTreeMap<Key, Arc<K>>,
    /// The newest version that the watch told: it has told of everything up to it, deletions included.
    told: u64,
    /// Put in by a writer and not told by the watch yet, with what the watch told last.
    untold: HashMap<Key, Option<Arc<K>>>,
    /// Put in by a writer while a new list was on its way.
    fresh: HashSet<Key>,
}

/// What happened to an object: `old` is absent when it is new, `new` when it is gone.
pub(super) struct Change<K> {
    pub(super) old: Option<Arc<K>>,
    pub(super) new: Option<Arc<K>>,
}

impl<K> Change<K> {
    /// The object as last seen.
    pub(super) fn latest(&self) -> Option<&Arc<K>> {
        self.new.as_ref().or(self.old.as_ref())
    }
}

impl<K: Resource> Cache<K> {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Cache {
            objects: RwLock::new(State {
                objects: BTreeMap::new(),
                told: 0,
                untold: HashMap::new(),
                fresh: HashSet::new(),
            }),
        })
    }

    fn read<T>(&self, f: impl FnOnce(&BTreeMap<Key, Arc<K>>) -> T) -> T {
        f(&self.objects.read().unwrap_or_else(|e| e.into_inner()).objects)
    }

    fn write<T>(&self, f: impl FnOnce(&mut State<K>) -> T) -> T {
        f(&mut self.objects.write().unwrap_or_else(|e| e.into_inner()))
    }

    pub(super) fn get(&self, key: &Key) -> Option<Arc<K>> {
        self.read(|objects| objects.get(key).cloned())
    }

    /// All objects of a namespace.
    pub(super) fn in_namespace(&self, namespace: &str) -> Vec<Arc<K>> {
        let first = Key::new(namespace, "");
        self.read(|objects| {
            let from = objects.range(first..);
            from.take_while(|(key, _)| &*key.namespace == namespace)
                .map(|(_, o)| o.clone())
                .collect()
        })
    }

    pub(super) fn all(&self) -> Vec<Arc<K>> {
        self.read(|objects| objects.values().cloned().collect())
    }

    /// Takes in what the watch tells, unless something newer is known; returns what changed since the watch
    /// last told.
    fn apply(&self, mut object: K) -> Option<Change<K>> {
        object.managed_fields_mut().clear();
        let key = Key::of(&object);
        self.write(|state| {
            state.told = state.told.max(version(&object));
            let known = state.objects.get(&key);
            if known.is_some_and(|known| version(known.as_ref()) > version(&object)) {
                return None;
            }
            let new = Arc::new(object);
            let known = state.objects.insert(key.clone(), new.clone());
            let old = state.untold.remove(&key).unwrap_or(known);
            Some(Change { old, new: Some(new) })
        })
    }

    /// Takes in what a write answered, unless the watch has overtaken the answer: the object may be gone since.
    /// The watch will tell everyone.
    pub(super) fn put(&self, mut object: K) {
        object.managed_fields_mut().clear();
        let key = Key::of(&object);
        self.write(|state| {
            let known = state.objects.get(&key).map_or(0, |known| version(known.as_ref()));
            if known.max(state.told) >= version(&object) {
                return;
            }
            let known = state.objects.insert(key.clone(), Arc::new(object));
            state.untold.entry(key.clone()).or_insert(known);
            state.fresh.insert(key);
        });
    }

    fn remove(&self, object: &K) -> Option<Change<K>> {
        let key = Key::of(object);
        self.write(|state| {
            state.told = state.told.max(version(object));
            let known = state.objects.remove(&key);
            let old = state.untold.remove(&key).flatten().or(known)?;
            Some(Change { old: Some(old), new: None })
        })
    }

    /// A new list is complete: what it did not name, and nobody wrote meanwhile, is gone.
    fn sweep(&self, named: &HashSet<Key>) -> Vec<Change<K>> {
        self.write(|state| {
            let gone: Vec<Key> = state
                .objects
                .keys()
                .filter(|key| !named.contains(*key) && !state.fresh.contains(*key))
                .cloned()
                .collect();
            gone.iter()
                .filter_map(|key| state.objects.remove(key))
                .map(|old| Change { old: Some(old), new: None })
                .collect()
        })
    }
}

fn version<K: Resource>(object: &K) -> u64 {
    object.meta().resource_version.as_deref().and_then(|v| v.parse().ok()).unwrap_or_default()
}

/// Follows a kind for ever, telling `changed` of every difference. The first complete list ends in a call of
/// `synced`; interruptions are bridged by the watch, or by a new list.
pub(super) async fn follow<K>(
    api: Api<K>,
    config: watcher::Config,
    cache: Arc<Cache<K>>,
    mut changed: impl FnMut(Change<K>),
    synced: impl FnOnce(),
) where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let mut stream = std::pin::pin!(watcher(api, config.streaming_lists()));
    let mut synced = Some(synced);
    let mut named = HashSet::new();
    let mut delay = RETRY[0];
    while let Some(event) = stream.next().await {
        match event {
            Ok(event) => {
                delay = RETRY[0];
                match event {
                    Event::Init => {
                        named.clear();
                        cache.write(|state| state.fresh.clear());
                    }
                    Event::InitApply(object) => {
                        named.insert(Key::of(&object));
                        cache.apply(object).into_iter().for_each(&mut changed);
                    }
                    Event::InitDone => {
                        cache.sweep(&named).into_iter().for_each(&mut changed);
                        named = HashSet::new();
                        if let Some(synced) = synced.take() {
                            synced();
                        }
                    }
                    Event::Apply(object) => cache.apply(object).into_iter().for_each(&mut changed),
                    Event::Delete(object) => {
                        cache.remove(&object).into_iter().for_each(&mut changed)
                    }
                }
            }
            Err(error) => {
                tracing::warn!(%error, retry_in = ?delay, "the watch was interrupted");
                tokio::time::sleep(delay).await;
                delay = (delay * 2).min(RETRY[1]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;

    use super::*;

    fn object(name: &str, version: u64) -> ConfigMap {
        let mut object = ConfigMap::default();
        object.metadata.namespace = Some("ns".into());
        object.metadata.name = Some(name.into());
        object.metadata.resource_version = Some(version.to_string());
        object
    }

    #[test]
    fn older_versions_never_replace_newer_ones() {
        let cache = Cache::new();
        cache.put(object("a", 5));
        assert!(cache.apply(object("a", 4)).is_none());
        let change = cache.apply(object("a", 5)).expect("what a writer put in is news to others");
        assert!(change.old.is_none());
        let change = cache.apply(object("a", 6)).expect("newer");
        assert_eq!(change.old.and_then(|o| o.resource_version()).as_deref(), Some("5"));
        cache.put(object("a", 7));
        let change = cache.remove(&object("a", 8)).expect("gone");
        assert_eq!(change.old.and_then(|o| o.resource_version()).as_deref(), Some("6"));
    }

    #[test]
    fn an_answer_that_comes_after_the_deletion_brings_nothing_back() {
        let cache = Cache::new();
        cache.apply(object("a", 5));
        cache.remove(&object("a", 7)).expect("gone");
        cache.put(object("a", 6));
        assert!(cache.all().is_empty());
        cache.put(object("a", 8));
        assert_eq!(cache.all().len(), 1, "one of the same name is another");
    }

    #[test]
    fn a_sweep_spares_what_was_written_meanwhile() {
        let cache = Cache::new();
        for name in ["listed", "gone"] {
            cache.apply(object(name, 1));
        }
        cache.put(object("written", 2));
        let named = HashSet::from([Key::new("ns", "listed")]);
        let gone = cache.sweep(&named);
        assert_eq!(gone.len(), 1);
        let names: Vec<String> = cache.in_namespace("ns").iter().map(|o| o.name_any()).collect();
        assert_eq!(names, ["listed", "written"]);
        assert!(cache.in_namespace("n").is_empty());
    }
}
