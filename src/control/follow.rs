//! Watching one kind without ever ending.

use std::fmt::Debug;

use curtain_role::Backoff;
use futures::{Stream, StreamExt as _, future};
use kube::{
    Api, Resource,
    runtime::{WatchStreamExt as _, watcher},
};
use serde::de::DeserializeOwned;

/// What a follower hears.
#[derive(Debug, Clone)]
pub(crate) enum Change<K> {
    /// The whole state: at first, and again after a watch was lost. What is not in it is gone.
    Reset(Vec<K>),
    /// An object is new or different.
    Applied(K),
    /// An object is gone.
    Deleted(K),
}

/// The changes of everything `api` and `config` select. Never ends: a lost watch is logged and taken up again with
/// the back-off that every role shares.
pub(crate) fn changes<K>(
    api: Api<K>,
    config: watcher::Config,
) -> impl Stream<Item = Change<K>> + Send
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    watcher(api, config)
        .backoff(Backoff::default())
        .filter_map(|event| {
            future::ready(match event {
                Ok(event) => Some(event),
                Err(error) => {
                    tracing::warn!(kind = std::any::type_name::<K>(), %error, "watch lost, trying again");
                    None
                }
            })
        })
        .scan(Vec::new(), |listed, event| {
            future::ready(Some(match event {
                watcher::Event::Init => {
                    listed.clear();
                    None
                }
                watcher::Event::InitApply(object) => {
                    listed.push(object);
                    None
                }
                watcher::Event::InitDone => Some(Change::Reset(std::mem::take(listed))),
                watcher::Event::Apply(object) => Some(Change::Applied(object)),
                watcher::Event::Delete(object) => Some(Change::Deleted(object)),
            }))
        })
        .filter_map(future::ready)
}

impl<K> Change<K> {
    /// The same change of something made from the object.
    pub(crate) fn map<T>(self, mut make: impl FnMut(K) -> T) -> Change<T> {
        match self {
            Self::Reset(all) => Change::Reset(all.into_iter().map(make).collect()),
            Self::Applied(object) => Change::Applied(make(object)),
            Self::Deleted(object) => Change::Deleted(make(object)),
        }
    }
}
