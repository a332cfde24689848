//! The live parts of pages, as Server-Sent Events.
//!
//! A page's live part is rendered by the same function as the page itself. The API tells when
//! something changed; then everything the part shows is read again, so that a missed event never
//! leaves a page wrong.

use crate::backend::User;
use crate::error::{BackendError, PageError};
use crate::login::encode;
use crate::model;
use crate::overview::Overview;
use crate::pages;
use crate::pages::component::Place;
use crate::server::Portal;
use crate::session::{Session, SignedIn};
use axum::extract::{Path, Query, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::{Stream, StreamExt as _};
use http::HeaderMap;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// Events that come together are shown together.
const SETTLE: Duration = Duration::from_millis(120);
/// Between attempts when the API does not answer.
const RETRY: Duration = Duration::from_secs(2);
/// Between questions for new log lines.
const LOGS_PAUSE: Duration = Duration::from_millis(800);
/// Between questions for the traffic of a project.
const TRAFFIC_PAUSE: Duration = Duration::from_secs(4);
/// Log lines asked for at once.
const MOST_LINES: usize = 500;

type Fragment<'a> = Pin<Box<dyn Future<Output = Result<String, BackendError>> + Send + 'a>>;

/// The component lanes of a page.
pub(crate) async fn component(
    State(portal): State<Arc<Portal>>,
    SignedIn(session): SignedIn,
    Path(place): Path<Place>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let watched = format!(
        "/namespaces/{}/releasebindings?component={}",
        encode(&place.namespace),
        encode(&place.component)
    );
    let (form_key, instance) = (session.form_key.clone(), portal.instance.clone());
    stream(portal, session, watched, move |user| {
        let (place, form_key, instance) = (place.clone(), form_key.clone(), instance.clone());
        Box::pin(async move {
            let view = model::component(&user, &place).await?;
            Ok(pages::component::lanes(&instance, &place, &view, &form_key).into_string())
        })
    })
}

/// The table of components of a project page.
pub(crate) async fn project(
    State(portal): State<Arc<Portal>>,
    SignedIn(session): SignedIn,
    Path((namespace, project)): Path<(String, String)>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let watched = format!("/namespaces/{}/releasebindings", encode(&namespace));
    let instance = portal.instance.clone();
    stream(portal, session, watched, move |user| {
        let (namespace, project) = (namespace.clone(), project.clone());
        let instance = instance.clone();
        Box::pin(async move {
            let view = model::project(&user, &namespace, &project).await?;
            Ok(pages::project::components(&instance, &namespace, &project, &view).into_string())
        })
    })
}

/// What goes on in a project. Traffic changes without a change of any object, so it is asked again and again.
pub(crate) async fn overview(
    State(portal): State<Arc<Portal>>,
    SignedIn(session): SignedIn,
    Path((namespace, project)): Path<(String, String)>,
    Query(asked): Query<pages::overview::Asked>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let (instance, own) = (portal.instance.clone(), pages::project::href(&namespace, &project));
    poll(portal, session, TRAFFIC_PAUSE, move |user| {
        let (namespace, project, asked) = (namespace.clone(), project.clone(), asked.clone());
        let (instance, own) = (instance.clone(), own.clone());
        Box::pin(async move {
            let now = Overview::read(&user, &namespace, &project, asked.environment()).await?;
            Ok(pages::overview::show(&instance, &own, &now).into_string())
        })
    })
}

/// What agents may do, and did. Grants end and calls come without a change of any object, so it is asked again and again.
pub(crate) async fn agents(
    State(portal): State<Arc<Portal>>,
    SignedIn(session): SignedIn,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let form_key = session.form_key.clone();
    poll(portal, session, RETRY, move |user| {
        let form_key = form_key.clone();
        Box::pin(async move {
            Ok(pages::activity::Activity::read(&user).await?.show(&form_key).into_string())
        })
    })
}

/// Sends `replace` with the rendered part whenever it has become another, asking after each pause;
/// `trouble` when the API does not answer, and `end` when the session is over.
fn poll(
    portal: Arc<Portal>,
    session: Arc<Session>,
    pause: Duration,
    render: impl for<'a> Fn(User<'a>) -> Fragment<'a> + Send + Sync + 'static,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let (sender, receiver) = tokio::sync::mpsc::channel::<Event>(4);
    tokio::spawn(async move {
        let shutdown = portal.shutdown.clone();
        let work = async {
            let mut shown = String::new();
            loop {
                let event = match render(portal.backend.of(&session.token)).await {
                    Ok(fragment) => (fragment != shown).then(|| {
                        let event = Event::default().event("replace").data(one_line(&fragment));
                        shown = fragment;
                        event
                    }),
                    Err(BackendError::SignedOut) => {
                        let _ = sender.send(Event::default().event("end").data("signed out")).await;
                        return;
                    }
                    Err(error) => {
                        Some(Event::default().event("trouble").data(one_line(&error.to_string())))
                    }
                };
                if let Some(event) = event
                    && sender.send(event).await.is_err()
                {
                    return;
                }
                tokio::time::sleep(pause).await;
            }
        };
        tokio::select! {
            () = work => {}
            () = sender.closed() => {}
            () = shutdown.wait() => {}
        }
    });
    events(receiver)
}

