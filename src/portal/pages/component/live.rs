//! A tab whose content is fetched again by itself: the page, or only the part that changes.

use super::frame::{Asked, Before, Frame, Tab};
use super::{Page, Place};
use crate::backend::User;
use crate::error::BackendError;
use crate::pages::parts;
use crate::server::Portal;
use crate::session::SignedIn;
use axum::extract::{Path, Query, State};
use axum::response::Html;
use maud::{Markup, html};
use std::sync::Arc;

/// Who looks at which tab, and at what of it.
pub(crate) type Visit = (State<Arc<Portal>>, SignedIn, Path<Place>, Query<Asked>);

/// The tab with what `part` makes, fetched again each `every` seconds.
pub(super) async fn live(
    (State(portal), SignedIn(session), Path(place), Query(asked)): Visit,
    (tab, every): (Tab, u32),
    part: impl AsyncFnOnce(&User<'_>, &Frame) -> Result<Markup, BackendError>,
) -> Page {
    let user = portal.backend.of(&session.token);
    let frame = Frame::read(&user, place, &asked).await?;
    let part = part(&user, &frame).await?;
    if asked.is_part() {
        return Ok(Html(part.into_string()));
    }
    let below = tab.below();
    let page = frame.before.map(Before::query).unwrap_or_default();
    let content = html! {
        (frame.choices(below, true))
        (parts::fetched(&format!("{}{page}&part", frame.href(below)), every, part))
    };
    Ok(frame.page(&portal, &session, tab, content))
}
