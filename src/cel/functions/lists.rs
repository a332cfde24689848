//! Lists, sets and optionals: what the interpreter's own libraries leave out.

use super::{Args, Outcome, boolean, failed, integer, items, size};
use crate::budget;
use cel::common::types::{CelDouble, CelInt, CelList, CelOptional, CelUInt, DYN_TYPE, LIST_TYPE};
use cel::common::value::{CowVal, Val};
use cel::{DeclarationError, Env, ExecutionError};
use std::cmp::Ordering;

pub(super) fn register(env: &mut Env) -> Result<(), DeclarationError> {
    env.add_member_overload("first", "list.first()", LIST_TYPE, vec![], |args| {
        optional(items(list(&args)?)?.first().copied())
    })?;
    env.add_member_overload("last", "list.last()", LIST_TYPE, vec![], |args| {
        optional(items(list(&args)?)?.last().copied())
    })?;
    env.add_member_overload("isSorted", "list.isSorted()", LIST_TYPE, vec![], |args| {
        budget::compare(size(list(&args)?))?;
        let items = items(list(&args)?)?;
        for pair in items.windows(2) {
            if compare("isSorted", pair[0], pair[1])? == Ordering::Greater {
                return Ok(boolean(false));
            }
        }
        Ok(boolean(true))
    })?;
    env.add_member_overload("min", "list.min()", LIST_TYPE, vec![], |args| {
        extreme("min", args, Ordering::Less)
    })?;
    env.add_member_overload("max", "list.max()", LIST_TYPE, vec![], |args| {
        extreme("max", args, Ordering::Greater)
    })?;
    env.add_member_overload("sum", "list.sum()", LIST_TYPE, vec![], sum)?;
    env.add_overload("@indexOf", "@index_of_item", vec![LIST_TYPE, DYN_TYPE], |args| {
        budget::compare(size(list(&args)?))?;
        let found = items(list(&args)?)?.iter().position(|item| item.equals(args[1].as_ref()));
        Ok(integer(found.map_or(-1, |index| index as i64)))
    })?;
    env.add_overload("@lastIndexOf", "@last_index_of_item", vec![LIST_TYPE, DYN_TYPE], |args| {
        budget::compare(size(list(&args)?))?;
        let found = items(list(&args)?)?.iter().rposition(|item| item.equals(args[1].as_ref()));
        Ok(integer(found.map_or(-1, |index| index as i64)))
    })?;
    env.add_overload("sets.contains", "sets.contains", vec![LIST_TYPE, LIST_TYPE], |args| {
        pairs(&args)?;
        Ok(boolean(contains_all(&args, 0, 1)?))
    })?;
    env.add_overload("sets.equivalent", "sets.equivalent", vec![LIST_TYPE, LIST_TYPE], |args| {
        pairs(&args)?;
        pairs(&args)?;
        Ok(boolean(contains_all(&args, 0, 1)? && contains_all(&args, 1, 0)?))
    })?;
    env.add_overload("sets.intersects", "sets.intersects", vec![LIST_TYPE, LIST_TYPE], |args| {
        pairs(&args)?;
        let (left, right) = (items(args[0].as_ref())?, items(args[1].as_ref())?);
        Ok(boolean(left.iter().any(|a| right.iter().any(|b| a.equals(*b)))))
    })?;
    env.add_overload("optional.unwrap", "optional.unwrap", vec![LIST_TYPE], unwrap)?;
    env.add_member_overload("unwrapOpt", "list.unwrapOpt()", LIST_TYPE, vec![], unwrap)
}

fn list<'a, 'v>(args: &'a [CowVal<'_, 'v>]) -> Result<&'a (dyn Val + 'v), ExecutionError> {
    args.first().map(AsRef::as_ref).ok_or(ExecutionError::MissingArgumentOrTarget)
}

/// An optional of an item of a list, which is copied.
fn optional<'b, 'v>(item: Option<&(dyn Val + 'v)>) -> Outcome<'b, 'v> {
    Ok(CowVal::owned(match item {
        Some(item) => {
            budget::compare(size(item))?;
            CelOptional::of(item.clone_as_boxed())
        }
        None => CelOptional::none(),
    }))
}

/// Takes what it costs to compare each item of one list with each of the other from the budget. Two values are compared no
/// further than the smaller one goes.
fn pairs(args: &[CowVal<'_, '_>]) -> Result<(), ExecutionError> {
    let (left, right) = (args[0].as_ref(), args[1].as_ref());
    let (of_left, of_right) = (items(left)?.len(), items(right)?.len());
    let bytes = size(left).saturating_mul(of_right).min(size(right).saturating_mul(of_left));
    budget::compare(bytes.max(1))
}

fn compare(function: &str, left: &dyn Val, right: &dyn Val) -> Result<Ordering, ExecutionError> {
    let types = || vec![left.get_type().name().to_owned(), right.get_type().name().to_owned()];
    left.as_comparer()
        .and_then(|comparer| comparer.compare(right).ok())
        .ok_or_else(|| ExecutionError::no_such_overload(function, types()))
}

fn extreme<'b, 'v>(function: &str, args: Args<'b, 'v>, wanted: Ordering) -> Outcome<'b, 'v> {
    budget::compare(size(list(&args)?))?;
    let items = items(list(&args)?)?;
    let (first, rest) = items.split_first().ok_or_else(|| failed(function, "the list is empty"))?;
    let mut best = *first;
    for item in rest {
        if compare(function, *item, best)? == wanted {
            best = *item;
        }
    }
    Ok(CowVal::Owned(best.clone_as_boxed()))
}

fn sum<'b, 'v>(args: Args<'b, 'v>) -> Outcome<'b, 'v> {
    budget::compare(size(list(&args)?))?;
    let items = items(list(&args)?)?;
    let Some((first, rest)) = items.split_first() else { return Ok(integer(0)) };
    let is_number = first.downcast_ref::<CelInt>().is_some()
        || first.downcast_ref::<CelUInt>().is_some()
        || first.downcast_ref::<CelDouble>().is_some();
    if !is_number {
        return Err(failed("sum", format!("cannot add up {}", first.get_type().name())));
    }
    let mut total = first.clone_as_boxed();
    for item in rest {
        let adder = total.as_adder().ok_or(ExecutionError::MissingArgumentOrTarget)?;
        total = adder.add(*item)?.into_owned();
    }
    Ok(CowVal::Owned(total))
}

/// Whether list `outer` has an equal of every item of list `inner`.
fn contains_all(
    args: &[CowVal<'_, '_>],
    outer: usize,
    inner: usize,
) -> Result<bool, ExecutionError> {
    let (outer, inner) = (items(args[outer].as_ref())?, items(args[inner].as_ref())?);
    Ok(inner.iter().all(|item| outer.iter().any(|other| item.equals(*other))))
}

/// The values of those optionals in a list that hold one.
fn unwrap<'b, 'v>(args: Args<'b, 'v>) -> Outcome<'b, 'v> {
    budget::compare(size(list(&args)?))?;
    let mut values: Vec<Box<dyn Val + 'v>> = Vec::new();
    for item in items(list(&args)?)? {
        let optional = item.downcast_ref::<CelOptional>().ok_or_else(|| {
            failed("unwrap", format!("want optionals, got {}", item.get_type().name()))
        })?;
        values.extend(optional.option().map(|value| value.clone_as_boxed()));
    }
    Ok(CowVal::owned(CelList::from(values)))
}
