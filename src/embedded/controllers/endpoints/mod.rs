//! EndpointSlices and Endpoints: where a Service's pods are, told as soon as a pod is ready.

mod build;

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Endpoints, Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DeleteParams, PostParams};
use kube::{Api, Client, ResourceExt};

use super::cache::{Cache, Change};
use super::key::Key;
use super::queue::Queue;
use super::registry::Registry;
use super::selector::owner_reference;

const SERVICE_NAME: &str = "kubernetes.io/service-name";
const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
const MANAGER: &str = "endpointslice-controller.k8s.io";
const ENDPOINTS_MANAGED_BY: &str = "endpoints.kubernetes.io/managed-by";
const ENDPOINTS_MANAGER: &str = "endpoint-controller";
const HEADLESS: &str = "service.kubernetes.io/headless";

type Labels = BTreeMap<String, String>;

struct Controller {
    client: Client,
    services: Arc<Cache<Service>>,
    pods: Arc<Cache<Pod>>,
    slices: Arc<Cache<EndpointSlice>>,
    endpoints: Arc<Cache<Endpoints>>,
    queue: Queue<Key>,
}

/// Makes the controller.
pub(super) fn register(registry: &mut Registry) {
    let controller = Arc::new(Controller {
        client: registry.client.clone(),
        services: registry.cache(),
        pods: registry.cache(),
        slices: registry.cache(),
        endpoints: registry.cache(),
        queue: Queue::new(),
    });
    registry.tell(&controller, Controller::pod_changed);
    registry.tell(&controller, Controller::service_changed);
    registry.tell(&controller, Controller::slice_changed);
    registry.tell(&controller, Controller::endpoints_changed);
    registry.work(async move { controller.work().await });
}

impl Controller {
    fn service_changed(&self, change: &Change<Service>) {
        if let Some(service) = change.latest() {
            self.queue.add(Key::of(service.as_ref()));
        }
    }

    /// A pod concerns the Services that select it, by its labels before and after.
    fn pod_changed(&self, change: &Change<Pod>) {
        let relevant = |pod: &Option<Arc<Pod>>| {
            pod.as_ref().map(|pod| {
                let status = pod.status.as_ref();
                let going = pod.metadata.deletion_timestamp.is_some();
                let conditions = status.and_then(|s| s.conditions.as_ref()).into_iter().flatten();
                let ready =
                    conditions.into_iter().any(|c| c.type_ == "Ready" && c.status == "True");
                let address = status.and_then(|s| s.pod_ip.clone());
                (
                    pod.metadata.labels.clone(),
                    pod.metadata.uid.clone(),
                    going,
                    ready,
                    address,
                    status.and_then(|s| s.phase.clone()),
                )
            })
        };
        if relevant(&change.old) == relevant(&change.new) {
            return;
        }
        let Some(namespace) = change.latest().and_then(|pod| pod.namespace()) else { return };
        for service in self.services.in_namespace(&namespace) {
            if change.old.iter().chain(&change.new).any(|pod| selects(&service, pod)) {
                self.queue.add(Key::of(service.as_ref()));
            }
        }
    }

    fn slice_changed(&self, change: &Change<EndpointSlice>) {
        let Some(slice) = change.latest().filter(|slice| is_managed(slice)) else { return };
        if let Some(name) = slice.labels().get(SERVICE_NAME) {
            self.queue.add(Key::new(&slice.namespace().unwrap_or_default(), name));
        }
    }

    fn endpoints_changed(&self, change: &Change<Endpoints>) {
        if let Some(endpoints) = change.latest() {
            self.queue.add(Key::of(endpoints.as_ref()));
        }
    }

    /// Works for ever.
    async fn work(&self) {
        self.queue
            .work("the Service's endpoints", |key| async move { self.reconcile(&key).await })
            .await;
    }

    async fn reconcile(&self, key: &Key) -> Result<(), kube::Error> {
        let service = self.services.get(key).filter(|s| s.metadata.deletion_timestamp.is_none());
        let Some(service) = service else { return self.forget(key).await };
        if !has_selector(&service) {
            return Ok(());
        }
        let mut pods = self.pods.in_namespace(&key.namespace);
        pods.retain(|pod| selects(&service, pod));
        // One after the other in the order of their use: the slices carry the traffic.
        self.sync_slices(&service, build::slices(&service, &pods)).await?;
        self.sync_endpoints(&service, build::subsets(&service, &pods)).await
    }

    /// The Service is gone. Slices follow by their owner; the older Endpoints have none.
    async fn forget(&self, key: &Key) -> Result<(), kube::Error> {
        let managed = |e: &Arc<Endpoints>| {
            e.labels().get(ENDPOINTS_MANAGED_BY).map(String::as_str) == Some(ENDPOINTS_MANAGER)
        };
        let Some(endpoints) = self.endpoints.get(key).filter(managed) else { return Ok(()) };
        let api: Api<Endpoints> = Api::namespaced(self.client.clone(), &key.namespace);
        gone(api.delete(&endpoints.name_any(), &DeleteParams::default()).await.map(drop))
    }

