//! The install engine: an ordinary client of the Kubernetes API.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, Client,
    api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, Preconditions},
    runtime::{
        conditions,
        wait::{Condition, await_condition},
    },
};
use serde_json::{Value, json};

use crate::{
    Bundle, Error,
    discovery::Resources,
    document::{Document, Identity, Phase},
    evidence, generate,
    inventory::{BUNDLE_LABEL, Inventory, Item, MANAGER},
    ready, render,
};

/// Requests in flight at once.
const PARALLEL: usize = 16;
/// How long a kind that was just defined may take to be served.
const SERVED: Duration = Duration::from_secs(10);

/// Installs bundles into one cluster.
#[derive(Clone)]
pub struct Installer {
    client: Client,
}

impl std::fmt::Debug for Installer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Installer").finish_non_exhaustive()
    }
}

/// What an installation came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Installed {
    /// Objects applied.
    pub objects: usize,
    /// Objects removed because the bundle no longer has them.
    pub pruned: usize,
}

impl Installer {
    /// An installer for the cluster behind `client`, which must be its administrator.
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// Applies `bundle` and prunes what an earlier version of it had. `instance` is what templates
    /// see under that name. Objects are there when this returns; use [`Installer::ready`] to wait
    /// until they work.
    ///
    /// # Errors
    /// A broken template, a refused object (with file and document), or a definition that is not
    /// established within `timeout`.
    pub async fn install(
        &self,
        bundle: &Bundle,
        instance: &Value,
        timeout: Duration,
    ) -> Result<Installed, Error> {
        let values = bundle.values(&BTreeMap::new())?;
        let started = Instant::now();
        let left = || timeout.saturating_sub(started.elapsed());

        let (foundations, _): (Vec<_>, Vec<_>) = bundle
            .plain
            .iter()
            .cloned()
            .partition(|document| document.phase() == Phase::Foundation);
        // Secrets need their namespaces, and templates need the secrets.
        let former = Inventory::read(&self.client, bundle.name()).await?.unwrap_or_default();
        let resources = Resources::read(&self.client)
            .await
            .map_err(Error::api(bundle.name(), "ask for its resources"))?;
        let mut uids = self.apply(bundle, &resources, &foundations, left()).await?;
        let (generated, ()) = futures::try_join!(
            generate::ensure(&self.client, bundle),
            self.established(bundle, &foundations, left()),
        )?;

        let documents = render::documents(bundle, &values, instance, &generated)?;
        let wanted: Vec<Identity> = documents.iter().map(Document::identity).collect();
        Inventory::before(&former, &wanted).write(&self.client, bundle.name()).await?;
        let resources = self.serving(bundle, &documents, resources, left().min(SERVED)).await?;
        let rest: Vec<_> = documents
            .iter()
            .filter(|document| document.phase() != Phase::Foundation)
            .cloned()
            .collect();
        for phase in [Phase::Setting, Phase::Work] {
            let now: Vec<_> =
                rest.iter().filter(|document| document.phase() == phase).cloned().collect();
            uids.extend(self.apply(bundle, &resources, &now, left()).await?);
        }

        let surplus = former.surplus(&wanted);
        let pruned = self.delete(bundle.name(), &resources, &surplus).await?;
        let items = wanted
            .into_iter()
            .map(|identity| Item {
                uid: uids.get(&identity).cloned().unwrap_or_default(),
                identity,
            })
            .collect::<Vec<_>>();
        let objects = items.len();
        let inventory =
            Inventory { digest: fingerprint(bundle, instance), items, ..Inventory::default() };
        inventory.write(&self.client, bundle.name()).await?;
        Ok(Installed { objects, pruned })
    }

