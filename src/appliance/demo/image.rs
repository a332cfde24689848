//! The image of a service, which is in its workload: a release follows by itself where the newest one runs.

use curtain_demo::{Changed, Image as Made, NAMESPACE, Record, Workload};
use kube::{
    Api, Client,
    api::{DynamicObject, PostParams},
};

use super::{
    api,
    breaking::{name_of, text},
};
use crate::{Error, identity::refused};

fn workloads(client: &Client) -> Api<DynamicObject> {
    api(client, "Workload", "workloads", NAMESPACE)
}

/// The workload of `service`, if `record` tells of something in it.
pub(super) async fn workload_of(
    client: &Client,
    service: &str,
    record: Option<&Record>,
) -> Result<Workload, Error> {
    if record.is_none_or(|record| record.image.is_none()) {
        return Ok(Workload::Unknown);
    }
    let found = read(&workloads(client), service).await?;
    Ok(found.map_or(Workload::Gone, |workload| Workload::There(workload.data)))
}

/// Whether the image of `service` was still the one of the fault, is as before already, or is gone with its workload.
pub(super) async fn heal(client: &Client, service: &str, changed: &Changed) -> Result<bool, Error> {
    let workloads = workloads(client);
    let Some(mut workload) = read(&workloads, service).await? else { return Ok(true) };
    let made = Made::heal(&mut workload.data, changed);
    if made == Made::PutBack {
        write(&workloads, &workload).await?;
    }
    Ok(made != Made::Kept)
}

async fn read(
    workloads: &Api<DynamicObject>,
    service: &str,
) -> Result<Option<DynamicObject>, Error> {
    workloads.get_opt(service).await.map_err(refused("read the workload"))
}

async fn write(workloads: &Api<DynamicObject>, workload: &DynamicObject) -> Result<(), Error> {
    let parameters = PostParams { field_manager: Some("curtain".into()), ..PostParams::default() };
    let written = workloads.replace(name_of(workload), &parameters, workload).await;
    written.map(drop).map_err(refused("change the workload"))
}

/// The image of a service's workload.
pub(super) struct Image {
    workloads: Api<DynamicObject>,
    workload: DynamicObject,
    /// The newest release of the component.
    newest: String,
}

impl Image {
    pub(super) async fn of(client: &Client, service: &str) -> Result<Self, Error> {
        let workloads = workloads(client);
        let workload = workloads.get(service).await.map_err(refused("read the workload"))?;
        let components = api(client, "Component", "components", NAMESPACE);
        let component = components.get(service).await.map_err(refused("read the component"))?;
        let newest = text(&component, "/status/latestRelease/name").to_owned();
        Ok(Self { workloads, workload, newest })
    }

    /// What becomes of the image. Only where the newest release runs does another one follow by itself.
    pub(super) fn record(
        &self,
        binding: &DynamicObject,
        service: &str,
        environment: &str,
    ) -> Result<Record, Error> {
        if text(binding, "/spec/releaseName") != self.newest {
            return Err(Error::NotDeployed {
                service: format!("the newest release of {service}"),
                environment: environment.to_owned(),
            });
        }
        Ok(Made::break_it(&mut self.workload.data.clone()))
    }

    pub(super) async fn break_it(mut self) -> Result<(), Error> {
        Made::break_it(&mut self.workload.data);
        write(&self.workloads, &self.workload).await
    }
}
