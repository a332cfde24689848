//! The layout's promises on small graphs, and the picture of a fixed one.

use super::canvas::Canvas;
use super::direction::Direction;
use super::graph::{Edge, Graph, Member};
use super::layers::Side::{self, Before, Behind, Inside};
use super::layers::layers;
use super::layout::{Sizes, layout};
use super::spread::{Wish, spread};
use super::svg::{crowded, draw};
use crate::model::Status;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const SIZES: Sizes = Sizes { node: 60.0, bend: 10.0, gap: 20.0, dock: 12.0, most: 8 };

#[test]
fn layers_follow_the_longest_way_between_what_is_outside() {
    // A gateway calls 1; 1 calls 2 and 3, 2 calls 3, 3 calls out.
    let sides = [Before, Inside, Inside, Inside, Behind];
    let edges = [(0, 1), (1, 2), (1, 3), (2, 3), (3, 4)];
    let found = layers(&sides, &edges, 8);
    assert_eq!((found.of, found.count, found.cell), (vec![0, 1, 2, 3, 4], 5, (1, 4)));
}

#[test]
fn circles_and_calls_back_out_are_turned_round() {
    let found = layers(&[Inside; 3], &[(0, 1), (1, 2), (2, 0)], 8);
    assert_eq!((found.of, found.turned), (vec![0, 1, 2], vec![false, false, true]));
    let found = layers(&[Before, Inside], &[(0, 1), (1, 0)], 8);
    assert_eq!((found.of, found.turned), (vec![0, 1], vec![false, true]));
}

#[test]
fn a_layer_that_is_too_full_goes_on_behind_and_calls_still_lead_on() {
    let sides = [Inside; 6];
    let edges = [(0, 1), (0, 2), (0, 3), (0, 4), (1, 5)];
    let found = layers(&sides, &edges, 2);
    for layer in 0..found.count {
        assert!(found.of.iter().filter(|of| **of == layer).count() <= 2, "{found:?}");
    }
    assert!(edges.iter().all(|(from, to)| found.of[*from] < found.of[*to]), "{found:?}");
}

#[test]
fn whoever_calls_nobody_goes_where_there_is_room() {
    let found = layers(&[Inside; 9], &[], 8);
    assert_eq!((found.count, found.of), (3, vec![0, 1, 2, 0, 1, 2, 0, 1, 2]));
    assert_eq!(layers(&[], &[], 8).count, 1, "an empty cell");
}

#[test]
fn boxes_and_passing_lines_keep_apart() {
    let sides: Vec<Side> = [Before].into_iter().chain([Inside; 9]).chain([Behind]).collect();
    let edges = [(0, 1), (1, 2), (1, 3), (1, 4), (2, 5), (3, 5), (4, 6), (1, 7), (6, 10), (1, 10)];
    let found = layout(&sides, &edges, SIZES);
    // Everything that takes room in a layer, boxes and bends.
    let mut taken: Vec<(usize, f64, f64)> =
        found.layers.of.iter().zip(&found.across).map(|(layer, at)| (*layer, *at, 60.0)).collect();
    for way in &found.ways {
        let bends = &way[1..way.len() - 1];
        taken.extend(bends.iter().map(|(layer, at)| (*layer, *at, 10.0)));
    }
    for (index, a) in taken.iter().enumerate() {
        for b in taken[index + 1..].iter().filter(|b| b.0 == a.0) {
            assert!((a.1 - b.1).abs() > (a.2 + b.2) / 2.0 + 19.9, "{a:?} {b:?}");
        }
        assert!(a.1 - a.2 / 2.0 > -0.1 && a.1 + a.2 / 2.0 < found.breadth + 0.1, "{a:?}");
    }
    assert_eq!(found, layout(&sides, &edges, SIZES), "the same again");
}

#[test]
fn an_order_without_crossings_is_found() {
    // 0 calls 3 and 1 calls 2: in the order of names they would cross.
    let found = layout(&[Inside; 4], &[(0, 3), (1, 2)], SIZES);
    let at = &found.across;
    assert_eq!(at[0] < at[1], at[3] < at[2], "{at:?}");
}

