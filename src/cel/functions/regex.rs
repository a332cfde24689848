//! Regular expressions: RE2 syntax, which the `regex` crate shares, with the same guarantee of
//! linear time. Compiled patterns are kept per thread, as rules are evaluated again and again. What that saves is no
//! matter of the budget: an evaluation pays for each of its patterns once, whoever has compiled it before.

use super::{Args, Outcome, boolean, failed, int, string, text};
use crate::budget;
use cel::common::types::{CelList, CelOptional, CelString, INT_TYPE, STRING_TYPE};
use cel::common::value::{CowVal, Val};
use cel::{DeclarationError, Env, ExecutionError};
use regex::Regex;
use std::cell::RefCell;
use std::collections::BTreeMap;

const CACHED: usize = 64;
const MAX_COMPILED_BYTES: usize = 1 << 20;
/// Loop steps that compiling a pattern costs, besides one for each of its bytes.
const COMPILING: usize = 100;

pub(super) fn register(env: &mut Env) -> Result<(), DeclarationError> {
    env.add_overload("@matches", "@matches", vec![STRING_TYPE, STRING_TYPE], |args| {
        let pattern = compiled("matches", text(&args, 1))?;
        budget::read(text(&args, 0).len())?;
        Ok(boolean(pattern.is_match(text(&args, 0))))
    })?;
    let texts = |count| (0..count).map(|_| STRING_TYPE).collect::<Vec<_>>();
    env.add_member_overload("find", "string.find(string)", STRING_TYPE, texts(1), |args| {
        let pattern = compiled("find", text(&args, 1))?;
        Ok(string(pattern.find(text(&args, 0)).map_or("", |found| found.as_str())))
    })?;
    env.add_member_overload("findAll", "string.findAll(string)", STRING_TYPE, texts(1), |args| {
        find_all(&args, -1)
    })?;
    env.add_member_overload(
        "findAll",
        "string.findAll(string,int)",
        STRING_TYPE,
        vec![STRING_TYPE, INT_TYPE],
        |args| find_all(&args, int(&args, 2)),
    )?;
    env.add_overload("regex.extract", "regex.extract", texts(2), extract)?;
    env.add_overload("regex.extractAll", "regex.extractAll", texts(2), extract_all)?;
    env.add_overload("regex.replace", "regex.replace", texts(3), |args| replace(&args, -1))?;
    let four = vec![STRING_TYPE, STRING_TYPE, STRING_TYPE, INT_TYPE];
    env.add_overload("regex.replace", "regex.replace_count", four, |args| {
        replace(&args, int(&args, 3))
    })
}

/// The compiled pattern, after what it costs was taken from the budget, if it is the first time in this evaluation.
fn compiled(function: &str, pattern: &str) -> Result<Regex, ExecutionError> {
    if let Some(regex) = budget::pattern(pattern) {
        return Ok(regex);
    }
    budget::spend(COMPILING.saturating_add(pattern.len()))?;
    let regex = cached(pattern).map_err(|error| failed(function, error))?;
    budget::paid(pattern, &regex);
    Ok(regex)
}

/// The compiled pattern, from this thread's cache if it is there.
fn cached(pattern: &str) -> Result<Regex, regex::Error> {
    thread_local! {
        static CACHE: RefCell<BTreeMap<String, Regex>> = const { RefCell::new(BTreeMap::new()) };
    }
    CACHE.with(|cache| {
        let mut cache = cache.borrow_mut();
        if let Some(regex) = cache.get(pattern) {
            return Ok(regex.clone());
        }
        let regex = regex::RegexBuilder::new(pattern).size_limit(MAX_COMPILED_BYTES).build()?;
        if cache.len() >= CACHED {
            cache.clear();
        }
        cache.insert(pattern.to_owned(), regex.clone());
        Ok(regex)
    })
}

fn strings<'b, 'v>(items: impl Iterator<Item = String>) -> CowVal<'b, 'v> {
    let items = items.map(|item| Box::new(CelString::from(item)) as Box<dyn Val + 'v>);
    CowVal::owned(CelList::from(items.collect::<Vec<_>>()))
}

/// How many to take; a negative number means all.
fn limit(count: i64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

fn find_all<'b, 'v>(args: &[CowVal<'b, 'v>], count: i64) -> Outcome<'b, 'v> {
    let pattern = compiled("findAll", text(args, 1))?;
    let found = pattern.find_iter(text(args, 0)).take(limit(count));
    Ok(strings(found.map(|found| found.as_str().to_owned())))
}

/// What a match stands for: its only group, else all of it.
fn group(captures: &regex::Captures<'_>) -> Option<String> {
    let index = if captures.len() == 2 { 1 } else { 0 };
    captures.get(index).map(|found| found.as_str().to_owned())
}

fn one_group(function: &str, pattern: &Regex) -> Result<(), ExecutionError> {
    if pattern.captures_len() > 2 {
        return Err(failed(function, "the pattern has more than one capture group"));
    }
    Ok(())
}

fn extract<'b, 'v>(args: Args<'b, 'v>) -> Outcome<'b, 'v> {
    let pattern = compiled("regex.extract", text(&args, 1))?;
    one_group("regex.extract", &pattern)?;
    let found = pattern.captures(text(&args, 0)).and_then(|captures| group(&captures));
    Ok(CowVal::owned(match found {
        Some(found) => CelOptional::of(Box::new(CelString::from(found))),
        None => CelOptional::none(),
    }))
}

fn extract_all<'b, 'v>(args: Args<'b, 'v>) -> Outcome<'b, 'v> {
    let pattern = compiled("regex.extractAll", text(&args, 1))?;
    one_group("regex.extractAll", &pattern)?;
    let found = pattern.captures_iter(text(&args, 0)).filter_map(|captures| group(&captures));
    Ok(strings(found))
}

/// Replaces with `\1`-style references, as RE2 writes them.
fn replace<'b, 'v>(args: &[CowVal<'b, 'v>], count: i64) -> Outcome<'b, 'v> {
    let pattern = compiled("regex.replace", text(args, 1))?;
    if count == 0 {
        return Ok(string(text(args, 0)));
    }
    let groups = pattern.captures_len();
    let mut replacement = String::new();
    let mut characters = text(args, 2).chars();
    while let Some(character) = characters.next() {
        match character {
            '$' => replacement.push_str("$$"),
            '\\' => match characters.next() {
                Some('\\') => replacement.push('\\'),
                Some(digit) if digit.to_digit(10).is_some_and(|d| (d as usize) < groups) => {
                    replacement.push_str(&format!("${{{digit}}}"));
                }
                _ => return Err(failed("regex.replace", "no such group in the replacement")),
            },
            other => replacement.push(other),
        }
    }
    let count = if count < 0 { 0 } else { limit(count) };
    let most = if count == 0 { usize::MAX } else { count };
    let matches = pattern.find_iter(text(args, 0)).take(most).count();
    // A group may stand in the replacement as often as it has room for its reference.
    let each =
        replacement.len().saturating_add(text(args, 0).len() * text(args, 2).matches('\\').count());
    budget::fits(
        "regex.replace",
        text(args, 0).len().saturating_add(matches.saturating_mul(each)),
    )?;
    Ok(string(pattern.replacen(text(args, 0), count, replacement.as_str())))
}
