//! Keeping the world up to date.

use std::collections::HashSet;
use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use curtain_role::Backoff;
use futures::{StreamExt, pin_mut};
use k8s_openapi::api::core::v1::{Namespace, Service as CoreService};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;

use super::types::{self, GROUP, Gateway, GatewayClass, HttpRoute, resource};
use super::world::{Key, Service, World};
use super::{Error, Shared};

/// How many kinds are watched; the world is whole when each was listed.
pub(super) const WATCHES: usize = 6;

/// Follow everything. Ends only with an error, before the first event.
pub(super) async fn all(shared: Arc<Shared>, kube: Client) -> Result<(), Error> {
    let grants = grants(&shared, &kube).await?;
    let classes: Api<GatewayClass> =
        Api::all_with(kube.clone(), &resource("v1", "GatewayClass", "gatewayclasses"));
    let gateways: Api<Gateway> = Api::namespaced_with(
        kube.clone(),
        &shared.gateway.namespace,
        &resource("v1", "Gateway", "gateways"),
    );
    let routes: Api<HttpRoute> =
        Api::all_with(kube.clone(), &resource("v1", "HTTPRoute", "httproutes"));
    let services: Api<CoreService> = Api::all(kube.clone());
    let namespaces: Api<Namespace> = Api::all(kube);
    let s = &*shared;
    tokio::join!(
        follow(s, classes, |world, change| match change {
            Change::Put(key, class) => drop(world.classes.insert(key, class)),
            Change::Keep(keep) => world.classes.retain(|key, _| keep(key)),
        }),
        follow(s, gateways, |world, change| match change {
            Change::Put(key, gateway) => drop(world.gateways.insert(key, gateway)),
            Change::Keep(keep) => world.gateways.retain(|key, _| keep(key)),
        }),
        follow(s, routes, |world, change| match change {
            Change::Put(key, mut route) => {
                // Large, and of no use here.
                route.metadata.managed_fields = None;
                world.routes.insert(key, route);
            }
            Change::Keep(keep) => world.routes.retain(|key, _| keep(key)),
        }),
        follow(s, services, |world, change| match change {
            Change::Put(key, service) => drop(world.services.insert(key, Service::from(&service))),
            Change::Keep(keep) => world.services.retain(|key, _| keep(key)),
        }),
        follow(s, namespaces, |world, change| match change {
            Change::Put(key, namespace) => {
                let labels = namespace.metadata.labels.unwrap_or_default();
                world.namespaces.insert(key, labels);
            }
            Change::Keep(keep) => world.namespaces.retain(|key, _| keep(key)),
        }),
        grants,
    );
    Ok(())
}

type Task<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Follow ReferenceGrants in the version that is served. A cluster without
/// them grants nothing.
async fn grants<'a>(shared: &'a Shared, kube: &Client) -> Result<Task<'a>, Error> {
    let discovery = |error| Error::Discovery(Box::new(error));
    let groups = kube.list_api_groups().await.map_err(discovery)?;
    let group = groups.groups.into_iter().find(|group| group.name == GROUP);
    for version in group.into_iter().flat_map(|group| group.versions) {
        let kinds = kube.list_api_group_resources(&version.group_version).await;
        let kinds = kinds.map_err(discovery)?;
        if kinds.resources.iter().any(|kind| kind.name == "referencegrants") {
            let what = resource(&version.version, "ReferenceGrant", "referencegrants");
            let grants: Api<types::ReferenceGrant> = Api::all_with(kube.clone(), &what);
            return Ok(Box::pin(follow(shared, grants, |world, change| match change {
                Change::Put(key, grant) => drop(world.grants.insert(key, grant.spec)),
                Change::Keep(keep) => world.grants.retain(|key, _| keep(key)),
            })));
        }
    }
    shared.change(|world| world.listed += 1);
    Ok(Box::pin(std::future::ready(())))
}

/// One step of keeping a map like the cluster.
enum Change<'a, K> {
    Put(Key, K),
    /// Drop every entry whose key is not to be kept.
    Keep(&'a dyn Fn(&Key) -> bool),
}

async fn follow<K>(shared: &Shared, api: Api<K>, apply: impl Fn(&mut World, Change<'_, K>))
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let events = watcher(api, watcher::Config::default()).backoff(Backoff::default());
    pin_mut!(events);
    let mut seen = HashSet::new();
    let mut first = true;
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Init) => seen.clear(),
            // Told together with the end of the listing.
            Ok(Event::InitApply(object)) => {
                let mut world = lock(shared);
                seen.insert(key(&object));
                apply(&mut world, Change::Put(key(&object), object));
            }
            Ok(Event::InitDone) => shared.change(|world| {
                apply(world, Change::Keep(&|key| seen.contains(key)));
                world.listed += usize::from(std::mem::take(&mut first));
            }),
            Ok(Event::Apply(object)) => {
                shared.change(|world| apply(world, Change::Put(key(&object), object)));
            }
            Ok(Event::Delete(object)) => shared.change(|world| {
                let gone = key(&object);
                apply(world, Change::Keep(&|key| *key != gone));
            }),
            Err(error) => tracing::warn!(%error, "a watch of the gateway broke; trying again"),
        }
    }
}

fn lock(shared: &Shared) -> std::sync::RwLockWriteGuard<'_, World> {
    shared.world.write().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn key(object: &impl Resource) -> Key {
    let meta = object.meta();
    let of = |text: &Option<String>| text.as_deref().unwrap_or_default().into();
    Key { namespace: of(&meta.namespace), name: of(&meta.name) }
}
