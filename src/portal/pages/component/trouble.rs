//! What is wrong with a component now: its incidents that are open.

use super::Place;
use crate::model::text;
use crate::pages::{incidents as shown, parts, project};
use maud::{Markup, html};
use serde_json::Value;

/// The open incidents of a component, above all else; nothing where there are none.
pub(super) fn open(place: &Place, incidents: &Result<Vec<Value>, String>) -> Markup {
    let own = &project::href(&place.namespace, &place.project);
    html! {
        @match incidents {
            Ok(all) if all.is_empty() => {},
            Err(reason) => p.dim { "Whether there are open incidents is not known: " (reason) },
            Ok(all) => section.panel aria-labelledby="incidents" {
                h2.label #incidents { "Open incidents" }
                ul.events {
                    @for incident in all {
                        li {
                            p { a href=(shown::href(own, incident)) { (shown::words(incident)) } }
                            p.since.apart {
                                (shown::status(text(incident, "/status")))
                                span.dim { (parts::moment(text(incident, "/triggeredAt"))) }
                                (shown::at_the_start(incident))
                            }
                        }
                    }
                }
            },
        }
    }
}
