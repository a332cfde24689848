//! What a report recommends: the difference that a proposal makes, its values to be edited, and what a person decides.

use super::Place;
use super::report::told;
use crate::diff::{diff, show as differences};
use crate::edits::{Editable, Kind, editable};
use crate::model::text;
use crate::pages::parts;
use crate::remedy::Proposal;
use maud::{Markup, html};
use serde_json::Value;

/// What an action would change; or why it cannot.
pub(super) type Proposed = Option<Result<Proposal, String>>;

pub(super) fn recommended(
    place: &Place,
    index: usize,
    action: &Value,
    proposal: &Proposed,
    form_key: &str,
) -> Markup {
    let status = text(action, "/status");
    let class = if status == "applied" { "good" } else { "idle" };
    html! {
        article {
            header {
                h4 { (told(place, text(action, "/description"))) }
                span.pill.(class) { i aria-hidden="true" {} (if status == "revised" { "proposed" } else { status }) }
            }
            @if !text(action, "/rationale").is_empty() { p { (told(place, text(action, "/rationale"))) } }
            @match proposal {
                Some(Ok(proposal)) => {
                    p.dim { "Changes release binding " code { (proposal.binding) } ":" }
                    (differences("Proposed change", &diff(&proposal.before["spec"], &proposal.after["spec"])))
                },
                Some(Err(reason)) => (parts::missing("The change cannot be made", reason)),
                None => @if action["change"].is_object() { (made(action)) },
            }
            (decisions(place, index, action, proposal, form_key))
        }
    }
}

/// To apply it, with its values, and to dismiss it: the buttons stand side by side, and each is of its own form.
fn decisions(
    place: &Place,
    index: usize,
    action: &Value,
    proposal: &Proposed,
    form_key: &str,
) -> Markup {
    let (index, form) = (index.to_string(), format!("dismiss-{index}"));
    let is_open = matches!(text(action, "/status"), "revised" | "suggested");
    let dismiss = html! { @if is_open { button type="submit" form=(form) { "Dismiss" } } };
    let to_dismiss = Decision { indices: &index, seen: "", decision: "dismiss" };
    html! {
        @if let Some(Ok(proposal)) = proposal {
            @let to_apply = Decision { indices: &index, seen: &proposal.seal, decision: "apply" };
            form.values method="post" action={ (place.href()) "/report" } {
                (to_apply.fields(form_key))
                @for one in &editable(&action["change"]) { (field(&index, one)) }
                div.buttons { button.primary type="submit" { "Apply" } (dismiss) }
            }
        } @else { (dismiss) }
        @if is_open {
            form id=(form) method="post" action={ (place.href()) "/report" } hidden { (to_dismiss.fields(form_key)) }
        }
    }
}

/// One button for everything, where there are several.
pub(super) fn all_at_once(place: &Place, proposals: &[Proposed], form_key: &str) -> Markup {
    let ready = proposals.iter().enumerate().filter_map(|(index, proposal)| match proposal {
        Some(Ok(proposal)) => Some((index.to_string(), proposal.seal.clone())),
        _ => None,
    });
    let (indices, seals): (Vec<String>, Vec<String>) = ready.unzip();
    html! {
        @if indices.len() > 1 {
            @let (indices, seen) = (indices.join(","), seals.join(","));
            @let to_apply = Decision { indices: &indices, seen: &seen, decision: "apply" };
            form method="post" action={ (place.href()) "/report" } data-whole {
                (to_apply.fields(form_key))
                button.primary type="submit" { "Apply all as proposed" }
            }
        }
    }
}

/// What a person did with a proposal: what it set, where that was not what was proposed.
fn made(action: &Value) -> Markup {
    let edited = action["decided"]["proposed"].is_object();
    html! {
        p.dim {
            "It changed release binding " code { (text(action, "/change/release_binding")) }
            @if edited { ", with other values than proposed:" } @else { "." }
        }
        @if edited {
            dl { @for one in editable(&action["change"]) { dt { (one.label) } dd.lines { (one.text) } } }
        }
    }
}

/// What a button does.
struct Decision<'a> {
    indices: &'a str,
    seen: &'a str,
    decision: &'a str,
}

impl Decision<'_> {
    /// What its form sends along.
    fn fields(&self, form_key: &str) -> Markup {
        html! {
            input type="hidden" name="form_key" value=(form_key);
            input type="hidden" name="indices" value=(self.indices);
            input type="hidden" name="seen" value=(self.seen);
            input type="hidden" name="decision" value=(self.decision);
        }
    }
}

fn field(index: &str, one: &Editable) -> Markup {
    let id = format!("action-{index}-{}", one.field);
    html! {
        label for=(id) { (one.label) }
        @if one.is_long {
            // The line break that HTML drops at the beginning.
            textarea id=(id) name=(one.field) rows="6" data-value { "\n" (one.text) }
        } @else if matches!(one.kind, Kind::Whole | Kind::Decimal) {
            input id=(id) name=(one.field) type="number" step=(if one.kind == Kind::Whole { "1" } else { "any" })
                min=[(one.kind == Kind::Whole).then_some("0")] required value=(one.text) data-value;
        } @else {
            input id=(id) name=(one.field) type="text" value=(one.text) autocomplete="off"
                required[one.kind != Kind::Text] data-value;
        }
    }
}
