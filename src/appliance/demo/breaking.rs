//! Breaks services of the shop and heals them, as a user would: through objects of the platform.
//!
//! A release binding that was changed for a fault says so in an annotation: the fault, and for each change what was
//! there before. Healing puts that back where the change still stands; what a user has changed meanwhile is kept.

use curtain_demo::{
    ANNOTATION, Change, Fault, IMAGE, NAMESPACE, PROJECT, Record, VARIABLES, Workload, change,
    find as fault_of, is_free, pause, restore, set, stands,
};
use kube::{
    Api, Client,
    api::{DynamicObject, ListParams, PostParams},
};
use serde::Serialize;
use serde_json::Value;

use super::{
    api,
    image::{self, Image, workload_of},
};
use crate::{Error, access::Access, identity::refused};

/// A service that was broken.
#[derive(Clone, Debug, Serialize)]
pub struct Broken {
    /// The service.
    pub service: String,
    /// In which environment.
    pub environment: String,
    /// How.
    pub fault: Fault,
    /// The object that was changed.
    pub changed: String,
    /// Where in it.
    pub field: &'static str,
    /// The notification channels of the environment: who is told once an incident opens.
    pub channels: Vec<String>,
    /// The page of the portal that has the shop's incidents.
    pub incidents: String,
}

/// A service that was healed.
#[derive(Clone, Debug, Serialize)]
pub struct Healed {
    /// The service.
    pub service: String,
    /// In which environment.
    pub environment: String,
    /// What it was broken by.
    pub fault: String,
    /// Whether somebody had mended it before.
    pub mended: bool,
    /// Whether the workload that it was in is gone, and the fault with it.
    pub gone: bool,
    /// What a user has changed since, and is therefore as the user left it.
    pub kept: Vec<String>,
}

/// Breaks `service` in `environment` by the fault called `name`, or its usual one. Again is no other than once, until
/// somebody has mended it.
///
/// # Errors
/// An unknown service or fault, a service that is not deployed there or is broken otherwise already, or a cluster that
/// refuses.
pub async fn break_service(
    access: &Access,
    service: &str,
    name: Option<&str>,
    environment: &str,
) -> Result<Broken, Error> {
    let fault = fault_of(service, name)?;
    let client = access.kube().await?;
    // Before anything is changed: what follows a change is no reason to fail.
    let channels = channels(&client, environment).await?;
    let change = change(service, fault.name);
    let image = match change {
        Change::Image => Some(Image::of(&client, service).await?),
        Change::Variables(_) => None,
    };
    let bindings = api(&client, "ReleaseBinding", "releasebindings", NAMESPACE);
    let mut changed = String::new();
    for tried in 1.. {
        let mut binding = find(&bindings, service, environment).await?;
        changed = format!("ReleaseBinding {NAMESPACE}/{}", name_of(&binding));
        let earlier = record(&binding);
        let workload = workload_of(&client, service, earlier.as_ref()).await?;
        let free = is_free(&mut binding.data, &workload, earlier.as_ref(), fault.name);
        if !free.map_err(|fault| Error::Broken { service: service.to_owned(), fault })? {
            break;
        }
        let record = match (&change, &image) {
            (Change::Variables(variables), _) => set(&mut binding.data, variables),
            (Change::Image, Some(image)) => image.record(&binding, service, environment)?,
            (Change::Image, None) => Record::default(),
        };
        let record = Record { fault: fault.name.to_owned(), ..record };
        let annotations = binding.metadata.annotations.get_or_insert_default();
        annotations.insert(ANNOTATION.to_owned(), record.text());
        if written(&bindings, &binding, tried).await? {
            break;
        }
    }
    let mut field = VARIABLES;
    if let Some(image) = image {
        image.break_it().await?;
        changed = format!("Workload {NAMESPACE}/{service}");
        field = IMAGE;
    }
    let portal = &access.endpoints().portal;
    let incidents = format!("{portal}/namespaces/{NAMESPACE}/projects/{PROJECT}/incidents");
    let (service, environment) = (service.to_owned(), environment.to_owned());
    Ok(Broken { service, environment, fault, changed, field, channels, incidents })
}

/// The names of the notification channels of `environment`.
async fn channels(client: &Client, environment: &str) -> Result<Vec<String>, Error> {
    let (kind, plural) =
        ("ObservabilityAlertsNotificationChannel", "observabilityalertsnotificationchannels");
    let all = api(client, kind, plural, NAMESPACE).list(&ListParams::default()).await;
    let all = all.map_err(refused("list the notification channels"))?.items;
    let there = all.iter().filter(|channel| text(channel, "/spec/environment") == environment);
    Ok(there.map(|channel| name_of(channel).to_owned()).collect())
}

/// What [`heal`] came to.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Healing {
    /// What is healed.
    pub healed: Vec<Healed>,
    /// What was not meant or could not be healed, and is broken still.
    pub still_broken: Vec<Still>,
    /// Why the first of those that could not be healed, or looked at, could not.
    #[serde(skip)]
    pub failed: Option<Error>,
}

/// A service that is broken still, as far as is known.
#[derive(Clone, Debug, Serialize)]
pub struct Still {
    /// The service.
    pub service: String,
    /// In which environment.
    pub environment: String,
    /// By what.
    pub fault: String,
}

