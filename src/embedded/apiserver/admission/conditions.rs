//! `matchConditions`: CEL expressions that must all hold before a hook is asked.

use curtain_cel::{Program, Vars};
use serde_json::Value;

use super::super::kinds::{ValueExt, compile_condition};
use super::seen::Seen;

/// The conditions of a hook, compiled once.
#[derive(Debug)]
pub(super) struct Conditions(Vec<Result<Program, String>>);

impl Conditions {
    pub(super) fn of(list: &[Value]) -> Self {
        let compiled = list.iter().map(|condition| {
            compile_condition(condition.text(&["expression"])).map_err(|why| why.to_string())
        });
        Self(compiled.collect())
    }

    /// Whether all hold. One that does not hold decides, whatever becomes of others.
    pub(super) fn hold(&self, seen: &Seen) -> Result<bool, String> {
        if self.0.is_empty() {
            return Ok(true);
        }
        let vars = Vars::new()
            .with("object", seen.object.as_ref().unwrap_or(&Value::Null))
            .with("oldObject", seen.old.as_ref().unwrap_or(&Value::Null))
            .with("request", &seen.request);
        let mut wrong = Vec::new();
        for program in &self.0 {
            let held = program.as_ref().map_err(Clone::clone);
            match held.and_then(|p| p.eval_bool(&vars).map_err(|why| why.to_string())) {
                Ok(true) => {}
                Ok(false) => return Ok(false),
                Err(why) => wrong.push(why),
            }
        }
        if wrong.is_empty() { Ok(true) } else { Err(wrong.join(", ")) }
    }
}
