//! The environments of a component side by side, in the order releases go through them.

use super::Place;
use crate::health::Health;
use crate::login::encode;
use crate::model::{self, Binding, ComponentView, Endpoint, Lane, Override, Status, Was};
use crate::pages::parts;
use curtain_role::Instance;
use maud::{Markup, html};

/// The live part.
pub(crate) fn lanes(
    instance: &Instance,
    place: &Place,
    view: &ComponentView,
    form_key: &str,
) -> Markup {
    html! {
        @if view.environments.iter().all(|lane| lane.binding.is_none()) {
            (parts::empty("Not deployed anywhere", waiting(instance, view)))
        }
        ol.lanes {
            @for lane in &view.environments {
                li.lane { (lane_card(instance, place, view, lane, form_key)) }
            }
        }
    }
}

/// What a component without any binding waits for.
fn waiting(instance: &Instance, view: &ComponentView) -> Markup {
    let reason = model::reason(&view.component);
    html! {
        @if view.image.is_none() {
            p { "It has no Workload yet: the image to run and the endpoints it offers." }
            (parts::apply(instance, "workload.yaml"))
        } @else if view.component["spec"]["autoDeploy"] == true {
            p { "A release is being made; the first environment follows by itself." }
        } @else {
            p { "Auto-deploy is off. Turn it on in the Component, or bind a release yourself." }
        }
        @if !reason.is_empty() { p.dim { (reason) } }
    }
}

fn lane_card(
    instance: &Instance,
    place: &Place,
    view: &ComponentView,
    lane: &Lane,
    form_key: &str,
) -> Markup {
    html! {
        article aria-labelledby={ "lane-" (lane.name) } {
            header {
                h2 id={ "lane-" (lane.name) } { (lane.title) }
                @if lane.production { span.tag { "production" } }
                (parts::pill(lane.health))
            }
            @match &lane.binding {
                Some(binding) => (running(instance, place, lane, binding)),
                None => p.dim { (not_here(view, lane)) },
            }
            footer { (promotions(place, view, lane, form_key)) (switch(place, lane, form_key)) }
        }
    }
}

fn running(instance: &Instance, place: &Place, lane: &Lane, binding: &Binding) -> Markup {
    html! {
        @if !binding.reason.is_empty() && binding.status != Status::Undeployed {
            p.reason.(binding.status.class()) { (binding.reason) }
        } @else if let Some(complaint) = &lane.complaint {
            p.reason.(lane.health.class()) { (capital(complaint)) "." }
        }
        dl {
            dt { "Release" }
            dd { code { (binding.release) } }
            dt { "State" }
            dd { (binding.status.label()) }
            dt { "Since" }
            dd { (parts::moment(&binding.updated)) }
        }
        @if !lane.overrides.is_empty() {
            h3.label { "Overrides" }
            ul.overrides { @for one in &lane.overrides { li { (set_here(lane, one)) } } }
        }
        @if !binding.endpoints.is_empty() {
            h3.label { "Endpoints" }
            ul.endpoints { @for endpoint in &binding.endpoints { li { (endpoint_line(instance, lane, endpoint)) } } }
        }
        p { a.logs href={ (place.href()) "/logs?env=" (encode(&lane.name)) } { "Logs" } }
    }
}

/// `KEY=value (was …)`; what is long is shown on demand.
fn set_here(lane: &Lane, one: &Override) -> Markup {
    let key = |side: &str| format!("{}-{}-{side}", lane.name, one.name);
    html! {
        code { (one.name) "=" }
        span.value { (parts::long(&key("is"), &one.value)) }
        @match &one.was {
            Was::Value(was) => span.dim { " (was " (parts::long(&key("was"), was)) ")" },
            Was::NotSet => span.dim { " (was not set)" },
            Was::Unknown => {},
        }
    }
}