/// Heals `service`, or every one of them, in `environment` or everywhere. One that cannot be healed keeps none of the
/// others from it.
///
/// # Errors
/// An unknown service, or a cluster that does not say what there is.
pub async fn heal(
    access: &Access,
    service: Option<&str>,
    environment: Option<&str>,
) -> Result<Healing, Error> {
    if let Some(service) = service {
        fault_of(service, None)?;
    }
    heal_by(&access.kube().await?, service, environment).await
}

/// As [`heal`], of a service that is known.
async fn heal_by(
    client: &Client,
    service: Option<&str>,
    environment: Option<&str>,
) -> Result<Healing, Error> {
    let bindings = api(client, "ReleaseBinding", "releasebindings", NAMESPACE);
    let all = bindings.list(&ListParams::default()).await;
    let all = all.map_err(refused("list the release bindings"))?;
    let mut healing = Healing::default();
    for binding in all.items {
        let is = |path: &str, wanted: Option<&str>| {
            wanted.is_none_or(|wanted| text(&binding, path) == wanted)
        };
        if !is("/spec/owner/projectName", Some(PROJECT)) {
            continue;
        }
        let Some(record) = record(&binding) else { continue };
        let still = Still {
            service: text(&binding, "/spec/owner/componentName").to_owned(),
            environment: text(&binding, "/spec/environment").to_owned(),
            fault: record.fault.clone(),
        };
        let outcome =
            if is("/spec/owner/componentName", service) && is("/spec/environment", environment) {
                let healed = heal_one(client, &bindings, binding, &record).await;
                healed.map(|healed| healing.healed.extend(healed))
            } else {
                let stands = state(client, &binding, &record).await;
                stands.map(|(stands, _)| healing.still_broken.extend(stands.then(|| still.clone())))
            };
        if let Err(error) = outcome {
            healing.still_broken.push(still);
            healing.failed.get_or_insert(error);
        }
    }
    Ok(healing)
}

async fn heal_one(
    client: &Client,
    bindings: &Api<DynamicObject>,
    mut binding: DynamicObject,
    found: &Record,
) -> Result<Option<Healed>, Error> {
    let name = name_of(&binding).to_owned();
    // Before anything is put back: a second try finds what the first one mended.
    let (stands, gone) = state(client, &binding, found).await?;
    for tried in 1.. {
        let Some(record) = record(&binding) else { return Ok(None) };
        let service = text(&binding, "/spec/owner/componentName").to_owned();
        let mut kept = restore(&mut binding.data, &record);
        if let Some(image) = &record.image
            && !image::heal(client, &service, image).await?
        {
            kept.push("image".to_owned());
        }
        if let Some(annotations) = &mut binding.metadata.annotations {
            annotations.remove(ANNOTATION);
        }
        if written(bindings, &binding, tried).await? {
            let environment = text(&binding, "/spec/environment").to_owned();
            let (fault, mended) = (record.fault, !stands && !gone);
            return Ok(Some(Healed { service, environment, fault, mended, gone, kept }));
        }
        binding = bindings.get(&name).await.map_err(refused("read the release binding"))?;
    }
    Ok(None)
}

/// Whether `binding` is still as a fault left it, and whether that was in a workload that is gone.
async fn state(
    client: &Client,
    binding: &DynamicObject,
    record: &Record,
) -> Result<(bool, bool), Error> {
    let service = text(binding, "/spec/owner/componentName");
    let workload = workload_of(client, service, Some(record)).await?;
    Ok((stands(&binding.data, &workload, record), workload == Workload::Gone))
}

fn record(binding: &DynamicObject) -> Option<Record> {
    Some(Record::read(binding.metadata.annotations.as_ref()?.get(ANNOTATION)?))
}

/// Writes `binding` as it was read; `false` when somebody else was faster and it should be read again.
async fn written(
    bindings: &Api<DynamicObject>,
    binding: &DynamicObject,
    tried: u32,
) -> Result<bool, Error> {
    let parameters = PostParams { field_manager: Some("curtain".into()), ..PostParams::default() };
    match bindings.replace(name_of(binding), &parameters, binding).await {
        Ok(_) => Ok(true),
        Err(error) => match pause(tried) {
            Some(pause) if matches!(&error, kube::Error::Api(status) if status.code == 409) => {
                tokio::time::sleep(pause).await;
                Ok(false)
            }
            _ => Err(refused("change the release binding")(error)),
        },
    }
}

async fn find(
    bindings: &Api<DynamicObject>,
    service: &str,
    environment: &str,
) -> Result<DynamicObject, Error> {
    let all = bindings.list(&ListParams::default()).await;
    let all = all.map_err(refused("list the release bindings"))?;
    let found = all.items.into_iter().find(|binding| {
        text(binding, "/spec/owner/projectName") == PROJECT
            && text(binding, "/spec/owner/componentName") == service
            && text(binding, "/spec/environment") == environment
    });
    found.ok_or_else(|| Error::NotDeployed {
        service: service.to_owned(),
        environment: environment.to_owned(),
    })
}

pub(super) fn name_of(object: &DynamicObject) -> &str {
    object.metadata.name.as_deref().unwrap_or_default()
}

pub(super) fn text<'o>(object: &'o DynamicObject, path: &str) -> &'o str {
    object.data.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests;
