//! What the decisions of one call were about, for its record.

use std::cell::RefCell;

use crate::authz::{Decision, Hierarchy, Question};

tokio::task_local! {
    static TRAIL: RefCell<Trail>;
}

/// What a call left.
#[derive(Debug, Default)]
pub struct Trail {
    asked: Option<Asked>,
    decided: Vec<Decided>,
    given: Option<Given>,
    changed: String,
}

/// What a call is about, known before anything is decided: it may end before.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) action: String,
    pub(crate) object: String,
    pub(crate) at: String,
}

/// A decision on the way.
#[derive(Debug)]
pub(crate) struct Decided {
    pub(crate) action: String,
    pub(crate) object: String,
    pub(crate) at: String,
    pub(crate) environment: Option<String>,
    pub(crate) decision: Decision,
}

/// That something was granted or revoked.
#[derive(Debug)]
pub(crate) struct Given {
    /// `grant` or `revoke`.
    pub(crate) action: &'static str,
    /// What, to whom, where.
    pub(crate) words: String,
}

/// Decisions that one call may leave; a list of many objects must not fill the memory.
const MOST: usize = 16;

impl Trail {
    /// The decision that tells most: the refusal, else the change, else what was looked at.
    pub(crate) fn telling(&self) -> Option<&Decided> {
        let refusal = self.decided.iter().find(|one| !one.decision.is_allowed());
        let change = || self.decided.iter().find(|one| !one.action.ends_with(":view"));
        refusal.or_else(change).or_else(|| self.decided.first())
    }

    pub(crate) fn given(&self) -> Option<&Given> {
        self.given.as_ref()
    }

    /// What was changed, in words.
    pub(crate) fn changed(&self) -> &str {
        &self.changed
    }

    pub(crate) fn asked(&self) -> Option<&Asked> {
        self.asked.as_ref()
    }

    /// Whether nothing tells what the call was about.
    pub(crate) fn is_silent(&self) -> bool {
        self.asked.is_none() && self.decided.is_empty() && self.given.is_none()
    }
}

/// Runs `call`, and returns what it left.
pub(crate) async fn follow<F: Future>(call: F) -> (F::Output, Trail) {
    let scope = TRAIL.scope(RefCell::default(), async {
        let output = call.await;
        (output, TRAIL.with(|trail| std::mem::take(&mut *trail.borrow_mut())))
    });
    scope.await
}

/// Leaves that somebody wants to do `action` to `object`, or to what there is if that is empty, somewhere at `at`.
pub(crate) fn asked(action: &str, object: &str, at: &Hierarchy) {
    leave(|trail| {
        trail.asked.get_or_insert_with(|| Asked {
            action: action.to_owned(),
            object: object.to_owned(),
            at: at.path(),
        });
    });
}

/// Leaves that `question` about `object` was decided.
pub(crate) fn decided(question: Question<'_>, object: &str, decision: &Decision) {
    leave(|trail| {
        if trail.decided.len() < MOST {
            trail.decided.push(Decided {
                action: question.action.to_owned(),
                object: object.to_owned(),
                at: question.at.path(),
                environment: question.attributes.environment.clone(),
                decision: decision.clone(),
            });
        }
    });
}

/// Leaves that something was granted or revoked.
pub(crate) fn given(action: &'static str, words: &str) {
    leave(|trail| match &mut trail.given {
        Some(given) if given.action == action => {
            given.words.push_str("; ");
            given.words.push_str(words);
        }
        given => *given = Some(Given { action, words: words.to_owned() }),
    });
}

/// Leaves what a change changed.
pub(crate) fn changed(words: &str) {
    leave(|trail| {
        if !trail.changed.is_empty() && !words.is_empty() {
            trail.changed.push_str("; ");
        }
        trail.changed.push_str(words);
    });
}

/// What nobody follows leaves nothing.
fn leave(how: impl FnOnce(&mut Trail)) {
    let _ = TRAIL.try_with(|trail| how(&mut trail.borrow_mut()));
}
