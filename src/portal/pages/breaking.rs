//! "Break something": the faults of the sample shop, each with a button, and what is broken now.

pub(crate) mod notice;

use super::layout::{self, Section};
use super::{Page, overview, parts, project};
use crate::backend::User;
use crate::breaking::{bindings, is_of, is_sample, state};
use crate::error::BackendError;
use crate::login::encode;
use crate::model::{self, text, title};
use crate::server::Portal;
use crate::session::SignedIn;
use axum::extract::{Path, Query, State};
use axum::response::Html;
use curtain_demo::{FAULTS, Fault, Record, SERVICES, restore};
use maud::{Markup, html};
use serde_json::{Value, json};
use std::sync::Arc;

pub(crate) async fn show(
    State(portal): State<Arc<Portal>>,
    SignedIn(session): SignedIn,
    Path((namespace, name)): Path<(String, String)>,
    Query(asked): Query<overview::Asked>,
) -> Page {
    let user = portal.backend.of(&session.token);
    let view = model::project(&user, &namespace, &name).await?;
    if !is_sample((&namespace, &name), view.components.iter().map(|row| &row.component)) {
        let command = portal.instance.command("demo deploy shop");
        let why =
            format!("There is nothing to break in {name}: `{command}` brings the sample shop.");
        return Err(BackendError::NotFound(why).into());
    }
    let bindings = bindings(&user).await?;
    let mut environments = view.environments;
    environments.retain(|(name, _)| bindings.iter().any(|one| is_in(one, name)));
    let wanted = environments.iter().find(|(name, _)| Some(name.as_str()) == asked.environment());
    let (environment, place) = wanted.or(environments.first()).cloned().unwrap_or_default();
    let hierarchy = json!({"namespace": namespace, "project": name});
    let attributes = json!({"environment": format!("{namespace}/{environment}")});
    let may = user.may(&[("releasebinding:update", hierarchy, attributes)]).await?;
    let (broken, mended) = known(&user, &bindings).await?;
    let own = project::href(&namespace, &name);
    let here = format!("{own}/break");
    let form = Form { here: &here, environment: &environment, key: &session.form_key };
    let instance = &portal.instance;
    let content = html! {
        (project::head(&view.project, &own, "Break something"))
        p.lead { "Trouble in the sample shop, to see how it is found. It is made in settings as people make it, and healing puts back just that." }
        (listed(("broken", "Broken now"), &broken, "Heal", &form))
        (listed(("mended", "Mended by somebody since"), &mended, "Clear", &form))
        section aria-labelledby="faults" {
            h2.label #faults { "Break something in " (place) }
            @if environments.len() > 1 { (choice(&here, &environments, &environment)) }
            @match may.into_iter().next().unwrap_or(Ok(())) {
                Err(reason) => (parts::missing("You cannot break anything here", &reason)),
                Ok(()) => (faults(&bindings, &form)),
            }
        }
    };
    let heading = format!("Break something · {}", title(&view.project));
    let crumbs = [("Projects", "/".to_owned()), (title(&view.project), own)];
    let page = layout::page(&session, instance, Section::Projects, &heading, &crumbs, content);
    Ok(Html(page.into_string()))
}

fn is_in(binding: &Value, environment: &str) -> bool {
    text(binding, "/spec/environment") == environment
}

/// Where a form is sent to, and what each has in common.
struct Form<'a> {
    here: &'a str,
    environment: &'a str,
    key: &'a str,
}

fn choice(here: &str, environments: &[(String, String)], shown: &str) -> Markup {
    html! {
        nav.choices aria-label="Environment" { ul.choice {
            @for (name, title) in environments {
                li { a href={ (here) "?env=" (encode(name)) } aria-current=[(name == shown).then_some("true")] { (title) } }
            }
        } }
    }
}

/// Bindings that were broken, and by what.
type Records<'b> = Vec<(&'b Value, Record)>;

/// What is broken now, in any environment, and what was and has been mended otherwise than by healing.
async fn known<'b>(
    user: &User<'_>,
    bindings: &'b [Value],
) -> Result<(Records<'b>, Records<'b>), BackendError> {
    let (mut broken, mut mended) = (Vec::new(), Vec::new());
    for binding in bindings {
        match state(user, binding).await? {
            Some((record, true)) => broken.push((binding, record)),
            Some((record, false)) => mended.push((binding, record)),
            None => {}
        }
    }
    Ok((broken, mended))
}

/// Some of those, each with a button.
fn listed(
    (id, heading): (&str, &str),
    all: &[(&Value, Record)],
    button: &str,
    form: &Form<'_>,
) -> Markup {
    html! {
        @if !all.is_empty() {
            section aria-labelledby=(id) {
                h2.label id=(id) { (heading) }
                ul.events { @for (binding, record) in all { li { (healing(binding, record, button, form)) } } }
            }
        }
    }
}

fn healing(binding: &Value, record: &Record, button: &str, form: &Form<'_>) -> Markup {
    let service = text(binding, "/spec/owner/componentName");
    let environment = text(binding, "/spec/environment");
    let fault = FAULTS.into_iter().find(|fault| fault.name == record.fault);
    let kept = restore(&mut binding.clone(), record);
    html! {
        p { strong { (service) } " in " (environment) ": " (record.fault) }
        @if let Some(fault) = fault { p.dim { "To see: " (parts::coded(fault.see)) } }
        @if !kept.is_empty() { p.dim { "Changed by somebody since, and kept: " (kept.join(", ")) } }
        (heal(form.here, (service, environment), button, form.key))
    }
}

/// The button that heals a service, or clears what is left of a fault. `here` is the address of this page.
fn heal(here: &str, (service, environment): (&str, &str), button: &str, form_key: &str) -> Markup {
    html! {
        form.buttons method="post" action={ (here) "/heal" } {
            input type="hidden" name="form_key" value=(form_key);
            input type="hidden" name="service" value=(service);
            input type="hidden" name="environment" value=(environment);
            button type="submit" aria-label={ (button) " " (service) " in " (environment) } { (button) }
        }
    }
}

fn faults(bindings: &[Value], form: &Form<'_>) -> Markup {
    let runs =
        |service: &&str| bindings.iter().any(|binding| is_of(binding, service, form.environment));
    let there: Vec<&str> = SERVICES.into_iter().filter(runs).collect();
    parts::table(
        "Faults",
        &["Fault", "What is changed", "What one sees", "Where"],
        html! {
            @for fault in &FAULTS {
                tr {
                    th scope="row" { (fault.name) }
                    td.text { (parts::coded(fault.change)) }
                    td.text { (parts::coded(fault.see)) }
                    (act(fault, &there, form))
                }
            }
        },
    )
}

/// The cell with the services that can have the fault, and its button.
fn act(fault: &Fault, there: &[&str], form: &Form<'_>) -> Markup {
    let services: Vec<&str> =
        there.iter().copied().filter(|service| fault.services.contains(service)).collect();
    if services.is_empty() {
        return html! { td.text.dim { "does not run here: " (fault.services.join(", ")) } };
    }
    html! {
        td {
            form.buttons method="post" action=(form.here) {
                input type="hidden" name="form_key" value=(form.key);
                input type="hidden" name="environment" value=(form.environment);
                input type="hidden" name="fault" value=(fault.name);
                select name="service" aria-label={ "Service for " (fault.name) } {
                    // The one that people ask about first.
                    @for service in &services { option selected[*service == "checkout"] { (service) } }
                }
                button type="submit" aria-label={ "Break by " (fault.name) } { "Break" }
            }
        }
    }
}
