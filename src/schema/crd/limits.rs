//! What a custom resource's schema says about a value beyond its shape.

use std::collections::BTreeSet;
use std::sync::{Mutex, OnceLock, PoisonError};

use regex::Regex;
use serde_json::Value;

use super::rules::Rule;
use crate::node::Id;

/// The constraints of one schema node.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    pub(crate) nullable: bool,
    /// `apiVersion`, `kind` and `metadata` are here and are required.
    pub(crate) embedded: bool,
    pub(crate) allowed: Vec<Value>,
    pub(crate) pattern: Option<Pattern>,
    pub(crate) format: Option<String>,
    pub(crate) minimum: Option<Bound>,
    pub(crate) maximum: Option<Bound>,
    pub(crate) multiple_of: Option<f64>,
    pub(crate) min_length: Option<u64>,
    pub(crate) max_length: Option<u64>,
    pub(crate) min_items: Option<u64>,
    pub(crate) max_items: Option<u64>,
    pub(crate) unique_items: bool,
    pub(crate) min_properties: Option<u64>,
    pub(crate) max_properties: Option<u64>,
    pub(crate) all_of: Vec<Id>,
    pub(crate) any_of: Vec<Id>,
    pub(crate) one_of: Vec<Id>,
    pub(crate) not: Option<Id>,
    pub(crate) rules: Vec<Rule>,
}

/// So many good patterns are remembered.
const REMEMBERED: usize = 1024;

/// A limit of a number.
#[derive(Debug)]
pub(crate) struct Bound {
    pub(crate) value: serde_json::Number,
    pub(crate) exclusive: bool,
}

/// A regular expression, compiled when it is first needed: most never are.
#[derive(Debug)]
pub(crate) struct Pattern {
    pub(crate) source: String,
    compiled: OnceLock<Option<Regex>>,
}

impl Pattern {
    pub(crate) fn new(source: &str) -> Result<Self, regex::Error> {
        check(source)?;
        Ok(Pattern { source: source.to_owned(), compiled: OnceLock::new() })
    }

    pub(crate) fn matches(&self, text: &str) -> bool {
        let compiled = self.compiled.get_or_init(|| Regex::new(&self.source).ok());
        compiled.as_ref().is_some_and(|regex| regex.is_match(text))
    }
}

/// Compiles to see whether it compiles; the program is dropped, since it may never be used. Definitions repeat the
/// same few patterns, and each is read when it is written and when it is served: what is known to be good is not
/// compiled again.
fn check(source: &str) -> Result<(), regex::Error> {
    static GOOD: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let good = || GOOD.lock().unwrap_or_else(PoisonError::into_inner);
    if good().contains(source) {
        return Ok(());
    }
    Regex::new(source)?;
    let mut good = good();
    if good.len() >= REMEMBERED {
        good.clear();
    }
    good.insert(source.to_owned());
    Ok(())
}
