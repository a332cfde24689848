//! Where everything of the picture is: boxes, lines and what is written next to them.

use super::curve::{Curve, Rect};
use super::direction::{Direction, HEIGHT, WIDTH};
use super::graph::{Edge, Graph};
use super::labels::{Wanted, place};
use super::layers::Side;
use super::layout::{Layout, layout};

/// Around everything.
const MARGIN: f64 = 4.0;
/// From the boxes to the border of the cell.
const PADDING: f64 = 14.0;
/// The widest letters of the style sheet's fonts, as a share of their height: plain and bold.
const LETTER: (f64, f64) = (0.64, 0.7);
/// From one line of a label to the next, as a share of the letters' height.
pub(super) const LINE: f64 = 1.25;

/// A graph with its places.
pub(super) struct Canvas<'g> {
    graph: &'g Graph,
    pub(super) direction: Direction,
    layout: Layout,
    /// What is drawn: calls to oneself are in the table only.
    pub(super) edges: Vec<&'g Edge>,
    /// The line of each edge, piece by piece: curves between layers, and straight through them.
    pub(super) lines: Vec<Vec<Curve>>,
}

impl<'g> Canvas<'g> {
    pub(super) fn new(graph: &'g Graph, direction: Direction) -> Canvas<'g> {
        let sides: Vec<Side> = graph.nodes.iter().map(|node| node.side).collect();
        let edges: Vec<&Edge> = graph.edges.iter().filter(|edge| edge.from != edge.to).collect();
        let ends: Vec<(usize, usize)> = edges.iter().map(|edge| (edge.from, edge.to)).collect();
        let layout = layout(&sides, &ends, direction.across());
        let mut canvas = Canvas { graph, direction, layout, edges, lines: Vec::new() };
        canvas.lines = canvas.layout.ways.iter().map(|way| canvas.line(way)).collect();
        canvas
    }

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
        // The cell's name stands above of its boxes and their badges.
        MARGIN + PADDING + if self.direction == Direction::Right { 24.0 } else { 0.0 }
    }

    pub(super) fn size(&self) -> (f64, f64) {
        let last = self.layout.layers.count.saturating_sub(1);
        let (_, behind) = self.layout.layers.cell;
        let after = if last < behind { PADDING } else { 0.0 };
        let along = self.start(last) + self.direction.along().0 + after + MARGIN;
        self.direction.point(along, self.top() + self.layout.breadth + PADDING + MARGIN)
    }

    /// The border of the cell.
    pub(super) fn wall(&self) -> Rect {
        let (first, behind) = self.layout.layers.cell;
        let start = self.start(first) - PADDING;
        let end = self.start(behind.max(first + 1) - 1) + self.direction.along().0 + PADDING;
        let (x, y) = self.direction.point(start, MARGIN);
        let breadth = self.top() + self.layout.breadth + PADDING - MARGIN;
        let (width, height) = self.direction.point(end - start, breadth);
        Rect { x, y, width, height }
    }

    /// The box of a node.
    pub(super) fn node(&self, index: usize) -> Rect {
        let along = self.start(self.layout.layers.of[index]);
        let across = self.top() + self.layout.across[index] - self.direction.across().node / 2.0;
        let (x, y) = self.direction.point(along, across);
        Rect { x, y, width: WIDTH, height: HEIGHT }
    }

    /// What says that the node of a box is not well: on the upper edge, above the node's name.
    pub(super) fn badge(node: &Rect) -> Rect {
        Rect { x: node.x + node.width - 88.0, y: node.y - 14.0, width: 80.0, height: 18.0 }
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

    fn line(&self, way: &[(usize, f64)]) -> Vec<Curve> {
        let points = self.points(way);
        let to = |(along, across): (f64, f64)| self.direction.point(along, across);
        let piece = |(index, pair): (usize, &[(f64, f64)])| {
            let (from, until) = (pair[0], pair[1]);
            if index % 2 == 1 {
                return Curve::straight(to(from), to(until));
            }
            let half = f64::midpoint(from.0, until.0);
            Curve([to(from), to((half, from.1)), to((half, until.1)), to(until)])
        };
        points.windows(2).enumerate().map(piece).collect()
    }

    /// What stands in the way of labels.
    pub(super) fn obstacles(&self) -> Vec<Rect> {
        let mut all: Vec<Rect> =
            (0..self.graph.nodes.len()).map(|index| self.node(index)).collect();
        let unwell =
            self.graph.nodes.iter().zip(&all).filter(|(node, _)| node.complaint().is_some());
        let badges: Vec<Rect> = unwell.map(|(_, at)| Canvas::badge(at)).collect();
        all.extend(badges);
        if self.direction == Direction::Right {
            // The cell's name.
            all.push(Rect { height: PADDING + 10.0, ..self.wall() });
        }
        all
    }

    /// How much goes along each line, where there is room to say it; nothing in a crowded graph.
    pub(super) fn labels(&self) -> Vec<Option<Label>> {
        if self.graph.is_crowded() {
            return Vec::new();
        }
        let words = self.edges.iter().map(|edge| words(edge));
        let (words, wanted): (Vec<Vec<String>>, Vec<Wanted>) = words
            .zip(&self.edges)
            .map(|(words, edge)| {
                let first = edge.traffic.is_failing();
                let letter = if first { LETTER.1 } else { LETTER.0 } * self.direction.letters();
                let longest =
                    words.iter().map(|line| line.chars().count()).max().unwrap_or_default();
                let height = words.len() as f64 * LINE * self.direction.letters();
                (words, Wanted { size: (longest as f64 * letter, height), first })
            })
            .unzip();
        let (width, height) = self.size();
        let whole = Rect { x: 0.0, y: 0.0, width, height };
        let places = place(&self.lines, &wanted, &self.obstacles(), &whole);
        let found = places.into_iter().zip(words).zip(&wanted);
        found
            .map(|((place, words), wanted)| {
                place.map(|at| Label { words, room: Rect::around(at, wanted.size) })
            })
            .collect()
    }
}

/// What is written next to a line.
#[derive(Debug)]
pub(super) struct Label {
    /// Line by line.
    pub(super) words: Vec<String>,
    pub(super) room: Rect,
}

fn words(edge: &Edge) -> Vec<String> {
    let mut words = vec![edge.traffic.rate()];
    if edge.traffic.is_failing() {
        words.push(format!("{} fail", edge.traffic.failed_share()));
    }
    words
}
