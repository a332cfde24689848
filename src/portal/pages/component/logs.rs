//! Logs of a component in an environment, going on live.

use super::frame::{self, Frame, Tab};
use super::{Page, Place};
use crate::backend::User;
use crate::error::softly;
use crate::login::encode;
use crate::model::text;
use crate::pages::parts;
use crate::server::Portal;
use crate::session::SignedIn;
use axum::extract::{Path, Query, State};
use jiff::{Timestamp, ToSpan as _};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// Lines shown at first.
const LINES: usize = 300;
/// Of them, so many bytes at most: a page is to be there at once.
const BYTES: usize = 64 << 10;
/// How far back, in hours.
const HOURS: i64 = 24;
const LEVELS: [&str; 4] = ["ERROR", "WARN", "INFO", "DEBUG"];

/// What to show.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    env: String,
    #[serde(default)]
    level: String,
    #[serde(default)]
    q: String,
    /// For the live part: the last line that is shown.
    pub(crate) since: Option<String>,
}

pub(crate) async fn show(
    State(portal): State<Arc<Portal>>,
    SignedIn(session): SignedIn,
    Path(place): Path<Place>,
    Query(mut asked): Query<Asked>,
) -> Page {
    let user = portal.backend.of(&session.token);
    let frame = Frame::read(&user, place, &frame::Asked::of(&asked.env)).await?;
    asked.env = frame.environment().to_owned();
    let query = query(&frame.place, &asked, &now(-HOURS), "desc", LINES);
    let found = softly(user.logs(&query).await)?;
    let content = html! {
        (frame.choices("/logs", false))
        (filters(&frame.place, &asked))
        @match found {
            Ok(newest_first) => (stream(&frame.place, &asked, &oldest_first(newest_first))),
            Err(reason) => (parts::missing("There are no logs to show", &reason)),
        }
    };
    Ok(frame.page(&portal, &session, Tab::Logs, content))
}

/// The last lines of one environment, going on live, as a part of another page.
pub(crate) async fn latest(user: &User<'_>, place: &Place, environment: &str) -> Markup {
    let asked = Asked { env: environment.to_owned(), ..Asked::default() };
    match user.logs(&query(place, &asked, &now(-HOURS), "desc", LINES)).await {
        Ok(newest_first) => stream(place, &asked, &oldest_first(newest_first)),
        Err(error) => html! { p.notice role="status" { (error) } },
    }
}

/// The newest lines as far as they fit, in the order in which they came.
fn oldest_first(mut newest_first: Vec<Value>) -> Vec<Value> {
    let mut bytes = 0;
    let fits = |line: &Value| {
        bytes += text(line, "/log").len() + text(line, "/timestamp").len();
        bytes <= BYTES
    };
    let kept = newest_first.iter().map(fits).take_while(|fits| *fits).count();
    newest_first.truncate(kept.max(1));
    newest_first.reverse();
    newest_first
}

fn filters(place: &Place, asked: &Asked) -> Markup {
    html! {
        form.filters method="get" action={ (place.href()) "/logs" } role="search" {
            input type="hidden" name="env" value=(asked.env);
            label for="q" { "Contains" }
            input #q type="search" name="q" value=(asked.q);
            label for="level" { "Level" }
            select #level name="level" {
                option value="" selected[asked.level.is_empty()] { "All" }
                @for level in LEVELS { option value=(level) selected[asked.level == level] { (level) } }
            }
            button type="submit" { "Filter" }
        }
    }
}

fn stream(place: &Place, asked: &Asked, shown: &[Value]) -> Markup {
    let since = shown.last().map_or_else(|| now(0), |line| text(line, "/timestamp").to_owned());
    let live = format!(
        "{}/logs/live?env={}&level={}&q={}&since={}",
        place.href(),
        encode(&asked.env),
        encode(&asked.level),
        encode(&asked.q),
        encode(&since)
    );
    html! {
        div.toolbar {
            span.pill.good.breathes data-follow-state { i aria-hidden="true" {} "Live" }
            button.quiet type="button" data-follow-toggle hidden { "Pause" }
        }
        div.log role="log" aria-label="Log lines" tabindex="0" data-follow=(live) {
            (lines(shown))
            p.none { "Nothing was logged yet. New lines appear here by themselves." }
        }
        p.trouble role="status" hidden {}
    }
}

/// Log lines, oldest first.
pub(crate) fn lines(lines: &[Value]) -> Markup {
    html! {
        @for line in lines {
            @let time = text(line, "/timestamp");
            div.line data-level=(text(line, "/level")) {
                time datetime=(time) title=(time) { (clock(time)) }
                span.text { (single_line(text(line, "/log"))) }
            }
        }
    }
}

/// Events carry one line, so a line end inside a log entry becomes a visible mark.
fn single_line(log: &str) -> String {
    log.trim_end_matches(['\r', '\n']).replace("\r\n", "⏎").replace(['\r', '\n'], "⏎")
}

/// The time of day, to the millisecond.
fn clock(time: &str) -> String {
    time.get(11..23).or_else(|| time.get(11..19)).unwrap_or(time).trim_end_matches('Z').to_owned()
}

/// This moment, or one some hours away, as the observer reads it.
pub(crate) fn now(hours: i64) -> String {
    let now = Timestamp::now();
    now.checked_add(hours.hours()).unwrap_or(now).to_string()
}

/// The observer's question.
pub(crate) fn query(place: &Place, asked: &Asked, since: &str, order: &str, limit: usize) -> Value {
    let mut query = json!({
        "startTime": since,
        // A little ahead, for clocks that differ.
        "endTime": now(1),
        "limit": limit,
        "sortOrder": order,
        "searchScope": {
            "namespace": place.namespace,
            "project": place.project,
            "component": place.component,
            "environment": asked.env,
        },
    });
    if LEVELS.contains(&asked.level.as_str()) {
        query["logLevels"] = json!([asked.level]);
    }
    if !asked.q.is_empty() {
        query["searchPhrase"] = json!(asked.q);
    }
    query
}

#[cfg(test)]
mod tests {
    use super::{clock, lines, oldest_first};
    use serde_json::json;

    #[test]
    fn the_newest_lines_are_shown_as_far_as_they_fit() {
        let line = |log: &str| json!({"timestamp": "", "log": log});
        let long = "x".repeat(40 << 10);
        let shown = oldest_first(vec![line("new"), line(&long), line(&long), line("old")]);
        assert_eq!(shown, [line(&long), line("new")]);
        assert_eq!(oldest_first(vec![line(&long.repeat(2))]).len(), 1, "one is shown however long");
        assert!(oldest_first(Vec::new()).is_empty());
    }

    #[test]
    fn lines_are_escaped_and_single() {
        let entry =
            json!({"timestamp": "2026-11-22T13:00:01.123456Z", "log": "<b>\nx\n", "level": "INFO"});
        let html = lines(&[entry]).into_string();
        assert!(html.contains("&lt;b&gt;⏎x"), "{html}");
        assert!(!html.contains('\n'));
        assert_eq!(clock("2026-11-22T13:00:01.123456Z"), "13:00:01.123");
        assert_eq!(clock("2026-11-22T13:00:01Z"), "13:00:01");
    }
}
