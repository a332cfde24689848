//! Faults on purpose: what a test asks to go wrong at a step.
//!
//! The command line reads them from its environment; in ordinary use the plan is empty.

use std::str::FromStr;

use curtain_machine::process::kill_this;

use crate::Error;

/// Where in a step something goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// Recorded, not begun.
    BeforeDo,
    /// Done, not yet recorded as done.
    AfterDo,
    /// About to be undone.
    BeforeUndo,
    /// Undone, not yet recorded as undone.
    AfterUndo,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// The step reports an error.
    Fail,
    /// The step runs twice.
    Repeat,
    /// The process is killed as by `kill -9`.
    Kill,
}

/// What goes wrong in a run. Empty by default.
#[derive(Clone, Debug, Default)]
pub struct FaultPlan(Vec<(String, When, Action)>);

impl FaultPlan {
    /// Fails or dies here if the plan says so.
    pub(crate) fn at(&self, step: &str, when: When) -> Result<(), Error> {
        match self.action(step, when) {
            Some(Action::Fail) => Err(Error::Injected { at: format!("{step} ({when:?})") }),
            Some(Action::Kill) => {
                kill_this();
                // If that failed, the fault would show as an error.
                Err(Error::Injected { at: format!("{step} ({when:?})") })
            }
            Some(Action::Repeat) | None => Ok(()),
        }
    }

    /// How often the step runs at `when`.
    pub(crate) fn times(&self, step: &str, when: When) -> usize {
        if self.action(step, when) == Some(Action::Repeat) { 2 } else { 1 }
    }

    fn action(&self, step: &str, when: When) -> Option<Action> {
        self.0
            .iter()
            .find(|(name, at, _)| name == step && *at == when)
            .map(|(_, _, action)| *action)
    }
}

/// `step:when:action`, several separated by commas; `when` is `before-do`, `after-do`, `before-undo` or
/// `after-undo`, `action` is `fail`, `repeat` or `kill`.
impl FromStr for FaultPlan {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut faults = Vec::new();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let mut fields = part.rsplitn(3, ':');
            let action = match fields.next() {
                Some("fail") => Action::Fail,
                Some("repeat") => Action::Repeat,
                Some("kill") => Action::Kill,
                other => return Err(format!("{part:?}: {other:?} is not fail, repeat or kill")),
            };
            let when = match fields.next() {
                Some("before-do") => When::BeforeDo,
                Some("after-do") => When::AfterDo,
                Some("before-undo") => When::BeforeUndo,
                Some("after-undo") => When::AfterUndo,
                other => {
                    return Err(format!(
                        "{part:?}: {other:?} is not before-do, after-do, before-undo or after-undo"
                    ));
                }
            };
            let step = fields
                .next()
                .filter(|step| !step.is_empty())
                .ok_or(format!("{part:?} names no step"))?;
            faults.push((step.to_owned(), when, action));
        }
        Ok(Self(faults))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_read_and_says_what_is_wrong_with_it() {
        let plan: FaultPlan =
            "bundle/control:after-do:repeat,cluster:before-undo:fail".parse().unwrap();
        assert_eq!(plan.times("bundle/control", When::AfterDo), 2);
        assert_eq!(plan.times("cluster", When::AfterDo), 1);
        assert!(plan.at("cluster", When::BeforeUndo).is_err());
        assert!(plan.at("cluster", When::AfterUndo).is_ok());
        for bad in [
            "cluster",
            "cluster:fail",
            "cluster:later:fail",
            "cluster:after-do:explode",
            ":after-do:fail",
        ] {
            assert!(bad.parse::<FaultPlan>().is_err(), "{bad}");
        }
    }
}
