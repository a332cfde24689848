//! The variables of an evaluation.

use crate::budget::MAX_ITERATIONS;
use crate::kubernetes::Authorizer;
use crate::value::from_json;
use crate::{Error, Program};
use cel::common::types::CelOptional;
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Variables by name. Conversion happens once, on insertion; strings are borrowed from the JSON.
/// A child sees its parent's variables and may hide them.
#[derive(Default)]
pub struct Vars<'a> {
    own: BTreeMap<String, Box<dyn Val + 'a>>,
    lazy: BTreeMap<String, Lazy<'a>>,
    /// Loop steps that all evaluations together may still take.
    left: Option<AtomicU64>,
    parent: Option<&'a Vars<'a>>,
}

/// A variable that is computed when it is first needed, and then kept.
struct Lazy<'a> {
    program: &'a Program,
    value: OnceLock<Result<Box<dyn Val>, Error>>,
}

impl<'a> Vars<'a> {
    /// No variables.
    pub fn new() -> Vars<'a> {
        Vars::default()
    }

    /// Adds or replaces a variable.
    #[must_use]
    pub fn with(mut self, name: &str, value: &'a Json) -> Vars<'a> {
        self.insert(name, value);
        self
    }

    /// Adds or replaces a variable.
    pub fn insert(&mut self, name: &str, value: &'a Json) {
        self.own.insert(name.to_owned(), from_json(value));
    }

    /// Adds or replaces an optional variable.
    pub fn insert_optional(&mut self, name: &str, value: Option<&'a Json>) {
        let optional = value.map(|value| CelOptional::of(from_json(value)));
        let optional = optional.unwrap_or_else(CelOptional::none);
        self.own.insert(name.to_owned(), Box::new(optional));
    }

    /// Adds or replaces a variable that is what `program` gives, with the variables that are here. It must not need
    /// itself, not even through others.
    pub fn insert_lazy(&mut self, name: &str, program: &'a Program) {
        let value = OnceLock::new();
        self.lazy.insert(name.to_owned(), Lazy { program, value });
    }

    /// Adds or replaces a variable that can be asked what somebody may do.
    pub fn insert_authorizer(&mut self, name: &str, authorizer: Authorizer) {
        self.own.insert(name.to_owned(), authorizer.into_val());
    }

    /// Lets all evaluations with these variables together take no more loop steps than one may.
    #[must_use]
    pub fn metered(self) -> Vars<'a> {
        self.limited(MAX_ITERATIONS)
    }

    /// Lets all evaluations with these variables together take no more than so many loop steps.
    #[must_use]
    pub fn limited(mut self, steps: u64) -> Vars<'a> {
        self.left = Some(AtomicU64::new(steps));
        self
    }

    /// The loop steps that an evaluation may take now: none once one has asked for more than there were.
    pub fn left(&self) -> u64 {
        match (&self.left, self.parent) {
            (Some(left), _) => left.load(Ordering::Relaxed),
            (None, Some(parent)) => parent.left(),
            (None, None) => MAX_ITERATIONS,
        }
    }

    /// An evaluation has left so many.
    pub(crate) fn spent(&self, left: u64) {
        match (&self.left, self.parent) {
            (Some(meter), _) => meter.store(left, Ordering::Relaxed),
            (None, Some(parent)) => parent.spent(left),
            (None, None) => {}
        }
    }

    /// Why a variable could not be computed.
    pub(crate) fn failure(&self, name: &str) -> Option<&Error> {
        let own = self.lazy.get(name).and_then(|lazy| lazy.value.get()?.as_ref().err());
        own.or_else(|| self.parent?.failure(name))
    }

    /// Every key of a JSON object as a variable; none for another value.
    pub fn from_object(object: &'a Json) -> Vars<'a> {
        let mut vars = Vars::new();
        for (name, value) in object.as_object().into_iter().flatten() {
            vars.insert(name, value);
        }
        vars
    }

    /// An empty scope inside this one, for loop variables.
    pub fn child(&'a self) -> Vars<'a> {
        Vars { parent: Some(self), ..Vars::default() }
    }

    /// Whether the name is in scope.
    pub fn declares(&self, name: &str) -> bool {
        self.own.contains_key(name)
            || self.lazy.contains_key(name)
            || self.parent.is_some_and(|parent| parent.declares(name))
    }

    /// Every name in scope, sorted.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.own.keys().chain(self.lazy.keys()).cloned().collect();
        if let Some(parent) = self.parent {
            names.extend(parent.names());
        }
        names.sort();
        names.dedup();
        names
    }
}

