//! Places for what is written next to lines: on no box and on no other label.
//!
//! Each label tries places along its line in a fixed order and takes the one that covers the fewest other lines; those of
//! calls that fail choose first. One that finds no place is left out: the table below the picture has its numbers, too.

use super::curve::{Curve, Point, Rect};

/// Between a label and everything else.
const AIR: f64 = 1.5;
/// Points at which a curve is looked at.
const STEPS: usize = 12;
/// Where on a curve a label goes, the best first.
const PARTS: [f64; 15] =
    [0.5, 0.45, 0.55, 0.4, 0.6, 0.35, 0.65, 0.3, 0.7, 0.25, 0.75, 0.2, 0.8, 0.12, 0.88];
/// A line that rises by no more than this share of its way is level: a label stands above or below of it.
const LEVEL: f64 = 0.25;

/// A label that wants a place.
#[derive(Debug)]
pub(super) struct Wanted {
    /// Width and height.
    pub(super) size: (f64, f64),
    /// Whether it chooses before others.
    pub(super) first: bool,
}

/// The middles of the labels, one for each line.
pub(super) fn place(
    lines: &[Vec<Curve>],
    wanted: &[Wanted],
    boxes: &[Rect],
    canvas: &Rect,
) -> Vec<Option<Point>> {
    let points: Vec<Vec<Point>> =
        lines.iter().map(|line| line.iter().flat_map(steps).collect()).collect();
    let mut taken: Vec<Rect> = boxes.to_vec();
    let mut places = vec![None; lines.len()];
    let mut order: Vec<usize> = (0..lines.len()).collect();
    // A short line has little choice.
    order.sort_by_key(|index| (!wanted[*index].first, lines[*index].len()));
    for index in order {
        let Wanted { size: (width, height), .. } = wanted[index];
        let mut best: Option<(usize, Point)> = None;
        for point in candidates(&lines[index], height) {
            let room = Rect::around(point, (width + 2.0 * AIR, height + 2.0 * AIR));
            if !canvas.holds(&room) || taken.iter().any(|other| other.meets(&room)) {
                continue;
            }
            let label = Rect::around(point, (width, height));
            let others = points.iter().enumerate().filter(|(other, _)| *other != index);
            let covered = others
                .filter(|(_, line)| line.iter().any(|point| label.meets(&dot(*point))))
                .count();
            if best.is_none_or(|(least, _)| covered < least) {
                best = Some((covered, point));
            }
            if covered == 0 {
                break;
            }
        }
        if let Some((_, point)) = best {
            taken.push(Rect::around(point, (width, height)));
            places[index] = Some(point);
        }
    }
    places
}

/// Where a label may go: next to the line where that is level, else on it. The last piece leads to what is called.
fn candidates(line: &[Curve], height: f64) -> impl Iterator<Item = Point> + '_ {
    let pieces = move |part: f64| line.iter().rev().map(move |curve| (curve, part));
    PARTS.into_iter().flat_map(pieces).flat_map(move |(curve, part)| {
        let (x, y) = curve.at(part);
        let [from, .., to] = curve.0;
        let level = (to.1 - from.1).abs() <= LEVEL * (to.0 - from.0).abs();
        let aside = height / 2.0 + 2.0;
        if level { vec![(x, y - aside), (x, y + aside), (x, y)] } else { vec![(x, y)] }
    })
}

fn steps(curve: &Curve) -> impl Iterator<Item = Point> + '_ {
    (0..=STEPS).map(|step| curve.at(step as f64 / STEPS as f64))
}

fn dot(point: Point) -> Rect {
    Rect::around(point, (1.0, 1.0))
}
