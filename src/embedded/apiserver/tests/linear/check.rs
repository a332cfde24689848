//! Whether a history could have been one thing after the other, in the order of versions.
//!
//! Every write that was done is known with its version, so that the state at each version is, too. A read is right if
//! there is a version that had been reached by what was asked before, and could be reached by what was asked until its
//! end, at which it finds what it found.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Excluded, Included};

/// Which object.
pub(super) type Name = u64;
type Version = u64;
/// An object's version and value.
type Found = (Version, u64);

/// From a question to its answer, by a clock that all share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: u64,
    pub(super) end: u64,
}

#[derive(Clone, Debug)]
pub(super) enum What {
    /// Done, as the next of its object after `expected`; without a state it was a deletion.
    Write {
        name: Name,
        expected: Option<Version>,
        state: Option<u64>,
        version: Version,
    },
    /// The write of this version and the next one are one.
    Together(Version),
    Read {
        name: Name,
        found: Option<Found>,
    },
    /// All objects with an odd name or an even one, now or as they once were.
    List {
        odd: bool,
        version: Version,
        objects: BTreeMap<Name, Found>,
        now: bool,
    },
}

#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) span: Span,
    pub(super) what: What,
}

/// The changes of a watch after one version up to another.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) odd: bool,
    pub(super) from: Version,
    pub(super) to: Version,
    pub(super) changes: Vec<(Version, Name, Option<u64>)>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct History {
    pub(super) calls: Vec<Call>,
    pub(super) seen: Vec<Seen>,
}

struct Truth {
    writes: BTreeMap<Version, (Name, Option<u64>)>,
    /// Of each object its versions.
    versions: BTreeMap<Name, BTreeSet<Version>>,
    /// When writes were asked for and answered, with the highest version by then.
    begun: Vec<(u64, Version)>,
    done: Vec<(u64, Version)>,
}

/// With the highest version so far.
fn rising(mut times: Vec<(u64, Version)>) -> Vec<(u64, Version)> {
    times.sort_unstable();
    let mut highest = 0;
    for (_, version) in &mut times {
        highest = highest.max(*version);
        *version = highest;
    }
    times
}

fn before(times: &[(u64, Version)], time: u64) -> Version {
    let count = times.partition_point(|(then, _)| *then < time);
    count.checked_sub(1).map_or(0, |at| times[at].1)
}

impl Truth {
    fn of(calls: &[Call], wrong: &mut Vec<String>) -> Self {
        let (mut begun, mut done) = (Vec::new(), Vec::new());
        let mut truth = Self {
            writes: BTreeMap::new(),
            versions: BTreeMap::new(),
            begun: Vec::new(),
            done: Vec::new(),
        };
        for Call { span, what } in calls {
            let What::Write { name, state, version, .. } = what else { continue };
            if truth.writes.insert(*version, (*name, *state)).is_some() {
                wrong.push(format!("version {version} was given out twice"));
            }
            truth.versions.entry(*name).or_default().insert(*version);
            begun.push((span.start, *version));
            done.push((span.end, *version));
        }
        (truth.begun, truth.done) = (rising(begun), rising(done));
        truth
    }

    /// The version of an object and what it was then, at a version of the store.
    fn at(&self, name: Name, version: Version) -> Option<Found> {
        let last = *self.versions.get(&name)?.range(..=version).next_back()?;
        self.writes[&last].1.map(|value| (last, value))
    }

    fn all_at(&self, odd: bool, version: Version) -> BTreeMap<Name, Found> {
        let names = self.versions.keys().filter(|name| (**name % 2 == 1) == odd);
        names.filter_map(|name| Some((*name, self.at(*name, version)?))).collect()
    }

    /// What the store had reached when a question was asked, and what it could have when it was answered.
    fn bounds(&self, span: Span) -> (Version, Version) {
        (before(&self.done, span.start), before(&self.begun, span.end))
    }

    /// Whether there is a version within bounds at which this was found.
    fn could_find(
        &self,
        name: Name,
        found: Option<Found>,
        (least, most): (Version, Version),
    ) -> bool {
        let own = self.versions.get(&name).into_iter();
        let points = own.flat_map(|versions| versions.range((Excluded(least), Included(most))));
        std::iter::once(&least).chain(points).any(|version| self.at(name, *version) == found)
    }
}

