//! Whether a history can be that of one store that loses nothing.
//!
//! Resource versions are the store's own order of its writes. So that it is a linearization is not searched for but
//! checked: answers keep to it in real time, each version has one writer, a write that names a version comes right after
//! it, readers never see less than what was acknowledged before they asked, and a watcher sees each version once, in order.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Excluded, Included};

use crate::history::{Call, History, Key, Outcome, Sight, Span, State, Time, Version, What};

/// What contradicts that, in words; nothing for a good history.
pub(crate) fn check(history: &History) -> Vec<String> {
    let mut wrong = Vec::new();
    let known = known(history, &mut wrong);
    written(history, &known, &mut wrong);
    in_real_time(history, &mut wrong);
    followed(history, &known, &mut wrong);
    read(history, &mut wrong);
    watched(history, &known, &mut wrong);
    wrong
}

type Known = BTreeMap<Version, (Key, State)>;

/// Every version that anybody was told of. All were told the same.
fn known(history: &History, wrong: &mut Vec<String>) -> Known {
    let mut known = Known::new();
    let mut learn = |version: Version, key: Key, state: State| {
        let first = *known.entry(version).or_insert((key, state));
        if first != (key, state) {
            wrong.push(format!("version {version} is {first:?} and also {:?}", (key, state)));
        }
    };
    for Call { key, what, .. } in &history.calls {
        match *what {
            What::Write { state, outcome: Outcome::Done(Some(version)), .. } => {
                learn(version, *key, state);
            }
            What::Read(Some((version, value))) => learn(version, *key, State::Value(value)),
            _ => {}
        }
    }
    for sight in &history.sights {
        match sight {
            Sight::Event { key, version, state } => learn(*version, *key, *state),
            Sight::Listed { objects, .. } => {
                for (key, (version, value)) in objects {
                    learn(*version, *key, State::Value(*value));
                }
            }
            Sight::Bookmark(_) => {}
        }
    }
    known
}

/// Every value that was seen was written, to that object, and by a write that was not refused.
fn written(history: &History, known: &Known, wrong: &mut Vec<String>) {
    let writers: BTreeMap<u64, &Call> = history
        .calls
        .iter()
        .filter_map(|call| match call.what {
            What::Write { state: State::Value(value), .. } => Some((value, call)),
            _ => None,
        })
        .collect();
    for (version, (key, state)) in known {
        let State::Value(value) = state else { continue };
        let right = writers.get(value).is_some_and(|call| {
            call.key == *key
                && match call.what {
                    What::Write { outcome: Outcome::Done(done), .. } => done == Some(*version),
                    What::Write { outcome, .. } => outcome == Outcome::Unknown,
                    What::Read(_) => false,
                }
        });
        if !right {
            let writer = writers.get(value);
            wrong.push(format!("version {version} of object {key} is {value}, by {writer:?}"));
        }
    }
}

/// A write that began after another was acknowledged has the later version.
fn in_real_time(history: &History, wrong: &mut Vec<String>) {
    let done = Latest::of(history.calls.iter().filter_map(put));
    for (span, version) in history.calls.iter().filter_map(put) {
        let before = done.before(span.start);
        if before >= version {
            wrong.push(format!("version {version} began after {before} was acknowledged"));
        }
    }
}

/// A write that names a version is the next of its object after that one, and only one is.
fn followed(history: &History, known: &Known, wrong: &mut Vec<String>) {
    let places: BTreeSet<(Key, Version)> =
        known.iter().map(|(version, (key, _))| (*key, *version)).collect();
    let mut bases = BTreeSet::new();
    for call in &history.calls {
        let What::Write { base: Some(base), outcome: Outcome::Done(version), .. } = call.what
        else {
            continue;
        };
        if !bases.insert((call.key, base)) {
            wrong.push(format!("version {base} of object {} was replaced twice", call.key));
        }
        let Some(version) = version else { continue };
        let between = (Excluded((call.key, base)), Excluded((call.key, version)));
        if base >= version || places.range(between).next().is_some() {
            wrong.push(format!("version {version} of object {} is not next to {base}", call.key));
        }
    }
}

/// What reads and lists found was not replaced before they began, and what they did not find could be gone.
fn read(history: &History, wrong: &mut Vec<String>) {
    let keys: BTreeSet<Key> = history.calls.iter().map(|call| call.key).collect();
    let facts: BTreeMap<Key, Facts> =
        keys.into_iter().map(|key| (key, Facts::of(history, key))).collect();
    let mut judge = |key: Key, span: Span, found: Option<Version>| {
        let right = match found {
            Some(version) => facts[&key].may_be(span, version),
            None => facts[&key].may_be_gone(span),
        };
        if !right {
            let found =
                found.map_or("no object".to_owned(), |version| format!("version {version}"));
            wrong.push(format!("{found} was found for object {key} at {span:?}: a write is lost"));
        }
    };
    for call in &history.calls {
        match call.what {
            What::Read(found) => judge(call.key, call.span, found.map(|(version, _)| version)),
            // Nothing is created where something is.
            What::Write { base: None, outcome: Outcome::Done(_), .. } => {
                judge(call.key, call.span, None);
            }
            What::Write { .. } => {}
        }
    }
    for sight in &history.sights {
        let Sight::Listed { span, objects, .. } = sight else { continue };
        for key in facts.keys() {
            judge(*key, *span, objects.get(key).map(|(version, _)| *version));
        }
    }
}

