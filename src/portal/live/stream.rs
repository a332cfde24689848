//! A part of a page, sent again whenever it has become another.

use crate::backend::User;
use crate::error::BackendError;
use crate::server::Portal;
use crate::session::Session;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::{Stream, StreamExt as _};
use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Events that come together are shown together.
const SETTLE: Duration = Duration::from_millis(120);
/// So many of them at most, for lists that never rest.
const MOST_AT_ONCE: usize = 100;
/// Between attempts when the API does not answer.
pub(super) const RETRY: Duration = Duration::from_secs(2);

/// A live part of a page.
pub(super) trait Part: Send + 'static {
    /// The list whose changes it shows, if there is one: the API tells of them.
    fn watched(&self) -> Option<String> {
        None
    }

    /// After how long to ask again although nothing is said to have changed, if at all.
    fn pause(&self) -> Option<Duration> {
        None
    }

    /// The part as it is now; `changed` unless only time went by.
    fn render(
        &mut self,
        user: User<'_>,
        changed: bool,
    ) -> impl Future<Output = Result<String, BackendError>> + Send;
}

/// Sends `replace` with the rendered part whenever it has become another, `trouble` when the API does not
/// answer, and `end` when the session is over.
pub(super) fn stream(
    portal: Arc<Portal>,
    session: Arc<Session>,
    mut part: impl Part,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let (sender, receiver) = channel::<Event>(4);
    tokio::spawn(async move {
        let shutdown = portal.shutdown.clone();
        let work = async {
            let mut shown = String::new();
            loop {
                let user = portal.backend.of(&session.token);
                let problem = match follow(user, &mut part, &mut shown, &sender).await {
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
    user: User<'_>,
    part: &mut impl Part,
    shown: &mut String,
    sender: &Sender<Event>,
) -> Result<Told, BackendError> {
    let mut changes = match part.watched() {
        Some(list) => user.changes(&list).await?.boxed(),
        // What is there is all there is to tell.
        None => futures::stream::once(async {}).chain(futures::stream::pending()).boxed(),
    };
    loop {
        let changed = match wait(&mut changes, part.pause()).await {
            Woken::Changed => true,
            Woken::Rested => false,
            Woken::Ended => return Ok(Told::Ended),
        };
        let fragment = part.render(user, changed).await?;
        if fragment == *shown {
            continue;
        }
        let event = Event::default().event("replace").data(one_line(&fragment));
        *shown = fragment;
        if sender.send(event).await.is_err() {
            return Ok(Told::Gone);
        }
    }
}

enum Woken {
    Changed,
    Rested,
    Ended,
}

/// Waits for changes, with what comes along with them, or for the pause to be over.
async fn wait(changes: &mut (impl Stream<Item = ()> + Unpin), pause: Option<Duration>) -> Woken {
    let rest = async {
        match pause {
            Some(pause) => tokio::time::sleep(pause).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = rest => return Woken::Rested,
        change = changes.next() => if change.is_none() {
            return Woken::Ended;
        },
    }
    for _ in 0..MOST_AT_ONCE {
        match tokio::time::timeout(SETTLE, changes.next()).await {
            Ok(Some(())) => {}
            Ok(None) | Err(_) => break,
        }
    }
    Woken::Changed
}

/// The data of an event must not hold line ends; in HTML outside of log text they mean nothing,
/// and log text is escaped to hold none.
pub(super) fn one_line(text: &str) -> String {
    text.replace(['\r', '\n'], " ")
}

pub(super) fn events(
    receiver: Receiver<Event>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let events = tokio_stream::wrappers::ReceiverStream::new(receiver).map(Ok);
    Sse::new(events).keep_alive(KeepAlive::new().interval(Duration::from_secs(15)))
}
