//! One incident: what happened, who sees to it, and what the SRE agent found.

mod alert;
mod around;
mod proposal;
mod report;

use super::layout::{self, Section};
use super::{Page, incidents as list, parts, project};
use crate::answers::Answer;
use crate::backend::User;
use crate::diagram::graph::Graph;
use crate::diagram::traffic::Traffic;
use crate::error::{BackendError, PageError, softly};
use crate::health;
use crate::incidents;
use crate::login::encode;
use crate::model::{project_named, text, title};
use crate::related::relate;
use crate::server::Portal;
use crate::session::{Session, SignedIn};
use axum::extract::{Path, Query, State};
use axum::response::{Html, IntoResponse as _, Response};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;

/// Who resolves an incident when its alert is over: the observer, by the name that it keeps for itself (`OURSELVES` of its
/// incidents). The two must be the same.
const ITSELF: &str = "system:observer";
/// Seconds until the report is fetched again while there is none.
const EVERY: u32 = 5;

/// Which incident.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Place {
    pub(crate) namespace: String,
    pub(crate) project: String,
    pub(crate) incident: String,
}

impl Place {
    pub(crate) fn href(&self) -> String {
        format!("{}/incidents/{}", self.project_href(), encode(&self.incident))
    }

    fn project_href(&self) -> String {
        project::href(&self.namespace, &self.project)
    }

