//! Small line charts, drawn on the server.
//!
//! Colours are the style sheet's; lines differ in their dashes, too, and what they show is said in numbers.

use crate::ask::Window;
use maud::{Markup, html};

const WIDTH: f64 = 360.0;
const HEIGHT: f64 = 150.0;
/// Where the lines are drawn.
const LEFT: f64 = 62.0;
const RIGHT: f64 = 352.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 126.0;
/// The classes of lines, in their order.
const CLASSES: [&str; 3] = ["first", "second", "third"];

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Cores,
    Bytes,
    BytesPerSecond,
    PerSecond,
    Seconds,
}

impl Unit {
    /// A value in words, short enough for an axis.
    pub(crate) fn words(self, value: f64) -> String {
        match self {
            Unit::Cores if value == 0.0 => "0".to_owned(),
            Unit::Cores if value < 1.0 => format!("{} m", plain(value * 1e3)),
            Unit::Cores => plain(value),
            Unit::Bytes => {
                let steps = [(1u64 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
                let step = steps.iter().find(|(size, _)| value >= *size as f64);
                step.map_or(format!("{} B", plain(value)), |(size, name)| {
                    format!("{} {name}", plain(value / *size as f64))
                })
            }
            Unit::BytesPerSecond => format!("{}/s", Unit::Bytes.words(value)),
            Unit::PerSecond => format!("{}/s", plain(value)),
            Unit::Seconds if value == 0.0 => "0".to_owned(),
            Unit::Seconds if value < 1.0 => format!("{} ms", plain(value * 1e3)),
            Unit::Seconds => format!("{} s", plain(value)),
        }
    }

    /// What a step of the axis may be a multiple of, so that its labels are round.
    fn base(self, most: f64) -> f64 {
        match self {
            Unit::Bytes | Unit::BytesPerSecond if most > 0.0 => {
                1024f64.powf((most.log2() / 10.0).floor())
            }
            _ => 1.0,
        }
    }
}

/// Three digits that mean something.
pub(crate) fn plain(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 || value == 0.0 => format!("{value:.0}"),
        size if size >= 10.0 => trimmed(format!("{value:.1}")),
        size if size >= 0.01 => trimmed(format!("{value:.2}")),
        _ => "< 0.01".to_owned(),
    }
}

fn trimmed(text: String) -> String {
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A line: its name, and seconds since 1970 with values.
pub(crate) struct Line {
    pub(crate) name: &'static str,
    pub(crate) points: Vec<(f64, f64)>,
}

/// A chart of some lines.
pub(crate) struct Chart {
    pub(crate) title: &'static str,
    pub(crate) unit: Unit,
    pub(crate) lines: Vec<Line>,
    pub(crate) window: Window,
    /// Between two points, in seconds; what is further apart is not connected.
    pub(crate) step: f64,
}

impl Chart {
    /// The chart with its numbers; a line without points is left out.
    pub(crate) fn draw(&self) -> Markup {
        let lines: Vec<&Line> = self.lines.iter().filter(|line| !line.points.is_empty()).collect();
        html! {
            figure.chart {
                figcaption {
                    h3 { (self.title) }
                    ul.legend { @for (line, class) in lines.iter().zip(CLASSES) { li {
                        svg.key width="18" height="8" aria-hidden="true" {
                            line.line.(class) x1="0" y1="4" x2="18" y2="4" {}
                        }
                        (line.name) " " strong { (self.last(line)) }
                    } } }
                }
                @if lines.is_empty() { p.dim { "Nothing was measured in this time." } }
                @else { (self.picture(&lines)) }
            }
        }
    }

    fn last(&self, line: &Line) -> String {
        line.points.last().map(|(_, value)| self.unit.words(*value)).unwrap_or_default()
    }

    /// For whoever does not see it.
    fn words(&self, lines: &[&Line]) -> String {
        let told = lines.iter().map(|line| {
            let values = line.points.iter().map(|(_, value)| *value);
            let (least, most) = values
                .fold((f64::MAX, 0f64), |(least, most), value| (least.min(value), most.max(value)));
            let [least, most] = [least, most].map(|value| self.unit.words(value));
            format!("{} between {least} and {most}, last {}", line.name, self.last(line))
        });
        format!("{}: {}", self.title, told.collect::<Vec<_>>().join("; "))
    }

    fn picture(&self, lines: &[&Line]) -> Markup {
        let values = lines.iter().flat_map(|line| &line.points).map(|(_, value)| *value);
        let step = self.axis(values.fold(0.0, f64::max));
        let most = 3.0 * step;
        let (from, to) = (seconds(self.window.start), seconds(self.window.end));
        let x = |time: f64| LEFT + (RIGHT - LEFT) * ((time - from) / (to - from)).clamp(0.0, 1.0);
        let y = |value: f64| BOTTOM - (BOTTOM - TOP) * value / most;
        html! {
            svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label=(self.words(lines)) {
                @for number in 0..=3 {
                    @let value = step * f64::from(number);
                    line.grid x1=(LEFT) x2=(RIGHT) y1=(n(y(value))) y2=(n(y(value))) {}
                    text x=(LEFT - 6.0) y=(n(y(value) + 4.0)) text-anchor="end" { (self.unit.words(value)) }
                }
                @for (part, anchor) in [(0.0, "start"), (0.5, "middle"), (1.0, "end")] {
                    @let time = from + part * (to - from);
                    text x=(n(x(time))) y=(HEIGHT - 6.0) text-anchor=(anchor) { (self.clock(time)) }
                }
                @for (line, class) in lines.iter().zip(CLASSES) {
                    path.line.(class) d=(self.path(line, x, y)) {}
                }
            }
        }
    }

    /// A round step of which three reach the highest value.
    fn axis(&self, most: f64) -> f64 {
        let base = self.unit.base(most);
        let wanted = (most / base / 3.0).max(1e-6);
        let magnitude = 10f64.powf(wanted.log10().floor());
        let round = [1.0, 2.0, 5.0, 10.0].into_iter().find(|round| round * magnitude >= wanted);
        round.unwrap_or(10.0) * magnitude * base
    }

    fn path(&self, line: &Line, x: impl Fn(f64) -> f64, y: impl Fn(f64) -> f64) -> String {
        let mut path = String::new();
        let mut before: Option<f64> = None;
        for (time, value) in &line.points {
            let joined = before.is_some_and(|before| time - before < 1.5 * self.step);
            // A point on its own is a line of no length with round ends.
            let word = if joined { "L" } else { "M" };
            path.push_str(&format!("{word}{} {}", n(x(*time)), n(y(*value))));
            if !joined {
                path.push_str("h0");
            }
            before = Some(*time);
        }
        path
    }

    fn clock(&self, time: f64) -> String {
        let day = seconds(self.window.end) - seconds(self.window.start) > 86_400.0;
        let format = if day { "%b %-d" } else { "%H:%M" };
        let time = jiff::Timestamp::from_second(time as i64);
        time.map(|time| time.strftime(format).to_string()).unwrap_or_default()
    }
}

fn seconds(time: jiff::Timestamp) -> f64 {
    time.as_second() as f64
}

/// A number without digits that nobody sees.
fn n(number: f64) -> String {
    trimmed(format!("{number:.1}"))
}

#[cfg(test)]
mod tests {
    use super::{Chart, Line, Unit, n};
    use crate::ask::Window;

    fn chart(unit: Unit, points: &[(f64, f64)]) -> String {
        let window = Window {
            start: jiff::Timestamp::from_second(1000).unwrap(),
            end: jiff::Timestamp::from_second(1900).unwrap(),
        };
        let lines = vec![Line { name: "used", points: points.to_vec() }];
        Chart { title: "CPU", unit, lines, window, step: 60.0 }.draw().into_string()
    }

    #[test]
    fn values_are_said_in_their_unit() {
        for (unit, value, words) in [
            (Unit::Cores, 0.0123, "12.3 m"),
            (Unit::Cores, 1.5, "1.5"),
            (Unit::Bytes, 1_572_864.0, "1.5 MiB"),
            (Unit::PerSecond, 0.001, "< 0.01/s"),
            (Unit::PerSecond, 120.4, "120/s"),
            (Unit::Seconds, 0.25, "250 ms"),
        ] {
            assert_eq!(unit.words(value), words);
        }
        assert_eq!((n(10.0), n(100.0), n(0.05)), ("10".into(), "100".into(), "0.1".into()));
    }

    #[test]
    fn a_gap_in_time_is_a_gap_in_the_line_and_the_numbers_are_said() {
        let drawn = chart(Unit::Cores, &[(1000.0, 0.01), (1060.0, 0.02), (1600.0, 0.03)]);
        let path = drawn.split(" d=\"").nth(1).unwrap().split('"').next().unwrap();
        assert_eq!(path.matches('M').count(), 2, "{path}");
        assert_eq!(path.matches('L').count(), 1, "{path}");
        assert!(drawn.contains("used between 10 m and 30 m, last 30 m"), "{drawn}");
        assert!(drawn.contains(">00:16<") && drawn.contains(">00:31<"), "{drawn}");
    }

    #[test]
    fn nothing_measured_is_said_and_nothing_used_is_drawn() {
        assert!(chart(Unit::Bytes, &[]).contains("Nothing was measured"));
        let drawn = chart(Unit::Bytes, &[(1000.0, 0.0), (1060.0, 0.0)]);
        assert!(drawn.contains("M62 126h0L81.3 126"), "{drawn}");
    }
}