impl VariableResolver for Vars<'_> {
    fn resolve<'b>(&'b self, name: &str) -> Option<CowVal<'b, 'b>> {
        if let Some(value) = self.own.get(name) {
            return Some(CowVal::Borrowed(value.as_ref()));
        }
        match self.lazy.get(name) {
            Some(lazy) => {
                let value = lazy.value.get_or_init(|| lazy.program.keep(self));
                Some(CowVal::Borrowed(value.as_ref().ok()?.as_ref()))
            }
            None => self.parent?.resolve(name),
        }
    }
}

impl std::fmt::Debug for Vars<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Names only: values may hold what nobody should log.
        f.debug_tuple("Vars").field(&self.names()).finish()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Env;

    fn compile(source: &str) -> Program {
        let env = Env::builder().variables_of("variables").build();
        Program::compile(&env, source).unwrap()
    }

    #[test]
    fn a_lazy_variable_is_computed_when_it_is_reached_and_keeps_its_type() {
        let object = json!({"labels": {"a": "b"}, "size": "2Gi", "at": "2026-01-01T00:00:00Z"});
        let programs = [
            ("labels", compile("object.labels")),
            ("size", compile("quantity(object.size)")),
            ("at", compile("timestamp(object.at)")),
            ("both", compile("[variables.size, quantity('1Gi')].map(q, {'q': q})")),
            ("broken", compile("object.missing")),
        ];
        let mut vars = Vars::new().with("object", &object);
        for (name, program) in &programs {
            vars.insert_lazy(&format!("variables.{name}"), program);
        }
        for truth in [
            "variables.labels.a == 'b' && 'a' in variables.labels",
            "variables.size.isGreaterThan(quantity('1Gi'))",
            "variables.at.getFullYear() == 2026",
            "variables.both.all(m, m.q.isGreaterThan(quantity('500Mi')))",
            "has(variables.labels) && has(variables.labels.a) && !has(variables.labels.b)",
            "true || variables.broken == 1",
            "variables.broken == 1 || true",
            "[{'size': 1}].all(variables, variables.size == 1)",
        ] {
            assert_eq!(compile(truth).eval_bool(&vars), Ok(true), "{truth}");
        }
        let why = compile("variables.broken == 1").eval(&vars).unwrap_err();
        assert_eq!(why.message(), "variables.broken cannot be computed: no such key: missing");
        for unknown in ["variables.other", "variables['labels']", "has(variables.other)"] {
            let why = compile(unknown).eval(&vars).unwrap_err().to_string();
            assert!(why.contains("which is not in scope"), "{unknown}: {why}");
        }
        let child = vars.child();
        assert_eq!(compile("variables.labels.a").eval(&child).unwrap().as_str(), Some("b"));
    }

    #[test]
    fn variables_are_bounded_with_what_uses_them() {
        let object = json!("x".repeat(1 << 20));
        let copies: Vec<Program> = (0..40).map(|_| compile("object")).collect();
        let mut vars = Vars::new().with("object", &object);
        for (index, program) in copies.iter().enumerate() {
            vars.insert_lazy(&format!("variables.v{index}"), program);
        }
        let all: Vec<String> = (0..40).map(|i| format!("variables.v{i} != ''")).collect();
        let why = compile(&all.join(" && ")).eval(&vars).unwrap_err().to_string();
        assert!(why.contains("loop steps"), "{why}");

        let metered = Vars::new().metered();
        let costly = compile("lists.range(1000).map(i, lists.range(80).all(j, j >= 0)).all(b, b)");
        let outcomes: Vec<bool> = (0..4).map(|_| costly.eval(&metered.child()).is_ok()).collect();
        assert_eq!(outcomes, [true, true, false, false]);
        assert!(costly.eval(&Vars::new()).is_ok(), "each for itself");

        let program = compile("variables.a");
        let levels = 200 - program.depth();
        assert!(program.above(levels).unwrap_err().message().contains("nests more than"));
    }
}
