//! One record.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{told::unquoted, trail::Trail};
use crate::{
    authz::{Decision, Via},
    identity::{Caller, SubjectKind},
};

/// The form of stored records.
pub(super) const VERSION: u8 = 1;

/// The longest text of a record, in bytes; that of its note, which tells all that one call granted or revoked.
const LONGEST: usize = 1 << 10;
const LONGEST_NOTE: usize = 16 << 10;
/// The longest reason for which something was not done, in bytes.
const LONGEST_REASON: usize = 512;

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It was allowed and done.
    Allowed,
    /// The caller may not.
    Denied,
    /// It was not done for another reason.
    Failed,
}

/// What somebody did, or was not allowed to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// When it was answered.
    pub time: Timestamp,
    /// The subject.
    pub actor: String,
    /// What the subject is.
    pub actor_kind: SubjectKind,
    /// Through which door.
    pub via: Via,
    /// The tool, or method and route.
    pub call: String,
    /// `resource:verb`; `grant` and `revoke` for what people grant.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub action: String,
    /// `Kind/name`, as far as it is known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub object: String,
    /// Where: `ns/default/project/shop`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub at: String,
    /// `<namespace>/<environment>`, when it is about one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub environment: String,
    /// How it ended.
    pub result: Outcome,
    /// The binding that allowed or forbade it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub binding: String,
    /// Who granted that binding.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub granted_by: String,
    /// What was granted or revoked, in words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// What it changed: `spec.replicas: 1 → 3`. Never a secret's value.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub change: String,
    /// Why it was not done; nothing of what the caller sent is quoted.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

impl Record {
    /// The record of `call`, which `caller` made `via` a door, and which left `trail`. `failure` is what the caller was told
    /// if it was not done.
    pub(crate) fn of(
        caller: &Caller,
        (via, call): (Via, String),
        trail: &Trail,
        failure: Option<&str>,
        time: Timestamp,
    ) -> Self {
        let mut record = Self {
            time,
            actor: caller.subject.clone(),
            actor_kind: caller.kind,
            via,
            call,
            action: String::new(),
            object: String::new(),
            at: String::new(),
            environment: String::new(),
            result: if failure.is_some() { Outcome::Failed } else { Outcome::Allowed },
            binding: String::new(),
            granted_by: String::new(),
            note: String::new(),
            change: trail.changed().to_owned(),
            reason: failure.map(unquoted).unwrap_or_default(),
        };
        let Some(decided) = trail.telling() else {
            if let Some(asked) = trail.asked() {
                record.action.clone_from(&asked.action);
                record.object.clone_from(&asked.object);
                record.at.clone_from(&asked.at);
            }
            return record;
        };
        record.action.clone_from(&decided.action);
        record.object.clone_from(&decided.object);
        record.at.clone_from(&decided.at);
        record.environment = decided.environment.clone().unwrap_or_default();
        (record.binding, record.granted_by) = by(&decided.decision);
        if failure.is_some() && !decided.decision.is_allowed() {
            record.result = Outcome::Denied;
            record.reason = decided.decision.why(caller);
        }
        if let Some(given) = trail.given() {
            record.action = given.action.to_owned();
            record.note.clone_from(&given.words);
        }
        record
    }

    /// Makes each text one that a terminal can show as it is, and none too long: callers choose some of them, and may
    /// have been refused for that.
    pub(super) fn make_plain(&mut self) {
        let Self {
            actor,
            call,
            action,
            object,
            at,
            environment,
            binding,
            granted_by,
            note,
            change,
            reason,
            ..
        } = self;
        for text in [actor, call, action, object, at, environment, binding, granted_by, change] {
            plain(text, LONGEST);
        }
        plain(reason, LONGEST_REASON);
        plain(note, LONGEST_NOTE);
    }

    /// Whether it is about looking only.
    pub fn is_read(&self) -> bool {
        self.action.ends_with(":view") || (self.action.is_empty() && self.call.starts_with("GET "))
    }
}

impl AsRef<Record> for Record {
    fn as_ref(&self) -> &Record {
        self
    }
}

/// The binding that `decision` rests on, and who granted that.
pub(super) fn by(decision: &Decision) -> (String, String) {
    match decision {
        Decision::Allowed { binding, granted_by, .. } => {
            (binding.clone(), granted_by.clone().unwrap_or_default())
        }
        Decision::Forbidden { binding } => (binding.clone(), String::new()),
        Decision::Missing { unmet } => (unmet.clone().unwrap_or_default(), String::new()),
    }
}

/// Replaces in `text` what is not shown but changes how the rest is, and cuts it down to `longest` bytes.
fn plain(text: &mut String, longest: usize) {
    if text.len() > longest {
        text.truncate(text.floor_char_boundary(longest));
        text.push('…');
    }
    let steers = |char: char| {
        let turns = matches!(char, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        turns || char.is_control()
    };
    if text.contains(steers) {
        *text = text.replace(steers, "\u{fffd}");
    }
}
