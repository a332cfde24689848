//! The pieces of a line, and the rectangles that stand in its way.

/// A place in the picture.
pub(super) type Point = (f64, f64);

/// A cubic curve by its ends and what they bend towards.
#[derive(Debug, Clone, Copy)]
pub(super) struct Curve(pub(super) [Point; 4]);

impl Curve {
    /// A straight piece.
    pub(super) fn straight(from: Point, to: Point) -> Curve {
        let third = |a: f64, b: f64| a + (b - a) / 3.0;
        let near = |a: Point, b: Point| (third(a.0, b.0), third(a.1, b.1));
        Curve([from, near(from, to), near(to, from), to])
    }

    /// The point after `part` of it.
    pub(super) fn at(&self, part: f64) -> Point {
        let rest = 1.0 - part;
        let weights = [
            rest * rest * rest,
            3.0 * rest * rest * part,
            3.0 * rest * part * part,
            part * part * part,
        ];
        let sum = |of: fn(&Point) -> f64| {
            self.0.iter().zip(weights).map(|(point, weight)| of(point) * weight).sum()
        };
        (sum(|point| point.0), sum(|point| point.1))
    }
}

/// A rectangle.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rect {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

impl Rect {
    /// Around a point.
    pub(super) fn around((x, y): Point, (width, height): (f64, f64)) -> Rect {
        Rect { x: x - width / 2.0, y: y - height / 2.0, width, height }
    }

    /// Whether they have more than an edge in common.
    pub(super) fn meets(&self, other: &Rect) -> bool {
        self.x < other.x + other.width
            && other.x < self.x + self.width
            && self.y < other.y + other.height
            && other.y < self.y + self.height
    }

    /// Whether the other one is in it.
    pub(super) fn holds(&self, other: &Rect) -> bool {
        self.x <= other.x
            && self.y <= other.y
            && other.x + other.width <= self.x + self.width
            && other.y + other.height <= self.y + self.height
    }
}
