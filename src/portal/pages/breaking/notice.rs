//! What is said on the shop's page to who has just broken or healed a service: what that did, what to look for, the way back.

use super::heal;
use crate::backend::User;
use crate::breaking::{bindings, is_of, state};
use crate::error::BackendError;
use crate::pages::overview::Asked;
use crate::pages::parts;
use curtain_demo::{FAULTS, Record, SERVICES};
use curtain_role::Instance;
use maud::{Markup, html};

/// The notice, if the address of the page asks for one. `own` is that address, `environment` name and title.
pub(crate) async fn read(
    user: &User<'_>,
    instance: &Instance,
    asked: &Asked,
    own: &str,
    environment: (&str, &str),
    form_key: &str,
) -> Result<Markup, BackendError> {
    let known = |service: &&str| SERVICES.contains(service);
    if let Some(service) = asked.broken().filter(known) {
        let bindings = bindings(user).await?;
        let found = bindings.iter().find(|binding| is_of(binding, service, environment.0));
        let state = match found {
            Some(binding) => state(user, binding).await?,
            None => None,
        };
        return Ok(match state {
            Some((record, true)) => broken(instance, own, service, environment, &record, form_key),
            _ => html! {},
        });
    }
    Ok(match asked.healed().filter(known) {
        Some(service) => html! {
            p.notice role="status" {
                strong { (service) " in " (environment.1) " is healed." }
                " What the fault had changed is as it was before, unless somebody has changed it since. \
                 The new pod runs within seconds; incidents resolve once requests are answered again."
            }
        },
        None => html! {},
    })
}

fn broken(
    instance: &Instance,
    own: &str,
    service: &str,
    environment: (&str, &str),
    record: &Record,
    form_key: &str,
) -> Markup {
    let fault = FAULTS.into_iter().find(|fault| fault.name == record.fault);
    let command = instance.command(&format!("demo heal {service} --env {}", environment.0));
    html! {
        section.notice role="status" aria-label="Broken" {
            p {
                strong { (service) " in " (environment.1) " is broken by " (record.fault) }
                @if let Some(fault) = fault { ": " (parts::coded(fault.change)) } "."
            }
            @if let Some(fault) = fault { p { "Look for: " (parts::coded(fault.see)) "." } }
            p { "It shows once the change is rolled out, mostly within half a minute; then an incident opens below." }
            (heal(&format!("{own}/break"), (service, environment.0), "Heal", form_key))
            p.small.dim { "or from a terminal: " code { (command) } }
        }
    }
}
