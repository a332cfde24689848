//! Which way the picture goes, and how large its boxes are then.

use super::layout::Sizes;

/// Which way calls go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// From left to right, for wide windows.
    Right,
    /// From top to bottom, for narrow ones.
    Down,
}

impl Direction {
    /// Length of a box along the calls, and of what is between layers.
    pub(super) fn along(self) -> (f64, f64) {
        match self {
            Direction::Right => (WIDTH, 82.0),
            Direction::Down => (HEIGHT, 54.0),
        }
    }

    pub(super) fn across(self) -> Sizes {
        match self {
            Direction::Right => Sizes { node: HEIGHT, bend: 10.0, gap: 16.0, dock: 13.0, most: 8 },
            Direction::Down => Sizes { node: WIDTH, bend: 2.0, gap: 8.0, dock: 26.0, most: 2 },
        }
    }

    /// Height of the letters next to lines: the picture for narrow windows is shown smaller.
    pub(super) fn letters(self) -> f64 {
        match self {
            Direction::Right => 11.0,
            Direction::Down => 12.0,
        }
    }

    pub(super) fn class(self) -> &'static str {
        match self {
            Direction::Right => "wide",
            Direction::Down => "tall",
        }
    }

    /// `x` and `y` of a place along and across.
    pub(super) fn point(self, along: f64, across: f64) -> (f64, f64) {
        match self {
            Direction::Right => (along, across),
            Direction::Down => (across, along),
        }
    }
}

pub(super) const WIDTH: f64 = 150.0;
pub(super) const HEIGHT: f64 = 62.0;
