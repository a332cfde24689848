//! The incidents of a project.

use super::layout::{self, Section};
use super::{Page, parts, project};
use crate::error::softly;
use crate::incidents::{DAYS, all};
use crate::login::encode;
use crate::model::{text, title};
use crate::server::Portal;
use crate::session::SignedIn;
use axum::extract::{Path, Query, State};
use axum::response::Html;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;

#[derive(Debug, Deserialize)]
pub(crate) struct Asked {
    /// `all`, or else those that are open.
    #[serde(default)]
    show: String,
}

pub(crate) async fn show(
    State(portal): State<Arc<Portal>>,
    SignedIn(session): SignedIn,
    Path((namespace, name)): Path<(String, String)>,
    Query(asked): Query<Asked>,
) -> Page {
    let user = portal.backend.of(&session.token);
    let path = format!("/namespaces/{}/projects/{}", encode(&namespace), encode(&name));
    let (found, incidents) = tokio::join!(user.get(&path), all(&user, &namespace, &name));
    let (found, incidents) = (found?, softly(incidents)?);
    let own = project::href(&namespace, &name);
    let everything = asked.show == "all";
    let content = html! {
        (project::head(&found, &own, "Incidents"))
        nav.choices aria-label="Which" { ul.choice {
            @for (words, query, shown) in [("Open", "", !everything), ("All", "?show=all", everything)] {
                li { a href={ (own) "/incidents" (query) } aria-current=[shown.then_some("true")] { (words) } }
            }
        } }
        @match incidents {
            Err(reason) => (parts::missing("There are no incidents to show", &reason)),
            Ok(mut incidents) => {
                @let () = incidents.retain(|one| everything || text(one, "/status") != "resolved");
                @if incidents.is_empty() {
                    p.dim { (if everything { "None" } else { "None is open" }) " of the last " (DAYS) " days." }
                } @else { (table(&own, &incidents)) }
            },
        }
    };
    let crumbs = [("Projects", "/".to_owned()), (title(&found), own.clone())];
    let title = format!("Incidents · {}", title(&found));
    let page =
        layout::page(&session, &portal.instance, Section::Projects, &title, &crumbs, content);
    Ok(Html(page.into_string()))
}

fn table(own: &str, incidents: &[Value]) -> Markup {
    let columns = ["Since", "What", "Component", "Environment", "Status"];
    let rows = html! {
        @for incident in incidents {
            tr {
                td.since { (parts::moment(text(incident, "/triggeredAt"))) }
                th.text scope="row" { a href=(href(own, incident)) { (words(incident)) } }
                td { (text(incident, "/labels/componentName")) }
                td { (text(incident, "/labels/environmentName")) }
                td { (status(text(incident, "/status"))) }
            }
        }
    };
    parts::table("Incidents", &columns, rows)
}

/// Where the page of an incident is, in the project whose page is `own`.
pub(crate) fn href(own: &str, incident: &Value) -> String {
    format!("{own}/incidents/{}", encode(text(incident, "/incidentId")))
}

/// What an incident is about.
pub(crate) fn words(incident: &Value) -> &str {
    let description = text(incident, "/description");
    if description.is_empty() { "An alert" } else { description }
}

/// A status as a word with a coloured dot.
pub(crate) fn status(status: &str) -> Markup {
    let class = match status {
        "resolved" => "good",
        "acknowledged" => "busy",
        _ => "bad",
    };
    html! { span.pill.(class) { i aria-hidden="true" {} (status) } }
}
