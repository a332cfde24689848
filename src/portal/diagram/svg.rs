//! Draws a graph. Colours and fonts are the style sheet's; what is not well has a word and a shape, too.

use super::direction::{Direction, HEIGHT, WIDTH};
use super::graph::{Edge, Graph, Node};
use super::layers::Side;
use super::layout::{Layout, layout};
use crate::model::Status;
use maud::{Markup, html};

/// Around everything.
const MARGIN: f64 = 4.0;
/// From the boxes to the border of the cell.
const PADDING: f64 = 14.0;
/// Letters of a name that fit into a box.
const LETTERS: usize = 17;

/// The picture.
pub(crate) fn draw(graph: &Graph, direction: Direction, cell: &str) -> Markup {
    let sides: Vec<Side> = graph.nodes.iter().map(|node| node.side).collect();
    // Calls to oneself are in the table only.
    let drawn: Vec<&Edge> = graph.edges.iter().filter(|edge| edge.from != edge.to).collect();
    let edges: Vec<(usize, usize)> = drawn.iter().map(|edge| (edge.from, edge.to)).collect();
    let layout = layout(&sides, &edges, direction.across());
    let canvas = Canvas { direction, layout };
    let (width, height) = canvas.size();
    let class = direction.class();
    html! {
        svg.cell.(class) viewBox={ "0 0 " (n(width)) " " (n(height)) } width=(n(width)) height=(n(height))
            role="group" aria-label={ "Calls in " (cell) ", also as a table below" } {
            defs {
                @for (name, kind) in [("arrow", "flow"), ("fails", "flow fails")] {
                    marker id={ (name) "-" (class) } viewBox="0 0 8 8" refX="7" refY="4"
                        markerWidth="7" markerHeight="7" markerUnits="userSpaceOnUse" orient="auto" {
                        path class={ "tip " (kind) } d="M0 0.6 7.4 4 0 7.4z" {}
                    }
                }
            }
            (canvas.border(cell))
            @for (edge, way) in drawn.iter().zip(&canvas.layout.ways) { (canvas.line(edge, way)) }
            @for (index, node) in graph.nodes.iter().enumerate() { (canvas.node(index, node)) }
            @for (edge, way) in drawn.iter().zip(&canvas.layout.ways) { (canvas.label(graph, edge, way)) }
        }
    }
}

struct Canvas {
    direction: Direction,
    layout: Layout,
}

impl Canvas {
    /// Where the boxes of a layer begin, along. The cell's border needs room before and behind.
    fn start(&self, layer: usize) -> f64 {
        let (first, behind) = self.layout.layers.cell;
        let (along, between) = self.direction.along();
        let step = along + between;
        let inside = if layer >= first { PADDING } else { 0.0 };
        let after = if layer >= behind { PADDING } else { 0.0 };
        MARGIN + layer as f64 * step + inside + after
    }

    /// Where the row across begins.
    fn top(&self) -> f64 {
        // The cell's name stands above of its boxes.
        MARGIN + PADDING + if self.direction == Direction::Right { 14.0 } else { 0.0 }
    }

    fn size(&self) -> (f64, f64) {
        let last = self.layout.layers.count.saturating_sub(1);
        let (_, behind) = self.layout.layers.cell;
        let after = if last < behind { PADDING } else { 0.0 };
        let along = self.start(last) + self.direction.along().0 + after + MARGIN;
        self.direction.point(along, self.top() + self.layout.breadth + PADDING + MARGIN)
    }

    /// The border of the cell, with its name.
    fn border(&self, cell: &str) -> Markup {
        let (first, behind) = self.layout.layers.cell;
        let start = self.start(first) - PADDING;
        let end = self.start(behind.max(first + 1) - 1) + self.direction.along().0 + PADDING;
        let (x, y) = self.direction.point(start, MARGIN);
        let breadth = self.top() + self.layout.breadth + PADDING - MARGIN;
        let (width, height) = self.direction.point(end - start, breadth);
        html! {
            rect.wall x=(n(x)) y=(n(y)) width=(n(width)) height=(n(height)) rx="16" {}
            @if self.direction == Direction::Right {
                text.place x=(n(x + 16.0)) y=(n(y + 19.0)) { (cell) }
            }
        }
    }

