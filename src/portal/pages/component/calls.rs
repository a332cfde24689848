//! Who calls a component, and whom it calls.

use super::Page;
use super::frame::{Frame, Tab};
use super::live::{Visit, live};
use crate::backend::User;
use crate::diagram::direction::Direction;
use crate::diagram::graph::{Edge, Graph, Member};
use crate::diagram::svg::{crowded, draw};
use crate::error::{BackendError, softly};
use crate::health::Open;
use crate::incidents;
use crate::login::encode;
use crate::model::{Status, text};
use crate::pages::{parts, project};
use maud::{Markup, html};

/// Seconds until the calls are fetched again.
const EVERY: u32 = 10;

pub(crate) async fn show(visit: Visit) -> Page {
    live(visit, (Tab::Calls, EVERY), calls).await
}

async fn calls(user: &User<'_>, frame: &Frame) -> Result<Markup, BackendError> {
    let place = &frame.place;
    // Of the whole project, so that the others' numbers are of all that they are asked.
    let question = frame.window().ask(frame.scope(""), 1);
    let bindings = format!(
        "/namespaces/{}/releasebindings?component={}",
        encode(&place.namespace),
        encode(&place.component)
    );
    let project = (place.namespace.as_str(), place.project.as_str());
    let (topology, bindings, incidents) = tokio::join!(
        user.observed("/api/v1alpha1/metrics/runtime-topology", &question),
        user.list(&bindings),
        incidents::of(user, project, &place.component),
    );
    let open = Open::of(softly(incidents)?.iter().flatten());
    let topology = match softly(topology)? {
        Ok(topology) => topology,
        Err(reason) => return Ok(parts::missing("There are no calls to show", &reason)),
    };
    let here = |binding: &&serde_json::Value| {
        text(binding, "/spec/environment") == frame.environment()
            && text(binding, "/spec/owner/componentName") == place.component
    };
    let status = bindings?.iter().find(here).map_or(Status::NotDeployed, Status::of);
    let own = Member {
        name: place.component.clone(),
        href: frame.href("/calls"),
        status,
        incident: open.is_at(&place.component, frame.environment()),
    };
    let graph = Graph::read(&topology, frame.seconds() as f64, &[own]);
    let mut graph = graph.around(&place.component);
    let base = project::href(&place.namespace, &place.project);
    graph.link(|name| format!("{base}/components/{}", encode(name)));
    Ok(show_graph(&graph, frame))
}

fn show_graph(graph: &Graph, frame: &Frame) -> Markup {
    let own = graph.nodes.iter().position(|node| node.name == frame.place.component);
    let ends = |of: fn(&Edge) -> usize| {
        graph.edges.iter().filter(move |edge| Some(of(edge)) == own).collect::<Vec<_>>()
    };
    let (callers, called) = (ends(|edge| edge.to), ends(|edge| edge.from));
    let title = frame.environment_title();
    html! {
        @if graph.edges.is_empty() { p.dim { "No call was seen in this time." } }
        @else {
            section.picture aria-label={ "Calls in " (title) } {
                (draw(graph, Direction::Right, title))
                (draw(graph, Direction::Down, title))
                (crowded(graph))
            }
        }
        section aria-labelledby="callers" {
            h2.label #callers { "Who calls it" }
            (table("Who calls it", graph, &callers, |edge| edge.from))
        }
        section aria-labelledby="called" {
            h2.label #called { "Whom it calls" }
            (table("Whom it calls", graph, &called, |edge| edge.to))
        }
    }
}

fn table(label: &str, graph: &Graph, edges: &[&Edge], other: fn(&Edge) -> usize) -> Markup {
    if edges.is_empty() {
        return html! { p.dim { "Nobody, as far as was seen." } };
    }
    let columns = ["Who", "Requests", "Rate", "Failed", "p99"];
    parts::table(
        label,
        &columns,
        html! {
            @for edge in edges {
                @let node = &graph.nodes[other(edge)];
                tr {
                    th scope="row" {
                        @match &node.href {
                            Some(href) => a href=(href) { (node.name.trim()) },
                            None => (node.name.trim()),
                        }
                        @if !node.kind.is_empty() { " " span.tag { (node.kind) } }
                    }
                    td data-label="Requests" {
                        (edge.traffic.number())
                        @if let Some(note) = edge.traffic.note() { " " span.tag { (note) } }
                    }
                    td data-label="Rate" { (edge.traffic.rate()) }
                    td data-label="Failed" { (edge.traffic.failed_share()) }
                    td data-label="p99" { (edge.traffic.latency().unwrap_or_default()) }
                }
            }
        },
    )
}
