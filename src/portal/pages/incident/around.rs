//! What an incident has to do with others.

use super::Place;
use crate::model::text;
use crate::pages::incidents::{because, href, names, unrelated, words};
use crate::related::{Group, Related};
use maud::{Markup, html};
use serde_json::Value;

/// What the incident comes of, and what else comes of the same.
pub(super) fn show(place: &Place, related: &Related) -> Markup {
    let own = place.project_href();
    let is_it = |incident: &&Value| text(incident, "/incidentId") == place.incident;
    let with =
        |group: &&Group| is_it(&&group.incident) || group.affected.iter().any(|one| is_it(&one));
    let Some(group) = related.groups.iter().find(with) else { return html! {} };
    let others: Vec<Value> = group.affected.iter().filter(|one| !is_it(one)).cloned().collect();
    html! {
        (unrelated(related))
        (because(&own, group))
        @if !is_it(&&group.incident) {
            p { "Comes of " a href=(href(&own, &group.incident)) { (words(&group.incident)) } }
        }
        @if !others.is_empty() { p { "Also affected: " (names(&own, &others)) } }
    }
}
