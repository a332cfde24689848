//! In which layer each node of a picture stands: by the longest way of calls to it.

use std::collections::{BTreeMap, BTreeSet};

/// Where a node may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// Before the cell: whoever calls from outside.
    Before,
    /// In the cell.
    Inside,
    /// Behind the cell: what is called outside.
    Behind,
}

/// Nodes in layers. Every kept edge leads to a later layer than its own.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Layers {
    /// The layer of each node.
    pub(super) of: Vec<usize>,
    pub(super) count: usize,
    /// First layer of the cell, and the first behind it.
    pub(super) cell: (usize, usize),
    /// For each edge, whether it was turned round to have no circles.
    pub(super) turned: Vec<bool>,
}

/// Puts nodes into layers, at most so many in each; none of them calls itself. Nodes count in their order, so that
/// the same graph has the same layers.
pub(super) fn layers(sides: &[Side], edges: &[(usize, usize)], most: usize) -> Layers {
    let turned = turned(sides, edges);
    let forward: BTreeSet<(usize, usize)> = edges
        .iter()
        .zip(&turned)
        .map(|(&(from, to), turned)| if *turned { (to, from) } else { (from, to) })
        .collect();
    let on = |side: Side| (0..sides.len()).filter(move |node| sides[*node] == side);
    let first = on(Side::Before).count().div_ceil(most);
    let mut of = vec![first; sides.len()];
    for (index, node) in on(Side::Before).enumerate() {
        of[node] = index / most;
    }
    let linked: BTreeSet<usize> = forward.iter().flat_map(|(from, to)| [*from, *to]).collect();
    deepen(&mut of, &forward, sides);
    narrow(&mut of, &forward, on(Side::Inside).filter(|node| linked.contains(node)), most);
    let deepest = on(Side::Inside).filter(|node| linked.contains(node)).map(|node| of[node] + 1);
    let alone: Vec<usize> = on(Side::Inside).filter(|node| !linked.contains(node)).collect();
    let square = (1..).find(|side| side * side >= alone.len()).unwrap_or(1);
    let needed = on(Side::Inside).count().div_ceil(most).max(square.min(most)).max(1);
    let behind = deepest.max().unwrap_or(first).max(first + needed);
    spread_alone(&alone, &mut of, &linked, sides, first..behind);
    for (index, node) in on(Side::Behind).enumerate() {
        of[node] = behind + index / most;
    }
    let count = behind + on(Side::Behind).count().div_ceil(most);
    Layers { of, count, cell: (first, behind), turned }
}

/// Moves each node of the cell behind all that call it.
fn deepen(of: &mut [usize], forward: &BTreeSet<(usize, usize)>, sides: &[Side]) {
    let inside = |node: usize| sides[node] == Side::Inside;
    // Without circles, no way is longer than there are nodes.
    for _ in 0..sides.len() {
        for &(from, to) in forward.iter().filter(|(from, to)| inside(*from) && inside(*to)) {
            of[to] = of[to].max(of[from] + 1);
        }
    }
}

/// Moves nodes of layers that are too full to later ones.
fn narrow(
    of: &mut [usize],
    forward: &BTreeSet<(usize, usize)>,
    nodes: impl Iterator<Item = usize>,
    most: usize,
) {
    let mut order: Vec<usize> = nodes.collect();
    order.sort_by_key(|node| of[*node]);
    let mut filled: BTreeMap<usize, usize> = BTreeMap::new();
    for node in &order {
        let callers = forward.iter().filter(|(from, to)| to == node && order.contains(from));
        let mut layer = callers.map(|(from, _)| of[*from] + 1).fold(of[*node], usize::max);
        while filled.get(&layer).is_some_and(|filled| *filled >= most) {
            layer += 1;
        }
        *filled.entry(layer).or_default() += 1;
        of[*node] = layer;
    }
}

/// Whom nobody calls and who calls nobody goes where there is room.
fn spread_alone(
    alone: &[usize],
    of: &mut [usize],
    linked: &BTreeSet<usize>,
    sides: &[Side],
    cell: std::ops::Range<usize>,
) {
    let mut filled: Vec<usize> = cell
        .clone()
        .map(|layer| {
            linked
                .iter()
                .filter(|node| sides[**node] == Side::Inside && of[**node] == layer)
                .count()
        })
        .collect();
    for node in alone {
        let roomiest = (0..filled.len()).min_by_key(|layer| filled[*layer]).unwrap_or(0);
        if let Some(filled) = filled.get_mut(roomiest) {
            *filled += 1;
        }
        of[*node] = cell.start + roomiest;
    }
}

/// Which edges close a circle or lead back to before the cell, in a walk from where nobody calls.
fn turned(sides: &[Side], edges: &[(usize, usize)]) -> Vec<bool> {
    let count = sides.len();
    let mut state = vec![0_u8; count];
    let mut turned: Vec<bool> = edges
        .iter()
        .map(|(from, to)| sides[*to] == Side::Before || sides[*from] == Side::Behind)
        .collect();
    let called: BTreeSet<usize> =
        edges.iter().zip(&turned).filter(|(_, turned)| !**turned).map(|((_, to), _)| *to).collect();
    let entries = (0..count).filter(|node| !called.contains(node));
    for start in entries.chain(0..count) {
        if state[start] != 0 {
            continue;
        }
        state[start] = 1;
        let mut way = vec![(start, 0)];
        while let Some((node, next)) = way.pop() {
            let Some(edge) = (next..edges.len()).find(|edge| edges[*edge].0 == node) else {
                state[node] = 2;
                continue;
            };
            way.push((node, edge + 1));
            let to = edges[edge].1;
            match state[to] {
                _ if turned[edge] => {}
                0 => {
                    state[to] = 1;
                    way.push((to, 0));
                }
                1 => turned[edge] = true,
                _ => {}
            }
        }
    }
    turned
}
