//! CEL expressions that look at a write, and what they may name.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use curtain_cel::{Env, Program};
use curtain_schema::FieldError;

/// What every expression may name.
const ALWAYS: [&str; 4] = ["object", "oldObject", "request", "namespaceObject"];
const AUTHORIZER: [&str; 2] = ["authorizer", "authorizer.requestResource"];

static ENV: LazyLock<Env> = LazyLock::new(|| {
    Env::builder().variables_of("variables").variable_of("authorizer", "requestResource").build()
});

/// What an expression may name beside the write itself.
#[derive(Debug, Clone, Default)]
pub(in crate::apiserver) struct Scope {
    /// `params`.
    pub params: bool,
    /// `authorizer`, which nothing has that makes messages.
    pub authorizer: bool,
    /// `variables.…`, with how many levels computing each of them nests.
    variables: BTreeMap<String, usize>,
}

impl Scope {
    /// What conditions may name: there are no variables yet.
    pub(in crate::apiserver) fn of_conditions(params: bool) -> Self {
        Self { params, authorizer: true, ..Self::default() }
    }

    /// From here on expressions may name this variable.
    pub(in crate::apiserver) fn declare(&mut self, name: &str, program: Option<&Program>) {
        self.variables.insert(variable(name), program.map_or(0, Program::depth));
    }

    /// Is there such a variable?
    pub(super) fn declares(&self, name: &str) -> bool {
        self.variables.contains_key(&variable(name))
    }

    /// The same variables, and no `authorizer`.
    pub(in crate::apiserver) fn of_messages(&self) -> Self {
        Self { authorizer: false, ..self.clone() }
    }

    /// Compiles an expression.
    pub(in crate::apiserver) fn compile(
        &self,
        source: &str,
    ) -> Result<Program, curtain_cel::Error> {
        let program = Program::compile(&ENV, source)?;
        let names = || {
            let params = self.params.then_some("params");
            let authorizer = if self.authorizer { &AUTHORIZER[..] } else { &[] };
            let own = ALWAYS.iter().chain(&params).chain(authorizer).map(|name| (*name).to_owned());
            let mut names: Vec<String> = own.chain(self.variables.keys().cloned()).collect();
            names.sort();
            names
        };
        let declared = |name: &str| {
            ALWAYS.contains(&name)
                || (self.params && name == "params")
                || (self.authorizer && AUTHORIZER.contains(&name))
                || self.variables.contains_key(name)
        };
        program.check(declared, names)?;
        let used = program.variables().iter().filter_map(|name| self.variables.get(name));
        let below = used.max().copied().unwrap_or(0);
        program.above(below)
    }

    /// Compiles an expression; what is wrong with it is about the field.
    pub(super) fn check(
        &self,
        source: &str,
        path: impl Into<String>,
        errors: &mut Vec<FieldError>,
    ) -> Option<Program> {
        let compiled = self.compile(source).map_err(|why| {
            let why = format!("compilation failed: {why}");
            errors.push(FieldError::invalid(path, source.into(), why));
        });
        compiled.ok()
    }
}

/// The name by which expressions know a policy's variable.
pub(in crate::apiserver) fn variable(name: &str) -> String {
    format!("variables.{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_names_what_is_in_its_scope() {
        let mut scope = Scope::of_conditions(false);
        let why = |scope: &Scope, source: &str| match scope.compile(source) {
            Ok(_) => String::new(),
            Err(why) => why.to_string(),
        };
        assert_eq!(why(&scope, "object.a == oldObject.a && request.name == ''"), "");
        assert_eq!(why(&scope, "authorizer.requestResource.check('get').allowed()"), "");
        for unknown in ["params.a", "variables.a", "nobody"] {
            assert!(
                why(&scope, unknown).contains("not in scope; in scope: authorizer, "),
                "{unknown}"
            );
        }
        scope.params = true;
        let first = scope.compile("params.a").unwrap();
        scope.declare("a", Some(&first));
        assert_eq!(why(&scope, "variables.a == 1"), "");
        let messages = scope.of_messages();
        assert_eq!(why(&messages, "variables.a + params.b"), "");
        assert!(why(&messages, "authorizer.path('/').check('get').reason()").contains("scope"));
    }

    #[test]
    fn a_chain_of_variables_has_an_end() {
        let mut scope = Scope::default();
        let mut last = scope.compile("object").unwrap();
        for index in 0..1000 {
            scope.declare(&format!("v{index}"), Some(&last));
            match scope.compile(&format!("[variables.v{index}]")) {
                Ok(program) => last = program,
                Err(why) => {
                    assert!(index > 20, "{index}: {why}");
                    assert!(why.to_string().contains("nests more than"), "{why}");
                    return;
                }
            }
        }
        panic!("there is no end");
    }
}
