//! The end of a component: a form that its name must be typed into, so that nobody sends it unawares.
//!
//! Invariant: it is no part of what is replaced live, or what is typed would be lost.

use super::Place;
use crate::backend::User;
use crate::error::BackendError;
use crate::model::{ComponentView, Lane};
use maud::{Markup, html};
use serde_json::{Value, json};

/// The form, or why this person may not.
pub(super) async fn form(
    user: &User<'_>,
    place: &Place,
    view: &ComponentView,
    form_key: &str,
) -> Result<Markup, BackendError> {
    let hierarchy = json!({
        "namespace": place.namespace, "project": place.project, "component": place.component,
    });
    let question = ("component:delete", hierarchy, kind_of(place, &view.component));
    let may = user.may(&[question]).await?.pop().unwrap_or(Ok(()));
    let deployed: Vec<&str> =
        view.environments.iter().filter(|lane| lane.binding.is_some()).map(title).collect();
    Ok(section(place, &deployed, &may, form_key))
}

fn title(lane: &Lane) -> &str {
    &lane.title
}

/// What conditions of a grant look at.
fn kind_of(place: &Place, component: &Value) -> Value {
    let named = &component["spec"]["componentType"];
    let name = named["name"].as_str().unwrap_or_default();
    match named["kind"].as_str() {
        Some("ClusterComponentType") => json!({"componentType": name}),
        _ => json!({"componentType": format!("{}/{name}", place.namespace)}),
    }
}

fn section(place: &Place, deployed: &[&str], may: &Result<(), String>, form_key: &str) -> Markup {
    let name = &place.component;
    html! {
        section.panel aria-labelledby="removal" {
            h2.label #removal { "Removal" }
            @match may {
                Err(reason) => {
                    button type="button" disabled aria-describedby="why-removal" { "Delete component" }
                    p.dim #why-removal { (reason) }
                },
                Ok(()) => details {
                    summary { "Delete component" }
                    form.stack.wizard method="post" action={ (place.href()) "/delete" } {
                        input type="hidden" name="form_key" value=(form_key);
                        p {
                            "This deletes " strong { (name) } " with its workload and its releases, and takes it out of "
                            @if deployed.is_empty() { "every environment" } @else { (deployed.join(", ")) }
                            ". Nothing brings it back."
                        }
                        label for="confirmed" { "Its name, to confirm: " code { (name) } }
                        input #confirmed name="confirmed" type="text" required pattern=(exactly(name))
                            title={ "Type " (name) } autocapitalize="none" autocomplete="off" spellcheck="false";
                        button.primary type="submit" { "Delete component" }
                    }
                },
            }
        }
    }
}

/// The pattern that matches a name alone: of what a name may have, only the dot means something else there.
fn exactly(name: &str) -> String {
    name.replace('.', r"\.")
}

#[cfg(test)]
mod tests {
    use super::{exactly, kind_of};
    use crate::pages::component::Place;
    use serde_json::json;

    #[test]
    fn what_grants_look_at_is_the_type_as_the_platform_names_it() {
        let place =
            Place { namespace: "team".into(), project: "shop".into(), component: "web".into() };
        let of = |kind: &str| {
            let component =
                json!({"spec": {"componentType": {"kind": kind, "name": "deployment/x"}}});
            kind_of(&place, &component)["componentType"].as_str().unwrap().to_owned()
        };
        assert_eq!(of("ClusterComponentType"), "deployment/x");
        assert_eq!(of("ComponentType"), "team/deployment/x");
    }

    #[test]
    fn a_dot_is_no_wildcard() {
        assert_eq!(exactly("web-1.2"), r"web-1\.2");
    }
}
