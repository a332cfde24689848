//! Places of boxes and lines. Directions are those of the calls: along them, and across.
//!
//! A line that passes layers gets a bend in each, with a place of its own among the boxes, so that
//! no line runs through a box. Sweeps order each layer by where its neighbours are, and the order
//! with the fewest crossings wins.

use super::layers::{Layers, Side, layers};
use super::spread::{Wish, spread};
use std::collections::BTreeMap;

/// Sweeps over the layers, to lessen crossings and to straighten lines.
const SWEEPS: usize = 12;

/// Sizes across the calls, and how many boxes stand there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    pub(super) node: f64,
    /// The room that a passing line has.
    pub(super) bend: f64,
    pub(super) gap: f64,
    /// Between the ends of two lines at the same side of a box, if there is room.
    pub(super) dock: f64,
    /// Nodes in a layer.
    pub(super) most: usize,
}

/// The places, across: the layer is the place along.
#[derive(Debug, PartialEq)]
pub(super) struct Layout {
    pub(super) layers: Layers,
    /// Middle of each node, from 0.
    pub(super) across: Vec<f64>,
    /// From the first edge of the outermost box to the last.
    pub(super) breadth: f64,
    /// For each edge, the layers and middles that it passes, both ends included, in its own direction.
    pub(super) ways: Vec<Vec<(usize, f64)>>,
}

/// Finds places.
pub(super) fn layout(sides: &[Side], edges: &[(usize, usize)], sizes: Sizes) -> Layout {
    let layers = layers(sides, edges, sizes.most);
    let mut grid = Grid::new(&layers, sides.len(), edges);
    grid.order();
    let across = grid.places(sides.len(), sizes);
    let half = |item: usize| if item < sides.len() { sizes.node / 2.0 } else { sizes.bend / 2.0 };
    let items = || across.iter().enumerate();
    let start = items().map(|(item, at)| at - half(item)).fold(f64::INFINITY, f64::min);
    let end = items().map(|(item, at)| at + half(item)).fold(f64::NEG_INFINITY, f64::max);
    let (start, end) = if across.is_empty() { (0.0, 0.0) } else { (start, end) };
    let mut ways: Vec<Vec<(usize, f64)>> = grid
        .ways
        .iter()
        .map(|way| way.iter().map(|item| (grid.layer[*item], across[*item] - start)).collect())
        .collect();
    dock(&mut ways, edges, sizes);
    let across = across.iter().take(sides.len()).map(|at| at - start).collect();
    Layout { layers, across, breadth: end - start, ways }
}

/// Lets lines that leave or enter a box at one side do so next to each other, in the order of where they come from.
fn dock(ways: &mut [Vec<(usize, f64)>], edges: &[(usize, usize)], sizes: Sizes) {
    /// Where a line comes from, its edge, and whether it is the edge's end.
    type Line = (f64, usize, bool);
    // By node and side.
    let mut docks: BTreeMap<(usize, bool), Vec<Line>> = BTreeMap::new();
    for (edge, (way, (from, to))) in ways.iter().zip(edges).enumerate() {
        let [first, .., last] = way[..] else { continue };
        let (second, before) = (way[1], way[way.len() - 2]);
        docks.entry((*from, second.0 > first.0)).or_default().push((second.1, edge, false));
        docks.entry((*to, before.0 > last.0)).or_default().push((before.1, edge, true));
    }
    for mut lines in docks.into_values() {
        lines.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let between = (lines.len() - 1).max(1) as f64;
        let step = sizes.dock.min((sizes.node - 16.0) / between);
        for (index, (_, edge, is_end)) in lines.iter().enumerate() {
            let way = &mut ways[*edge];
            if let Some(end) = if *is_end { way.last_mut() } else { way.first_mut() } {
                end.1 += step * (index as f64 - (lines.len() - 1) as f64 / 2.0);
            }
        }
    }
}

/// Nodes and bends, by layer.
struct Grid {
    /// Layer of each item; the items behind the nodes are bends.
    layer: Vec<usize>,
    /// The items of each layer, in order.
    rows: Vec<Vec<usize>>,
    /// Items linked from one layer to the next.
    links: Vec<(usize, usize)>,
    /// The items that each edge passes.
    ways: Vec<Vec<usize>>,
}

