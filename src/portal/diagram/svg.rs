//! Draws a graph. Colours and fonts are the style sheet's; what is not well has a word and a shape, too.

use super::canvas::{Canvas, LINE, Label};
use super::curve::{Curve, Point};
use super::direction::Direction;
use super::graph::{Edge, Graph, Node};
use super::layers::Side;
use crate::health::Health;
use crate::model::Status;
use maud::{Markup, html};

/// Letters of a name that fit into a box.
const LETTERS: usize = 17;

/// The picture.
pub(crate) fn draw(graph: &Graph, direction: Direction, cell: &str) -> Markup {
    let canvas = Canvas::new(graph, direction);
    let (width, height) = canvas.size();
    let class = direction.class();
    let labels = canvas.labels();
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
            (border(&canvas, cell))
            @for (edge, line) in canvas.edges.iter().zip(&canvas.lines) { (arrow(edge, line, class)) }
            @for (index, one) in graph.nodes.iter().enumerate() { (node(&canvas, index, one)) }
            @for (edge, label) in canvas.edges.iter().zip(&labels) {
                @if let Some(label) = label { (written(edge, label, direction.letters())) }
            }
        }
    }
}

/// Says so where the picture has no numbers.
pub(crate) fn crowded(graph: &Graph) -> Markup {
    html! {
        @if graph.is_crowded() {
            p.dim.small { (graph.edges.len()) " calls: too many for numbers in the picture, which are in the table below." }
        }
    }
}

/// The border of the cell, with its name.
fn border(canvas: &Canvas<'_>, cell: &str) -> Markup {
    let wall = canvas.wall();
    html! {
        rect.wall x=(n(wall.x)) y=(n(wall.y)) width=(n(wall.width)) height=(n(wall.height)) rx="16" {}
        @if canvas.direction == Direction::Right {
            text.place x=(n(wall.x + 16.0)) y=(n(wall.y + 19.0)) { (cell) }
        }
    }
}

fn node(canvas: &Canvas<'_>, index: usize, node: &Node) -> Markup {
    let room = canvas.node(index);
    let (x, y) = (room.x, room.y);
    let complaint = node.complaint();
    let class = match (&complaint, node.side, node.status) {
        (Some(_), ..) if node.health() == Health::Progressing => "unwell busy",
        (Some(_), ..) => "unwell",
        (_, Side::Before | Side::Behind, _) => "outside",
        (_, _, Some(Status::NotDeployed | Status::Undeployed)) => "absent",
        _ => "well",
    };
    let badge = Canvas::badge(&room);
    let body = html! {
        rect.box x=(n(x)) y=(n(y)) width=(n(room.width)) height=(n(room.height)) rx="10" {}
        @if node.side == Side::Inside {
            text.name x=(n(x + 12.0)) y=(n(y + 20.0)) { (short(&node.name)) } " "
            text.fact x=(n(x + 12.0)) y=(n(y + 37.0)) { (node.asked()) } " "
            text.fact x=(n(x + 12.0)) y=(n(y + 52.0)) { (node.latency()) } " "
        } @else {
            text.name x=(n(x + 12.0)) y=(n(y + 27.0)) { (short(&node.name)) } " "
            text.fact x=(n(x + 12.0)) y=(n(y + 44.0)) { (node.kind) }
        }
        @if complaint.is_some() {
            rect.badge x=(n(badge.x)) y=(n(badge.y)) width=(n(badge.width)) height=(n(badge.height)) rx="9" {}
            text.badge x=(n(badge.x + badge.width / 2.0)) y=(n(badge.y + 13.0)) text-anchor="middle" { (node.health().word()) }
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

fn arrow(edge: &Edge, line: &[Curve], class: &str) -> Markup {
    let fails = edge.traffic.is_failing();
    let marker = if fails { "fails" } else { "arrow" };
    let xy = |(x, y): Point| format!("{} {}", n(x), n(y));
    let mut path = String::new();
    for Curve([from, first, second, to]) in line {
        if path.is_empty() {
            path = format!("M{}", xy(*from));
        }
        path.push_str(&format!("C{} {} {}", xy(*first), xy(*second), xy(*to)));
    }
    html! {
        @if !path.is_empty() {
            path.flow.fails[fails] d=(path) marker-end={ "url(#" (marker) "-" (class) ")" } {}
        }
    }
}

/// How much goes along a line; `letters` is their height.
fn written(edge: &Edge, label: &Label, letters: f64) -> Markup {
    let (x, y) = (label.room.x + label.room.width / 2.0, label.room.y + letters);
    let room = &label.room;
    html! {
        rect.back x=(n(room.x)) y=(n(room.y)) width=(n(room.width)) height=(n(room.height)) rx="4" {}
        text.rate.fails[edge.traffic.is_failing()] text-anchor="middle" {
            @if let Some(note) = edge.traffic.note() { title { (note) } }
            @for (index, words) in label.words.iter().enumerate() {
                tspan x=(n(x)) y=(n(y + index as f64 * LINE * letters)) { (words) } " "
            }
        }
    }
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
