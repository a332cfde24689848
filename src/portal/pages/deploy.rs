//! "Deploy yours": a form that makes an image a component.

pub(crate) mod command;

use super::layout::{self, Section};
use super::{Page, project};
use crate::error::{BackendError, PageError};
use crate::model::{project_named, title};
use crate::server::Portal;
use crate::session::{Session, SignedIn};
use crate::wish::{Faults, Wish};
use axum::extract::{Path, State};
use axum::response::{Html, IntoResponse as _, Response};
use curtain_deploy::USUAL_PORT;
use http::StatusCode;
use maud::{Markup, html};
use std::sync::Arc;

/// The form as it was filled in, and what came of it.
#[derive(Default)]
pub(crate) struct Deploy {
    pub(crate) wish: Wish,
    pub(crate) faults: Faults,
    pub(crate) problem: Option<BackendError>,
}

pub(crate) async fn show(
    State(portal): State<Arc<Portal>>,
    SignedIn(session): SignedIn,
    Path((namespace, project)): Path<(String, String)>,
) -> Page {
    let page = Deploy::default().page(&portal, &session, (&namespace, &project)).await?;
    Ok(Html(page.into_string()))
}

impl Deploy {
    pub(crate) fn of(wish: Wish) -> Deploy {
        Deploy { wish, ..Deploy::default() }
    }

    /// The page again, after it was sent.
    pub(crate) async fn answer(
        &self,
        portal: &Portal,
        session: &Session,
        at: (&str, &str),
    ) -> Result<Response, PageError> {
        let status = match &self.problem {
            Some(problem) => problem.status().0,
            None if self.faults == Faults::default() => StatusCode::OK,
            None => StatusCode::UNPROCESSABLE_ENTITY,
        };
        let page = self.page(portal, session, at).await?;
        Ok((status, Html(page.into_string())).into_response())
    }

    async fn page(
        &self,
        portal: &Portal,
        session: &Session,
        (namespace, name): (&str, &str),
    ) -> Result<Markup, BackendError> {
        let user = portal.backend.of(&session.token);
        let found = project_named(&user, namespace, name).await?;
        let own = project::href(namespace, name);
        // What is wrong is said at the fields.
        let command = match self.faults == Faults::default() {
            true => command::read(&user, &portal.instance, (namespace, name), &self.wish).await?,
            false => html! {},
        };
        let content = html! {
            (project::head(&found, &own, "Deploy yours"))
            p.lead { "An image becomes a component of " (title(&found)) "." }
            @if let Some(problem) = &self.problem {
                p.problem role="alert" { strong { (problem.status().1) ": " } (problem) }
            }
            (self.form(&own, &command, &session.form_key))
        };
        let crumbs = [("Projects", "/".to_owned()), (title(&found), own.clone())];
        let title = format!("Deploy yours · {}", title(&found));
        Ok(layout::page(session, &portal.instance, Section::Projects, &title, &crumbs, content))
    }

    fn form(&self, own: &str, command: &Markup, form_key: &str) -> Markup {
        let Wish { image, name, port, .. } = &self.wish;
        let (faults, local) = (&self.faults, self.wish.is_local());
        let image_label = "Image, such as registry.example/team/web:1.2, or a file with it";
        let listens =
            format!("Port the program listens at (if empty, {USUAL_PORT} or what the image names)");
        html! {
            form.stack.wizard method="post" action={ (own) "/deploy" } {
                input type="hidden" name="form_key" value=(form_key);
                (field("image", image_label, image, true, &faults.image))
                fieldset {
                    legend { "Where it is" }
                    label { input type="radio" name="from" value="local" checked[local];
                        " On my machine: a command gives it to the cluster" }
                    label { input type="radio" name="from" value="registry" checked[!local];
                        " The cluster has it, or pulls it from a registry" }
                }
                (field("name", "Component (from the image's name, if empty)", name, false, &faults.name))
                (field("port", &listens, port, false, &faults.port))
                // One of the two is shown, as it was chosen.
                div.local {
                    div aria-live="polite" data-command={ (own) "/deploy/command" } { (command) }
                    p.trouble role="status" hidden {}
                    button type="submit" data-plain { "Show the command" }
                }
                button.primary.registry type="submit" { "Deploy" }
            }
        }
    }
}

fn field(name: &str, label: &str, value: &str, required: bool, fault: &Option<String>) -> Markup {
    let told = fault.as_ref().map(|_| format!("{name}-fault"));
    html! {
        label for=(name) { (label) }
        input id=(name) name=(name) type="text" value=(value) required[required]
            autocapitalize="none" autocomplete="off" spellcheck="false"
            aria-invalid=[told.as_ref().map(|_| "true")] aria-describedby=[told.as_ref()];
        @if let (Some(id), Some(fault)) = (&told, fault) { p.problem id=(id) { (fault) } }
    }
}
