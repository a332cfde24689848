//! The first page: every project.

use super::layout::{self, Section};
use super::{Page, parts, project};
use crate::model::{self, description, text, title};
use crate::server::Portal;
use crate::session::SignedIn;
use axum::extract::State;
use axum::response::Html;
use curtain_role::Instance;
use maud::{Markup, html};
use serde_json::Value;
use std::sync::Arc;

pub(crate) async fn show(State(portal): State<Arc<Portal>>, SignedIn(session): SignedIn) -> Page {
    let namespaces = model::projects(&portal.backend.of(&session.token)).await?;
    let content = html! {
        div.heading { h1 { "Projects" } }
        (list(&portal.instance, &namespaces))
    };
    let page =
        layout::page(&session, &portal.instance, Section::Projects, "Projects", &[], content);
    Ok(Html(page.into_string()))
}

fn list(instance: &Instance, namespaces: &[(Value, Vec<Value>)]) -> Markup {
    let any = namespaces.iter().any(|(_, projects)| !projects.is_empty());
    html! {
        @if !any {
            (parts::empty("No project yet", html! {
                p { "A project holds components that belong together. Start with a sample:" }
                (parts::curtain(instance, "demo deploy greeter"))
                p { "or let an assistant do it, once it knows this platform:" }
                (parts::curtain(instance, "mcp install claude-code"))
            }))
        }
        @for (namespace, projects) in namespaces.iter().filter(|(_, projects)| !projects.is_empty()) {
            @let name = text(namespace, "/metadata/name");
            section aria-label={ "Namespace " (name) } {
                @if namespaces.len() > 1 { h2.label { (title(namespace)) } }
                ul.cards {
                    @for project in projects { li { (card(name, project)) } }
                }
            }
        }
    }
}

fn card(namespace: &str, project: &Value) -> Markup {
    let name = text(project, "/metadata/name");
    html! {
        a.card href=(project::href(namespace, name)) {
            h3 { (title(project)) }
            @if !description(project).is_empty() { p { (description(project)) } }
            p.meta { "Pipeline " (pipeline(project)) }
        }
    }
}

fn pipeline(project: &Value) -> &str {
    let name = text(project, "/spec/deploymentPipelineRef/name");
    if name.is_empty() { "default" } else { name }
}
