//! The variables of an evaluation.

use crate::value::from_json;
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// Variables by name. Conversion happens once, on insertion; strings are borrowed from the JSON.
/// A child sees its parent's variables and may hide them.
#[derive(Default)]
pub struct Vars<'a> {
    own: BTreeMap<String, Box<dyn Val + 'a>>,
    parent: Option<&'a Vars<'a>>,
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
        Vars { own: BTreeMap::new(), parent: Some(self) }
    }

    /// Whether the name is in scope.
    pub fn declares(&self, name: &str) -> bool {
        self.own.contains_key(name) || self.parent.is_some_and(|parent| parent.declares(name))
    }

    /// Every name in scope, sorted.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.own.keys().cloned().collect();
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
        match self.own.get(name) {
            Some(value) => Some(CowVal::Borrowed(value.as_ref())),
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
