//! How an instance is.

use std::time::{Duration, Instant};

use curtain_bundle::{Bundle, Installer};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment as Object;
use kube::{Api, api::ListParams};
use serde::Serialize;

use crate::{Error, Facts, Home, Instance, lock::Lock, pause, up::facts, world::kube_client};

/// An instance and its planes, as `status -o json` prints it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// What `up` printed; `ready` is whether all planes are.
    #[serde(flatten)]
    pub facts: Facts,
    /// Since when it is paused, if it is: then nothing of it runs or answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused: Option<Timestamp>,
    /// The planes, in the order a reader meets them.
    pub planes: Vec<Plane>,
}

/// A plane of the platform.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Plane {
    /// `control`, `data`, `observability` or `workflow`.
    pub name: String,
    /// Whether its Deployments are available and it is registered.
    pub ready: bool,
    /// Its Deployments.
    pub deployments: Vec<Deployment>,
    /// What a reader should know, if anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// A Deployment of a plane.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Deployment {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Pods that are available.
    pub available: i32,
    /// Pods there should be.
    pub desired: i32,
}

const PLANES: [&str; 4] = ["control", "data", "observability", "workflow"];

/// Asks the cluster of the instance in `home` how it is. A cluster that does not answer has no ready planes.
///
/// # Errors
/// [`Error::NotFound`] for an instance that does not exist.
pub async fn status(homes: &crate::Homes, home: &Home) -> Result<Status, Error> {
    let started = Instant::now();
    let instance = existing(homes, home)?;
    let spec = instance.cluster(home);
    let provider = curtain_provider::by_name(&instance.provider)?;
    let mut planes = Vec::new();
    let client = match provider.is_up(&spec).await {
        true => Some(kube_client(&provider.kubeconfig(&spec)).await?),
        false => None,
    };
    let paused = if client.is_none() { pause::since(home)? } else { None };
    let note = match paused {
        Some(_) => "paused; `curtain resume` starts it again",
        None => "the cluster does not answer; `curtain up` repairs it",
    };
    for name in PLANES {
        planes.push(match &client {
            Some(client) => plane(client, &Bundle::builtin(name)?).await?,
            None => {
                let note = Some(home.name().in_commands(note));
                Plane { name: name.to_owned(), ready: false, deployments: Vec::new(), note }
            }
        });
    }
    let ready = planes.iter().all(|plane| plane.ready);
    Ok(Status { facts: facts(home, &instance, ready, started.elapsed())?, paused, planes })
}

async fn plane(client: &kube::Client, bundle: &Bundle) -> Result<Plane, Error> {
    let ready = Installer::new(client.clone()).is_ready(bundle).await?;
    let all: Api<Object> = Api::all(client.clone());
    let params = ListParams::default().labels(&format!("curtain.dev/bundle={}", bundle.name()));
    let found =
        all.list(&params).await.map_err(crate::identity::refused("list the Deployments"))?;
    let deployments = found
        .items
        .into_iter()
        .map(|object| Deployment {
            namespace: object.metadata.namespace.unwrap_or_default(),
            name: object.metadata.name.unwrap_or_default(),
            available: object
                .status
                .as_ref()
                .and_then(|status| status.available_replicas)
                .unwrap_or(0),
            desired: object.spec.replicas.unwrap_or(1),
        })
        .collect();
    Ok(Plane {
        name: bundle.name().to_owned(),
        ready,
        deployments,
        note: bundle.note().map(str::to_owned),
    })
}

/// The instance in `home`.
///
/// # Errors
/// [`Error::NotFound`], which lists the instances there are.
pub(crate) fn existing(homes: &crate::Homes, home: &Home) -> Result<Instance, Error> {
    if let Some(instance) = Instance::read(home)? {
        return Ok(instance);
    }
    Err(missing(homes, home)?)
}

/// The error that the instance of `home` does not exist, with the instances there are.
pub(crate) fn missing(homes: &crate::Homes, home: &Home) -> Result<Error, Error> {
    let others = homes.list()?.iter().map(|home| home.name().to_string()).collect();
    Ok(Error::NotFound { instance: home.name().to_string(), others })
}

/// The lock of an instance that may go while it is waited for.
pub(crate) async fn held(
    homes: &crate::Homes,
    home: &Home,
    timeout: Duration,
) -> Result<Lock, Error> {
    match Lock::existing(home, timeout).await? {
        Some(lock) => Ok(lock),
        None => Err(missing(homes, home)?),
    }
}