fn endpoint_line(instance: &Instance, lane: &Lane, endpoint: &Endpoint) -> Markup {
    let link = |address: &str, class: &str| {
        html! {
            a.address.(class) href=(address) target="_blank" rel="noopener" {
                (breakable(address.trim_start_matches("http://"))) span aria-hidden="true" { " ↗" }
            }
        }
    };
    html! {
        span.name { (endpoint.name) " " span.dim { (endpoint.kind) } }
        @match &endpoint.external {
            Some(address) if address.starts_with("http") => (link(address, "main")),
            Some(address) => code.address { (breakable(address)) },
            None => {},
        }
        @if let Some(plain) = &endpoint.plain { (link(plain, "dim")) }
        @if let (None, Some(service)) = (&endpoint.external, &endpoint.service) {
            code.address { (breakable(service)) }
            @if let Some(inner) = &endpoint.inner {
                details data-key={ "reach-" (lane.name) "-" (endpoint.name) } {
                    summary { "Only in the cluster: reach it from here" }
                    (parts::forward(instance, inner))
                    p.small.dim { "It answers at the address that this prints, as long as it runs." }
                }
            }
        }
    }
}

/// An address that breaks between its parts, if it has to.
fn breakable(address: &str) -> Markup {
    html! {
        @for part in address.split_inclusive(['/', '.', '@']) { (part) wbr; }
    }
}

/// Why nothing runs in an environment.
fn not_here(view: &ComponentView, lane: &Lane) -> String {
    let source = view.environments.iter().find(|other| other.targets.contains(&lane.name));
    match source {
        Some(source) => format!("A release gets here by promotion from {}.", source.title),
        None => "The newest release gets here first.".to_owned(),
    }
}

/// A sentence begins with a capital letter.
fn capital(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// A button per environment that the release may go to next; where it is not well, one that does not stand out, with why.
fn promotions(place: &Place, view: &ComponentView, lane: &Lane, form_key: &str) -> Markup {
    let release = lane
        .binding
        .as_ref()
        .filter(|binding| binding.status != Status::Undeployed)
        .map(|binding| binding.release.as_str())
        .filter(|release| !release.is_empty());
    let well = lane.health == Health::Healthy;
    let targets = view.environments.iter().filter(|other| lane.targets.contains(&other.name));
    html! {
        @if let Some(release) = release {
            @for target in targets {
                @let same = target.binding.as_ref().is_some_and(|there| {
                    there.release == release && there.status != Status::Undeployed
                });
                @if same {
                    p.dim { "The same release is in " (target.title) "." }
                } @else if let Err(reason) = &target.may_change {
                    button.primary type="button" disabled
                        aria-describedby={ "why-" (target.name) } { "Promote to " (target.title) }
                    p.dim id={ "why-" (target.name) } { (reason) }
                } @else {
                    form method="post" action={ (place.href()) "/promote" } {
                        input type="hidden" name="form_key" value=(form_key);
                        input type="hidden" name="from" value=(lane.name);
                        input type="hidden" name="to" value=(target.name);
                        button.primary[well] type="submit"
                            aria-describedby=[(!well).then(|| format!("held-{}", target.name))] { "Promote to " (target.title) }
                    }
                    @if !well {
                        p.dim id={ "held-" (target.name) } {
                            "In " (lane.title) " it is " (lane.health.word())
                            @if let Some(complaint) = &lane.complaint { ": " (complaint) } "."
                        }
                    }
                }
            }
        }
    }
}

/// Takes the component out of an environment, or puts it back.
fn switch(place: &Place, lane: &Lane, form_key: &str) -> Markup {
    html! {
        @if let (Some(binding), Ok(())) = (&lane.binding, &lane.may_change) {
            @let undeployed = binding.status == Status::Undeployed;
            form method="post" action={ (place.href()) "/state" } {
                input type="hidden" name="form_key" value=(form_key);
                input type="hidden" name="binding" value=(binding.name);
                input type="hidden" name="state" value=(if undeployed { "Active" } else { "Undeploy" });
                button.quiet type="submit"
                    data-confirm=[(!undeployed).then(|| format!("Take {} out of {}?", place.component, lane.title))] {
                    (if undeployed { "Deploy again" } else { "Undeploy" })
                }
            }
        }
    }
}
