//! Logs of a component in an environment, going on live.

use super::frame::{self, Frame, Tab};
use super::line::lines;
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
    /// Lines as they were written.
    #[serde(default)]
    pub(crate) raw: bool,
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
            @if asked.raw { input type="hidden" name="raw" value="true"; }
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
    let live = format!("{}&since={}", href(place, asked, "/logs/live", asked.raw), encode(&since));
    html! {
        div.toolbar {
            span.pill.good.breathes data-follow-state { i aria-hidden="true" {} "Live" }
            button.quiet type="button" data-follow-toggle hidden { "Pause" }
            a.button.quiet href=(href(place, asked, "/logs", !asked.raw)) {
                (if asked.raw { "Show level, message and fields" } else { "Show raw lines" })
            }
        }
        div.log role="log" aria-label="Log lines" tabindex="0" data-follow=(live) {
            (lines(shown, asked.raw))
            p.none { "Nothing was logged yet. New lines appear here by themselves." }
        }
        p.trouble role="status" hidden {}
    }
}

/// A page below the component, for what is asked for.
fn href(place: &Place, asked: &Asked, below: &str, raw: bool) -> String {
    let [env, level, q] = [&asked.env, &asked.level, &asked.q].map(|text| encode(text));
    let raw = if raw { "&raw=true" } else { "" };
    format!("{}{below}?env={env}&level={level}&q={q}{raw}", place.href())
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
    use super::oldest_first;
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
}
