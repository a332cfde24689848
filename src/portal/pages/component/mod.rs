//! A component. [`frame`] is around each of its pages, which are tabs; a tab is one file.

pub(crate) mod calls;
pub(crate) mod events;
mod frame;
mod lanes;
pub(crate) mod line;
pub(crate) mod live;
pub(crate) mod logs;
pub(crate) mod metrics;
pub(crate) mod releases;
mod removal;
pub(crate) mod trace;
pub(crate) mod traces;
mod trouble;

use super::{Page, parts, project};
use crate::backend::User;
use crate::error::BackendError;
use crate::health;
use crate::login::encode;
use crate::model::{self, ComponentView};
use crate::server::Portal;
use crate::session::SignedIn;
use axum::extract::{Path, State};
use curtain_role::Instance;
use frame::{Frame, Tab};
use maud::{Markup, html};
use serde::Deserialize;
use std::sync::Arc;

/// Which component.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Place {
    pub(crate) namespace: String,
    pub(crate) project: String,
    pub(crate) component: String,
}

impl Place {
    pub(crate) fn href(&self) -> String {
        format!(
            "{}/components/{}",
            project::href(&self.namespace, &self.project),
            encode(&self.component)
        )
    }
}

/// The first tab: where it runs, and what it logs where releases enter.
pub(crate) async fn show(
    State(portal): State<Arc<Portal>>,
    SignedIn(session): SignedIn,
    Path(place): Path<Place>,
) -> Page {
    let user = portal.backend.of(&session.token);
    let mut view = model::component(&user, &place).await?;
    let now = now(&portal.instance, &user, &place, &mut view, &session.form_key).await?;
    let log = match view.environments.first() {
        Some(first) => Some((first, logs::latest(&user, &place, &first.name).await)),
        None => None,
    };
    let live = format!("{}/live", place.href());
    let removal = removal::form(&user, &place, &view, &session.form_key).await?;
    let content = html! {
        (parts::live(&live, now))
        @if let Some((lane, log)) = log {
            section.panel aria-labelledby="logs" {
                h2.label #logs { "Logs in " (lane.title) }
                (log)
            }
        }
        (removal)
    };
    let frame = Frame::of_view(&place, &view);
    Ok(frame.page(&portal, &session, Tab::Overview, content))
}

/// The live part: what is wrong, and where it runs.
pub(crate) async fn now(
    instance: &Instance,
    user: &User<'_>,
    place: &Place,
    view: &mut ComponentView,
    form_key: &str,
) -> Result<Markup, BackendError> {
    let incidents = health::observe(user, place, view).await?;
    Ok(html! {
        (trouble::open(place, &incidents))
        (lanes::lanes(instance, place, view, form_key))
    })
}
