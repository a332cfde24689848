//! The environments, and the planes behind them.

use super::layout::{self, Section};
use super::{Page, parts};
use crate::backend::User;
use crate::error::BackendError;
use crate::login::encode;
use crate::model::{self, Status, description, text, title};
use crate::server::Portal;
use crate::session::SignedIn;
use axum::extract::State;
use axum::response::Html;
use maud::{Markup, html};
use serde_json::Value;
use std::sync::Arc;

const PLANES: [(&str, &str); 3] = [
    ("Data plane", "/clusterdataplanes"),
    ("Observability plane", "/clusterobservabilityplanes"),
    ("Workflow plane", "/clusterworkflowplanes"),
];

pub(crate) async fn show(State(portal): State<Arc<Portal>>, SignedIn(session): SignedIn) -> Page {
    let user = portal.backend.of(&session.token);
    let mut environments = Vec::new();
    for namespace in user.list("/namespaces").await? {
        let name = text(&namespace, "/metadata/name").to_owned();
        let base = format!("/namespaces/{}", encode(&name));
        let (found, pipelines) = (
            user.list(&format!("{base}/environments")).await?,
            user.list(&format!("{base}/deploymentpipelines")).await?,
        );
        environments.push((name, in_order(found, &pipelines)));
    }
    let mut planes = Vec::new();
    for (label, path) in PLANES {
        for plane in visible(&user, path).await? {
            planes.push((label, plane));
        }
    }
    let content = html! {
        div.heading {
            h1 { "Environments" }
            p.lead { "Releases go through them from left to right." }
        }
        @for (namespace, environments) in &environments {
            section aria-label={ "Environments of " (namespace) } {
                @if environments.is_empty() {
                    (parts::empty("No environment yet", html! {
                        p { "Make one and name it in a deployment pipeline:" }
                        (parts::apply(&portal.instance, "environment.yaml"))
                    }))
                }
                ol.lanes { @for environment in environments { li.lane { (environment_card(environment)) } } }
            }
        }
        h2.label { "Planes" }
        @if planes.is_empty() { p.dim { "You may not see the planes behind the environments." } }
        ul.cards { @for (label, plane) in &planes { li { (plane_card(label, plane)) } } }
    };
    let page = layout::page(
        &session,
        &portal.instance,
        Section::Environments,
        "Environments",
        &[],
        content,
    );
    Ok(Html(page.into_string()))
}

/// A list, or nothing where the person may not look.
async fn visible(user: &User<'_>, path: &str) -> Result<Vec<Value>, BackendError> {
    match user.list(path).await {
        Err(BackendError::Forbidden(_) | BackendError::NotFound(_)) => Ok(Vec::new()),
        other => other,
    }
}

/// Environments in the order of the pipelines, then the others by name.
fn in_order(mut environments: Vec<Value>, pipelines: &[Value]) -> Vec<Value> {
    let order: Vec<String> = pipelines.iter().flat_map(model::path).map(|(name, _)| name).collect();
    environments.sort_by_key(|environment| {
        let name = text(environment, "/metadata/name").to_owned();
        let place = order.iter().position(|known| *known == name).unwrap_or(usize::MAX);
        (place, name)
    });
    environments
}

fn environment_card(environment: &Value) -> Markup {
    let plane = text(environment, "/spec/dataPlaneRef/name");
    html! {
        article {
            header {
                h2 { (title(environment)) }
                @if environment["spec"]["isProduction"] == true { span.tag { "production" } }
            }
            @if !description(environment).is_empty() { p { (description(environment)) } }
            dl {
                dt { "Name" } dd { code { (text(environment, "/metadata/name")) } }
                dt { "Data plane" } dd { (if plane.is_empty() { "default" } else { plane }) }
            }
        }
    }
}

fn plane_card(label: &str, plane: &Value) -> Markup {
    let connection = &plane["status"]["agentConnection"];
    let (status, words) = match connection["connected"].as_bool() {
        Some(true) => (Status::Ready, "Connected"),
        Some(false) => (Status::Failed, "Not connected"),
        None => (Status::Progressing, "Not heard of yet"),
    };
    html! {
        div.card {
            p.meta { (label) }
            h3 { (title(plane)) }
            p { span.pill.(status.class()) { i aria-hidden="true" {} (words) } }
            @if let Some(message) = connection["message"].as_str() { p.dim { (message) } }
        }
    }
}
