//! Renders templates.

use crate::error::{Error, Problem};
use crate::functions::dialect;
use crate::scan::{Piece, scan, single};
use crate::text::text;
use curtain_cel::{Env, Program, Value, Vars};
use serde_json::{Map, Value as Json};
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

/// Compiled expressions kept per engine.
const CACHED: usize = 1_000;

/// Renders templates of one dialect. Clones share the compiled expressions.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    env: Env,
    programs: Mutex<HashMap<Box<str>, Arc<Program>>>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Engine").field(&self.0.env).finish()
    }
}

/// One round of a `forEach`: an item of a list, or `{key, value}` of a map.
pub type Item = Json;

impl Engine {
    /// An engine for a dialect made from [`dialect`].
    pub fn new(env: Env) -> Engine {
        Engine(Arc::new(Inner { env, programs: Mutex::new(HashMap::new()) }))
    }

    /// The engine with the `oc_*` functions and nothing else, shared by the process.
    pub fn base() -> Engine {
        static BASE: LazyLock<Engine> = LazyLock::new(|| Engine::new(dialect().build()));
        BASE.clone()
    }

    /// Renders a template; `None` if all of it is omitted.
    ///
    /// # Errors
    ///
    /// The first string that fails, with its path.
    pub fn render(&self, template: &Json, vars: &Vars<'_>) -> Result<Option<Json>, Error> {
        self.node(template, vars, &mut Path::default())
    }

    /// The value of a string that should be an expression, as `includeWhen` or `forEach`; a
    /// string without one is itself.
    ///
    /// # Errors
    ///
    /// Those of [`Engine::render`], with an empty path.
    pub fn value(&self, template: &str, vars: &Vars<'_>) -> Result<Option<Json>, Error> {
        self.string(template, vars, &Path::default())
    }

    /// The value of a condition.
    ///
    /// # Errors
    ///
    /// Those of [`Engine::value`], and [`Problem::Type`] for anything but a bool.
    pub fn condition(&self, template: &str, vars: &Vars<'_>) -> Result<bool, Error> {
        match self.value(template, vars)? {
            Some(Json::Bool(value)) => Ok(value),
            other => Err(wrong_type(template, other.as_ref(), "a bool")),
        }
    }

    /// The rounds of a `forEach`: the items of a list, or the entries of a map as
    /// `{key, value}` in key order.
    ///
    /// # Errors
    ///
    /// Those of [`Engine::value`], and [`Problem::Type`] for anything but a list or map.
    pub fn items(&self, template: &str, vars: &Vars<'_>) -> Result<Vec<Item>, Error> {
        match self.value(template, vars)? {
            Some(Json::Array(items)) => Ok(items),
            Some(Json::Object(map)) => Ok(sorted(map)
                .into_iter()
                .map(|(key, value)| {
                    let mut entry = Map::new();
                    entry.insert("key".to_owned(), Json::String(key));
                    entry.insert("value".to_owned(), value);
                    Json::Object(entry)
                })
                .collect()),
            other => Err(wrong_type(template, other.as_ref(), "a list or a map")),
        }
    }

    /// Compiles every expression of a template without evaluating any, against the names that
    /// will be in scope.
    ///
    /// # Errors
    ///
    /// The first expression that does not compile or uses another name, with its path.
    pub fn check(&self, template: &Json, declared: &[&str]) -> Result<(), Error> {
        self.check_node(template, declared, &mut Path::default())
    }

    fn node(
        &self,
        template: &Json,
        vars: &Vars<'_>,
        path: &mut Path,
    ) -> Result<Option<Json>, Error> {
        match template {
            Json::String(text) => self.string(text, vars, path),
            Json::Array(items) => {
                let mut rendered = Vec::with_capacity(items.len());
                for (index, item) in items.iter().enumerate() {
                    path.push_index(index);
                    rendered.extend(self.node(item, vars, path)?);
                    path.pop();
                }
                Ok(Some(Json::Array(rendered)))
            }
            Json::Object(map) => {
                let mut rendered = Map::with_capacity(map.len());
                for (key, value) in map {
                    path.push_key(key);
                    if let Some(value) = self.node(value, vars, path)? {
                        rendered.insert(self.key(key, vars, path)?, value);
                    }
                    path.pop();
                }
                Ok(Some(Json::Object(rendered)))
            }
            Json::Null | Json::Bool(_) | Json::Number(_) => Ok(Some(template.clone())),
        }
    }

    fn key(&self, key: &str, vars: &Vars<'_>, path: &Path) -> Result<String, Error> {
        if !key.contains("${") {
            return Ok(key.to_owned());
        }
        match self.string(key, vars, path)? {
            Some(Json::String(key)) => Ok(key),
            other => Err(path.error(Problem::Key {
                key: key.to_owned(),
                got: other.map_or("omit", |value| type_name(&value)),
            })),
        }
    }

