//! Agents and identity: who you are, what you may do, and how an assistant gets to work here.

use super::activity::Activity;
use super::done::Done;
use super::layout::{self, Section};
use super::{Page, parts};
use crate::backend::User;
use crate::error::BackendError;
use crate::model::{text, title};
use crate::server::Portal;
use crate::session::SignedIn;
use axum::extract::{Query, State};
use axum::response::Html;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;

const CLIENTS: [(&str, &str); 4] = [
    ("Claude Code", "claude-code"),
    ("VS Code", "vscode"),
    ("Cursor", "cursor"),
    ("Codex", "codex"),
];

/// Seconds until what was done is fetched again.
const EVERY: u32 = 5;

#[derive(Debug, Deserialize)]
pub(crate) struct Asked {
    /// Present when only what was done is wanted.
    part: Option<String>,
}

pub(crate) async fn show(
    State(portal): State<Arc<Portal>>,
    SignedIn(session): SignedIn,
    Query(asked): Query<Asked>,
) -> Page {
    let user = portal.backend.of(&session.token);
    let done = Done::read(&user).await?.show();
    if asked.part.is_some() {
        return Ok(Html(done.into_string()));
    }
    let profile = user.get("/authz/profile").await?;
    let bindings = match user.list("/clusterauthzrolebindings").await {
        Ok(bindings) => Some(bindings),
        Err(BackendError::Forbidden(_) | BackendError::NotFound(_)) => None,
        Err(error) => return Err(error.into()),
    };
    let activity = Activity::read(&user).await?;
    let (environments, projects) =
        tokio::try_join!(offered(&user, "environments"), offered(&user, "projects"))?;
    let curtain = |words: &str| portal.instance.command(words);
    let content = html! {
        div.heading {
            h1 { "Agents" }
            p.lead { "An assistant gets an identity of its own, which may read and nothing else until somebody grants more." }
        }
        (parts::live("/agents/live", activity.show(&session.form_key)))
        @if !activity.agents.is_empty() {
            section {
                h2.label { "Let an agent change something" }
                (grant_form(&activity, (&environments, &projects), &session.form_key))
            }
        }
        (parts::fetched("/agents?part", EVERY, done))
        section #connect {
            h2.label { "Connect an assistant" }
            ul.cards.wide {
                @for (name, client) in CLIENTS {
                    li { div.card {
                        h3 { (name) }
                        (parts::curtain(&portal.instance, &format!("mcp install {client}")))
                    } }
                }
            }
            p.dim { "The entry runs " code { (curtain("mcp serve --stdio")) } ": no pasted token, and "
                code { (curtain("mcp uninstall")) } " or " code { (curtain("down")) } " puts the former file back." }
        }
        section { h2.label { "You" } (you(&session.name, &profile)) }
        section { h2.label { "Who holds which role" } (roles(bindings.as_deref())) }
    };
    let page = layout::page(&session, &portal.instance, Section::Agents, "Agents", &[], content);
    Ok(Html(page.into_string()))
}

/// How long a grant may be made here, in minutes and words.
const TIMES: [(&str, &str); 4] =
    [("15", "15 minutes"), ("60", "an hour"), ("480", "eight hours"), ("1440", "a day")];

/// The objects of a kind to choose from: none for those who may not see them.
async fn offered(user: &User<'_>, kind: &str) -> Result<Vec<Value>, BackendError> {
    match user.list(&format!("/namespaces/default/{kind}")).await {
        Err(BackendError::Forbidden(_) | BackendError::NotFound(_)) => Ok(Vec::new()),
        other => other,
    }
}

fn grant_form(
    activity: &Activity,
    (environments, projects): (&[Value], &[Value]),
    form_key: &str,
) -> Markup {
    html! {
        form.card method="post" action="/agents/grant" {
            input type="hidden" name="form_key" value=(form_key);
            label { "Agent " select name="agent" {
                @for agent in &activity.agents { option { (text(agent, "/name")) } }
            } } " "
            label { "may " select name="kind" {
                @for kind in &activity.kinds {
                    option value=(text(kind, "/name")) { (text(kind, "/name")) ": " (text(kind, "/description")) }
                }
            } } " "
            label { "in " select name="environment" {
                @for environment in environments {
                    option value=(text(environment, "/metadata/name")) { (title(environment)) }
                }
                option value="" { "every environment" }
            } } " "
            label { "of " select name="project" {
                option value="" { "every project" }
                @for project in projects {
                    option value=(text(project, "/metadata/name")) { (title(project)) }
                }
            } } " "
            label { "for " select name="minutes" {
                @for (minutes, words) in TIMES { option value=(minutes) selected[minutes == "60"] { (words) } }
            } } " "
            button.primary type="submit" { "Grant" }
        }
    }
}

fn you(name: &str, profile: &Value) -> Markup {
    let subject = profile.pointer("/user").cloned().unwrap_or_default();
    let values: Vec<&str> = subject["entitlement_values"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let actions: Vec<&str> = profile["capabilities"]
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(_, capability)| {
            capability["allowed"].as_array().is_some_and(|places| !places.is_empty())
        })
        .map(|(action, _)| action.as_str())
        .collect();
    let changes = actions.iter().filter(|action| !action.ends_with(":view")).count();
    html! {
        div.card {
            h3 { (name) }
            p { (text(&subject, "/entitlement_claim")) " " @for value in &values { span.tag { (value) } " " } }
            p.dim { "You may do " (actions.len()) " kinds of thing somewhere here; " (changes) " of them change something." }
            details {
                summary { "All of them" }
                ul.actions { @for action in &actions { li { code { (action) } } } }
            }
        }
    }
}

fn roles(bindings: Option<&[Value]>) -> Markup {
    let Some(bindings) = bindings else {
        return html! { p.dim { "You may not see the role bindings of this instance." } };
    };
    if bindings.is_empty() {
        return html! { p.dim { "There are no role bindings for the whole instance." } };
    }
    let rows = html! {
        @for binding in bindings {
            tr {
                th scope="row" {
                    (text(binding, "/spec/entitlement/claim")) " "
                    span.tag { (text(binding, "/spec/entitlement/value")) }
                }
                td { @for mapping in binding["spec"]["roleMappings"].as_array().into_iter().flatten() {
                    code { (text(mapping, "/roleRef/name")) } " "
                } }
                td.dim { (effect(binding)) }
            }
        }
    };
    parts::table("Roles", &["Who", "Role", "Effect"], rows)
}

fn effect(binding: &Value) -> &str {
    match text(binding, "/spec/effect") {
        "" => "allow",
        effect => effect,
    }
}