impl Grid {
    fn new(layers: &Layers, nodes: usize, edges: &[(usize, usize)]) -> Grid {
        let mut grid = Grid {
            layer: layers.of.clone(),
            rows: vec![Vec::new(); layers.count],
            links: Vec::new(),
            ways: Vec::new(),
        };
        for node in 0..nodes {
            grid.rows[grid.layer[node]].push(node);
        }
        for (&(from, to), turned) in edges.iter().zip(&layers.turned) {
            let (start, end) = if *turned { (to, from) } else { (from, to) };
            let mut way = vec![start];
            for layer in grid.layer[start] + 1..grid.layer[end] {
                let bend = grid.layer.len();
                grid.layer.push(layer);
                grid.rows[layer].push(bend);
                way.push(bend);
            }
            way.push(end);
            grid.links.extend(way.windows(2).map(|pair| (pair[0], pair[1])));
            if *turned {
                way.reverse();
            }
            grid.ways.push(way);
        }
        grid
    }

    /// Sweeps forth and back, and keeps the best order that was seen.
    fn order(&mut self) {
        let mut best = (self.crossings(), self.rows.clone());
        for sweep in 0..SWEEPS {
            let forth = sweep % 2 == 0;
            let rows: Vec<usize> = if forth {
                (0..self.rows.len()).collect()
            } else {
                (0..self.rows.len()).rev().collect()
            };
            for row in rows {
                let places = self.indexes();
                let key = |item: usize| {
                    let near: Vec<usize> =
                        self.near(item, forth).map(|near| places[&near]).collect();
                    let own = places[&item];
                    match near.len() {
                        0 => own as f64,
                        count => near.iter().sum::<usize>() as f64 / count as f64,
                    }
                };
                let mut keyed: Vec<(f64, usize)> =
                    self.rows[row].iter().map(|item| (key(*item), *item)).collect();
                keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
                self.rows[row] = keyed.into_iter().map(|(_, item)| item).collect();
            }
            let crossings = self.crossings();
            if crossings < best.0 {
                best = (crossings, self.rows.clone());
            }
        }
        self.rows = best.1;
    }

    /// Those that an item is linked with, in the layer before (`true`) or behind.
    fn near(&self, item: usize, before: bool) -> impl Iterator<Item = usize> + '_ {
        self.links.iter().filter_map(move |&(from, to)| match before {
            true if to == item => Some(from),
            false if from == item => Some(to),
            _ => None,
        })
    }

    fn indexes(&self) -> BTreeMap<usize, usize> {
        let rows = self.rows.iter();
        rows.flat_map(|row| row.iter().enumerate().map(|(index, item)| (*item, index))).collect()
    }

    fn crossings(&self) -> usize {
        let places = self.indexes();
        let crosses = |a: &(usize, usize), b: &(usize, usize)| {
            self.layer[a.0] == self.layer[b.0]
                && (places[&a.0] < places[&b.0]) != (places[&a.1] < places[&b.1])
                && a.0 != b.0
                && a.1 != b.1
        };
        let rest = self.links.iter().enumerate();
        rest.map(|(index, a)| self.links[index + 1..].iter().filter(|b| crosses(a, b)).count())
            .sum()
    }

    /// Middles of all items: each as near to those it is linked with as the others let it.
    fn places(&self, nodes: usize, sizes: Sizes) -> Vec<f64> {
        let size = |item: usize| if item < nodes { sizes.node } else { sizes.bend };
        let packed = |row: &Vec<usize>| {
            row.iter().map(|item| size(*item)).sum::<f64>()
                + sizes.gap * (row.len().max(1) - 1) as f64
        };
        // No layer reaches beyond the fullest.
        let reach = self.rows.iter().map(packed).fold(0.0, f64::max) / 2.0;
        let mut places = vec![0.0; self.layer.len()];
        for sweep in 0..=SWEEPS {
            for row in &self.rows {
                let wishes: Vec<Wish> = row
                    .iter()
                    .map(|item| {
                        let near: Vec<f64> = (self.near(*item, true))
                            .chain(self.near(*item, false))
                            .map(|near| places[near])
                            .collect();
                        let wish = match near.len() {
                            0 => places[*item],
                            count => near.iter().sum::<f64>() / count as f64,
                        };
                        // Long lines are to be straight, so bends count more.
                        let weight = if *item < nodes { 1.0 } else { 4.0 };
                        let wish = if sweep == 0 { 0.0 } else { wish };
                        Wish { wish, size: size(*item), weight }
                    })
                    .collect();
                for (item, place) in row.iter().zip(spread(&wishes, sizes.gap, reach)) {
                    places[*item] = place;
                }
            }
        }
        places
    }
}