    async fn sync_slices(
        &self,
        service: &Service,
        wanted: Vec<build::Slice>,
    ) -> Result<(), kube::Error> {
        let namespace = service.namespace().unwrap_or_default();
        let name = service.name_any();
        let api: Api<EndpointSlice> = Api::namespaced(self.client.clone(), &namespace);
        let mut existing = self.slices.in_namespace(&namespace);
        existing.retain(|slice| {
            is_managed(slice)
                && slice.labels().get(SERVICE_NAME) == Some(&name)
                && slice.metadata.deletion_timestamp.is_none()
        });
        let labels = slice_labels(service);
        // Slices that are right stay as they are; the others are reused, with the same ports if possible.
        let mut todo = Vec::new();
        for slice in wanted {
            let fits = |live: &Arc<EndpointSlice>| {
                live.endpoints.as_deref().unwrap_or_default() == slice.endpoints
                    && ports(live) == slice.ports
                    && live.metadata.labels.as_ref() == Some(&labels)
            };
            match existing.iter().position(fits) {
                Some(at) => drop(existing.remove(at)),
                None => todo.push(slice),
            }
        }
        for slice in todo {
            let at = existing.iter().position(|live| ports(live) == slice.ports);
            let at = at.or_else(|| (!existing.is_empty()).then_some(0));
            let answer = match at.map(|at| existing.remove(at)) {
                Some(live) => {
                    let mut updated = (*live).clone();
                    updated.metadata.labels = Some(labels.clone());
                    updated.endpoints = Some(slice.endpoints);
                    updated.ports = Some(slice.ports).filter(|ports| !ports.is_empty());
                    api.replace(&live.name_any(), &PostParams::default(), &updated).await?
                }
                None => {
                    api.create(&PostParams::default(), &new_slice(service, &labels, slice)).await?
                }
            };
            self.slices.put(answer);
        }
        for surplus in existing {
            gone(api.delete(&surplus.name_any(), &DeleteParams::default()).await.map(drop))?;
        }
        Ok(())
    }

    async fn sync_endpoints(
        &self,
        service: &Service,
        subsets: Vec<k8s_openapi::api::core::v1::EndpointSubset>,
    ) -> Result<(), kube::Error> {
        let key = Key::of(service);
        let api: Api<Endpoints> = Api::namespaced(self.client.clone(), &key.namespace);
        let subsets = Some(subsets).filter(|subsets| !subsets.is_empty());
        let mut labels = service.labels().clone();
        labels.insert(ENDPOINTS_MANAGED_BY.into(), ENDPOINTS_MANAGER.into());
        if build::is_headless(service) {
            labels.insert(HEADLESS.into(), String::new());
        }
        let answer = match self.endpoints.get(&key) {
            Some(live)
                if live.subsets == subsets && live.metadata.labels.as_ref() == Some(&labels) =>
            {
                return Ok(());
            }
            Some(live) => {
                let mut updated = (*live).clone();
                updated.subsets = subsets;
                updated.metadata.labels = Some(labels);
                api.replace(&key.name, &PostParams::default(), &updated).await?
            }
            None => {
                let metadata = ObjectMeta {
                    name: Some(key.name.to_string()),
                    namespace: Some(key.namespace.to_string()),
                    labels: Some(labels),
                    ..ObjectMeta::default()
                };
                match api.create(&PostParams::default(), &Endpoints { metadata, subsets }).await {
                    Err(kube::Error::Api(status)) if status.code == 403 => return Ok(()),
                    answer => answer?,
                }
            }
        };
        self.endpoints.put(answer);
        Ok(())
    }
}

fn has_selector(service: &Service) -> bool {
    let spec = service.spec.as_ref();
    spec.is_some_and(|spec| {
        spec.selector.as_ref().is_some_and(|selector| !selector.is_empty())
            && spec.type_.as_deref() != Some("ExternalName")
    })
}

fn selects(service: &Service, pod: &Pod) -> bool {
    let selector = service.spec.as_ref().and_then(|spec| spec.selector.as_ref());
    selector.is_some_and(|selector| {
        !selector.is_empty()
            && selector.iter().all(|(name, value)| pod.labels().get(name) == Some(value))
    })
}

fn is_managed(slice: &EndpointSlice) -> bool {
    slice.labels().get(MANAGED_BY).map(String::as_str) == Some(MANAGER)
}

fn ports(slice: &EndpointSlice) -> Vec<k8s_openapi::api::discovery::v1::EndpointPort> {
    slice.ports.clone().unwrap_or_default()
}

fn slice_labels(service: &Service) -> Labels {
    let mut labels = service.labels().clone();
    labels.insert(SERVICE_NAME.into(), service.name_any());
    labels.insert(MANAGED_BY.into(), MANAGER.into());
    if build::is_headless(service) {
        labels.insert(HEADLESS.into(), String::new());
    }
    labels
}

fn new_slice(service: &Service, labels: &Labels, slice: build::Slice) -> EndpointSlice {
    EndpointSlice {
        metadata: ObjectMeta {
            generate_name: Some(format!("{}-", service.name_any())),
            namespace: service.namespace(),
            labels: Some(labels.clone()),
            owner_references: owner_reference(service).map(|owner| vec![owner]),
            ..ObjectMeta::default()
        },
        address_type: "IPv4".into(),
        endpoints: Some(slice.endpoints),
        ports: Some(slice.ports).filter(|ports| !ports.is_empty()),
    }
}

fn gone(answer: Result<(), kube::Error>) -> Result<(), kube::Error> {
    match answer {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        other => other,
    }
}