    fn string(&self, template: &str, vars: &Vars<'_>, path: &Path) -> Result<Option<Json>, Error> {
        if !template.contains("${") {
            return Ok(Some(Json::String(template.to_owned())));
        }
        let pieces = scan(template).map_err(|problem| path.error(problem))?;
        if let Some(expression) = single(&pieces) {
            return match self.eval(expression, vars, path)? {
                Value::Json(json) => Ok(Some(json)),
                Value::Omit => Ok(None),
                Value::None => Err(path.error(Problem::Type {
                    expression: expression.to_owned(),
                    got: "optional.none()",
                    want: "a value; give one with orValue()",
                })),
            };
        }
        let mut rendered = String::with_capacity(template.len());
        for piece in pieces {
            match piece {
                Piece::Text(text) => rendered.push_str(text),
                Piece::Expression(expression) => match self.eval(expression, vars, path)? {
                    Value::Json(json) => rendered.push_str(&text(&json)),
                    other => {
                        return Err(path.error(Problem::Type {
                            expression: expression.to_owned(),
                            got: other.type_name(),
                            want: "something that can be text",
                        }));
                    }
                },
            }
        }
        Ok(Some(Json::String(rendered)))
    }

    fn eval(&self, expression: &str, vars: &Vars<'_>, path: &Path) -> Result<Value, Error> {
        self.program(expression)
            .and_then(|program| program.eval(vars))
            .map_err(|error| path.error(error.into()))
    }

    fn program(&self, expression: &str) -> Result<Arc<Program>, curtain_cel::Error> {
        let cache = || self.0.programs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(program) = cache().get(expression) {
            return Ok(Arc::clone(program));
        }
        let program = Arc::new(Program::compile(&self.0.env, expression)?);
        let mut cache = cache();
        if cache.len() >= CACHED {
            cache.clear();
        }
        cache.insert(expression.into(), Arc::clone(&program));
        Ok(program)
    }

    fn check_node(&self, template: &Json, declared: &[&str], path: &mut Path) -> Result<(), Error> {
        match template {
            Json::String(text) => self.check_string(text, declared, path),
            Json::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    path.push_index(index);
                    self.check_node(item, declared, path)?;
                    path.pop();
                }
                Ok(())
            }
            Json::Object(map) => {
                for (key, value) in map {
                    path.push_key(key);
                    self.check_string(key, declared, path)?;
                    self.check_node(value, declared, path)?;
                    path.pop();
                }
                Ok(())
            }
            Json::Null | Json::Bool(_) | Json::Number(_) => Ok(()),
        }
    }

    fn check_string(&self, text: &str, declared: &[&str], path: &Path) -> Result<(), Error> {
        for piece in scan(text).map_err(|problem| path.error(problem))? {
            if let Piece::Expression(expression) = piece {
                let names = || declared.iter().map(|name| (*name).to_owned()).collect();
                self.program(expression)
                    .and_then(|program| program.check(|name| declared.contains(&name), names))
                    .map_err(|error| path.error(error.into()))?;
            }
        }
        Ok(())
    }
}

fn sorted(map: Map<String, Json>) -> Vec<(String, Json)> {
    let mut entries: Vec<_> = map.into_iter().collect();
    entries.sort_by(|(a, _), (b, _)| a.cmp(b));
    entries
}

fn wrong_type(expression: &str, got: Option<&Json>, want: &'static str) -> Error {
    let problem = Problem::Type {
        expression: expression.trim().to_owned(),
        got: got.map_or("omit", type_name),
        want,
    };
    Error { path: String::new(), problem }
}

fn type_name(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "a bool",
        Json::Number(_) => "a number",
        Json::String(_) => "a string",
        Json::Array(_) => "a list",
        Json::Object(_) => "a map",
    }
}

/// The place in a template, built only when it is needed.
#[derive(Default)]
struct Path(Vec<Step>);

enum Step {
    Key(String),
    Index(usize),
}

impl Path {
    fn push_key(&mut self, key: &str) {
        self.0.push(Step::Key(key.to_owned()));
    }

    fn push_index(&mut self, index: usize) {
        self.0.push(Step::Index(index));
    }

    fn pop(&mut self) {
        self.0.pop();
    }

    fn error(&self, problem: Problem) -> Error {
        let mut path = String::new();
        for step in &self.0 {
            match step {
                Step::Key(key) => {
                    if !path.is_empty() {
                        path.push('.');
                    }
                    path.push_str(key);
                }
                Step::Index(index) => path.push_str(&format!("[{index}]")),
            }
        }
        Error { path, problem }
    }
}
