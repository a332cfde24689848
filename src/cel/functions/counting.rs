//! Operands that are handed on as they are, after what is done with them was taken from the budget. The rewriting pass puts
//! these around them.

use super::{Args, Outcome, size};
use crate::budget;
use cel::common::types::{CelBytes, CelList, CelOptional, CelString, DYN_TYPE, Kind};
use cel::common::value::Val;
use cel::{DeclarationError, Env, ExecutionError};

pub(super) fn register(env: &mut Env) -> Result<(), DeclarationError> {
    env.add_overload("@kept", "@kept", vec![DYN_TYPE], |args| after(args, keep))?;
    env.add_overload("@measured", "@measured", vec![DYN_TYPE], |args| after(args, read))?;
    env.add_overload("@walked", "@walked", vec![DYN_TYPE], |args| after(args, walk))?;
    env.add_overload("@searched", "@searched", vec![DYN_TYPE], |args| after(args, search))?;
    env.add_overload("@sorted", "@sorted", vec![DYN_TYPE], |args| after(args, sort))?;
    env.add_overload("@paired", "@paired", vec![DYN_TYPE], |args| after(args, pair))?;
    env.add_overload("@copied", "@copied", vec![DYN_TYPE], |args| after(args, copy))?;
    env.add_overload("@optional", "@optional", vec![DYN_TYPE], |args| after(args, select))?;
    env.add_overload("@compared", "@compared", vec![DYN_TYPE], |args| after(args, compare))
}

/// The operand, once it is paid for.
fn after<'b, 'v>(
    mut args: Args<'b, 'v>,
    pay: fn(&dyn Val) -> Result<(), ExecutionError>,
) -> Outcome<'b, 'v> {
    let value = args.pop().ok_or(ExecutionError::MissingArgumentOrTarget)?;
    pay(value.as_ref())?;
    Ok(value)
}

/// To keep it.
fn keep(value: &dyn Val) -> Result<(), ExecutionError> {
    budget::keep(size(value))
}

/// To go through a text. What has a length is not gone through.
fn read(value: &dyn Val) -> Result<(), ExecutionError> {
    if let Some(text) = value.downcast_ref::<CelString>() {
        budget::read(text.inner().len())
    } else if let Some(bytes) = value.downcast_ref::<CelBytes>() {
        budget::read(bytes.inner().len())
    } else {
        Ok(())
    }
}

/// To go through a text or a list once: whoever goes through a list copies its items, with all that is in them.
fn walk(value: &dyn Val) -> Result<(), ExecutionError> {
    read(value)?;
    search(value)
}

/// To compare each item of a list with another value. A map is asked for a key.
fn search(value: &dyn Val) -> Result<(), ExecutionError> {
    match value.downcast_ref::<CelList>() {
        Some(_) => compare(value),
        None => Ok(()),
    }
}

/// To put the items of a list in order.
fn sort(value: &dyn Val) -> Result<(), ExecutionError> {
    let Some(list) = value.downcast_ref::<CelList>() else { return Ok(()) };
    let rounds = usize::BITS - list.inner().len().leading_zeros();
    budget::compare(size(value).saturating_mul(rounds as usize))
}

/// To compare all items of a list with each other. Two values are compared no further than the smaller one goes: each
/// counts for half of its pairs.
fn pair(value: &dyn Val) -> Result<(), ExecutionError> {
    let Some(list) = value.downcast_ref::<CelList>() else { return Ok(()) };
    budget::compare(size(value).saturating_mul(list.inner().len()) / 2)
}

/// To compare it.
fn compare(value: &dyn Val) -> Result<(), ExecutionError> {
    budget::compare(size(value))
}

/// To copy it. What has nothing in it costs nothing.
fn copy(value: &dyn Val) -> Result<(), ExecutionError> {
    match value.get_type().kind() {
        Kind::Boolean | Kind::Double | Kind::Int | Kind::UInt | Kind::NullType => Ok(()),
        _ => compare(value),
    }
}

/// To put it into an optional, if it is one.
fn select(value: &dyn Val) -> Result<(), ExecutionError> {
    match value.downcast_ref::<CelOptional>() {
        Some(_) => compare(value),
        None => Ok(()),
    }
}
