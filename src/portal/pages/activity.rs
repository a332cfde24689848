//! The agents with what they may do: the part of the agents' page that is live.

use super::parts;
use crate::backend::User;
use crate::error::BackendError;
use crate::model::{taken, text};
use maud::{Markup, html};
use serde_json::Value;

/// Agents and kinds of change as the API has them.
pub(crate) struct Activity {
    pub(crate) agents: Vec<Value>,
    pub(crate) kinds: Vec<Value>,
}

impl Activity {
    /// What the person may see of it.
    pub(crate) async fn read(user: &User<'_>) -> Result<Activity, BackendError> {
        let mut agents = user.get("/agents").await?;
        Ok(Activity { agents: taken(&mut agents["items"]), kinds: taken(&mut agents["kinds"]) })
    }

    /// The live part.
    pub(crate) fn show(&self, form_key: &str) -> Markup {
        html! {
            section {
                h2.label { "Agents here" }
                @if self.agents.is_empty() {
                    p.dim { "There is no agent, or none that you may see." }
                } @else {
                    ul.cards.wide { @for agent in &self.agents { li { (card(agent, form_key)) } } }
                }
            }
        }
    }
}

fn card(agent: &Value, form_key: &str) -> Markup {
    let name = text(agent, "/name");
    let shown = text(agent, "/displayName");
    let counts = &agent["activity"];
    let number = |member: &str| counts[member].as_u64().unwrap_or_default();
    let grants = agent["grants"].as_array().map(Vec::as_slice).unwrap_or_default();
    html! {
        div.card {
            h3 { (name) @if !shown.is_empty() && shown != name { " " span.tag { (shown) } } }
            p {
                (parts::counted(number("reads"), "read")) " · " (parts::counted(number("writes"), "write"))
                @if number("denied") > 0 { " · " (number("denied")) " denied" }
            }
            @if let Some(seen) = counts["lastSeen"].as_str() { p.dim.since { "Last seen " (parts::moment(seen)) } }
            @if grants.is_empty() { p.dim { "May read, and change nothing." } }
            @for grant in grants { (granted(name, grant, form_key)) }
        }
    }
}

fn granted(agent: &str, grant: &Value, form_key: &str) -> Markup {
    let roles: Vec<&str> =
        grant["roles"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    html! {
        form method="post" action="/agents/revoke" {
            input type="hidden" name="form_key" value=(form_key);
            input type="hidden" name="agent" value=(agent);
            input type="hidden" name="kind" value=(roles.join(","));
            p {
                @if grant["denies"] == true { "not " }
                @for role in &roles { code { (role) } " " }
                (text(grant, "/where"))
                @if let Some(end) = grant["expiresAt"].as_str() { " until " (parts::moment(end)) }
                @if let Some(by) = grant["grantedBy"].as_str() { span.dim { ", granted by " (by) } }
            }
            @if grant["denies"] != true {
                button.quiet type="submit" aria-label={ "Revoke " (roles.join(", ")) " from " (agent) } { "Revoke" }
            }
        }
    }
}
