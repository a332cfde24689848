//! What macros and the rewriting pass expand to. The names start with `@`, so no expression can
//! call them.

use super::bounded::size;
use super::{Args, Outcome, failed, items, text};
use crate::budget;
use crate::value::{from_value, key_text, to_value};
use cel::common::types::{CelInt, CelList, CelMap, CelMapKey, DYN_TYPE, LIST_TYPE, STRING_TYPE};
use cel::common::value::{CowVal, Val};
use cel::{DeclarationError, Env, ExecutionError};
use std::collections::HashMap;

pub(super) fn register(env: &mut Env) -> Result<(), DeclarationError> {
    env.add_overload("@items", "@items", vec![DYN_TYPE], range)?;
    env.add_overload("@entries", "@entries", vec![DYN_TYPE], entries)?;
    env.add_overload("@from_pairs", "@from_pairs", vec![LIST_TYPE], from_pairs)?;
    env.add_overload("@from_entries", "@from_entries", vec![LIST_TYPE], from_entries)?;
    env.add_overload("@call", "@call", vec![STRING_TYPE, LIST_TYPE], call)
}

/// The range of a comprehension: a list as it is, the keys of a map in order.
fn range<'b, 'v>(mut args: Args<'b, 'v>) -> Outcome<'b, 'v> {
    let value = args.pop().ok_or(ExecutionError::MissingArgumentOrTarget)?;
    if let Some(sizer) = value.as_sizer() {
        budget::spend(usize::try_from(*sizer.size().inner()).unwrap_or(usize::MAX))?;
    }
    match value.downcast_ref::<CelMap>() {
        // The interpreter copies each item for its step.
        None => {
            budget::compare(size(value.as_ref()))?;
            Ok(value)
        }
        Some(map) => {
            let keys = sorted(map).into_iter().map(|(key, _)| key.inner().clone_as_boxed());
            Ok(CowVal::owned(CelList::from(keys.collect::<Vec<_>>())))
        }
    }
}

/// The `[key, value]` pairs of a map in key order, or `[index, item]` of a list.
fn entries<'b, 'v>(args: Args<'b, 'v>) -> Outcome<'b, 'v> {
    let value = args.first().ok_or(ExecutionError::MissingArgumentOrTarget)?;
    let pair = |key: Box<dyn Val + 'v>, value: Box<dyn Val + 'v>| -> Box<dyn Val + 'v> {
        Box::new(CelList::from(vec![key, value]))
    };
    let pairs: Vec<Box<dyn Val + 'v>> = match value.downcast_ref::<CelMap>() {
        Some(map) => sorted(map)
            .into_iter()
            .map(|(key, value)| pair(key.inner().clone_as_boxed(), value.clone_as_boxed()))
            .collect(),
        None => items(value.as_ref())?
            .into_iter()
            .zip(0i64..)
            .map(|(item, index)| pair(Box::new(CelInt::from(index)), item.clone_as_boxed()))
            .collect(),
    };
    Ok(CowVal::owned(CelList::from(pairs)))
}

type Entry<'m, 'v> = (&'m CelMapKey<'v>, &'m (dyn Val + 'v));

/// The entries of a map in key order.
fn sorted<'m, 'v>(map: &'m CelMap<'v>) -> Vec<Entry<'m, 'v>> {
    let mut entries: Vec<_> = map.inner().iter().map(|(k, v)| (k, v.as_ref())).collect();
    entries.sort_by_key(|(key, _)| *key);
    entries
}

/// A map from `[key, value]` pairs.
fn from_pairs<'b, 'v>(args: Args<'b, 'v>) -> Outcome<'b, 'v> {
    let list = args.first().ok_or(ExecutionError::MissingArgumentOrTarget)?;
    let mut map = HashMap::new();
    for pair in items(list.as_ref())? {
        if let [key, value] = items(pair)?[..] {
            map.insert(key_of(key)?, value.clone_as_boxed());
        }
    }
    Ok(CowVal::owned(CelMap::from(map)))
}

/// One map from many; a key that comes twice is an error, as in cel-go.
fn from_entries<'b, 'v>(args: Args<'b, 'v>) -> Outcome<'b, 'v> {
    let list = args.first().ok_or(ExecutionError::MissingArgumentOrTarget)?;
    let mut merged: HashMap<CelMapKey<'v>, Box<dyn Val + 'v>> = HashMap::new();
    for item in items(list.as_ref())? {
        let map = item.downcast_ref::<CelMap>().ok_or_else(|| {
            failed("transformMapEntry", "the transformation must give a map literal")
        })?;
        for (key, value) in map.inner() {
            if merged.insert(key.clone(), value.clone_as_boxed()).is_some() {
                let key = key_text(key);
                return Err(failed("transformMapEntry", format!("the key `{key}` comes twice")));
            }
        }
    }
    Ok(CowVal::owned(CelMap::from(merged)))
}

fn key_of<'v>(key: &(dyn Val + 'v)) -> Result<CelMapKey<'v>, ExecutionError> {
    CowVal::Owned(key.clone_as_boxed()).try_into()
}

/// A function of the caller.
fn call<'b, 'v>(args: Args<'b, 'v>) -> Outcome<'b, 'v> {
    let name = text(&args, 0);
    let function =
        budget::function(name).ok_or_else(|| ExecutionError::undeclared_reference(name))?;
    let list = args.get(1).ok_or(ExecutionError::MissingArgumentOrTarget)?;
    let values = items(list.as_ref())?.into_iter().map(to_value).collect::<Result<Vec<_>, _>>()?;
    let result = function(&values).map_err(|message| failed(name, message))?;
    Ok(CowVal::Owned(from_value(result)))
}
