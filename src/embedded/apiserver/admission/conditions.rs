//! `matchConditions`: CEL expressions that must all hold before a hook or a policy is asked.

use curtain_cel::{Program, Vars};
use serde_json::Value;

use super::super::kinds::{ExpressionScope, ValueExt};
use super::seen::Seen;
use super::{Admission, expressions};

/// The conditions of a hook or a policy, compiled once.
#[derive(Debug)]
pub(super) struct Conditions(Vec<Result<Program, String>>);

impl Conditions {
    pub(super) fn of(list: &[Value], scope: &ExpressionScope) -> Self {
        let compiled = list.iter().map(|condition| {
            scope.compile(condition.text(&["expression"])).map_err(|why| why.to_string())
        });
        Self(compiled.collect())
    }

    /// Whether all hold for a write.
    pub(super) fn hold_for(&self, admission: &Admission<'_>, seen: &Seen) -> Result<bool, String> {
        if self.0.is_empty() {
            return Ok(true);
        }
        self.hold(&expressions::vars(admission, seen))
    }

    /// Whether all hold. One that does not hold decides, whatever becomes of others.
    pub(super) fn hold(&self, vars: &Vars<'_>) -> Result<bool, String> {
        let mut wrong = Vec::new();
        for program in &self.0 {
            let held = program.as_ref().map_err(Clone::clone);
            match held.and_then(|p| p.eval_bool(vars).map_err(|why| why.to_string())) {
                Ok(true) => {}
                Ok(false) => return Ok(false),
                Err(why) => wrong.push(why),
            }
        }
        if wrong.is_empty() { Ok(true) } else { Err(wrong.join(", ")) }
    }
}
