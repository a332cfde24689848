//! What is wrong with a component now: its incidents that are open.

use super::Place;
use crate::backend::User;
use crate::error::{BackendError, softly};
use crate::incidents;
use crate::model::text;
use crate::pages::{incidents as shown, parts, project};
use maud::{Markup, html};
use serde_json::Value;

/// The open incidents of a component, above all else; nothing where there are none.
pub(super) async fn open(user: &User<'_>, place: &Place) -> Result<Markup, BackendError> {
    let all = incidents::of(user, (&place.namespace, &place.project), &place.component).await;
    let all = softly(all)?.map(|mut all| {
        all.retain(|incident| text(incident, "/status") != "resolved");
        all
    });
    Ok(section(&project::href(&place.namespace, &place.project), all))
}

fn section(own: &str, incidents: Result<Vec<Value>, String>) -> Markup {
    html! {
        @match incidents {
            Ok(all) if all.is_empty() => {},
            Err(reason) => p.dim { "Whether there are open incidents is not known: " (reason) },
            Ok(all) => section.panel aria-labelledby="incidents" {
                h2.label #incidents { "Open incidents" }
                ul.events {
                    @for incident in &all {
                        li {
                            p { a href=(shown::href(own, incident)) { (shown::words(incident)) } }
                            p.since.apart {
                                (shown::status(text(incident, "/status")))
                                span.dim { (parts::moment(text(incident, "/triggeredAt"))) }
                            }
                        }
                    }
                }
            },
        }
    }
}
