//! A project: what goes on in it now, and how each component is doing in every environment.

use super::breaking::notice;
use super::layout::{self, Section};
use super::{Page, overview, parts};
use crate::breaking::is_sample;
use crate::login::encode;
use crate::model::{self, description, text, title};
use crate::overview::Overview;
use crate::server::Portal;
use crate::session::SignedIn;
use axum::extract::{Path, Query, State};
use axum::response::Html;
use curtain_role::Instance;
use maud::{Markup, html};
use serde_json::Value;
use std::sync::Arc;

pub(crate) async fn show(
    State(portal): State<Arc<Portal>>,
    SignedIn(session): SignedIn,
    Path((namespace, project)): Path<(String, String)>,
    Query(asked): Query<overview::Asked>,
) -> Page {
    let user = portal.backend.of(&session.token);
    let view = model::project(&user, &namespace, &project).await?;
    let place = (namespace.as_str(), project.as_str());
    let now = Overview::of(view, &user, place, asked.environment()).await?;
    let view = &now.project;
    let own = href(&namespace, &project);
    let (environment, shown_title) =
        view.environments.get(now.environment).cloned().unwrap_or_default();
    let live = format!("{own}/live?env={}", encode(&environment));
    let heading = title(&view.project).to_owned();
    let sample = is_sample(place, view.components.iter().map(|row| &row.component));
    let notice = match sample {
        true => {
            let shown = (environment.as_str(), shown_title.as_str());
            notice::read(&user, &portal.instance, &asked, &own, shown, &session.form_key).await?
        }
        false => html! {},
    };
    let content = html! {
        (with_actions(&view.project, &own, "Now", &actions(&own, sample)))
        (notice)
        (parts::live(&live, self::now(&portal.instance, place, &now)))
    };
    let crumbs = [("Projects", "/".to_owned()), (heading.as_str(), own)];
    let page =
        layout::page(&session, &portal.instance, Section::Projects, &heading, &crumbs, content);
    Ok(Html(page.into_string()))
}

/// What stands above each page of a project, whose first is at `own`.
pub(crate) fn head(project: &Value, own: &str, here: &str) -> Markup {
    with_actions(project, own, here, &html! {})
}

fn with_actions(project: &Value, own: &str, here: &str, actions: &Markup) -> Markup {
    html! {
        div.heading {
            h1 { (title(project)) }
            @if !description(project).is_empty() { p.lead { (description(project)) } }
            (actions)
        }
        (tabs(own, here))
    }
}

/// What to begin with. It is no part of what is replaced live, or the keyboard would lose its place.
fn actions(own: &str, sample: bool) -> Markup {
    html! {
        div.buttons {
            a.button href={ (own) "/deploy" } { "Deploy yours" }
            @if sample { a.button href={ (own) "/break" } { "Break something" } }
            a.button href="/agents#connect" { "Connect an agent" }
        }
    }
}

fn tabs(own: &str, here: &str) -> Markup {
    let tabs = [("Now", ""), ("Incidents", "/incidents"), ("Deploy yours", "/deploy")];
    let tabs = tabs.map(|(name, below)| (name, format!("{own}{below}"), name == here));
    parts::tabs("Project", tabs)
}

pub(crate) fn href(namespace: &str, project: &str) -> String {
    format!("/namespaces/{}/projects/{}", encode(namespace), encode(project))
}

/// The live part: of a project without components, how to get one.
pub(crate) fn now(instance: &Instance, place: (&str, &str), now: &Overview) -> Markup {
    let view = &now.project;
    if view.components.is_empty() {
        return nothing_yet(instance, place);
    }
    let own = href(place.0, place.1);
    html! {
        section aria-label="Now" { (overview::show(instance, &own, now)) }
        section aria-labelledby="components" {
            h2.label #components { "Components" }
            (components(&own, now))
        }
    }
}

fn nothing_yet(instance: &Instance, place: (&str, &str)) -> Markup {
    parts::empty(
        "No component yet",
        html! {
            p { "A component is something that runs: a service, a web application, a worker." }
            p { a.button.primary href={ (href(place.0, place.1)) "/deploy" } { "Deploy yours" } }
            p { "Or deploy the sample" }
            (parts::curtain(instance, "demo deploy greeter"))
            p { "or describe your own in YAML, a Component and a Workload, and apply it:" }
            (parts::apply(instance, "component.yaml"))
        },
    )
}

fn components(own: &str, now: &Overview) -> Markup {
    let view = &now.project;
    let titles = view.environments.iter().map(|(_, title)| title.as_str());
    let columns: Vec<&str> = ["Component", "Type"].into_iter().chain(titles).collect();
    let rows = html! {
        @for (row, health) in view.components.iter().zip(&now.health) {
            @let name = text(&row.component, "/metadata/name");
            tr {
                th scope="row" {
                    a href={ (own) "/components/" (encode(name)) } { (title(&row.component)) }
                }
                td.dim { (text(&row.component, "/spec/componentType/name")) }
                @for (health, (_, title)) in health.iter().zip(&view.environments) {
                    td data-label=(title) { (parts::pill(*health)) }
                }
            }
        }
    };
    parts::table("Components", &columns, rows)
}
