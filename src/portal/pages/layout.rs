//! What is around every page.

use crate::assets;
use crate::session::Session;
use curtain_role::Instance;
use maud::{DOCTYPE, Markup, PreEscaped, html};

/// Where a page belongs in the navigation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    Projects,
    Environments,
    Agents,
}

/// The way to a page: name and address of each step.
pub(crate) type Crumbs<'a> = &'a [(&'a str, String)];

/// A page for a signed-in person.
pub(crate) fn page(
    session: &Session,
    instance: &Instance,
    section: Section,
    title: &str,
    crumbs: Crumbs<'_>,
    content: Markup,
) -> Markup {
    let link = |of: Section, href: &str, label: &str| {
        html! {
            a href=(href) aria-current=[(of == section).then_some("page")] { (label) }
        }
    };
    with_head(
        title,
        html! {},
        html! {
            a.skip href="#main" { "Skip to the content" }
            header.top {
                a.brand href="/" aria-label="Curtain, to the projects" { (mark()) span { "Curtain" } }
                nav aria-label="Main" {
                    (link(Section::Projects, "/", "Projects"))
                    (link(Section::Environments, "/environments", "Environments"))
                    (link(Section::Agents, "/agents", "Agents"))
                }
                form.who method="post" action="/logout" {
                    input type="hidden" name="form_key" value=(session.form_key);
                    span title="Signed in" { (session.name) }
                    button.quiet type="submit" { "Sign out" }
                }
            }
            main #main {
                @if !crumbs.is_empty() {
                    nav.crumbs aria-label="Breadcrumb" {
                        ol { @for (name, href) in crumbs { li { a href=(href) { (name) } } } }
                    }
                }
                (content)
            }
            footer { "Instance " strong { (instance.name()) } " · compatible with OpenChoreo, independent of it" }
        },
    )
}

/// A page without navigation.
pub(crate) fn bare(title: &str, content: Markup) -> Markup {
    with_head(title, html! {}, html! { main #main { (content) } })
}

pub(crate) fn with_head(title: &str, head: Markup, body: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · Curtain" }
                link rel="icon" type="image/svg+xml" href=(assets::icon_path());
                link rel="stylesheet" href=(assets::style());
                script src=(assets::script()) defer {}
                (head)
            }
            body { (body) }
        }
    }
}

/// The mark: a curtain, drawn aside.
pub(crate) fn mark() -> Markup {
    html! {
        svg.mark viewBox="0 0 24 24" width="24" height="24" aria-hidden="true" {
            (PreEscaped(
                "<path d='M3 3h18v2.2H3z'/>\
                 <path d='M4 6.4h7.4c-.3 6.3-2.9 11.3-7.4 14.6z'/>\
                 <path opacity='.55' d='M20 6.4h-7.4c.3 6.3 2.9 11.3 7.4 14.6z'/>"
            ))
        }
    }
}