    /// Whether `bundle`, as it is in this program, was applied for `instance` and every object of it still exists.
    ///
    /// # Errors
    /// A cluster that does not answer.
    pub async fn is_installed(&self, bundle: &Bundle, instance: &Value) -> Result<bool, Error> {
        let Some(inventory) = Inventory::read(&self.client, bundle.name()).await? else {
            return Ok(false);
        };
        if inventory.digest != fingerprint(bundle, instance) {
            return Ok(false);
        }
        let resources = Resources::read(&self.client)
            .await
            .map_err(Error::api(bundle.name(), "ask for its resources"))?;
        let checks = stream::iter(&inventory.items).map(|item| async {
            let Some(api) = resources.api(&self.client, &item.identity) else { return Ok(false) };
            let found = api.get_metadata_opt(&item.identity.name).await;
            let found =
                found.map_err(Error::api(bundle.name(), format!("look up {}", item.identity)))?;
            Ok(found.is_some_and(|object| object.metadata.uid.as_deref() == Some(&item.uid)))
        });
        checks
            .buffer_unordered(PARALLEL)
            .try_fold(true, |all, one: bool| async move { Ok(all && one) })
            .await
    }

    /// Removes everything the inventory of `bundle` names, and returns how many objects that were.
    /// Namespaces and definitions go last. Returns when all of them are gone; what they own follows in the background.
    ///
    /// # Errors
    /// An object that cannot be deleted, or is not gone within `timeout`.
    pub async fn uninstall(&self, bundle: &str, timeout: Duration) -> Result<usize, Error> {
        let started = Instant::now();
        let Some(inventory) = Inventory::read(&self.client, bundle).await? else { return Ok(0) };
        let resources = Resources::read(&self.client)
            .await
            .map_err(Error::api(bundle, "ask for its resources"))?;
        let foundation = |item: &Item| {
            matches!(item.identity.kind.as_str(), "Namespace" | "CustomResourceDefinition")
        };
        let (last, first): (Vec<_>, Vec<_>) = inventory.items.into_iter().partition(foundation);
        let mut removed = self.delete(bundle, &resources, &first).await?;
        self.gone(bundle, &resources, &first, started, timeout).await?;
        removed += self.delete(bundle, &resources, &last).await?;
        self.gone(bundle, &resources, &last, started, timeout).await?;
        Inventory::remove(&self.client, bundle).await?;
        Ok(removed)
    }

    /// Waits until every Deployment of `bundle` is available and its conditions are true, telling
    /// `watcher` how far it is.
    ///
    /// # Errors
    /// [`Error::NotReady`] after `timeout`.
    pub async fn ready(
        &self,
        bundle: &Bundle,
        timeout: Duration,
        watcher: &dyn Fn(String),
    ) -> Result<(), Error> {
        let goals = ready::goals(bundle);
        let total = goals.len();
        if total == 0 {
            return Ok(());
        }
        let resources = Resources::read(&self.client)
            .await
            .map_err(Error::api(bundle.name(), "ask for its resources"))?;
        let waits = goals.into_iter().map(|goal| {
            let resources = &resources;
            async move { (goal.wait(&self.client, resources, timeout).await, goal) }
        });
        let mut waits = stream::iter(waits).buffer_unordered(total.max(1));
        let mut done = 0;
        let mut late = None;
        while let Some((outcome, goal)) = waits.next().await {
            match outcome.map_err(Error::api(bundle.name(), format!("watch {}", goal.identity)))? {
                None => {
                    done += 1;
                    watcher(format!("{done} of {total} ready"));
                }
                Some(state) => late = late.or(Some((goal, state))),
            }
        }
        let Some((goal, state)) = late else { return Ok(()) };
        Err(Error::NotReady {
            bundle: bundle.name().to_owned(),
            object: goal.identity.to_string(),
            state,
            evidence: evidence::collect(&self.client, &goal.identity).await,
            waited: timeout,
        })
    }

