//! Compiled expressions.

use crate::budget::{self, Guard, Scope};
use crate::env::Env;
use crate::error::describe;
use crate::functions::size;
use crate::value::{keep, to_value};
use crate::{Error, Value, Vars, rewrite};
use cel::Context;
use cel::common::ast::IdedExpr;
use cel::common::value::Val;
use cel::parser::PrattParser;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The longest expression that is compiled, in bytes.
pub const MAX_EXPRESSION: usize = 32 << 10;

/// Parentheses, brackets and arguments inside each other.
const MAX_NESTING: u16 = 48;

/// Up to this many bytes an expression is parsed where the caller is.
const LENGTH_ON_THE_SPOT: usize = 2 << 10;

const MAX_QUESTION_MARKS: usize = 200;

/// The interpreter takes up to 64 KiB of stack per level of nesting. Up to this depth that fits
/// where it is called; a deeper expression runs on a thread whose stack is made for it.
const DEPTH_ON_THE_SPOT: usize = 16;
const STACK_PER_LEVEL: usize = 96 << 10;

/// An expression, parsed and checked for unknown functions. Evaluation needs no lock and may
/// happen on any thread.
#[derive(Debug)]
pub struct Program {
    env: Env,
    source: String,
    expression: IdedExpr,
    variables: BTreeSet<String>,
    depth: usize,
}

impl Program {
    /// Parses an expression and resolves its functions.
    ///
    /// # Errors
    ///
    /// [`Error::TooLong`], [`Error::Syntax`] or [`Error::UnknownFunction`].
    pub fn compile(env: &Env, source: &str) -> Result<Program, Error> {
        if source.len() > MAX_EXPRESSION {
            return Err(Error::TooLong { length: source.len(), max: MAX_EXPRESSION });
        }
        let rewritten = if source.len() <= LENGTH_ON_THE_SPOT {
            parse(env, source)?
        } else {
            // Whatever nests in it, from parsing to dropping the tree, fits this stack.
            on_stack(source.len() << 10, || parse(env, source)).unwrap_or_else(|message| {
                Err(Error::Syntax { expression: source.to_owned(), message })
            })?
        };
        Ok(Program {
            env: env.clone(),
            source: source.to_owned(),
            expression: rewritten.expression,
            variables: rewritten.variables,
            depth: rewritten.depth,
        })
    }

    /// The text it was compiled from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The variables it needs: those used and not bound by a macro of its own.
    pub fn variables(&self) -> &BTreeSet<String> {
        &self.variables
    }

    /// How many levels evaluating it nests.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// Makes room for variables that are computed when they are needed: the deepest of those that it uses takes so
    /// many levels.
    ///
    /// # Errors
    ///
    /// [`Error::Syntax`] if that is too deep.
    pub fn above(mut self, levels: usize) -> Result<Program, Error> {
        self.depth += levels;
        if self.depth <= rewrite::MAX_DEPTH {
            return Ok(self);
        }
        Err(Error::Syntax {
            message: format!(
                "with the variables that it uses it nests more than {} levels",
                rewrite::MAX_DEPTH
            ),
            expression: self.source,
        })
    }

    /// Whether it uses a variable, as `oldSelf` in a transition rule.
    pub fn uses(&self, variable: &str) -> bool {
        self.variables.contains(variable)
    }

    /// Checks that everything it needs is in scope, without evaluating.
    ///
    /// # Errors
    ///
    /// [`Error::Undeclared`] with the first name that is missing.
    pub fn check(
        &self,
        declared: impl Fn(&str) -> bool,
        names: impl Fn() -> Vec<String>,
    ) -> Result<(), Error> {
        match self.variables.iter().find(|name| !declared(name)) {
            None => Ok(()),
            Some(name) => Err(Error::Undeclared {
                expression: self.source.clone(),
                name: name.clone(),
                declared: names(),
            }),
        }
    }

    /// Evaluates it.
    ///
    /// # Errors
    ///
    /// [`Error::Undeclared`] if a variable is missing, even where it would not be reached;
    /// [`Error::Evaluation`] if it fails or exceeds its bounds.
    pub fn eval(&self, vars: &Vars<'_>) -> Result<Value, Error> {
        self.check(|name| vars.declares(name), || vars.names())?;
        if self.depth <= DEPTH_ON_THE_SPOT {
            return self.run(vars);
        }
        on_stack(self.depth * STACK_PER_LEVEL, || self.run(vars))
            .unwrap_or_else(|message| Err(self.failed(&message)))
    }

