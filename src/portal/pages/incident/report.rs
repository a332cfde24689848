//! The report of the SRE agent on an incident, and what it recommends.
//!
//! All of it is text of rules or of a language model that read logs of strangers: it is shown, never obeyed.

use super::Place;
use super::proposal::{Proposed, all_at_once, recommended};
use crate::backend::User;
use crate::error::{BackendError, softly};
use crate::incidents::{self, actions};
use crate::model::text;
use crate::pages::parts;
use crate::question;
use crate::remedy::propose;
use maud::{Markup, html};
use serde_json::Value;

/// The part of the page that is about the report.
pub(super) struct Part {
    pub(super) content: Markup,
    /// Whether there may be more of it soon.
    pub(super) is_awaited: bool,
}

pub(super) async fn read(
    user: &User<'_>,
    place: &Place,
    incident: &Value,
    form_key: &str,
) -> Result<Part, BackendError> {
    let ready = |content: Markup| Part { content, is_awaited: false };
    let awaited = |content: Markup| Part { content, is_awaited: true };
    let report = match incidents::report(user, place, incident).await {
        Err(error @ (BackendError::Unavailable(_) | BackendError::NotFound(_))) => {
            return Ok(ready(parts::missing("No SRE agent answers", &error.to_string())));
        }
        other => softly(other)?,
    };
    let report = match report {
        Err(reason) => return Ok(ready(parts::missing("The report cannot be shown", &reason))),
        Ok(None) if incident["incidentTriggerAiRca"] == true => {
            return Ok(awaited(html! { p.dim { "There is no report yet." } }));
        }
        Ok(None) => {
            let words = "There is no report: the alert rule asks for none (triggerAiRca).";
            return Ok(ready(html! { p.dim { (words) } }));
        }
        Ok(Some(report)) => report,
    };
    match text(&report, "/status") {
        "pending" => Ok(awaited(html! {
            p { span.pill.busy { i aria-hidden="true" {} "The agent is looking into it" } }
        })),
        "failed" => Ok(ready(html! {
            p { span.pill.bad { i aria-hidden="true" {} "The analysis failed" } " " (text(&report, "/summary")) }
        })),
        _ => {
            let mut proposals = Vec::new();
            let at = (place.namespace.as_str(), place.project.as_str());
            for action in actions(&report) {
                let change = Some(&action["change"])
                    .filter(|change| change.is_object() && action["status"] == "revised");
                proposals.push(match change {
                    Some(change) => Some(softly(propose(user, at, change).await)?),
                    None => None,
                });
            }
            Ok(ready(show(place, &report, &proposals, form_key)))
        }
    }
}

fn show(place: &Place, report: &Value, proposals: &[Proposed], form_key: &str) -> Markup {
    let body = &report["report"];
    let result = &body["result"];
    let list = |value: &'_ Value| value.as_array().cloned().unwrap_or_default();
    let excluded = list(&result["excluded_causes"]);
    let timeline = list(&result["timeline"]);
    let path = list(&body["investigation_path"]);
    let watch = list(&result["recommendations"]["observability_recommendations"]);
    html! {
        div.report data-done {
            p.summary { (told(place, text(body, "/summary"))) }
            @for cause in &list(&result["root_causes"]) { (root_cause(place, cause)) }
            @if !text(result, "/explanation").is_empty() {
                article {
                    h3 { "No root cause" @if !text(result, "/outcome").is_empty() {
                        " " span.tag { (text(result, "/outcome").replace('_', " ")) } } }
                    p { (told(place, text(result, "/explanation"))) }
                }
            }
            @if !timeline.is_empty() {
                h3 { "Timeline" }
                ol.events { @for event in &timeline { li {
                    p { span.dim { (parts::exactly(text(event, "/timestamp"))) } " " (text(event, "/component")) }
                    p { (told(place, text(event, "/event"))) }
                } } }
            }
            @if !proposals.is_empty() {
                h3 { "Recommended" }
                ol.actions-list { @for (index, (action, proposal)) in actions(report).iter().zip(proposals).enumerate() {
                    li { (recommended(place, index, action, proposal, form_key)) }
                } }
                (all_at_once(place, proposals, form_key))
            }
            @if report["chat"] == true { (asking(place, form_key)) }
            @if !watch.is_empty() {
                h3 { "To see more next time" }
                ul.points { @for one in &watch { li { (rationale(place, one)) } } }
            }
            @if !excluded.is_empty() {
                details { summary { "Causes that were excluded (" (excluded.len()) ")" }
                    ul.points { @for one in &excluded { li { (rationale(place, one)) } } } }
            }
            @if !path.is_empty() {
                details { summary { "How the agent went about it (" (path.len()) " steps)" }
                    ol.points { @for step in &path { li {
                        strong { (told(place, text(step, "/action"))) } " " (told(place, text(step, "/outcome")))
                        p.dim { (told(place, text(step, "/rationale"))) }
                    } } } }
            }
        }
    }
}

