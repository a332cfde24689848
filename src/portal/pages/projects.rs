//! The first page: every project.

use super::layout::{self, Section};
use super::{Page, parts, project};
use crate::health::Health;
use crate::model::{description, text, title};
use crate::projects::{self, Incidents, Namespace, Row};
use crate::server::Portal;
use crate::session::SignedIn;
use axum::extract::State;
use axum::response::Html;
use curtain_role::Instance;
use maud::{Markup, html};
use serde_json::Value;
use std::sync::Arc;

pub(crate) async fn show(State(portal): State<Arc<Portal>>, SignedIn(session): SignedIn) -> Page {
    let namespaces = projects::all(&portal.backend.of(&session.token)).await?;
    let content = html! {
        div.heading { h1 { "Projects" } }
        (list(&portal.instance, &namespaces))
    };
    let page =
        layout::page(&session, &portal.instance, Section::Projects, "Projects", &[], content);
    Ok(Html(page.into_string()))
}

fn list(instance: &Instance, namespaces: &[Namespace]) -> Markup {
    let any = namespaces.iter().any(|all| !all.projects.is_empty());
    html! {
        @if !any {
            (parts::empty("No project yet", html! {
                p { "A project holds components that belong together. Start with a sample:" }
                (parts::curtain(instance, "demo deploy greeter"))
                p { "or let an assistant do it, once it knows this platform:" }
                (parts::curtain(instance, "mcp install claude-code"))
            }))
        }
        @for all in namespaces.iter().filter(|all| !all.projects.is_empty()) {
            @let name = text(&all.namespace, "/metadata/name");
            section aria-label={ "Namespace " (name) } {
                @if namespaces.len() > 1 { h2.label { (title(&all.namespace)) } }
                ul.cards {
                    @for row in &all.projects { li { (card(name, row)) } }
                }
                @if let Some(reason) = &all.unknown {
                    p.dim { "Whether incidents are open is not known everywhere: " (reason) }
                }
            }
        }
    }
}

/// The card of a project leads to its page; its incidents have a link of their own.
fn card(namespace: &str, row: &Row) -> Markup {
    let project = &row.project;
    let own = project::href(namespace, text(project, "/metadata/name"));
    let worst = unwell(&row.health);
    html! {
        div.card.whole {
            h3 { a href=(own) { (title(project)) } }
            @if !description(project).is_empty() { p { (description(project)) } }
            p.meta {
                @if let Some(count) = row.components { (parts::counted(count as u64, "component")) " · " }
                "pipeline " (pipeline(project))
            }
            @if worst.is_some() || row.open.is_some() {
                p.apart {
                    @if let Some((class, words)) = worst { span.pill.(class) { i aria-hidden="true" {} (words) } }
                    @if let Some(open) = row.open { (incidents(&own, open)) }
                }
            }
        }
    }
}

/// Class and words for what is not healthy. Traffic is not asked for here, so what fails is not told from what is degraded.
fn unwell(all: &[Health]) -> Option<(&'static str, String)> {
    let count = |is: fn(Health) -> bool| all.iter().filter(|one| is(**one)).count();
    match (count(|one| one >= Health::Degraded), count(|one| one == Health::Progressing)) {
        (0, 0) => None,
        (0, busy) => Some((Health::Progressing.class(), format!("{busy} progressing"))),
        (bad, _) => Some((Health::Failing.class(), format!("{bad} not healthy"))),
    }
}

fn incidents(own: &str, open: Incidents) -> Markup {
    let Incidents { count, more } = open;
    html! {
        @if count == 0 && !more { "No open incidents" }
        @else {
            a href={ (own) "/incidents" } {
                @if more { "at least " } (parts::counted(count as u64, "open incident"))
            }
        }
    }
}

fn pipeline(project: &Value) -> &str {
    let name = text(project, "/spec/deploymentPipelineRef/name");
    if name.is_empty() { "default" } else { name }
}
