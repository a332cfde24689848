//! The door every request goes through.

use std::sync::Arc;

use curtain_role::Instance;
use tokio::sync::watch;

use super::{Attributes, Clock, Decision, Denial, Hierarchy, Index, Profile, Question, Via, audit};
use crate::{audit::trail, identity::Caller};

/// Decides with the newest policies, and audits. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Authorizer {
    index: watch::Receiver<Arc<Index>>,
    clock: Clock,
    instance: Instance,
}

impl Authorizer {
    /// Over an index that is replaced when policies change; what ends by itself ends by `clock`. Refusals are those of
    /// `instance`.
    pub fn new(index: watch::Receiver<Arc<Index>>, clock: Clock, instance: Instance) -> Self {
        Self { index, clock, instance }
    }

    /// What the policies say now about `entitlements`, without a trace.
    pub fn decide<'a>(
        &self,
        entitlements: impl IntoIterator<Item = (&'a str, &'a str)>,
        question: Question<'_>,
    ) -> Decision {
        let entitlements: Vec<_> = entitlements.into_iter().collect();
        self.index.borrow().decide(entitlements, question, self.clock.now())
    }

    /// Everything `caller` can do now at `place`, in what contains it, and below it.
    pub fn profile(&self, caller: &Caller, place: &Hierarchy) -> Profile {
        self.index.borrow().profile(caller.entitlements(), place, self.clock.now())
    }

    /// Whether `caller` now has any binding that allows `action` at `place`, above or below it.
    pub fn can_anywhere(&self, caller: &Caller, action: &str, place: &Hierarchy) -> bool {
        self.index.borrow().can_anywhere(caller.entitlements(), action, place, self.clock.now())
    }

    /// The time by which bindings end.
    pub fn now(&self) -> jiff::Timestamp {
        self.clock.now()
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
        self.decide(caller.entitlements(), question).is_allowed()
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
        let decision = self.decide(caller.entitlements(), question);
        trail::decided(question, object, &decision);
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
