//! The spans of a trace as an indented tree.

use std::collections::{BTreeMap, HashMap};

use super::Row;
use super::wire::{SpanId, Status};

/// A line of the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// How many spans are above it.
    pub(super) depth: usize,
    /// Its first span.
    pub(super) span: SpanId,
    /// What it says.
    pub(super) text: String,
}

/// Deeper lines are not indented further.
const DEEPEST: usize = 20;

/// The spans below their parents, by start; alike siblings without spans below them are one line. A span whose parent
/// is not here stands at the top.
pub(super) fn lines(spans: &[Row]) -> Vec<Line> {
    let places: HashMap<SpanId, usize> =
        spans.iter().enumerate().map(|(at, row)| (row.span, at)).collect();
    let mut below: BTreeMap<Option<usize>, Vec<usize>> = BTreeMap::new();
    for (at, row) in spans.iter().enumerate() {
        let parent = row.parent.and_then(|parent| places.get(&parent)).copied();
        below.entry(parent.filter(|parent| *parent != at)).or_default().push(at);
    }
    for children in below.values_mut() {
        children.sort_by_key(|at| (spans[*at].start, spans[*at].span));
    }
    let tree = Tree { spans, below, names: Names::of(spans) };
    let mut lines = Vec::new();
    let mut seen = vec![false; spans.len()];
    tree.walk(None, &mut seen, &mut lines);
    // Spans that are each other's parents have no top.
    for at in 0..spans.len() {
        if !seen[at] {
            tree.walk(Some(at), &mut seen, &mut lines);
        }
    }
    lines
}

/// Which names of the spans' owners differ and so have to be said.
struct Names {
    project: bool,
    component: bool,
    environment: bool,
}

impl Names {
    fn of(spans: &[Row]) -> Names {
        let differ = |name: fn(&Row) -> &str| {
            spans.first().is_some_and(|first| spans.iter().any(|row| name(row) != name(first)))
        };
        Names {
            project: differ(|row| &row.owner.project),
            component: differ(|row| &row.owner.component),
            environment: differ(|row| &row.owner.environment),
        }
    }

    fn prefix(&self, row: &Row) -> String {
        let owner = &row.owner;
        let names = [
            (self.environment, &owner.environment),
            (self.project, &owner.project),
            (self.component, &owner.component),
        ];
        let said: Vec<&str> =
            names.iter().filter(|(said, _)| *said).map(|(_, name)| name.as_str()).collect();
        if said.is_empty() { String::new() } else { format!("{}: ", said.join("/")) }
    }
}

struct Tree<'a> {
    spans: &'a [Row],
    below: BTreeMap<Option<usize>, Vec<usize>>,
    names: Names,
}

impl Tree<'_> {
    /// Writes what is below `top`, and a `top` that is there itself. Without recursion: a trace is as deep as its
    /// sender likes.
    fn walk(&self, top: Option<usize>, seen: &mut [bool], lines: &mut Vec<Line>) {
        let first = match top {
            Some(top) => vec![top],
            None => self.children(None).to_vec(),
        };
        let mut waiting: Vec<(usize, Vec<usize>)> =
            self.alike(&first).into_iter().rev().map(|group| (0, group)).collect();
        while let Some((depth, group)) = waiting.pop() {
            let [at, ..] = group[..] else { continue };
            if seen[at] {
                continue;
            }
            for at in &group {
                seen[*at] = true;
            }
            lines.push(Line { depth, span: self.spans[at].span, text: self.text(&group) });
            let groups = self.alike(self.children(Some(at)));
            waiting.extend(groups.into_iter().rev().map(|group| (depth + 1, group)));
        }
    }

    fn children(&self, at: Option<usize>) -> &[usize] {
        self.below.get(&at).map(Vec::as_slice).unwrap_or_default()
    }

    /// Siblings, those that say the same and have nothing below together.
    fn alike(&self, siblings: &[usize]) -> Vec<Vec<usize>> {
        let mut groups: Vec<Vec<usize>> = Vec::new();
        let mut known: HashMap<(&str, &str, u8, &str), usize> = HashMap::new();
        for at in siblings {
            let row = &self.spans[*at];
            if !self.children(Some(*at)).is_empty() {
                groups.push(vec![*at]);
                continue;
            }
            let key = (
                row.name.as_str(),
                row.owner.component.as_str(),
                row.status.0,
                row.message.as_str(),
            );
            match known.get(&key) {
                Some(group) => groups[*group].push(*at),
                None => {
                    known.insert(key, groups.len());
                    groups.push(vec![*at]);
                }
            }
        }
        groups
    }

    fn text(&self, group: &[usize]) -> String {
        let rows: Vec<&Row> = group.iter().map(|at| &self.spans[*at]).collect();
        let [row, ..] = rows[..] else { return String::new() };
        let mut text = format!("{}{}", self.names.prefix(row), row.name);
        if let [row] = rows[..] {
            text.push_str(&format!(" {} ms", milliseconds(row.duration)));
            let children = self.children(Some(group[0]));
            if !children.is_empty() {
                text.push_str(&format!(", self {}", milliseconds(self.own(row, children))));
            }
        } else {
            let sum = rows.iter().map(|row| row.duration).fold(0_i64, i64::saturating_add);
            let most = rows.iter().map(|row| row.duration).max().unwrap_or_default();
            text.push_str(&format!(
                " ×{}, {} ms in all, at most {}",
                rows.len(),
                milliseconds(sum),
                milliseconds(most)
            ));
        }
        if row.status == Status::ERROR {
            text.push_str(" ERROR");
        }
        text
    }

    /// The time of a span in which none of its children ran.
    fn own(&self, row: &Row, children: &[usize]) -> i64 {
        let end = row.start.saturating_add(row.duration);
        let (mut covered, mut until) = (0, row.start);
        for child in children.iter().map(|at| &self.spans[*at]) {
            let from = child.start.max(until);
            let to = child.start.saturating_add(child.duration).min(end);
            if to > from {
                covered += to - from;
                until = to;
            }
        }
        row.duration - covered
    }
}

impl Line {
    /// The line with its indentation.
    pub(super) fn indented(&self) -> String {
        format!("{}{} {}", "  ".repeat(self.depth.min(DEEPEST)), self.span, self.text)
    }
}

/// Three digits that matter, in milliseconds.
pub(super) fn milliseconds(nanoseconds: i64) -> String {
    let micros = nanoseconds / 1000;
    let (whole, part) = (micros / 1000, micros % 1000);
    let text = match micros {
        ..10_000 => format!("{whole}.{part:03}"),
        10_000..100_000 => format!("{whole}.{}", part / 100),
        _ => return whole.to_string(),
    };
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
