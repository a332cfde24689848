//! Completion indexes as a Job's status writes them: `1,3-5,7`.

use std::fmt;

/// A set of indexes, kept as the runs that it is made of: ascending, apart from each other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Indexes(Vec<(i32, i32)>);

impl Indexes {
    /// Reads indexes below `end`; what is no index is left out.
    pub(super) fn parse(text: &str, end: i32) -> Self {
        let mut indexes = Indexes::default();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            if let (Ok(first), Ok(last)) = (first.parse::<i32>(), last.parse::<i32>()) {
                indexes.insert(first.max(0), last.min(end - 1));
            }
        }
        indexes
    }

    pub(super) fn add(&mut self, index: i32) {
        self.insert(index, index);
    }

    fn insert(&mut self, mut first: i32, mut last: i32) {
        if first > last {
            return;
        }
        // Runs that overlap it or are next to it become one with it.
        let from = self.0.partition_point(|run| run.1.saturating_add(1) < first);
        let to = self.0.partition_point(|run| run.0 <= last.saturating_add(1));
        if let Some(joined) = self.0.get(from..to).filter(|joined| !joined.is_empty()) {
            first = first.min(joined[0].0);
            last = last.max(joined[joined.len() - 1].1);
        }
        self.0.splice(from..to, [(first, last)]);
    }

    pub(super) fn has(&self, index: i32) -> bool {
        let at = self.0.partition_point(|run| run.1 < index);
        self.0.get(at).is_some_and(|run| run.0 <= index)
    }

    /// How many there are.
    pub(super) fn total(&self) -> i32 {
        self.0.iter().map(|(first, last)| last - first + 1).sum()
    }

    /// How many of these are among the others.
    pub(super) fn shared(&self, others: &Indexes) -> i32 {
        let overlap = |a: &(i32, i32), b: &(i32, i32)| (a.1.min(b.1) - a.0.max(b.0) + 1).max(0);
        self.0.iter().map(|a| others.0.iter().map(|b| overlap(a, b)).sum::<i32>()).sum()
    }
}

impl fmt::Display for Indexes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, (first, last)) in self.0.iter().enumerate() {
            let comma = if n > 0 { "," } else { "" };
            match last - first {
                0 => write!(f, "{comma}{first}")?,
                1 => write!(f, "{comma}{first},{last}")?,
                _ => write!(f, "{comma}{first}-{last}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_read_and_written() {
        for (text, expected, total) in [
            ("", "", 0),
            ("1,3-5,7", "1,3-5,7", 5),
            ("0,1", "0,1", 2),
            ("0,1,2", "0-2", 3),
            ("8-20,5", "5,8,9", 3),
            ("x,3-a,-4", "", 0),
        ] {
            let indexes = Indexes::parse(text, 10);
            assert_eq!(
                (indexes.to_string().as_str(), indexes.total()),
                (expected, total),
                "{text}"
            );
        }
    }

    #[test]
    fn indexes_join_the_runs_next_to_them() {
        let mut indexes = Indexes::default();
        for (index, expected) in
            [(5, "5"), (3, "3,5"), (4, "3-5"), (9, "3-5,9"), (0, "0,3-5,9"), (4, "0,3-5,9")]
        {
            indexes.add(index);
            assert_eq!(indexes.to_string(), expected);
        }
        let held: Vec<i32> = (-1..11).filter(|index| indexes.has(*index)).collect();
        assert_eq!(held, [0, 3, 4, 5, 9]);
        assert_eq!(indexes.shared(&Indexes::parse("4-9", 100)), 3);
    }
}
