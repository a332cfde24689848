//! A project: what goes on in it now, and how each component is doing in every environment.

use super::layout::{self, Section};
use super::{Page, overview, parts};
use crate::login::encode;
use crate::model::{ProjectView, description, text, title};
use crate::overview::Overview;
use crate::server::Portal;
use crate::session::SignedIn;
use axum::extract::{Path, Query, State};
use axum::response::Html;
use curtain_role::Instance;
use maud::{Markup, html};
use std::sync::Arc;

pub(crate) async fn show(
    State(portal): State<Arc<Portal>>,
    SignedIn(session): SignedIn,
    Path((namespace, project)): Path<(String, String)>,
    Query(asked): Query<overview::Asked>,
) -> Page {
    let user = portal.backend.of(&session.token);
    let now = Overview::read(&user, &namespace, &project, asked.environment()).await?;
    let view = &now.project;
    let own = href(&namespace, &project);
    let live = format!("{own}/live");
    let heading = title(&view.project).to_owned();
    let content = html! {
        div.heading {
            h1 { (heading) }
            @if !description(&view.project).is_empty() { p.lead { (description(&view.project)) } }
        }
        @if !view.components.is_empty() {
            section aria-label="Now" {
                (parts::live(&overview::live(&own, &now), overview::show(&portal.instance, &own, &now)))
            }
        }
        section aria-labelledby="components" {
            h2.label #components { "Components" }
            (parts::live(&live, components(&portal.instance, &namespace, &project, view)))
        }
    };
    let crumbs = [("Projects", "/".to_owned()), (heading.as_str(), own)];
    let page =
        layout::page(&session, &portal.instance, Section::Projects, &heading, &crumbs, content);
    Ok(Html(page.into_string()))
}

pub(crate) fn href(namespace: &str, project: &str) -> String {
    format!("/namespaces/{}/projects/{}", encode(namespace), encode(project))
}

/// The live part.
pub(crate) fn components(
    instance: &Instance,
    namespace: &str,
    project: &str,
    view: &ProjectView,
) -> Markup {
    if view.components.is_empty() {
        return parts::empty(
            "No component yet",
            html! {
                p { "A component is something that runs: a service, a web application, a worker." }
                p { "Deploy the sample" }
                (parts::curtain(instance, "demo deploy greeter"))
                p { "or describe your own in YAML, a Component and a Workload, and apply it:" }
                (parts::apply(instance, "component.yaml"))
            },
        );
    }
    html! {
        div.scroll {
            table {
                thead { tr {
                    th scope="col" { "Component" }
                    th scope="col" { "Type" }
                    @for (_, title) in &view.environments { th scope="col" { (title) } }
                } }
                tbody {
                    @for row in &view.components {
                        @let name = text(&row.component, "/metadata/name");
                        tr {
                            th scope="row" {
                                a href={ (href(namespace, project)) "/components/" (encode(name)) } {
                                    (title(&row.component))
                                }
                            }
                            td.dim { (text(&row.component, "/spec/componentType/name")) }
                            @for status in &row.status { td { (parts::pill(*status)) } }
                        }
                    }
                }
            }
        }
    }
}