/// Sends `replace` with the rendered part after every change in what is watched, `trouble` when
/// the API does not answer, and `end` when the session is over.
fn stream(
    portal: Arc<Portal>,
    session: Arc<Session>,
    watched: String,
    render: impl for<'a> Fn(User<'a>) -> Fragment<'a> + Send + Sync + 'static,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let (sender, receiver) = tokio::sync::mpsc::channel::<Event>(4);
    tokio::spawn(async move {
        let shutdown = portal.shutdown.clone();
        let work = async {
            let mut shown = String::new();
            loop {
                let user = portal.backend.of(&session.token);
                let problem = match follow(&user, &watched, &render, &mut shown, &sender).await {
                    Ok(Told::Gone) => return,
                    Ok(Told::Ended) => None,
                    Err(BackendError::SignedOut) => {
                        let _ = sender.send(Event::default().event("end").data("signed out")).await;
                        return;
                    }
                    Err(error) => Some(error.to_string()),
                };
                if let Some(problem) = problem {
                    let event = Event::default().event("trouble").data(one_line(&problem));
                    if sender.send(event).await.is_err() {
                        return;
                    }
                }
                tokio::time::sleep(RETRY).await;
            }
        };
        tokio::select! {
            () = work => {}
            () = sender.closed() => {}
            () = shutdown.wait() => {}
        }
    });
    events(receiver)
}

enum Told {
    /// The browser.
    Gone,
    /// The API's stream.
    Ended,
}

async fn follow(
    user: &User<'_>,
    watched: &str,
    render: &(impl for<'a> Fn(User<'a>) -> Fragment<'a> + Send + Sync),
    shown: &mut String,
    sender: &tokio::sync::mpsc::Sender<Event>,
) -> Result<Told, BackendError> {
    let changes = user.changes(watched).await?;
    futures::pin_mut!(changes);
    while changes.next().await.is_some() {
        // Take in what comes with it.
        while tokio::time::timeout(SETTLE, changes.next()).await.is_ok_and(|next| next.is_some()) {}
        let fragment = render(*user).await?;
        if fragment == *shown {
            continue;
        }
        let event = Event::default().event("replace").data(one_line(&fragment));
        *shown = fragment;
        if sender.send(event).await.is_err() {
            return Ok(Told::Gone);
        }
    }
    Ok(Told::Ended)
}

/// New log lines as they come.
pub(crate) async fn logs(
    State(portal): State<Arc<Portal>>,
    SignedIn(session): SignedIn,
    Path(place): Path<Place>,
    Query(asked): Query<pages::logs::Asked>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, PageError> {
    // A browser that lost the connection goes on behind the last event it got, not where the page began.
    let resumed = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let since = resumed.or(asked.since.as_deref()).and_then(|time| time.parse().ok());
    let since = since.unwrap_or_else(Timestamp::now);
    let (sender, receiver) = tokio::sync::mpsc::channel::<Event>(4);
    tokio::spawn(async move {
        let shutdown = portal.shutdown.clone();
        let work = tail(&portal, &session, &place, &asked, since, &sender);
        tokio::select! {
            () = work => {}
            () = sender.closed() => {}
            () = shutdown.wait() => {}
        }
    });
    Ok(events(receiver))
}

async fn tail(
    portal: &Portal,
    session: &Session,
    place: &Place,
    asked: &pages::logs::Asked,
    mut since: Timestamp,
    sender: &tokio::sync::mpsc::Sender<Event>,
) {
    let user = portal.backend.of(&session.token);
    // From the last line that the page shows; the observer's bounds are inclusive, so lines of
    // that instant come again and are left out.
    let mut seen: BTreeSet<String> = BTreeSet::new();
    let mut first = true;
    loop {
        let query = pages::logs::query(place, asked, &since.to_string(), "asc", MOST_LINES);
        match user.logs(&query).await {
            Ok(lines) => {
                let mut fresh = Vec::new();
                for line in lines {
                    let Ok(time) = model::text(&line, "/timestamp").parse() else { continue };
                    let identity =
                        json!([line["timestamp"], line["log"], line["metadata"]["podName"]]);
                    let identity = identity.to_string();
                    if time > since {
                        since = time;
                        seen.clear();
                        first = false;
                    } else if first {
                        // What the page already shows.
                        seen.insert(identity);
                        continue;
                    }
                    if seen.insert(identity) {
                        fresh.push(line);
                    }
                }
                first = false;
                if !fresh.is_empty() && !send_lines(sender, &fresh, since).await {
                    return;
                }
            }
            Err(BackendError::SignedOut) => {
                let _ = sender.send(Event::default().event("end").data("signed out")).await;
                return;
            }
            Err(error) => {
                let event = Event::default().event("trouble").data(one_line(&error.to_string()));
                if sender.send(event).await.is_err() {
                    return;
                }
                tokio::time::sleep(RETRY).await;
            }
        }
        tokio::time::sleep(LOGS_PAUSE).await;
    }
}

/// Sends lines up to `until`, which the browser tells when it comes back.
async fn send_lines(
    sender: &tokio::sync::mpsc::Sender<Event>,
    lines: &[Value],
    until: Timestamp,
) -> bool {
    let html = pages::logs::lines(lines).into_string();
    let event = Event::default().event("append").id(until.to_string()).data(one_line(&html));
    sender.send(event).await.is_ok()
}

/// The data of an event must not hold line ends; in HTML outside of log text they mean nothing,
/// and log text is escaped to hold none.
fn one_line(text: &str) -> String {
    text.replace(['\r', '\n'], " ")
}

fn events(
    receiver: tokio::sync::mpsc::Receiver<Event>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let events = tokio_stream::wrappers::ReceiverStream::new(receiver).map(Ok);
    Sse::new(events).keep_alive(KeepAlive::new().interval(Duration::from_secs(15)))
}