#[test]
fn places_are_as_near_to_the_wishes_as_the_others_let() {
    let wish = |wish| Wish { wish, size: 10.0, weight: 1.0 };
    assert_eq!(spread(&[wish(0.0), wish(100.0)], 5.0, 1e3), [0.0, 100.0]);
    assert_eq!(spread(&[wish(50.0), wish(50.0)], 5.0, 1e3), [42.5, 57.5]);
    assert_eq!(spread(&[wish(50.0), wish(0.0)], 5.0, 1e3), [17.5, 32.5], "the order is kept");
    assert_eq!(spread(&[wish(0.0), wish(100.0)], 5.0, 20.0), [0.0, 15.0], "in reach");
    assert!(spread(&[], 5.0, 20.0).is_empty());
}

fn reference(name: &str) -> Value {
    match name.split_once(':') {
        Some(("gateway", name)) => json!({"kind": "gateway", "name": name}),
        Some((_, host)) => json!({"kind": "external", "host": host}),
        None => json!({"kind": "component", "component": name, "project": "shop"}),
    }
}

/// A topology of `(from, to, requests, failed)` within a minute.
fn topology(calls: &[(&str, &str, u32, u32)]) -> Value {
    let metrics = |count: u32, failed: u32| {
        json!({"requestCount": count, "failedRequestCount": failed,
            "unsuccessfulRequestCount": failed, "latencyP99": 0.0421})
    };
    let edges: Vec<Value> = calls
        .iter()
        .map(|(from, to, count, failed)| {
            json!({"source": reference(from), "target": reference(to), "metrics": metrics(*count, *failed)})
        })
        .collect();
    let nodes: Vec<Value> = calls
        .iter()
        .map(|(_, to, count, failed)| {
            let mut node = reference(to);
            node["metrics"] = metrics(*count, *failed);
            node
        })
        .collect();
    json!({"nodes": nodes, "edges": edges})
}

fn members(all: &[(&str, Status)]) -> Vec<Member> {
    let member = |(name, status): &(&str, Status)| Member {
        name: (*name).to_owned(),
        href: format!("/{name}"),
        status: *status,
        incident: *name == "cart",
    };
    all.iter().map(member).collect()
}

fn shop() -> Graph {
    let calls = [
        ("gateway:gateway-default", "web", 240, 2),
        ("web", "cart", 90, 0),
        ("web", "checkout", 60, 12),
        ("checkout", "cart", 60, 0),
        ("checkout", "external:bank.example", 30, 0),
    ];
    let members = members(&[
        ("cart", Status::Ready),
        ("checkout", Status::Ready),
        ("mail", Status::Progressing),
        ("web", Status::Ready),
        ("<new>", Status::NotDeployed),
    ]);
    Graph::read(&topology(&calls), 60.0, &members)
}

#[test]
fn the_picture_of_a_shop() {
    let svg = draw(&shop(), Direction::Right, "Development").into_string();
    insta::assert_snapshot!(svg.replace("><", ">\n<"));
    assert!(!svg.contains("style="), "the content security policy lets no style in");
}

/// The shop of the samples while its cart is broken.
fn sample(failed: u32) -> Graph {
    let calls = [
        ("load", "web", 320, failed),
        ("web", "cart", 180, failed),
        ("web", "catalog", 160, 0),
        ("web", "checkout", 42, failed / 4),
        ("web", "prices", 190, 0),
        ("web", "stock", 160, 0),
        ("checkout", "cart", 60, failed / 3),
        ("checkout", "mail", 20, 0),
        ("checkout", "payment", 4, 0),
        ("checkout", "prices", 20, 0),
        ("checkout", "shipping", 42, 0),
        ("checkout", "stock", 20, 0),
        ("cart", "cart-store", 150, 0),
        ("cart", "catalog", 48, 0),
        ("unknown:unknown", "mail", 3, 0),
    ];
    let names: BTreeSet<&str> = calls.iter().flat_map(|call| [call.0, call.1]).collect();
    let own = names.into_iter().filter(|name| !name.contains(':'));
    let members: Vec<(&str, Status)> = own.map(|name| (name, Status::Ready)).collect();
    Graph::read(&topology(&calls), 60.0, &self::members(&members))
}

