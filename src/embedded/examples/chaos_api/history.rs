//! What clients of an API server asked, were answered and watched.

use std::collections::BTreeMap;

/// Nanoseconds since the run began.
pub(crate) type Time = u64;
/// A resource version.
pub(crate) type Version = u64;
/// Which of the few objects that all clients write.
pub(crate) type Key = u8;

/// From a question to its answer. Without an answer it ends with time itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: Time,
    pub(crate) end: Time,
}

impl Span {
    pub(crate) const OPEN: Time = Time::MAX;
}

/// What an object is after a write. No two writes have the same value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Value(u64),
    Gone,
}

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Acknowledged; a deletion is without its version.
    Done(Option<Version>),
    /// Refused, as the object was another one.
    Refused,
    /// The server was killed before it answered.
    Unknown,
}

/// One request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) key: Key,
    pub(crate) span: Span,
    pub(crate) what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// Creates the object (without `base`), or replaces or deletes its version `base`.
    Write { base: Option<Version>, state: State, outcome: Outcome },
    /// Reads it.
    Read(Option<(Version, u64)>),
}

/// One thing the watcher was told, in the order it was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sight {
    /// All objects there are. Versions before this one may have passed unseen.
    Listed { span: Span, version: Version, objects: BTreeMap<Key, (Version, u64)> },
    /// A change.
    Event { key: Key, version: Version, state: State },
    /// Nothing will come of this version or before.
    Bookmark(Version),
}

/// All of a run.
#[derive(Debug, Default)]
pub(crate) struct History {
    pub(crate) calls: Vec<Call>,
    pub(crate) sights: Vec<Sight>,
}