    fn run(&self, vars: &Vars<'_>) -> Result<Value, Error> {
        let guard = Guard::enter(Scope {
            iterations_left: vars.left(),
            patterns: BTreeMap::new(),
            functions: Arc::clone(&self.env.0.functions),
            mixed_numbers: self.env.0.mixed_numbers,
        });
        let result = self.give(vars, to_value);
        vars.spent(guard.left());
        result
    }

    /// Its value for a variable of an evaluation that is under way, from whose loop steps it takes.
    pub(crate) fn keep(&self, vars: &Vars<'_>) -> Result<Box<dyn Val>, Error> {
        self.give(vars, |value| {
            budget::keep(size(value))?;
            keep(value)
        })
    }

    fn give<T>(
        &self,
        vars: &Vars<'_>,
        take: impl FnOnce(&dyn Val) -> Result<T, cel::ExecutionError>,
    ) -> Result<T, Error> {
        let mut context = Context::with_env(Arc::clone(&self.env.0.cel));
        context.set_variable_resolver(vars);
        let value = cel::Value::resolve_val(&self.expression, &context);
        value.and_then(|value| take(value.as_ref())).map_err(|error| {
            if let cel::ExecutionError::UndeclaredReference(name) = &error
                && let Some(why) = vars.failure(name)
            {
                return self.failed(&format!("{name} cannot be computed: {}", why.message()));
            }
            self.failed(&describe(&error))
        })
    }

    fn failed(&self, message: &str) -> Error {
        Error::Evaluation { expression: self.source.clone(), message: message.to_owned() }
    }

    /// Evaluates a condition.
    ///
    /// # Errors
    ///
    /// Those of [`Program::eval`], and [`Error::WrongType`] for anything but a bool.
    pub fn eval_bool(&self, vars: &Vars<'_>) -> Result<bool, Error> {
        let value = self.eval(vars)?;
        value.as_bool().ok_or_else(|| Error::WrongType {
            expression: self.source.clone(),
            wanted: "bool",
            got: value.type_name(),
        })
    }
}

fn parse(env: &Env, source: &str) -> Result<rewrite::Rewritten, Error> {
    // The parser counts nesting, but not the arms of ternaries, into which it recurses as well.
    if source.bytes().filter(|byte| *byte == b'?').count() > MAX_QUESTION_MARKS {
        return Err(Error::Syntax {
            expression: source.to_owned(),
            message: format!("it has more than {MAX_QUESTION_MARKS} question marks"),
        });
    }
    let parser = PrattParser::new().enable_optional_syntax(true).max_recursion_depth(MAX_NESTING);
    let parsed = parser.parse(source).map_err(|errors| Error::Syntax {
        expression: source.to_owned(),
        message: errors
            .errors
            .iter()
            .map(|error| format!("{} (line {}, column {})", error.msg, error.pos.0, error.pos.1))
            .collect::<Vec<_>>()
            .join("; "),
    })?;
    let syntax = |message| Error::Syntax { expression: source.to_owned(), message };
    rewrite::rewrite(env, source, parsed).map_err(|problem| match problem {
        rewrite::Problem::UnknownFunction(name) => {
            Error::UnknownFunction { expression: source.to_owned(), name }
        }
        rewrite::Problem::Incomplete => syntax("it is incomplete".to_owned()),
        rewrite::Problem::Macro(message) => syntax(message),
        rewrite::Problem::TooDeep => {
            syntax(format!("it nests more than {} levels", rewrite::MAX_DEPTH))
        }
    })
}

/// Runs `work` on a thread with that much stack. The memory is only taken where it is touched.
fn on_stack<T: Send>(bytes: usize, work: impl FnOnce() -> T + Send) -> Result<T, String> {
    let thread = std::thread::Builder::new().name("cel".to_owned()).stack_size(bytes.max(1 << 20));
    std::thread::scope(|scope| {
        let running = thread
            .spawn_scoped(scope, work)
            .map_err(|error| format!("no thread to run it on: {error}"))?;
        running.join().map_err(|_| "the interpreter panicked".to_owned())
    })
}
