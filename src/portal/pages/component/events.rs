//! What Kubernetes says of a component's objects, page by page.
//!
//! Many events happen at the same moment: a page begins at one, and leaves out what of it was shown already.

use super::Page;
use super::frame::{Before, Frame, Tab};
use super::live::{Visit, live};
use crate::backend::User;
use crate::error::{BackendError, softly};
use crate::model::{taken, text};
use crate::pages::parts;
use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};
use serde_json::Value;

/// Events of a page.
const PAGE: usize = 50;
/// More events of one moment are not told apart: the next page is of older ones.
const MOST_SEEN: usize = 500;
/// The least that times are told apart by.
const INSTANT: SignedDuration = SignedDuration::from_nanos(1);
/// Seconds until they are fetched again.
const EVERY: u32 = 10;

pub(crate) async fn show(visit: Visit) -> Page {
    live(visit, (Tab::Events, EVERY), events).await
}

async fn events(user: &User<'_>, frame: &Frame) -> Result<Markup, BackendError> {
    let mut window = frame.window();
    let mut seen = 0;
    if let Some(before) = frame.before {
        window.end = before.time.min(window.end);
        seen = before.seen.min(MOST_SEEN);
    }
    let found = if window.end <= window.start {
        Ok(Vec::new())
    } else {
        // One more than is shown tells whether there are older ones.
        let question = window.ask(frame.scope(&frame.place.component), seen + PAGE + 1);
        let found = softly(user.observed("/api/v1/events/query", &question).await)?;
        found.map(|mut answer| taken(&mut answer["events"]))
    };
    let columns = ["When", "Type", "Reason", "Object", "Message", "Times"];
    Ok(match found {
        Err(reason) => parts::missing("There are no events to show", &reason),
        Ok(found) => {
            let (shown, older) = page(&found, seen);
            html! {
                @if shown.is_empty() {
                    p.dim { (if frame.before.is_some() { "No older event in this time." } else { "No event in this time." }) }
                } @else {
                    (parts::table("Events", &columns, html! { @for event in shown { (row(event)) } }))
                }
                (ways(frame, older))
            }
        }
    })
}

/// The events of a page that begins behind `seen` of those found, and where the next one does, if there are more.
fn page(found: &[Value], seen: usize) -> (&[Value], Option<Before>) {
    let end = found.len().min(seen + PAGE);
    let shown = found.get(seen..end).unwrap_or_default();
    let last = found[..end].last().filter(|_| found.len() > end);
    let older = last.and_then(|last| {
        let time = text(last, "/timestamp");
        let same = found[..end].iter().rev().take_while(|event| text(event, "/timestamp") == time);
        let (time, seen) = (time.parse::<Timestamp>().ok()?, same.count());
        Some(match seen {
            ..=MOST_SEEN => Before { time, seen },
            _ => Before { time: time.checked_sub(INSTANT).ok()?, seen: 0 },
        })
    });
    (shown, older)
}

/// To older events, and back to the newest.
fn ways(frame: &Frame, older: Option<Before>) -> Markup {
    let here = frame.href(Tab::Events.below());
    html! {
        @if older.is_some() || frame.before.is_some() {
            nav.ways aria-label="Pages of events" {
                @if frame.before.is_some() { a.button href=(here) { "Newest" } }
                @if let Some(older) = older {
                    a.button rel="next" href={ (here) (older.query()) } { "Older" }
                }
            }
        }
    }
}

fn row(event: &Value) -> Markup {
    let warns = event["type"] == "Warning";
    html! {
        tr {
            td.since { (parts::moment(text(event, "/timestamp"))) }
            td { span.pill.busy[warns].idle[!warns] { i aria-hidden="true" {} (text(event, "/type")) } }
            th scope="row" { (text(event, "/reason")) }
            td.name { (text(event, "/metadata/objectKind")) " " code { (text(event, "/metadata/objectName")) } }
            td.text { (text(event, "/message")) }
            td data-label="Times" { (event["count"].as_u64().unwrap_or(1)) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{MOST_SEEN, PAGE, page};
    use serde_json::{Value, json};

    /// So many events in each of some seconds, newest first.
    fn found(seconds: &[usize]) -> Vec<Value> {
        let each = seconds.iter().enumerate().flat_map(|(ago, &many)| {
            let time = format!("2026-01-01T00:00:{:02}Z", 59 - ago);
            (0..many).map(move |_| json!({"timestamp": time}))
        });
        each.collect()
    }

    #[test]
    fn pages_go_on_where_the_last_one_ended_even_within_a_moment() {
        let all = found(&[PAGE - 1, PAGE + 1, 1]);
        let (shown, older) = page(&all, 0);
        let older = older.unwrap();
        assert_eq!(
            (shown.len(), older.time.to_string().as_str(), older.seen),
            (PAGE, "2026-01-01T00:00:58Z", 1)
        );
        // What is asked for then begins at that moment.
        let (shown, older) = page(&all[PAGE - 1..], older.seen);
        let older = older.unwrap();
        assert_eq!((shown.len(), older.seen), (PAGE, PAGE + 1));
        let (shown, older) = page(&all[PAGE - 1..], older.seen);
        assert_eq!((shown.len(), older), (1, None));
        assert_eq!(page(&all[..PAGE], 0).1, None, "there are no more");
        assert_eq!(page(&[], 7), (&[][..], None));
    }
    #[test]
    fn a_moment_with_more_events_than_are_told_apart_is_left_behind() {
        let all = found(&[MOST_SEEN + 2 * PAGE, 1]);
        let (_, older) = page(&all, MOST_SEEN - PAGE);
        assert_eq!(older.unwrap().seen, MOST_SEEN);
        let (shown, older) = page(&all, MOST_SEEN);
        let older = older.unwrap();
        assert_eq!(
            (shown.len(), older.time.to_string().as_str(), older.seen),
            (PAGE, "2026-01-01T00:00:58.999999999Z", 0)
        );
    }
}