/// Only where a model is configured, which the rules' report does without.
fn asking(place: &Place, form_key: &str) -> Markup {
    html! {
        form.values method="post" action={ (place.href()) "/question" } {
            input type="hidden" name="form_key" value=(form_key);
            label for="question" { "Ask about this report" }
            textarea #question name="question" rows="2" required maxlength=(question::LONGEST) {}
            button type="submit" { "Ask" }
            p.dim { "A model answers, which may take a minute. It looks with your permissions and changes nothing." }
        }
    }
}

fn rationale(place: &Place, one: &Value) -> Markup {
    html! {
        (told(place, text(one, "/description")))
        @if !text(one, "/rationale").is_empty() { p.dim { (told(place, text(one, "/rationale"))) } }
    }
}

fn root_cause(place: &Place, cause: &Value) -> Markup {
    let confidence = text(cause, "/confidence");
    let class = match confidence {
        "high" => "good",
        "medium" => "busy",
        _ => "idle",
    };
    html! {
        article {
            header {
                h3 { (told(place, text(cause, "/summary"))) }
                span.pill.(class) { i aria-hidden="true" {} (confidence) " confidence" }
            }
            p { (told(place, text(cause, "/analysis"))) }
            @let findings = cause["supporting_findings"].as_array().map(Vec::as_slice).unwrap_or_default();
            @if !findings.is_empty() {
                h4.label { "Evidence" }
                ul.points { @for finding in findings { li { (evidence(place, finding)) } } }
            }
        }
    }
}

fn evidence(place: &Place, finding: &Value) -> Markup {
    let evidence = &finding["evidence"];
    let lines = evidence["log_lines"].as_array().map(Vec::as_slice).unwrap_or_default();
    let component = text(finding, "/component");
    html! {
        (told(place, text(finding, "/observation")))
        @if !component.is_empty() { " " a.tag href=(place.component_href(component)) { (component) } }
        @if !["", text(finding, "/observation")].contains(&text(evidence, "/summary")) { p.dim { (told(place, text(evidence, "/summary"))) } }
        @if !text(evidence, "/trace_id").is_empty() {
            p { "Trace " code { (text(evidence, "/trace_id")) }
                @if !text(evidence, "/error_message").is_empty() { ": " (parts::said(text(evidence, "/error_message"))) } }
        }
        @if !lines.is_empty() {
            div.quoted { @for line in lines { div.line data-level=(text(line, "/level")) {
                time datetime=(text(line, "/timestamp")) { (text(line, "/timestamp").get(11..19).unwrap_or_default()) }
                span.text { (text(line, "/log")) }
            } } }
        }
        @if !text(evidence, "/repetition").is_empty() { p.dim { (text(evidence, "/repetition")) } }
    }
}

/// Text of a report, in which `<comp:x>` and its like name things.
pub(super) fn told(place: &Place, text: &str) -> Markup {
    let mut rest = text;
    let mut pieces = Vec::new();
    while let Some((before, kind, name, behind)) = tag(rest) {
        let named = match kind {
            "comp" => html! { a href=(place.component_href(name)) { (name) } },
            _ => html! { strong { (name) } },
        };
        pieces.push(html! { (before) (named) });
        rest = behind;
    }
    html! { @for piece in pieces { (piece) } (rest) }
}

/// What is before the first tag, its kind and name, and what is behind it.
fn tag(text: &str) -> Option<(&str, &str, &str, &str)> {
    text.match_indices('<').find_map(|(at, _)| {
        let (inside, behind) = text[at + 1..].split_once('>')?;
        let (kind, name) = inside.split_once(':')?;
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        let known = ["comp", "proj", "env", "ns"].contains(&kind);
        (known && !name.is_empty() && name.chars().all(plain)).then_some((
            &text[..at],
            kind,
            name,
            behind,
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::{Place, told};

    #[test]
    fn things_that_a_report_names_are_links_and_all_else_is_text() {
        let place = Place { namespace: "n".into(), project: "p".into(), incident: "i".into() };
        let shown =
            told(&place, "a < b, <comp:web> in <env:dev> <script:x> <comp:../x> <b>").into_string();
        assert_eq!(
            shown,
            "a &lt; b, <a href=\"/namespaces/n/projects/p/components/web\">web</a> in <strong>dev</strong> \
             &lt;script:x&gt; &lt;comp:../x&gt; &lt;b&gt;"
        );
    }
}