/// The watcher never goes back, and between two lists misses nothing.
fn watched(history: &History, known: &Known, wrong: &mut Vec<String>) {
    let done = Latest::of(history.calls.iter().filter_map(put));
    let (mut last, mut seen) = (0, BTreeSet::new());
    // First and last version of each stretch that was watched without a gap.
    let mut stretches: Vec<(Version, Version)> = Vec::new();
    for sight in &history.sights {
        let (version, again) = match sight {
            Sight::Listed { version, span, .. } => {
                if *version < done.before(span.start) {
                    wrong
                        .push(format!("the list of version {version} is older than what was done"));
                }
                stretches.push((*version, *version));
                (*version, true)
            }
            Sight::Bookmark(version) => (*version, true),
            Sight::Event { version, .. } => {
                seen.insert(*version);
                (*version, false)
            }
        };
        if version < last || (version == last && !again) {
            wrong.push(format!("the watch goes from version {last} back to {version}"));
        }
        last = last.max(version);
        if let Some(stretch) = stretches.last_mut() {
            stretch.1 = last;
        }
    }
    for (first, last) in stretches {
        for (version, what) in known.range((Excluded(first), Included(last))) {
            if !seen.contains(version) {
                wrong.push(format!("the watch missed version {version}: {what:?}"));
            }
        }
    }
}

/// An acknowledged creation or replacement.
fn put(call: &Call) -> Option<(Span, Version)> {
    match call.what {
        What::Write { outcome: Outcome::Done(Some(version)), .. } => Some((call.span, version)),
        _ => None,
    }
}

/// The highest version among what had ended by a time.
struct Latest(Vec<(Time, Version)>);

impl Latest {
    fn of(ended: impl Iterator<Item = (Span, Version)>) -> Latest {
        let mut ends: Vec<(Time, Version)> =
            ended.map(|(span, version)| (span.end, version)).collect();
        ends.sort_unstable();
        let mut highest = 0;
        for (_, version) in &mut ends {
            highest = highest.max(*version);
            *version = highest;
        }
        Latest(ends)
    }

    /// 0 when nothing had.
    fn before(&self, time: Time) -> Version {
        let ended = self.0.partition_point(|(end, _)| *end < time);
        ended.checked_sub(1).map_or(0, |at| self.0[at].1)
    }
}

/// What is known of one object.
struct Facts {
    /// Acknowledged values.
    values: Latest,
    /// The versions that acknowledged deletions deleted.
    deleted: Latest,
    /// The version that a deletion was to delete, with the earliest time at which it or a later one could be deleted; by
    /// falling version.
    deletions: Vec<(Version, Time)>,
}

impl Facts {
    fn of(history: &History, key: Key) -> Facts {
        let calls = || history.calls.iter().filter(move |call| call.key == key);
        let of_deletion = |call: &Call| match call.what {
            What::Write { base: Some(base), state: State::Gone, outcome } => {
                Some((call.span, base, outcome))
            }
            _ => None,
        };
        let done = calls().filter_map(of_deletion).filter_map(|(span, base, outcome)| {
            matches!(outcome, Outcome::Done(_)).then_some((span, base))
        });
        let mut deletions: Vec<(Version, Time)> = calls()
            .filter_map(of_deletion)
            .filter(|(_, _, outcome)| *outcome != Outcome::Refused)
            .map(|(span, base, _)| (base, span.start))
            .collect();
        deletions.sort_unstable_by(|one, other| other.cmp(one));
        let mut earliest = Time::MAX;
        for (_, start) in &mut deletions {
            earliest = earliest.min(*start);
            *start = earliest;
        }
        Facts { values: Latest::of(calls().filter_map(put)), deleted: Latest::of(done), deletions }
    }

    fn may_be(&self, span: Span, version: Version) -> bool {
        version >= self.values.before(span.start) && version > self.deleted.before(span.start)
    }

    fn may_be_gone(&self, span: Span) -> bool {
        let there = self.values.before(span.start);
        let at = self.deletions.partition_point(|(base, _)| *base >= there);
        there == 0 || at.checked_sub(1).is_some_and(|at| self.deletions[at].1 < span.end)
    }
}

#[cfg(test)]
mod tests;