#[test]
fn no_label_is_on_a_box_or_on_another_label() {
    for (failed, direction) in [0, 72]
        .into_iter()
        .flat_map(|failed| [Direction::Right, Direction::Down].map(|direction| (failed, direction)))
    {
        let graph = sample(failed);
        let canvas = Canvas::new(&graph, direction);
        let labels = canvas.labels();
        let names = |edge: &&Edge| (&*graph.nodes[edge.from].name, &*graph.nodes[edge.to].name);
        let without = labels.iter().zip(&canvas.edges).filter(|(label, _)| label.is_none());
        let without: Vec<(&str, &str)> = without.map(|(_, edge)| names(edge)).collect();
        assert!(without.is_empty(), "{direction:?} {failed}: {without:?}");
        let mut taken = canvas.obstacles();
        for label in labels.into_iter().flatten() {
            let met = taken.iter().find(|other| other.meets(&label.room));
            assert!(met.is_none(), "{direction:?} {failed}: {label:?} on {met:?}");
            taken.push(label.room);
        }
    }
}

#[test]
fn a_badge_covers_neither_a_name_nor_the_edge_of_the_picture() {
    let graph = shop();
    for direction in [Direction::Right, Direction::Down] {
        let canvas = Canvas::new(&graph, direction);
        let unwell = graph.nodes.iter().enumerate().filter(|(_, node)| node.complaint().is_some());
        for (node, badge) in unwell.map(|(index, _)| canvas.node(index)).map(|node| {
            let badge = Canvas::badge(&node);
            (node, badge)
        }) {
            // Letters of fourteen, whose foot is twenty below the edge.
            assert!(badge.y + badge.height <= node.y + 20.0 - 14.0, "{badge:?} {node:?}");
            assert!(badge.y >= 0.0, "{badge:?}");
            let name = canvas.obstacles().pop().filter(|_| direction == Direction::Right);
            assert!(name.is_none_or(|name| !name.meets(&badge)), "{badge:?}");
        }
    }
}

#[test]
fn numbers_of_very_many_calls_are_left_to_the_table() {
    let names: Vec<String> = (0..14).map(|index| format!("c{index:02}")).collect();
    let pairs = names.iter().flat_map(|from| names.iter().map(move |to| (&**from, &**to, 12, 0)));
    let pairs: Vec<_> = pairs.filter(|(from, to, ..)| from != to).collect();
    for (count, is_crowded) in [(150, false), (151, true)] {
        let graph = Graph::read(&topology(&pairs[..count]), 60.0, &[]);
        let svg = draw(&graph, Direction::Right, "Development").into_string();
        assert_eq!(svg.matches("class=\"flow").count(), count, "each call is drawn");
        assert_eq!(svg.contains("class=\"rate"), !is_crowded, "{count}");
        let words = crowded(&graph).into_string();
        assert_eq!(words.contains("151 calls: too many for numbers"), is_crowded);
    }
}

#[test]
fn what_is_not_well_has_a_word_a_reason_and_a_line_that_differs() {
    let graph = shop();
    let words: Vec<String> = graph.nodes.iter().map(super::graph::Node::words).collect();
    for expected in [
        "checkout, 1.0 req/s · 20 % failed, p99 42 ms, failing: 20 % of requests fail",
        "mail, no requests, progressing: pods are not ready",
        "cart, 2.5 req/s · 0 % failed, p99 42 ms, degraded: an incident is open",
        "web, 4.0 req/s · < 1 % failed, p99 42 ms",
        "<new>, not deployed here",
        "gateway-default, gateway",
    ] {
        assert!(words.iter().any(|words| words == expected), "{expected}: {words:?}");
    }
    for direction in [Direction::Right, Direction::Down] {
        let svg = draw(&graph, direction, "Development").into_string();
        for word in ["failing", "progressing", "degraded"] {
            assert_eq!(svg.matches(&format!(">{word}</text>")).count(), 1, "{word}");
        }
        assert_eq!(svg.matches("class=\"flow fails\"").count(), 1);
        assert!(svg.contains("20 % fail") && !svg.contains("<new>"));
    }
}

#[test]
fn what_is_linked_with_everybody_is_said_and_not_drawn() {
    let names = ["a", "b", "c", "d", "e"];
    let mut calls: Vec<(&str, &str, u32, u32)> =
        names.iter().map(|name| (*name, "external:collector", 12, 0)).collect();
    calls.push(("a", "external:bank", 12, 0));
    let members: Vec<(&str, Status)> = names.iter().map(|name| (*name, Status::Ready)).collect();
    let graph = Graph::read(&topology(&calls), 60.0, &self::members(&members));
    let (sparse, left_out) = graph.sparse();
    assert_eq!(left_out, [("collector", 5)]);
    assert_eq!((sparse.edges.len(), graph.edges.len()), (1, 6));
}
