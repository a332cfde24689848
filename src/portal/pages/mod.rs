//! The pages. [`layout`] is around each; a page is one file: what it reads, and how it looks.

pub(crate) mod activity;
pub(crate) mod agents;
pub(crate) mod breaking;
pub(crate) mod component;
pub(crate) mod deploy;
pub(crate) mod done;
pub(crate) mod environments;
pub(crate) mod incident;
pub(crate) mod incidents;
pub(crate) mod layout;
pub(crate) mod overview;
pub(crate) mod parts;
pub(crate) mod project;
pub(crate) mod projects;

use crate::error::BackendError;
use crate::error::PageError;
use crate::session::SignedIn;
use axum::response::Html;
use curtain_role::Instance;
use maud::{Markup, html};

pub(crate) type Page = Result<Html<String>, PageError>;

/// Where nothing is.
pub(crate) async fn nothing_here(_: SignedIn, uri: http::Uri) -> PageError {
    BackendError::NotFound(format!("There is no page at {}.", uri.path())).into()
}

/// A page about what went wrong.
pub(crate) fn problem(title: &str, message: &str) -> Markup {
    layout::bare(
        title,
        html! {
            section.solo {
                (layout::mark())
                h1 { (title) }
                p.problem role="alert" { (parts::coded(message)) }
                p { a.button href="/" { "Go to the projects" } }
            }
        },
    )
}

/// The sign-in page.
pub(crate) fn login(
    instance: &Instance,
    next: &str,
    notice: Option<&str>,
    problem: Option<&str>,
) -> Markup {
    layout::bare(
        "Sign in",
        html! {
            section.solo {
                (layout::mark())
                h1 { "Sign in" }
                p.lead { "to the instance " strong { (instance.name()) } }
                @if let Some(notice) = notice { p.notice role="status" { (notice) } }
                @if let Some(problem) = problem { p.problem role="alert" { (problem) } }
                form.stack method="post" action="/login" {
                    input type="hidden" name="next" value=(next);
                    label for="username" { "User name, for example admin@openchoreo.dev" }
                    input #username name="username" type="text" autocomplete="username" autofocus
                        autocapitalize="none" spellcheck="false" required;
                    label for="password" { "Password" }
                    input #password name="password" type="password" autocomplete="current-password" required;
                    button.primary type="submit" { "Sign in" }
                }
                div.hint {
                    p { "Sign in without a password from your terminal:" }
                    (parts::curtain(instance, "open"))
                    p { "Names and passwords of this instance:" }
                    (parts::curtain(instance, "credentials"))
                }
            }
        },
    )
}

/// Shown for an instant after a one-time link was used.
pub(crate) fn entering(next: &str) -> Markup {
    layout::with_head(
        "Signing in",
        html! { meta http-equiv="refresh" content={ "0;url=" (next) }; },
        html! {
            section.solo {
                (layout::mark())
                h1 { "Welcome" }
                p { a href=(next) { "Go on to the portal" } }
            }
        },
    )
}
