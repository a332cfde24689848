//! `+` with a bound on what it builds, and arithmetic that mixes int and double where the dialect
//! allows: contexts that went through JSON do not know `1` from `1.0`.

use super::{Args, Outcome};
use crate::budget;
use cel::common::types::{CelBytes, CelDouble, CelInt, CelList, CelString, CelUInt, DYN_TYPE};
use cel::common::value::{CowVal, Val};
use cel::{DeclarationError, Env, ExecutionError};

pub(super) fn register(env: &mut Env) -> Result<(), DeclarationError> {
    let two = || vec![DYN_TYPE, DYN_TYPE];
    env.add_overload("@add", "@add", two(), add)?;
    env.add_overload("@sub", "@sub", two(), sub)?;
    env.add_overload("@mul", "@mul", two(), mul)?;
    env.add_overload("@div", "@div", two(), div)?;
    env.add_overload("@mod", "@mod", two(), modulo)
}

fn add<'b, 'v>(args: Args<'b, 'v>) -> Outcome<'b, 'v> {
    let [left, right] = both(args)?;
    budget::fits("`+`", length(&*left).saturating_add(length(&*right)))?;
    let adder = left.as_adder().ok_or_else(|| unsupported("+", &*left, &*right))?;
    Ok(CowVal::Owned(adder.add(right.as_ref())?.into_owned()))
}

fn sub<'b, 'v>(args: Args<'b, 'v>) -> Outcome<'b, 'v> {
    let [left, right] = both(args)?;
    let op = left.as_subtractor().ok_or_else(|| unsupported("-", &*left, &*right))?;
    Ok(CowVal::Owned(op.sub(right.as_ref())?.into_owned()))
}

fn mul<'b, 'v>(args: Args<'b, 'v>) -> Outcome<'b, 'v> {
    let [left, right] = both(args)?;
    let op = left.as_multiplier().ok_or_else(|| unsupported("*", &*left, &*right))?;
    Ok(CowVal::Owned(op.mul(right.as_ref())?.into_owned()))
}

fn div<'b, 'v>(args: Args<'b, 'v>) -> Outcome<'b, 'v> {
    let [left, right] = both(args)?;
    let op = left.as_divider().ok_or_else(|| unsupported("/", &*left, &*right))?;
    Ok(CowVal::Owned(op.div(right.as_ref())?.into_owned()))
}

fn modulo<'b, 'v>(args: Args<'b, 'v>) -> Outcome<'b, 'v> {
    let [left, right] = both(args)?;
    let op = left.as_modder().ok_or_else(|| unsupported("%", &*left, &*right))?;
    Ok(CowVal::Owned(op.modulo(right.as_ref())?.into_owned()))
}

/// Both operands; if one is a double and the other an integer, both as doubles.
fn both<'b, 'v>(args: Args<'b, 'v>) -> Result<[CowVal<'b, 'v>; 2], ExecutionError> {
    let [left, right]: [CowVal<'b, 'v>; 2] =
        args.try_into().map_err(|_| ExecutionError::MissingArgumentOrTarget)?;
    if !budget::mixed_numbers() {
        return Ok([left, right]);
    }
    let is_double = |value: &CowVal<'b, 'v>| value.downcast_ref::<CelDouble>().is_some();
    let (a, b) = (is_double(&left), is_double(&right));
    let widened = |value: CowVal<'b, 'v>| match whole(&*value) {
        Some(double) => CowVal::owned(CelDouble::from(double)),
        None => value,
    };
    Ok(match (a, b) {
        (true, false) => [left, widened(right)],
        (false, true) => [widened(left), right],
        _ => [left, right],
    })
}

fn whole(value: &dyn Val) -> Option<f64> {
    if let Some(int) = value.downcast_ref::<CelInt>() {
        return Some(*int.inner() as f64);
    }
    value.downcast_ref::<CelUInt>().map(|uint| *uint.inner() as f64)
}

fn length(value: &dyn Val) -> usize {
    if let Some(text) = value.downcast_ref::<CelString>() {
        text.inner().len()
    } else if let Some(list) = value.downcast_ref::<CelList>() {
        list.inner().len()
    } else {
        value.downcast_ref::<CelBytes>().map_or(0, |bytes| bytes.inner().len())
    }
}

fn unsupported(operator: &str, left: &dyn Val, right: &dyn Val) -> ExecutionError {
    let types = vec![left.get_type().name().to_owned(), right.get_type().name().to_owned()];
    ExecutionError::no_such_overload(operator, types)
}
