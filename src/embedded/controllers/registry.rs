//! What a controller hands in when it is made: the kinds it reads, whom their changes are told, its work.
//!
//! A kind is watched once, whoever asks for it. Workers start once everything that is watched is known: a
//! ReplicaSet that has not heard of its pods yet would make new ones.

use std::any::Any;
use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use kube::runtime::watcher::Config as Selection;
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use super::Config;
use super::cache::{Cache, Change, follow};

/// Something that runs until it is dropped.
pub(super) type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Collects what the controllers need.
pub(super) struct Registry {
    /// `system:kube-controller-manager` at the API server.
    pub(super) client: Client,
    /// `system:kube-scheduler` there.
    pub(super) scheduler: Client,
    pub(super) config: Config,
    opened: CancellationToken,
    watches: Vec<Box<dyn Watch>>,
    work: Vec<Work>,
}

/// Kinds that can be watched.
pub(super) trait Kind:
    Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static
{
}

impl<K> Kind for K where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static
{
}

type Told<K> = Box<dyn Fn(&Change<K>) + Send>;

#[derive(Clone)]
struct Watched<K> {
    /// The field selector of what is watched, empty for all objects.
    fields: &'static str,
    cache: Arc<Cache<K>>,
    told: Arc<Mutex<Vec<Told<K>>>>,
}

trait Watch: Any + Send {
    fn start(self: Box<Self>, client: Client, synced: Box<dyn FnOnce() + Send>) -> Work;
}

impl<K: Kind> Watch for Watched<K> {
    fn start(self: Box<Self>, client: Client, synced: Box<dyn FnOnce() + Send>) -> Work {
        let selection = match self.fields {
            "" => Selection::default(),
            fields => Selection::default().fields(fields),
        };
        let told = std::mem::take(&mut *self.told.lock().unwrap_or_else(PoisonError::into_inner));
        let changed = move |change| told.iter().for_each(|told| told(&change));
        Box::pin(follow(Api::<K>::all(client), selection, self.cache, changed, synced))
    }
}

impl Registry {
    pub(super) fn new(client: Client, scheduler: Client, config: Config) -> Self {
        let (watches, work) = (Vec::new(), Vec::new());
        Registry { client, scheduler, config, opened: CancellationToken::new(), watches, work }
    }

    fn watched<K: Kind>(&mut self, fields: &'static str) -> Watched<K> {
        let known = self.watches.iter().find_map(|watch| {
            let watch: &dyn Any = watch.as_ref();
            watch.downcast_ref::<Watched<K>>().filter(|watched| watched.fields == fields).cloned()
        });
        known.unwrap_or_else(|| {
            let watched = Watched::<K> { fields, cache: Cache::new(), told: Arc::default() };
            self.watches.push(Box::new(watched.clone()));
            watched
        })
    }

    /// All objects of a kind.
    pub(super) fn cache<K: Kind>(&mut self) -> Arc<Cache<K>> {
        self.cache_of("")
    }

    /// The objects of a kind that a field selector finds.
    pub(super) fn cache_of<K: Kind>(&mut self, fields: &'static str) -> Arc<Cache<K>> {
        self.watched(fields).cache
    }

    /// Tells a controller of every change of a kind.
    pub(super) fn tell<K: Kind, C: Send + Sync + 'static>(
        &mut self,
        controller: &Arc<C>,
        changed: fn(&C, &Change<K>),
    ) {
        self.tell_of("", controller, changed);
    }

    /// Tells a controller of every change of the objects that a field selector finds.
    pub(super) fn tell_of<K: Kind, C: Send + Sync + 'static>(
        &mut self,
        fields: &'static str,
        controller: &Arc<C>,
        changed: fn(&C, &Change<K>),
    ) {
        let controller = controller.clone();
        let told = self.watched(fields).told;
        let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
        told.push(Box::new(move |change| changed(&controller, change)));
    }

    /// Work that begins once all watched kinds are known.
    pub(super) fn work(&mut self, work: impl Future<Output = ()> + Send + 'static) {
        let opened = self.opened.clone();
        self.work.push(Box::pin(async move {
            opened.cancelled().await;
            work.await;
        }));
    }

    /// Work that begins at once.
    pub(super) fn begin(&mut self, work: impl Future<Output = ()> + Send + 'static) {
        self.work.push(Box::pin(work));
    }

    /// Everything that is to run, watches first.
    pub(super) fn finish(self) -> Vec<Work> {
        let waiting = Arc::new(AtomicUsize::new(self.watches.len()));
        let start = |watch: Box<dyn Watch>| {
            let (waiting, opened) = (waiting.clone(), self.opened.clone());
            let synced = move || {
                if waiting.fetch_sub(1, Ordering::SeqCst) == 1 {
                    opened.cancel();
                }
            };
            watch.start(self.client.clone(), Box::new(synced))
        };
        self.watches.into_iter().map(start).chain(self.work).collect()
    }
}
