//! Every namespace has a ServiceAccount `default` and the cluster's certificate authority.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, ServiceAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt};
use serde_json::json;

use super::cache::{Cache, Change};
use super::key::Key;
use super::queue::Queue;
use super::registry::Registry;

/// The account that pods use when they name none.
const DEFAULT: &str = "default";
/// The ConfigMap that pods mount beside their token.
const ROOT_CA: &str = "kube-root-ca.crt";
const ROOT_CA_FIELDS: &str = "metadata.name=kube-root-ca.crt";
const DESCRIPTION: &str = "kubernetes.io/description";

struct Controller {
    client: Client,
    /// PEM of the certificates that sign the API server's.
    authority: String,
    namespaces: Arc<Cache<Namespace>>,
    accounts: Arc<Cache<ServiceAccount>>,
    authorities: Arc<Cache<ConfigMap>>,
    /// Names of namespaces.
    queue: Queue<Arc<str>>,
}

/// Makes the controller.
pub(super) fn register(registry: &mut Registry) {
    let controller = Arc::new(Controller {
        client: registry.client.clone(),
        authority: registry.config.authority.clone(),
        namespaces: registry.cache(),
        accounts: registry.cache(),
        authorities: registry.cache_of(ROOT_CA_FIELDS),
        queue: Queue::new(),
    });
    registry.tell(&controller, Controller::namespace_changed);
    registry.tell(&controller, Controller::account_changed);
    registry.tell_of(ROOT_CA_FIELDS, &controller, Controller::authority_changed);
    registry.work(async move { controller.work().await });
}

impl Controller {
    fn namespace_changed(&self, change: &Change<Namespace>) {
        if let Some(namespace) = &change.new {
            self.queue.add(namespace.name_any().into());
        }
    }

    fn account_changed(&self, change: &Change<ServiceAccount>) {
        if let (Some(account), None) = (&change.old, &change.new)
            && account.name_any() == DEFAULT
        {
            self.queue.add(account.namespace().unwrap_or_default().into());
        }
    }

    fn authority_changed(&self, change: &Change<ConfigMap>) {
        if let Some(map) = change.latest() {
            self.queue.add(map.namespace().unwrap_or_default().into());
        }
    }

    /// Works for ever.
    async fn work(&self) {
        self.queue
            .work("the namespace's accounts", |namespace| async move {
                self.reconcile(&namespace).await
            })
            .await;
    }

    async fn reconcile(&self, name: &str) -> Result<(), kube::Error> {
        let Some(namespace) = self.namespaces.get(&Key::new("", name)) else { return Ok(()) };
        if namespace.metadata.deletion_timestamp.is_some() {
            return Ok(());
        }
        let meta = |object: &str| ObjectMeta {
            name: Some(object.to_owned()),
            namespace: Some(name.to_owned()),
            ..ObjectMeta::default()
        };
        if self.accounts.get(&Key::new(name, DEFAULT)).is_none() {
            let api: Api<ServiceAccount> = Api::namespaced(self.client.clone(), name);
            let account = ServiceAccount { metadata: meta(DEFAULT), ..ServiceAccount::default() };
            accept(api.create(&PostParams::default(), &account).await)?;
        }
        let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), name);
        let data = BTreeMap::from([("ca.crt".to_owned(), self.authority.clone())]);
        match self.authorities.get(&Key::new(name, ROOT_CA)) {
            None => {
                let mut map =
                    ConfigMap { metadata: meta(ROOT_CA), data: Some(data), ..ConfigMap::default() };
                let words = "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.";
                map.annotations_mut().insert(DESCRIPTION.into(), words.into());
                accept(api.create(&PostParams::default(), &map).await)
            }
            Some(map) if map.data.as_ref() != Some(&data) => {
                let patch = json!({ "data": data });
                accept(api.patch(ROOT_CA, &PatchParams::default(), &Patch::Merge(&patch)).await)
            }
            Some(_) => Ok(()),
        }
    }
}

/// Someone else was faster, or the namespace went away: both are fine.
fn accept<T>(answer: Result<T, kube::Error>) -> Result<(), kube::Error> {
    match answer {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status))
            if status.is_already_exists() || matches!(status.code, 403 | 404) =>
        {
            Ok(())
        }
        Err(error) => Err(error),
    }
}
