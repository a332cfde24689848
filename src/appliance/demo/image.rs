//! The image of a service, which is in its workload: a release follows by itself where the newest one runs.

use kube::{
    Api, Client,
    api::{DynamicObject, PostParams},
};
use serde_json::{Value, json};

use super::{
    api,
    breaking::{NAMESPACE, name_of, text},
    record::{Changed, Record},
};
use crate::{Error, identity::refused};

/// The image of a service's workload.
pub(super) struct Image {
    workloads: Api<DynamicObject>,
    workload: DynamicObject,
    /// The newest release of the component.
    newest: String,
}

impl Image {
    const PATH: &str = "/spec/container/image";

    pub(super) async fn of(client: &Client, service: &str) -> Result<Self, Error> {
        let workloads = api(client, "Workload", "workloads", NAMESPACE);
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
        let before = json!(text(&self.workload, Self::PATH));
        let changed = Changed { before, after: self.missing() };
        Ok(Record { image: Some(changed), ..Record::default() })
    }

    /// The same image with a tag that does not exist.
    fn missing(&self) -> Value {
        let now = text(&self.workload, Self::PATH);
        json!(format!("{}:no-such-tag", now.rsplit_once(':').map_or(now, |(name, _)| name)))
    }

    pub(super) async fn break_it(mut self) -> Result<(), Error> {
        self.write(self.missing()).await
    }

    /// Whether the image was still the one of the fault.
    pub(super) async fn heal(mut self, changed: &Changed) -> Result<bool, Error> {
        let now = json!(text(&self.workload, Self::PATH));
        if now == changed.after {
            self.write(changed.before.clone()).await?;
        }
        // It never got that far, perhaps.
        Ok(now == changed.after || now == changed.before)
    }

    async fn write(&mut self, image: Value) -> Result<(), Error> {
        self.workload.data["spec"]["container"]["image"] = image;
        let parameters =
            PostParams { field_manager: Some("curtain".into()), ..PostParams::default() };
        let name = name_of(&self.workload).to_owned();
        let written = self.workloads.replace(&name, &parameters, &self.workload).await;
        written.map(drop).map_err(refused("change the workload"))
    }
}
