//! The releases of a component: where each runs, what changed from one to the next, and the way back.

use super::frame::{Frame, Tab};
use super::{Page, Place};
use crate::diff::{diff, show as differences};
use crate::login::encode;
use crate::model::{self, Binding, ComponentView, Lane, Status, text};
use crate::pages::parts;
use crate::server::Portal;
use crate::session::SignedIn;
use axum::extract::{Path, Query, State};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// What to compare: two releases by name, or what two environments run.
#[derive(Debug, Deserialize)]
pub(crate) struct Asked {
    before: Option<String>,
    after: Option<String>,
    from: Option<String>,
    to: Option<String>,
}

pub(crate) async fn show(
    State(portal): State<Arc<Portal>>,
    SignedIn(session): SignedIn,
    Path(place): Path<Place>,
    Query(asked): Query<Asked>,
) -> Page {
    let user = portal.backend.of(&session.token);
    let view = model::component(&user, &place).await?;
    let releases = model::releases(&user, &place).await?;
    let compared = match &asked {
        Asked { before: Some(before), after: Some(after), .. } => {
            Some(between_releases(&releases, before, after))
        }
        Asked { from: Some(from), to: Some(to), .. } => {
            Some(between_environments(&view, &releases, from, to))
        }
        _ => None,
    };
    let content = html! {
        @if let Some(compared) = &compared { (compared) }
        section aria-labelledby="releases" {
            h2.label #releases { "Releases, newest first" }
            (list(&place, &view, &releases, &session.form_key))
        }
        @if let Some(first) = view.environments.first() {
            section aria-labelledby="auto" {
                h2.label #auto { "Auto-deploy" }
                (auto_deploy(&place, &view, first, &session.form_key))
            }
        }
        section aria-labelledby="environments" {
            h2.label #environments { "Between environments" }
            (pairs(&place, &view))
        }
    };
    Ok(Frame::of_view(&place, &view).page(&portal, &session, Tab::Releases, content))
}

fn list(place: &Place, view: &ComponentView, releases: &[Value], form_key: &str) -> Markup {
    if releases.is_empty() {
        return html! { p.dim { "There is no release yet." } };
    }
    let columns = ["Release", "Made", "Image", "Runs in", "Changes", "Way back"];
    let rows = html! {
        @for (index, release) in releases.iter().enumerate() {
            @let name = text(release, "/metadata/name");
            tr {
                th scope="row" { code { (name) } }
                td.since data-label="Made" { (parts::moment(text(release, "/metadata/creationTimestamp"))) }
                td.name { code { (text(release, "/spec/workload/container/image")) } }
                td data-label="Runs in" { @for lane in running(view, name) { span.tag { (lane.title) } " " } }
                td { @match releases.get(index + 1) {
                    Some(before) => {
                        @let before = text(before, "/metadata/name");
                        a href={ (place.href()) "/releases?before=" (encode(before)) "&after=" (encode(name)) }
                            aria-label={ "What changed in " (name) } { "What changed" }
                    },
                    None => span.dim { "the first" },
                } }
                td { @for lane in view.environments.iter().filter(|lane| model::is_way_back(releases, lane, name)) {
                    (way_back(place, lane, name, form_key))
                } }
            }
        }
    };
    parts::table("Releases", &columns, rows)
}

/// Where a release runs.
fn running<'v>(view: &'v ComponentView, release: &'v str) -> impl Iterator<Item = &'v Lane> {
    let runs =
        move |binding: &Binding| binding.release == release && binding.status != Status::Undeployed;
    view.environments.iter().filter(move |lane| lane.binding.as_ref().is_some_and(runs))
}

/// Whether releases go to the first environment by themselves, which a way back turns off.
fn auto_deploy(place: &Place, view: &ComponentView, first: &Lane, form_key: &str) -> Markup {
    let on = view.component["spec"]["autoDeploy"] == true;
    html! {
        form.switch method="post" action={ (place.href()) "/auto-deploy" } {
            input type="hidden" name="form_key" value=(form_key);
            input type="hidden" name="on" value=(!on);
            p {
                @if on {
                    "On: a new release goes to " (first.title) " by itself. Rolling " (first.title)
                    " back turns it off, or the newest release would come back."
                } @else { "Off: what runs in " (first.title) " stays until somebody changes it." }
            }
            button type="submit" { (if on { "Turn off" } else { "Turn on" }) " auto-deploy" }
        }
    }
}

fn way_back(place: &Place, lane: &Lane, release: &str, form_key: &str) -> Markup {
    html! {
        @if lane.may_change.is_ok() {
            form.inline method="post" action={ (place.href()) "/rollback" } {
                input type="hidden" name="form_key" value=(form_key);
                input type="hidden" name="environment" value=(lane.name);
                input type="hidden" name="release" value=(release);
                button type="submit" aria-label={ "Roll " (lane.title) " back to " (release) }
                    data-confirm={ "Roll " (lane.title) " back to " (release) "?" } { "Roll back " (lane.title) }
            }
        }
    }
}

/// Environments that follow each other, where both run something.
fn pairs(place: &Place, view: &ComponentView) -> Markup {
    let deployed = |lane: &&Lane| lane.binding.is_some();
    html! {
        ul.links {
            @for to in view.environments.iter().filter(deployed) {
                @for from in view.environments.iter().filter(deployed).filter(|from| from.targets.contains(&to.name)) {
                    li {
                        a href={ (place.href()) "/releases?from=" (encode(&from.name)) "&to=" (encode(&to.name)) } {
                            "What differs between " (from.title) " and " (to.title)
                        }
                    }
                }
            }
        }
        @if view.environments.iter().filter(deployed).count() < 2 {
            p.dim { "It runs in less than two environments." }
        }
    }
}

fn between_releases(releases: &[Value], before: &str, after: &str) -> Markup {
    let [old, new] = [before, after].map(|name| contents(releases, name));
    compared(
        html! { "From " code { (before) } " to " code { (after) } },
        match (old, new) {
            (Some(old), Some(new)) => differences("What changed", &diff(&old, &new)),
            _ => html! { p.dim { "One of the two releases is not there any more." } },
        },
    )
}

/// The release that an environment runs with what is set for it there.
fn between_environments(view: &ComponentView, releases: &[Value], from: &str, to: &str) -> Markup {
    let side = |name: &str| {
        let lane = view.environments.iter().find(|lane| lane.name == name)?;
        let binding = lane.binding.as_ref()?;
        let release = contents(releases, &binding.release)?;
        let all = json!({"release": binding.release, "of the release": release, "set here": binding.overrides});
        Some((&lane.title, all))
    };
    match (side(from), side(to)) {
        (Some((old, before)), Some((new, after))) => compared(
            html! { "From " (old) " to " (new) },
            differences("What differs", &diff(&before, &after)),
        ),
        _ => compared(
            html! { "From " (from) " to " (to) },
            html! { p.dim { "One of the two runs no release that is still there." } },
        ),
    }
}

fn compared(title: Markup, content: Markup) -> Markup {
    html! {
        section aria-labelledby="compared" {
            h2 #compared { (title) }
            (content)
        }
    }
}

/// What a release is made of, without whose it is.
fn contents(releases: &[Value], name: &str) -> Option<Value> {
    let release = releases.iter().find(|release| text(release, "/metadata/name") == name)?;
    let mut spec = release["spec"].clone();
    if let Value::Object(map) = &mut spec {
        map.remove("owner");
    }
    Some(spec)
}