    fn component_href(&self, component: &str) -> String {
        format!("{}/components/{}", self.project_href(), encode(component))
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct Asked {
    /// Present when only the report is wanted.
    part: Option<String>,
    /// Which answer to a question is wanted, too.
    answer: Option<u64>,
}

pub(crate) async fn show(
    State(portal): State<Arc<Portal>>,
    SignedIn(session): SignedIn,
    Path(place): Path<Place>,
    Query(asked): Query<Asked>,
) -> Page {
    let user = portal.backend.of(&session.token);
    if asked.part.is_some() {
        let incident = incidents::one(&user, &place).await?;
        let part = report::read(&user, &place, &incident, &session.form_key).await?;
        return Ok(Html(part.content.into_string()));
    }
    let note = match asked.answer {
        None => Note::None,
        Some(id) => Note::Answer(session.answers.find(&place.incident, id)),
    };
    Ok(Html(page(&portal, &session, &place, &note).await?.into_string()))
}

/// What a page says beside the incident.
enum Note<'a> {
    None,
    Problem(&'a BackendError),
    /// A question and its answer, if that is still kept.
    Answer(Option<Arc<Answer>>),
}

impl Note<'_> {
    fn show(&self) -> Markup {
        html! {
            @match self {
                Note::None => {},
                Note::Problem(problem) => p.problem role="alert" { strong { (problem.status().1) ": " } (problem) },
                Note::Answer(None) => p.notice role="status" { "That answer is not kept any more." },
                Note::Answer(Some(answer)) => section.answer aria-labelledby="answer" role="status" {
                    h2.label #answer { "What the model answers" }
                    p.dim.lines { (answer.question) }
                    p.lines { (answer.words) }
                    p.dim { "In its own words: check what it says." }
                },
            }
        }
    }
}

/// The page again, saying what could not be done.
pub(crate) async fn with_problem(
    portal: &Portal,
    session: &Session,
    place: Place,
    problem: BackendError,
) -> Result<Response, PageError> {
    if problem == BackendError::SignedOut {
        return Err(problem.into());
    }
    let page = page(portal, session, &place, &Note::Problem(&problem)).await?;
    Ok((problem.status().0, Html(page.into_string())).into_response())
}

async fn page(
    portal: &Portal,
    session: &Session,
    place: &Place,
    note: &Note<'_>,
) -> Result<Markup, BackendError> {
    let user: User<'_> = portal.backend.of(&session.token);
    let all = incidents::all(&user, &place.namespace, &place.project).await?;
    let incident = incidents::among(&all, place)?.clone();
    let (found, related, alert, now, report) = tokio::join!(
        project_named(&user, &place.namespace, &place.project),
        relate(&user, (&place.namespace, &place.project), all),
        incidents::alert(&user, place, &incident),
        asked_now(&user, place, &incident),
        report::read(&user, place, &incident, &session.form_key),
    );
    let (found, related) = (found?, related?);
    let (alert, now, report) = (softly(alert)?, softly(now)?, report?);
    let now = now.ok().flatten();
    let heading = list::words(&incident);
    let component = text(&incident, "/labels/componentName");
    let content = html! {
        div.heading {
            h1 { (heading) }
            @if !text(&incident, "/title").is_empty() { p.lead { (text(&incident, "/description")) } }
            p.lead {
                (list::status(text(&incident, "/status")))
                a href=(place.component_href(component)) { (component) }
                span.tag { (text(&incident, "/labels/environmentName")) }
                (list::at_the_start(&incident))
                @if let Some(now) = &now { span.small.dim { (now) } }
            }
            (around::show(place, &related))
        }
        (note.show())
        div.two {
            section aria-labelledby="history" {
                h2.label #history { "History" }
                (history(&incident))
                (forms(place, &incident, &session.form_key))
            }
            section aria-labelledby="alert" {
                h2.label #alert { "Alert" }
                @match alert {
                    Ok(Some(alert)) => (alert::rule(&alert, text(&incident, "/atStart"))),
                    Ok(None) => p.dim { "The alert is not kept any more." },
                    Err(reason) => (parts::missing("The alert cannot be shown", &reason)),
                }
                @if !text(&incident, "/notified").is_empty() { p { "Notified: " (text(&incident, "/notified")) } }
            }
        }
        section aria-labelledby="report" {
            h2.label #report { "What the SRE agent found" }
            @if report.is_awaited {
                (parts::fetched(&format!("{}?part", place.href()), EVERY, report.content))
            } @else { (report.content) }
        }
    };
    let crumbs = [
        ("Projects", "/".to_owned()),
        (title(&found), place.project_href()),
        ("Incidents", format!("{}/incidents", place.project_href())),
    ];
    Ok(layout::page(session, &portal.instance, Section::Projects, &heading, &crumbs, content))
}

/// How the component is doing that an open incident is about, as its requests tell.
async fn asked_now(
    user: &User<'_>,
    place: &Place,
    incident: &Value,
) -> Result<Option<String>, BackendError> {
    if !incidents::is_open(incident) {
        return Ok(None);
    }
    let project = (place.namespace.as_str(), place.project.as_str());
    let seen = health::traffic(user, project, text(incident, "/labels/environmentName")).await?;
    let graph = Graph::read(&seen, health::SECONDS as f64, &[]);
    let node = graph.component(text(incident, "/labels/componentName"));
    let Some(traffic) = node.and_then(|node| node.traffic).filter(Traffic::is_any) else {
        return Ok(None);
    };
    let latency = traffic.latency().map(|latency| format!(", p99 {latency}")).unwrap_or_default();
    Ok(Some(format!("now: {} of requests fail{latency}", traffic.failed_share())))
}

fn history(incident: &Value) -> Markup {
    let steps = [
        ("Triggered", "/triggeredAt", ""),
        ("Acknowledged", "/acknowledgedAt", "/acknowledgedBy"),
        ("Resolved", "/resolvedAt", "/resolvedBy"),
    ];
    let notes = text(incident, "/notes");
    html! {
        ol.events {
            @for (words, at, by) in steps {
                @let (time, actor) = (text(incident, at), text(incident, by));
                @if !time.is_empty() {
                    li { p.since {
                        strong { (words) }
                        @match actor { "" => {}, ITSELF => " by itself", actor => { " by " span.tag { (actor) } } }
                        " " span.dim { (parts::moment(time)) }
                    } }
                }
            }
            @if !notes.is_empty() { li { p { strong { "Notes" } } p.lines { (notes) } } }
        }
    }
}

/// What may be done next: an incident that is resolved stays so.
fn forms(place: &Place, incident: &Value, form_key: &str) -> Markup {
    let status = text(incident, "/status");
    html! {
        @if status != "resolved" {
            form.stack method="post" action={ (place.href()) "/status" } {
                input type="hidden" name="form_key" value=(form_key);
                label for="notes" { "Note" }
                textarea #notes name="notes" rows="2" { (text(incident, "/notes")) }
                div.buttons {
                    @if status == "active" {
                        button.primary type="submit" name="status" value="acknowledged" { "Acknowledge" }
                    }
                    button type="submit" name="status" value="resolved"
                        data-confirm="Resolve this incident? It cannot be opened again." { "Resolve" }
                }
            }
        }
    }
}
