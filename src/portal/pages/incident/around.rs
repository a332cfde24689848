//! What an incident has to do with others.

use super::Place;
use crate::model::text;
use crate::pages::incidents::{caused_by, component, href, names, unrelated, words};
use crate::related::{Above, Related};
use maud::{Markup, html};
use serde_json::Value;

/// What the incident comes of, and what else comes of the same.
pub(super) fn show(place: &Place, related: &Related) -> Markup {
    let own = place.project_href();
    let is_it = |incident: &&Value| text(incident, "/incidentId") == place.incident;
    let Some(group) = related.groups.iter().find(|group| group.incidents().any(|one| is_it(&one)))
    else {
        return html! {};
    };
    let of = group.incidents().find(is_it).map(component).unwrap_or_default();
    let others: Vec<Value> =
        group.affected.iter().filter(|one| component(one) != of).cloned().collect();
    html! {
        (unrelated(related))
        @match &group.above {
            Above::Cause(cause) => p { (caused_by(&own, cause)) },
            Above::Incident(incident) if !is_it(&incident) => {
                p { "Comes of " a href=(href(&own, incident)) { (words(incident)) } }
            },
            Above::Incident(_) => {},
        }
        @if !others.is_empty() { p { "Also affected: " (names(&own, &others)) } }
    }
}