impl History {
    /// What contradicts that, in words.
    pub(super) fn check(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        let truth = Truth::of(&self.calls, &mut wrong);
        let together: BTreeSet<Version> = self
            .calls
            .iter()
            .filter_map(|call| match call.what {
                What::Together(version) => Some(version),
                _ => None,
            })
            .collect();
        for call in &self.calls {
            self.check_call(&truth, &together, call, &mut wrong);
        }
        for Seen { odd, from, to, changes } in &self.seen {
            let expected: Vec<_> = truth
                .writes
                .range((Excluded(*from), Included(*to)))
                .filter(|(_, (name, _))| (*name % 2 == 1) == *odd)
                .map(|(version, (name, state))| (*version, *name, *state))
                .collect();
            if *changes != expected {
                wrong.push(format!(
                    "between {from} and {to} a watch saw {changes:?}, not {expected:?}"
                ));
            }
        }
        wrong
    }

    fn check_call(
        &self,
        truth: &Truth,
        together: &BTreeSet<Version>,
        Call { span, what }: &Call,
        wrong: &mut Vec<String>,
    ) {
        let (least, most) = truth.bounds(*span);
        match what {
            What::Write { name, expected, version, .. } => {
                if *version <= least {
                    wrong.push(format!("version {version} began after {least} was done"));
                }
                let before = truth.at(*name, version - 1).map(|(version, _)| version);
                if before != *expected {
                    wrong.push(format!("version {version} follows {before:?}, not {expected:?}"));
                }
            }
            What::Together(_) => {}
            What::Read { name, found } => {
                if !truth.could_find(*name, *found, (least, most)) {
                    wrong.push(format!("{found:?} was read of {name}, between {least} and {most}"));
                }
            }
            What::List { odd, version, objects, now } => {
                let expected = truth.all_at(*odd, *version);
                if *objects != expected {
                    wrong.push(format!("{objects:?} were listed at {version}, not {expected:?}"));
                }
                if *now && (*version < least || *version > most) {
                    wrong.push(format!("a list is of {version}, not from {least} to {most}"));
                }
                if *now && together.contains(version) {
                    wrong.push(format!("a list of {version} has half of what is one"));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(start: u64, end: u64, what: What) -> Call {
        Call { span: Span { start, end }, what }
    }

    fn write(start: u64, expected: Option<Version>, state: Option<u64>, version: Version) -> Call {
        call(start, start + 5, What::Write { name: 1, expected, state, version })
    }

    fn list(start: u64, version: Version, objects: &[(Name, Found)]) -> Call {
        let objects = objects.iter().copied().collect();
        call(start, start + 1, What::List { odd: true, version, objects, now: true })
    }

    /// Created, replaced and deleted, with a reader and a watcher.
    fn good() -> History {
        let read = call(22, 30, What::Read { name: 1, found: Some((1, 10)) });
        let calls = vec![
            write(10, None, Some(10), 1),
            write(20, Some(1), Some(11), 2),
            read,
            list(40, 2, &[(1, (2, 11))]),
            write(50, Some(2), None, 3),
            list(60, 3, &[]),
        ];
        let seen = Seen {
            odd: true,
            from: 0,
            to: 3,
            changes: vec![(1, 1, Some(10)), (2, 1, Some(11)), (3, 1, None)],
        };
        History { calls, seen: vec![seen] }
    }

    /// What is said of the good history after a change.
    fn said(change: impl FnOnce(&mut History)) -> String {
        let mut history = good();
        change(&mut history);
        history.check().join("\n")
    }

    #[test]
    fn what_cannot_have_been_is_found() {
        assert_eq!(said(|_| ()), "");
        for (change, expected) in [
            (said(|h| h.calls[2].span.start = 26), "Some((1, 10)) was read of 1, between 2 and 2"),
            (said(|h| h.calls[3] = list(40, 1, &[(1, (1, 10))])), "a list is of 1, not from 2"),
            (said(|h| h.calls[3] = list(40, 2, &[(1, (1, 10))])), "were listed at 2"),
            (said(|h| h.calls[5] = list(60, 3, &[(1, (2, 11))])), "were listed at 3"),
            (said(|h| h.calls[1] = write(20, None, Some(11), 2)), "version 2 follows Some(1)"),
            (said(|h| h.calls[4] = write(50, Some(2), None, 2)), "given out twice"),
            (said(|h| h.calls[0] = write(30, None, Some(10), 1)), "version 1 began after 2"),
            (said(|h| h.seen[0].changes.truncate(2)), "a watch saw"),
            (said(|h| h.seen[0].changes.swap(0, 1)), "a watch saw"),
            (said(|h| h.calls.push(call(0, 1, What::Together(2)))), "half of what is one"),
        ] {
            assert!(change.contains(expected), "{change:?} instead of {expected:?}");
        }
    }
}