    fn node(&self, index: usize, node: &Node) -> Markup {
        let along = self.start(self.layout.layers.of[index]);
        let across = self.top() + self.layout.across[index] - self.direction.across().node / 2.0;
        let (x, y) = self.direction.point(along, across);
        let complaint = node.complaint();
        let class = match (&complaint, node.side, node.status) {
            (Some(_), ..) => "unwell",
            (_, Side::Before | Side::Behind, _) => "outside",
            (_, _, Some(Status::NotDeployed | Status::Undeployed)) => "absent",
            _ => "well",
        };
        let body = html! {
            rect.box x=(n(x)) y=(n(y)) width=(n(WIDTH)) height=(n(HEIGHT)) rx="10" {}
            @if node.side == Side::Inside {
                text.name x=(n(x + 12.0)) y=(n(y + 20.0)) { (short(&node.name)) } " "
                text.fact x=(n(x + 12.0)) y=(n(y + 37.0)) { (node.asked()) } " "
                text.fact x=(n(x + 12.0)) y=(n(y + 52.0)) { (node.latency()) } " "
            } @else {
                text.name x=(n(x + 12.0)) y=(n(y + 27.0)) { (short(&node.name)) } " "
                text.fact x=(n(x + 12.0)) y=(n(y + 44.0)) { (node.kind) }
            }
            @if complaint.is_some() {
                rect.badge x=(n(x + WIDTH - 82.0)) y=(n(y - 9.0)) width="74" height="18" rx="9" {}
                text.badge x=(n(x + WIDTH - 45.0)) y=(n(y + 4.0)) text-anchor="middle" { "unhealthy" }
            }
        };
        // The words are around the link: in it, they would be read twice.
        html! {
            g {
                title { (node.words()) }
                @match &node.href {
                    Some(href) => a.node.(class) href=(href) aria-label=(node.words()) { (body) },
                    None => g.node.(class) { (body) },
                }
            }
        }
    }

    /// The points of a line: where it leaves and enters boxes, and both ends of each layer it passes.
    fn points(&self, way: &[(usize, f64)]) -> Vec<(f64, f64)> {
        let along = self.direction.along().0;
        let back = way.first() > way.last();
        let mut points = Vec::new();
        for (index, (layer, across)) in way.iter().enumerate() {
            let (start, across) = (self.start(*layer), self.top() + across);
            let mut ends = [start, start + along];
            if back {
                ends.reverse();
            }
            if index > 0 {
                points.push((ends[0], across));
            }
            if index + 1 < way.len() {
                points.push((ends[1], across));
            }
        }
        points
    }

    fn line(&self, edge: &Edge, way: &[(usize, f64)]) -> Markup {
        let points = self.points(way);
        let fails = edge.traffic.is_failing();
        let marker = if fails { "fails" } else { "arrow" };
        let mut path = String::new();
        for (index, (along, across)) in points.iter().enumerate() {
            let (x, y) = self.direction.point(*along, *across);
            if index == 0 {
                path.push_str(&format!("M{} {}", n(x), n(y)));
            } else if index % 2 == 0 {
                path.push_str(&format!("L{} {}", n(x), n(y)));
            } else {
                let before = points[index - 1];
                let half = f64::midpoint(before.0, *along);
                let (a, b) = self.direction.point(half, before.1);
                let (c, d) = self.direction.point(half, *across);
                let curve = format!("C{} {} {} {} {} {}", n(a), n(b), n(c), n(d), n(x), n(y));
                path.push_str(&curve);
            }
        }
        html! {
            @if points.len() > 1 {
                path.flow.fails[fails] d=(path) marker-end={ "url(#" (marker) "-" (self.direction.class()) ")" } {}
            }
        }
    }

    /// How much goes along a line, next to where it ends or, where many end, where it begins.
    fn label(&self, graph: &Graph, edge: &Edge, way: &[(usize, f64)]) -> Markup {
        let points = self.points(way);
        let ends = |node: usize| graph.edges.iter().filter(|edge| edge.to == node).count();
        let begins = |node: usize| graph.edges.iter().filter(|edge| edge.from == node).count();
        let at_end = ends(edge.to) <= begins(edge.from);
        let pair = if at_end { points.len().checked_sub(2) } else { Some(0) };
        let pair = pair.and_then(|first| points.get(first..first + 2));
        let fails = edge.traffic.is_failing();
        html! {
            @if let Some(&[from, to]) = pair {
                @let part = match (fails, at_end) { (true, _) => 0.45, (_, true) => 0.7, _ => 0.3 };
                @let (along, across) = on_curve(from, to, part);
                @let (x, y) = self.direction.point(along, across);
                @let across = self.direction == Direction::Right;
                text.rate.fails[fails] x=(n(x)) y=(n(if across { y - 5.0 } else { y + 4.0 })) text-anchor="middle" {
                    @if let Some(note) = edge.traffic.note() { title { (note) } }
                    (edge.traffic.rate())
                    @if fails && across { tspan x=(n(x)) dy="17" { (edge.traffic.failed_share()) " fail" } }
                    @if fails && !across { " · " (edge.traffic.failed_share()) " fail" }
                }
            }
        }
    }
}

/// A point of the curve between two, which leaves and arrives along.
fn on_curve(from: (f64, f64), to: (f64, f64), part: f64) -> (f64, f64) {
    let rest = 1.0 - part;
    let (a, b) = (rest * rest * rest, 3.0 * rest * rest * part);
    let (c, d) = (3.0 * rest * part * part, part * part * part);
    let half = f64::midpoint(from.0, to.0);
    (a * from.0 + (b + c) * half + d * to.0, (a + b) * from.1 + (c + d) * to.1)
}

/// A number without digits that nobody sees.
fn n(number: f64) -> String {
    let text = format!("{number:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

/// A name that fits into a box.
fn short(name: &str) -> String {
    let name = name.trim();
    if name.chars().count() <= LETTERS {
        return name.to_owned();
    }
    name.chars().take(LETTERS - 1).chain(['…']).collect()
}
