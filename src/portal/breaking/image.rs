//! The image of a service, which is in its workload: a release follows by itself where the newest one runs.

use super::write;
use crate::backend::User;
use crate::error::BackendError;
use crate::login::encode;
use crate::model::text;
use curtain_demo::{Changed, Image as Made, NAMESPACE, PROJECT, Record, Workload};
use serde_json::{Value, json};

fn path(service: &str) -> String {
    format!("/namespaces/{NAMESPACE}/workloads/{}", encode(service))
}

/// The workload of `service`, if `user` may see it and `record` tells of something in it.
pub(super) async fn workload_of(
    user: &User<'_>,
    service: &str,
    record: Option<&Record>,
) -> Result<Workload, BackendError> {
    if record.is_none_or(|record| record.image.is_none()) {
        return Ok(Workload::Unknown);
    }
    match user.get(&path(service)).await {
        Err(BackendError::NotFound(_)) => Ok(Workload::Gone),
        Err(BackendError::Forbidden(_)) => Ok(Workload::Unknown),
        found => found.map(Workload::There),
    }
}

/// Puts the image of a service back, if it is still the one of the fault and its workload is there still.
pub(super) async fn heal(
    user: &User<'_>,
    service: &str,
    changed: &Changed,
) -> Result<(), BackendError> {
    let path = path(service);
    let put_back =
        write(user, &path, |workload| Ok(Made::heal(workload, changed) == Made::PutBack));
    match put_back.await {
        Err(BackendError::NotFound(_)) => Ok(()),
        other => other,
    }
}

/// The workload of a service, and its newest release.
pub(super) struct Image {
    path: String,
    workload: Value,
    newest: String,
}

impl Image {
    /// Read by who may change it.
    pub(super) async fn of(user: &User<'_>, service: &str) -> Result<Image, BackendError> {
        let place = json!({"namespace": NAMESPACE, "project": PROJECT, "component": service});
        let may = user.may(&[("workload:update", place, json!({}))]).await?;
        may.into_iter().collect::<Result<(), String>>().map_err(BackendError::Forbidden)?;
        let path = path(service);
        let component = format!("/namespaces/{NAMESPACE}/components/{}", encode(service));
        let (workload, component) = tokio::try_join!(user.get(&path), user.get(&component))?;
        let newest = text(&component, "/status/latestRelease/name").to_owned();
        Ok(Image { path, workload, newest })
    }

    /// What becomes of the image. Only where the newest release runs does another one follow by itself.
    pub(super) fn record(&self, binding: &Value) -> Result<Record, BackendError> {
        if text(binding, "/spec/releaseName") != self.newest {
            let service = text(binding, "/spec/owner/componentName");
            let why = format!(
                "the newest release of {service} does not run there, so that no other image gets there"
            );
            return Err(BackendError::Refused(why));
        }
        Ok(Made::break_it(&mut self.workload.clone()))
    }

    pub(super) async fn break_it(&self, user: &User<'_>) -> Result<(), BackendError> {
        write(user, &self.path, |workload| {
            Made::break_it(workload);
            Ok(true)
        })
        .await
    }
}
