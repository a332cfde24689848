//! What goes on in a project: its environments, the picture of its cell, incidents and agents.

use super::{incidents, parts};
use crate::diagram::direction::Direction;
use crate::diagram::graph::Graph;
use crate::diagram::svg::{crowded, draw};
use crate::health::Health;
use crate::login::encode;
use crate::model::text;
use crate::overview::Overview;
use crate::related::{Above, Group, Related};
use curtain_role::Instance;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;

/// What the address of the page asks for.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Asked {
    env: Option<String>,
    /// The service of the sample shop that was just broken, or healed.
    broken: Option<String>,
    healed: Option<String>,
}

impl Asked {
    pub(crate) fn environment(&self) -> Option<&str> {
        self.env.as_deref()
    }

    pub(crate) fn broken(&self) -> Option<&str> {
        self.broken.as_deref()
    }

    pub(crate) fn healed(&self) -> Option<&str> {
        self.healed.as_deref()
    }
}

/// The live part. `own` is the address of the project's page.
pub(crate) fn show(instance: &Instance, own: &str, now: &Overview) -> Markup {
    let environment = now.project.environments.get(now.environment);
    let cell = environment.map_or("the project", |(_, title)| title.as_str());
    let (drawn, left_out) = now.graph.sparse();
    html! {
        (strip(own, now))
        div.now {
            section.picture aria-label={ "Calls in " (cell) } {
                @if let Some(quiet) = &now.quiet { p.dim { (quiet) } }
                (draw(&drawn, Direction::Right, cell))
                (draw(&drawn, Direction::Down, cell))
                (crowded(&drawn))
                @if !left_out.is_empty() {
                    p.dim.small {
                        "Not drawn: "
                        @for (index, (name, count)) in left_out.iter().enumerate() {
                            @if index > 0 { ", " }
                            (name) " (with " (count) " components)"
                        }
                    }
                }
                @if !now.graph.edges.is_empty() { (calls(&now.graph)) }
            }
            div.rail { (open_incidents(own, &now.incidents)) (agents(instance, &now.agents)) }
        }
    }
}

/// The environments in the order releases go through them, each with its state.
fn strip(own: &str, now: &Overview) -> Markup {
    html! {
        nav aria-label="Environments" {
            ol.strip {
                @for (index, (name, title)) in now.project.environments.iter().enumerate() {
                    @let shown = index == now.environment;
                    @let (class, words) = state(now, index);
                    li {
                        a href={ (own) "?env=" (encode(name)) } aria-current=[shown.then_some("true")] {
                            strong { (title) }
                            span.pill.(class) { i aria-hidden="true" {} (words) }
                        }
                    }
                }
            }
        }
    }
}

/// Class and words of an environment's state: the worst of its components.
fn state(now: &Overview, index: usize) -> (&'static str, String) {
    let there = now.health.iter().filter_map(|row| row.get(index).copied());
    let there: Vec<Health> = there.collect();
    Health::worst(&there).unwrap_or(("idle", "nothing deployed".to_owned()))
}

/// The picture as a table.
fn calls(graph: &Graph) -> Markup {
    let name = |node: usize| graph.nodes[node].name.trim();
    let columns = ["From", "To", "Requests", "Failed", "p99", "The called one"];
    html! {
        details {
            summary { "Calls as a table" }
            (parts::table("Calls", &columns, html! {
                @for edge in &graph.edges {
                    tr {
                        th scope="row" { (name(edge.from)) }
                        td data-label="To" { (name(edge.to)) }
                        td data-label="Requests" {
                            (edge.traffic.rate())
                            @if let Some(note) = edge.traffic.note() { " " span.tag { (note) } }
                        }
                        td data-label="Failed" { (edge.traffic.failed_share()) }
                        td data-label="p99" { (edge.traffic.latency().unwrap_or_default()) }
                        td {
                            @if let Some(complaint) = graph.nodes[edge.to].complaint() {
                                (graph.nodes[edge.to].health().word()) ": " (complaint)
                            }
                        }
                    }
                }
            }))
        }
    }
}

fn open_incidents(own: &str, incidents: &Result<Related, String>) -> Markup {
    html! {
        section aria-labelledby="incidents" {
            h2.label #incidents {
                @match incidents {
                    Ok(all) if !all.groups.is_empty() => (all.counted("open incident")),
                    _ => "Open incidents",
                }
            }
            @match incidents {
                Err(reason) => p.dim { (reason) },
                Ok(all) if all.groups.is_empty() => p.dim { "None." },
                Ok(all) => {
                    ul.events { @for group in &all.groups { li { (group_card(own, group)) } } }
                    (incidents::unrelated(all))
                },
            }
        }
    }
}

fn group_card(own: &str, group: &Group) -> Markup {
    html! {
        @match &group.above {
            Above::Incident(incident) => {
                p { a href=(incidents::href(own, incident)) { (incidents::words(incident)) } }
                p.since.apart {
                    (incidents::status(text(incident, "/status")))
                    span.dim { (parts::moment(text(incident, "/triggeredAt"))) }
                    (incidents::at_the_start(incident))
                }
                @if !group.affected.is_empty() {
                    p.small { "Also affected: " (incidents::names(own, &group.affected)) }
                }
            },
            Above::Cause(cause) => {
                p { (incidents::caused_by(own, cause)) }
                p.small { "Affected: " (incidents::names(own, &group.affected)) }
            },
        }
    }
}

fn agents(instance: &Instance, agents: &Result<Vec<Value>, String>) -> Markup {
    html! {
        section aria-labelledby="agents" {
            h2.label #agents { "Connected agents" }
            @match agents {
                Err(reason) => p.dim { (reason) },
                Ok(all) if all.is_empty() => {
                    p.dim { "None yet. Connect one:" }
                    (parts::curtain(instance, "mcp install claude-code"))
                },
                Ok(all) => ul.events { @for agent in all { li { (agent_line(agent)) } } },
            }
        }
    }
}

fn agent_line(agent: &Value) -> Markup {
    let number = |member: &str| agent[member].as_u64().unwrap_or_default();
    html! {
        p {
            a href="/agents" { (text(agent, "/agent")) }
            " · " (parts::counted(number("reads"), "read")) " · " (parts::counted(number("writes"), "write"))
            @if number("denied") > 0 { " · " (number("denied")) " denied" }
        }
        @match agent["lastSeen"].as_str() {
            Some(seen) => p.dim.since { "Last seen " (parts::moment(seen)) },
            None => p.dim { "Not seen yet" },
        }
    }
}
