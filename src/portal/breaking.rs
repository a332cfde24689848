//! Breaks services of the sample shop and heals them, as the signed-in person: what `curtain demo break` and `heal` do.
//!
//! Invariant: the record in the binding is the command line's, so that each heals what the other broke.

mod image;

use crate::backend::User;
use crate::error::{BackendError, PageError};
use crate::forms::Submitted;
use crate::login::encode;
use crate::model::text;
use crate::pages::project;
use crate::server::Portal;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use curtain_demo::{
    ANNOTATION, Change, NAMESPACE, PROJECT, Record, SERVICES, change, find, is_free, pause,
    restore, set, stands,
};
use image::{Image, workload_of};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// Whether a project with these components is the sample shop.
pub(crate) fn is_sample<'c>(
    at: (&str, &str),
    components: impl IntoIterator<Item = &'c Value>,
) -> bool {
    let own = |component: &Value| SERVICES.contains(&text(component, "/metadata/name"));
    at == (NAMESPACE, PROJECT) && components.into_iter().any(own)
}

/// The shop's release bindings.
pub(crate) async fn bindings(user: &User<'_>) -> Result<Vec<Value>, BackendError> {
    let mut all = user.list(&format!("/namespaces/{NAMESPACE}/releasebindings")).await?;
    all.retain(|binding| text(binding, "/spec/owner/projectName") == PROJECT);
    Ok(all)
}

/// What a binding was broken by.
pub(crate) fn record(binding: &Value) -> Option<Record> {
    let annotation = binding.pointer("/metadata/annotations")?.get(ANNOTATION)?;
    Some(Record::read(annotation.as_str().unwrap_or_default()))
}

/// What a binding was broken by, and whether it still is.
pub(crate) async fn state(
    user: &User<'_>,
    binding: &Value,
) -> Result<Option<(Record, bool)>, BackendError> {
    let Some(record) = record(binding) else { return Ok(None) };
    let service = text(binding, "/spec/owner/componentName");
    let workload = workload_of(user, service, Some(&record)).await?;
    let stands = stands(binding, &workload, &record);
    Ok(Some((record, stands)))
}

#[derive(Deserialize)]
pub(crate) struct Wish {
    service: String,
    environment: String,
    fault: String,
}

/// Breaks a service. Again is no other than once.
pub(crate) async fn break_it(
    State(portal): State<Arc<Portal>>,
    Path((namespace, project)): Path<(String, String)>,
    Submitted { session, form }: Submitted<Wish>,
) -> Result<Response, PageError> {
    let fault = find(&form.service, Some(&form.fault));
    let fault = fault.map_err(|unknown| BackendError::Refused(unknown.to_string()))?;
    let at = (namespace.as_str(), project.as_str());
    let user = portal.backend.of(&session.token);
    let (path, found) = binding(&user, at, (&form.service, &form.environment)).await?;
    let workload = workload_of(&user, &form.service, record(&found).as_ref()).await?;
    let change = change(&form.service, fault.name);
    let image = match change {
        Change::Image => Some(Image::of(&user, &form.service).await?),
        Change::Variables(_) => None,
    };
    let done = write(&user, &path, |binding| {
        let earlier = record(binding);
        let free = is_free(binding, &workload, earlier.as_ref(), fault.name);
        let free = free.map_err(|other| {
            let why = format!("{} is broken by {other} already; heal it first", form.service);
            BackendError::Refused(why)
        })?;
        if free {
            let made = match (&change, &image) {
                (Change::Variables(variables), _) => set(binding, variables),
                (Change::Image, Some(image)) => image.record(binding)?,
                (Change::Image, None) => Record::default(),
            };
            let made = Record { fault: fault.name.to_owned(), ..made };
            binding["metadata"]["annotations"][ANNOTATION] = json!(made.text());
        }
        Ok(free)
    });
    done.await?;
    if let Some(image) = image {
        image.break_it(&user).await?;
    }
    tracing::info!(service = form.service, fault = fault.name, "broken on request");
    Ok(seen(at, &form.environment, "broken", &form.service))
}

#[derive(Deserialize)]
pub(crate) struct Healing {
    service: String,
    environment: String,
}

/// Puts back what a fault changed in a service.
pub(crate) async fn heal(
    State(portal): State<Arc<Portal>>,
    Path((namespace, project)): Path<(String, String)>,
    Submitted { session, form }: Submitted<Healing>,
) -> Result<Response, PageError> {
    find(&form.service, None).map_err(|unknown| BackendError::Refused(unknown.to_string()))?;
    let at = (namespace.as_str(), project.as_str());
    let user = portal.backend.of(&session.token);
    let (path, binding) = binding(&user, at, (&form.service, &form.environment)).await?;
    if let Some(changed) = record(&binding).and_then(|record| record.image) {
        image::heal(&user, &form.service, &changed).await?;
    }
    let done = write(&user, &path, |binding| {
        let Some(record) = record(binding) else { return Ok(false) };
        restore(binding, &record);
        if let Some(annotations) = binding["metadata"]["annotations"].as_object_mut() {
            annotations.remove(ANNOTATION);
        }
        Ok(true)
    });
    done.await?;
    tracing::info!(service = form.service, "healed");
    Ok(seen(at, &form.environment, "healed", &form.service))
}

/// Where one sees what was done to a service, and is told.
fn seen(at: (&str, &str), environment: &str, done: &str, service: &str) -> Response {
    let (environment, service) = (encode(environment), encode(service));
    let page = format!("{}?env={environment}&{done}={service}", project::href(at.0, at.1));
    Redirect::to(&page).into_response()
}

/// The binding of a service in an environment of the sample shop, and its path.
async fn binding(
    user: &User<'_>,
    at: (&str, &str),
    (service, environment): (&str, &str),
) -> Result<(String, Value), BackendError> {
    if at != (NAMESPACE, PROJECT) {
        return Err(BackendError::NotFound(format!("{} is not the sample shop", at.1)));
    }
    let found =
        bindings(user).await?.into_iter().find(|binding| is_of(binding, service, environment));
    let binding = found.ok_or_else(|| {
        BackendError::NotFound(format!("{service} does not run in {environment}"))
    })?;
    let name = encode(text(&binding, "/metadata/name"));
    Ok((format!("/namespaces/{NAMESPACE}/releasebindings/{name}"), binding))
}

/// Whether a binding is that of a service in an environment.
pub(crate) fn is_of(binding: &Value, service: &str, environment: &str) -> bool {
    text(binding, "/spec/owner/componentName") == service
        && text(binding, "/spec/environment") == environment
}

/// Changes an object, if `change` says so, and unless somebody else does all the time.
async fn write(
    user: &User<'_>,
    path: &str,
    mut change: impl FnMut(&mut Value) -> Result<bool, BackendError>,
) -> Result<(), BackendError> {
    let mut tried = 1;
    loop {
        let (mut object, version) = user.get_versioned(path).await?;
        if !change(&mut object)? {
            return Ok(());
        }
        if let Value::Object(map) = &mut object {
            map.remove("status");
        }
        match user.put(path, &object, version.as_deref()).await {
            Err(BackendError::Conflict(why)) => match pause(tried) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Err(BackendError::Conflict(why)),
            },
            other => return other.map(drop),
        }
        tried += 1;
    }
}
