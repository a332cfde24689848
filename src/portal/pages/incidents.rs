//! The incidents of a project.

use super::layout::{self, Section};
use super::{Page, parts, project};
use crate::error::softly;
use crate::incidents::{DAYS, all, is_open};
use crate::login::encode;
use crate::model::{project_named, text, title};
use crate::related::{Above, Cause, Group, Related, relate};
use crate::server::Portal;
use crate::session::SignedIn;
use axum::extract::{Path, Query, State};
use axum::response::Html;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeSet;
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
    let everything = asked.show == "all";
    let (found, incidents) =
        tokio::join!(project_named(&user, &namespace, &name), all(&user, &namespace, &name));
    let (found, incidents) = (found?, softly(incidents)?);
    let related = match incidents {
        Ok(mut incidents) => {
            incidents.retain(|one| everything || is_open(one));
            Ok(relate(&user, (&namespace, &name), incidents).await?)
        }
        Err(reason) => Err(reason),
    };
    let own = project::href(&namespace, &name);
    let content = html! {
        (project::head(&found, &own, "Incidents"))
        nav.choices aria-label="Which" { ul.choice {
            @for (words, query, shown) in [("Open", "", !everything), ("All", "?show=all", everything)] {
                li { a href={ (own) "/incidents" (query) } aria-current=[shown.then_some("true")] { (words) } }
            }
        } }
        @match related {
            Err(reason) => (parts::missing("There are no incidents to show", &reason)),
            Ok(all) if all.groups.is_empty() => {
                p.dim { (if everything { "None" } else { "None is open" }) " of the last " (DAYS) " days." }
            },
            Ok(all) => section aria-labelledby="found" {
                h2.label #found { (all.counted(if everything { "incident" } else { "open incident" })) }
                (unrelated(&all))
                (table(&own, &all.groups))
            },
        }
    };
    let crumbs = [("Projects", "/".to_owned()), (title(&found), own.clone())];
    let title = format!("Incidents · {}", title(&found));
    let page =
        layout::page(&session, &portal.instance, Section::Projects, &title, &crumbs, content);
    Ok(Html(page.into_string()))
}

fn table(own: &str, groups: &[Group]) -> Markup {
    let rows = html! {
        @for group in groups {
            @match &group.above {
                Above::Incident(incident) => {
                    (row(own, incident, ""))
                    @for affected in &group.affected {
                        @let same = component(affected) == component(incident);
                        (row(own, affected, if same { "Also: " } else { "Also affected: " }))
                    }
                },
                Above::Cause(cause) => {
                    tr.cause { th.text scope="row" colspan="3" { (caused_by(own, cause)) } }
                    @for affected in &group.affected { (row(own, affected, "Affected: ")) }
                },
            }
        }
    };
    parts::table("Incidents", &["What", "Since", "Status"], rows)
}

/// An incident, or with words before it one that comes of what is above.
fn row(own: &str, incident: &Value, before: &str) -> Markup {
    html! {
        tr.below[!before.is_empty()] {
            th.text scope="row" {
                span.before { (before) }
                a href=(href(own, incident)) { (words(incident)) }
                (at_the_start(incident))
                @if before.is_empty() && !text(incident, "/title").is_empty() { p.small.dim { (text(incident, "/description")) } }
            }
            td.since { (parts::moment(text(incident, "/triggeredAt"))) }
            td { (status(text(incident, "/status"))) }
        }
    }
}

/// Where the cause of incidents is, in a component without an incident of its own.
pub(crate) fn caused_by(own: &str, cause: &Cause) -> Markup {
    html! {
        "Caused by " a href={ (own) "/components/" (encode(&cause.component)) } { (cause.component) }
        " in " (cause.environment)
    }
}

/// What the rule saw when an incident began: it may be quite another value by now.
pub(crate) fn at_the_start(incident: &Value) -> Markup {
    html! {
        @let value = text(incident, "/atStart");
        @if !value.is_empty() { " " span.small.dim { "at the start: " (value) } }
    }
}

/// Why it is not known which incidents belong together, if it is not.
pub(crate) fn unrelated(related: &Related) -> Markup {
    html! {
        @if let Some(reason) = &related.unknown {
            p.dim.small { "Which incidents belong together is not known: " (reason) "." }
        }
    }
}

/// The components of some incidents, each once, with the way to the first of its incidents.
pub(crate) fn names(own: &str, incidents: &[Value]) -> Markup {
    let mut seen = BTreeSet::new();
    let first = incidents.iter().filter(|incident| seen.insert(component(incident)));
    html! {
        @for (index, incident) in first.enumerate() {
            @if index > 0 { ", " }
            a href=(href(own, incident)) title=(words(incident)) { (component(incident)) }
        }
    }
}

pub(crate) fn component(incident: &Value) -> &str {
    text(incident, "/labels/componentName")
}

/// Where the page of an incident is, in the project whose page is `own`.
pub(crate) fn href(own: &str, incident: &Value) -> String {
    format!("{own}/incidents/{}", encode(text(incident, "/incidentId")))
}

/// What an incident is about: as the observer says it, or what the rule is for once the alert is not kept.
pub(crate) fn words(incident: &Value) -> String {
    let description = match text(incident, "/description") {
        "" => "an alert",
        description => description,
    };
    match text(incident, "/title") {
        "" => format!("{}: {description}", component(incident)),
        title => title.to_owned(),
    }
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