    /// Whether `bundle` is ready now.
    ///
    /// # Errors
    /// A cluster that does not answer.
    pub async fn is_ready(&self, bundle: &Bundle) -> Result<bool, Error> {
        let resources = Resources::read(&self.client)
            .await
            .map_err(Error::api(bundle.name(), "ask for its resources"))?;
        for goal in ready::goals(bundle) {
            let Some(api) = resources.api(&self.client, &goal.identity) else { return Ok(false) };
            let found = api.get_opt(&goal.identity.name).await;
            let found =
                found.map_err(Error::api(bundle.name(), format!("look up {}", goal.identity)))?;
            if goal.state(found.as_ref()).is_some() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Applies `documents` in parallel and returns their uids.
    async fn apply(
        &self,
        bundle: &Bundle,
        resources: &Resources,
        documents: &[Document],
        timeout: Duration,
    ) -> Result<BTreeMap<Identity, String>, Error> {
        stream::iter(documents)
            .map(|document| async move {
                let applied = self.apply_one(bundle, resources, document);
                tokio::time::timeout(timeout, applied).await.unwrap_or_else(|_| {
                    Err(Error::NotReady {
                        bundle: bundle.name().to_owned(),
                        object: document.identity().to_string(),
                        state: "the cluster has not answered that it took it".to_owned(),
                        evidence: String::new(),
                        waited: timeout,
                    })
                })
            })
            .buffer_unordered(PARALLEL)
            .try_collect()
            .await
    }

    async fn apply_one(
        &self,
        bundle: &Bundle,
        resources: &Resources,
        document: &Document,
    ) -> Result<(Identity, String), Error> {
        let identity = document.identity();
        let refused = |why: String| Error::Refused {
            bundle: bundle.name().to_owned(),
            object: identity.to_string(),
            file: document.file.clone(),
            document: document.index,
            why,
        };
        let api = resources.api(&self.client, &identity).ok_or_else(|| {
            refused(format!("it does not serve {} {}", identity.api_version, identity.kind))
        })?;
        let mut object = document.object.clone();
        object["metadata"]["labels"][BUNDLE_LABEL] = json!(bundle.name());
        let params = PatchParams::apply(MANAGER).force();
        let applied: Result<DynamicObject, _> =
            api.patch(&identity.name, &params, &Patch::Apply(&object)).await;
        match applied {
            Ok(applied) => Ok((identity, applied.metadata.uid.unwrap_or_default())),
            Err(kube::Error::Api(status)) => Err(refused(status.message.clone())),
            Err(error) => Err(Error::api(bundle.name(), format!("apply {identity}"))(error)),
        }
    }

    /// Waits until every definition among `documents` is established.
    async fn established(
        &self,
        bundle: &Bundle,
        documents: &[Document],
        timeout: Duration,
    ) -> Result<(), Error> {
        let definitions: Api<CustomResourceDefinition> = Api::all(self.client.clone());
        let mut names: Vec<Identity> = documents.iter().map(Document::identity).collect();
        names.retain(|id| id.kind == "CustomResourceDefinition");
        if names.is_empty() {
            return Ok(());
        }
        // Most are established by the time they are all applied: only the others are watched.
        let params = ListParams::default().labels(&format!("{BUNDLE_LABEL}={}", bundle.name()));
        let there = definitions.list(&params).await;
        let there = there.map_err(Error::api(bundle.name(), "list its definitions"))?;
        let established = |id: &Identity| {
            let found = there.items.iter().find(|one| one.metadata.name.as_ref() == Some(&id.name));
            conditions::is_crd_established().matches_object(found)
        };
        names.retain(|id| !established(id));
        let waits = names.into_iter().map(|id| {
            let definitions = definitions.clone();
            async move {
                let wait = await_condition(definitions, &id.name, conditions::is_crd_established());
                match tokio::time::timeout(timeout, wait).await {
                    Ok(Ok(_)) => Ok(()),
                    Ok(Err(error)) => Err((id, error.to_string())),
                    Err(_) => Err((id, "it is not established".to_owned())),
                }
            }
        });
        let outcome: Result<Vec<()>, _> =
            stream::iter(waits).buffer_unordered(PARALLEL).try_collect().await;
        outcome.map(drop).map_err(|(id, state)| Error::NotReady {
            bundle: bundle.name().to_owned(),
            object: id.to_string(),
            state,
            evidence: String::new(),
            waited: timeout,
        })
    }

    /// Resources once every kind of `documents` is served: an established definition shows up in
    /// discovery a moment later.
    async fn serving(
        &self,
        bundle: &Bundle,
        documents: &[Document],
        known: Resources,
        timeout: Duration,
    ) -> Result<Resources, Error> {
        let started = Instant::now();
        let mut resources = known;
        loop {
            let missing = documents
                .iter()
                .find(|document| resources.resource(&document.identity()).is_none());
            let Some(missing) = missing else { return Ok(resources) };
            if started.elapsed() >= timeout {
                return Err(Error::Refused {
                    bundle: bundle.name().to_owned(),
                    object: missing.identity().to_string(),
                    file: missing.file.clone(),
                    document: missing.index,
                    why: format!(
                        "it does not serve {} {}",
                        missing.identity().api_version,
                        missing.identity().kind
                    ),
                });
            }
            resources = Resources::read(&self.client)
                .await
                .map_err(Error::api(bundle.name(), "ask for its resources"))?;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until each of `items` is gone, until `timeout` after `started`: finalizers take their time.
    async fn gone(
        &self,
        bundle: &str,
        resources: &Resources,
        items: &[Item],
        started: Instant,
        timeout: Duration,
    ) -> Result<(), Error> {
        for item in items {
            let Some(api) = resources.api(&self.client, &item.identity) else { continue };
            let mut pause = Duration::from_millis(10);
            loop {
                let found = api.get_metadata_opt(&item.identity.name).await;
                let found =
                    found.map_err(Error::api(bundle, format!("look up {}", item.identity)))?;
                // Somebody else's object of the same name stays.
                let ours = |uid: Option<&String>| item.uid.is_empty() || uid == Some(&item.uid);
                let Some(still) = found.filter(|one| ours(one.metadata.uid.as_ref())) else {
                    break;
                };
                if started.elapsed() >= timeout {
                    return Err(Error::NotGone {
                        bundle: bundle.to_owned(),
                        object: item.identity.to_string(),
                        finalizers: still.metadata.finalizers.unwrap_or_default().join(", "),
                        evidence: evidence::collect(&self.client, &item.identity).await,
                        waited: timeout,
                    });
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_millis(250));
            }
        }
        Ok(())
    }

    /// Deletes `items` whose uid is still the recorded one. A kind that is not served has no objects.
    async fn delete(
        &self,
        bundle: &str,
        resources: &Resources,
        items: &[Item],
    ) -> Result<usize, Error> {
        let deletions = stream::iter(items).map(|item| async {
            let Some(api) = resources.api(&self.client, &item.identity) else { return Ok(0) };
            let mut params = DeleteParams::background();
            if !item.uid.is_empty() {
                params.preconditions =
                    Some(Preconditions { uid: Some(item.uid.clone()), resource_version: None });
            }
            match api.delete(&item.identity.name, &params).await {
                Ok(_) => Ok(1),
                // Gone, or replaced by somebody else's object of the same name.
                Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => {
                    Ok(0)
                }
                Err(error) => Err(Error::api(bundle, format!("delete {}", item.identity))(error)),
            }
        });
        deletions
            .buffer_unordered(PARALLEL)
            .try_fold(0, |all, one| async move { Ok(all + one) })
            .await
    }
}

/// What was applied: the bundle's files and what templates saw.
fn fingerprint(bundle: &Bundle, instance: &Value) -> String {
    use sha2::{Digest, Sha256};
    let mut hasher = Sha256::new();
    hasher.update(bundle.digest());
    hasher.update(instance.to_string());
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
