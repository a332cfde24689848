//! Removing bindings that are over. They allow nothing any more as it is; this only tidies up.

use std::{sync::Arc, time::Duration};

use curtain_platform::types::{AuthzRoleBinding, ClusterAuthzRoleBinding};
use curtain_role::Shutdown;
use kube::{
    Api, Client, Resource, ResourceExt as _,
    api::{DeleteParams, Preconditions},
};
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use super::{Clock, Ends, Index, ends::EXPIRES_AT};

/// The longest and the shortest rest: a clock may be set, and a binding that cannot be removed must not keep us busy.
const REST: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// Removes each binding once it is over by `clock`, until `shutdown`. `index` tells of new ones.
pub async fn sweep(
    client: Client,
    mut index: watch::Receiver<Arc<Index>>,
    clock: Clock,
    shutdown: Shutdown,
) {
    loop {
        let current = index.borrow_and_update().clone();
        let now = clock.now();
        let mut next = REST.1;
        for (time, namespace, name) in current.ending() {
            if now < time {
                next = next.min(time.duration_since(now).unsigned_abs());
                continue;
            }
            let removed = match namespace {
                "" => {
                    remove(Api::<ClusterAuthzRoleBinding>::all(client.clone()), name, &clock).await
                }
                namespace => {
                    let api = Api::<AuthzRoleBinding>::namespaced(client.clone(), namespace);
                    remove(api, name, &clock).await
                }
            };
            match removed {
                Ok(true) => {
                    tracing::info!(target: "audit", binding = name, namespace, "grant ended")
                }
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(binding = name, namespace, %error, "cannot remove a grant that ended, trying again");
                }
            }
        }
        tokio::select! {
            () = tokio::time::sleep(next.max(REST.0)) => {}
            changed = index.changed() => if changed.is_err() { return },
            () = shutdown.wait() => return,
        }
    }
}

/// Removes the binding `name` if it is over as it is now: somebody may have prolonged it. Tells whether it did.
async fn remove<K>(api: Api<K>, name: &str, clock: &Clock) -> kube::Result<bool>
where
    K: Resource + Clone + DeserializeOwned + std::fmt::Debug,
{
    let Some(binding) = api.get_opt(name).await? else { return Ok(false) };
    let ends = Ends::read(binding.annotations().get(EXPIRES_AT).map(String::as_str));
    match ends {
        Ends::At(time) if time <= clock.now() => {}
        _ => return Ok(false),
    }
    let unchanged =
        Preconditions { uid: binding.uid(), resource_version: binding.resource_version() };
    let params = DeleteParams { preconditions: Some(unchanged), ..DeleteParams::default() };
    match api.delete(name, &params).await {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => Ok(false),
        Err(error) => Err(error),
    }
}
