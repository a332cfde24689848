//! Functions beyond the interpreter's own libraries.

mod arithmetic;
mod bounded;
mod collections;
mod counting;
mod lists;
mod regex;
mod text;

use cel::common::types::{CelBool, CelInt, CelString};
use cel::common::value::{CowVal, Val};
use cel::{DeclarationError, Env, ExecutionError};

pub(crate) use bounded::size;

pub(crate) fn register(env: &mut Env) -> Result<(), DeclarationError> {
    collections::register(env)?;
    arithmetic::register(env)?;
    bounded::register(env)?;
    counting::register(env)?;
    lists::register(env)?;
    regex::register(env)?;
    text::register(env)
}

/// Arguments of an overload, and its result.
pub(crate) type Args<'b, 'v> = Vec<CowVal<'b, 'v>>;
pub(crate) type Outcome<'b, 'v> = Result<CowVal<'b, 'v>, ExecutionError>;

/// The text of an argument. Overloads are picked by type, so it is one.
pub(crate) fn text<'a>(args: &'a [CowVal<'_, '_>], index: usize) -> &'a str {
    args.get(index).and_then(|arg| arg.downcast_ref::<CelString>()).map_or("", |s| s.inner())
}

/// The integer of an argument.
pub(crate) fn int(args: &[CowVal<'_, '_>], index: usize) -> i64 {
    args.get(index).and_then(|arg| arg.downcast_ref::<CelInt>()).map_or(0, |i| *i.inner())
}

pub(crate) fn boolean<'b, 'v>(value: bool) -> CowVal<'b, 'v> {
    CowVal::owned(CelBool::from(value))
}

pub(crate) fn string<'b, 'v>(value: impl Into<String>) -> CowVal<'b, 'v> {
    CowVal::owned(CelString::from(value.into()))
}

pub(crate) fn integer<'b, 'v>(value: i64) -> CowVal<'b, 'v> {
    CowVal::owned(CelInt::from(value))
}

pub(crate) fn failed(function: &str, message: impl std::fmt::Display) -> ExecutionError {
    ExecutionError::function_error(function, message)
}

/// The items of any list.
pub(crate) fn items<'b, 'v>(
    list: &'b (dyn Val + 'v),
) -> Result<Vec<&'b (dyn Val + 'v)>, ExecutionError> {
    let iterable = list.as_iterable().ok_or_else(|| ExecutionError::UnexpectedType {
        got: list.get_type().name().to_owned(),
        want: "list".to_owned(),
    })?;
    let mut iterator = iterable.iter();
    let mut items = Vec::new();
    while let Some(item) = iterator.next() {
        items.push(item);
    }
    Ok(items)
}
