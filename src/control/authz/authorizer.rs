//! The door every request goes through.

use std::sync::Arc;

use curtain_role::Instance;
use tokio::sync::watch;

use super::{Attributes, Decision, Denial, Hierarchy, Index, Question, Via, audit};
use crate::identity::Caller;

/// Decides with the newest policies, and audits. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Authorizer {
    index: watch::Receiver<Arc<Index>>,
    instance: Instance,
}

impl Authorizer {
    /// Over an index that is replaced when policies change; refusals are those of `instance`.
    pub fn new(index: watch::Receiver<Arc<Index>>, instance: Instance) -> Self {
        Self { index, instance }
    }

    /// The policies as they are now.
    pub fn index(&self) -> Arc<Index> {
        self.index.borrow().clone()
    }

    /// Whether `caller` may, without a trace: for filtering lists.
    pub fn allows(
        &self,
        caller: &Caller,
        action: &str,
        at: &Hierarchy,
        attributes: &Attributes,
    ) -> bool {
        let question = Question { action, at, attributes };
        self.index.borrow().decide(caller.entitlements(), question).is_allowed()
    }

    /// Whether `caller` may; a question about a change, and every refusal, leaves an audit line. That names `object`,
    /// `Kind/name`: the one that the question is about, or nothing when that is not known.
    ///
    /// # Errors
    /// The [`Denial`].
    pub fn authorize(
        &self,
        caller: &Caller,
        via: Via,
        question: Question<'_>,
        object: &str,
    ) -> Result<(), Box<Denial>> {
        let decision = self.index.borrow().decide(caller.entitlements(), question);
        let reading = question.action.ends_with(":view");
        if !(reading && decision.is_allowed()) {
            audit(caller, via, question, object, &decision);
        }
        match decision {
            Decision::Allowed { .. } => Ok(()),
            refused => Err(Box::new(Denial::new(caller, question, &refused, &self.instance))),
        }
    }
}
