//! `quantity("1.5Gi")`: amounts as Kubernetes writes them.

use super::value_type;
use crate::functions::{Args, Outcome, boolean, failed, integer};
use cel::common::types::{CelDouble, CelInt, INT_TYPE};
use cel::common::value::CowVal;
use cel::{DeclarationError, Env, ExecutionError};

value_type!(
    /// An amount in billionths.
    Quantity(i128), "kubernetes.Quantity", TYPE
);

const NANO: i128 = 1_000_000_000;

pub(super) fn register(env: &mut Env) -> Result<(), DeclarationError> {
    super::parser(
        env,
        ("quantity", |args| {
            super::parsed("quantity", &args, parse).map(|amount| CowVal::owned(Quantity(amount)))
        }),
        ("isQuantity", |args| super::is(&args, parse)),
    )?;
    let own = || TYPE.to_owned();
    env.add_member_overload("sign", "quantity.sign()", own(), vec![], |args| {
        Ok(integer(Quantity::arg(&args, 0)?.0.signum() as i64))
    })?;
    env.add_member_overload("isInteger", "quantity.isInteger()", own(), vec![], |args| {
        Ok(boolean(whole(Quantity::arg(&args, 0)?.0).is_some()))
    })?;
    env.add_member_overload("asInteger", "quantity.asInteger()", own(), vec![], |args| {
        whole(Quantity::arg(&args, 0)?.0)
            .map(integer)
            .ok_or_else(|| failed("asInteger", "the quantity is not an integer"))
    })?;
    env.add_member_overload("asApproximateFloat", "quantity.asFloat()", own(), vec![], |args| {
        let amount = Quantity::arg(&args, 0)?.0 as f64 / NANO as f64;
        Ok(CowVal::owned(CelDouble::from(amount)))
    })?;
    env.add_member_overload("add", "quantity.add(quantity)", own(), vec![own()], |args| {
        combine("add", &args, i128::checked_add)
    })?;
    env.add_member_overload("add", "quantity.add(int)", own(), vec![INT_TYPE], |args| {
        combine("add", &args, i128::checked_add)
    })?;
    env.add_member_overload("sub", "quantity.sub(quantity)", own(), vec![own()], |args| {
        combine("sub", &args, i128::checked_sub)
    })?;
    env.add_member_overload("sub", "quantity.sub(int)", own(), vec![INT_TYPE], |args| {
        combine("sub", &args, i128::checked_sub)
    })?;
    env.add_member_overload("compareTo", "quantity.compareTo(q)", own(), vec![own()], |args| {
        let (left, right) = (Quantity::arg(&args, 0)?.0, Quantity::arg(&args, 1)?.0);
        Ok(integer(left.cmp(&right) as i64))
    })?;
    env.add_member_overload("isGreaterThan", "quantity.gt(q)", own(), vec![own()], |args| {
        Ok(boolean(Quantity::arg(&args, 0)?.0 > Quantity::arg(&args, 1)?.0))
    })?;
    env.add_member_overload("isLessThan", "quantity.lt(q)", own(), vec![own()], |args| {
        Ok(boolean(Quantity::arg(&args, 0)?.0 < Quantity::arg(&args, 1)?.0))
    })
}

fn whole(amount: i128) -> Option<i64> {
    (amount % NANO == 0).then(|| i64::try_from(amount / NANO).ok()).flatten()
}

fn combine<'b, 'v>(
    name: &str,
    args: &Args<'b, 'v>,
    operation: fn(i128, i128) -> Option<i128>,
) -> Outcome<'b, 'v> {
    let right = match args.get(1).and_then(|arg| arg.downcast_ref::<CelInt>()) {
        Some(int) => i128::from(*int.inner()) * NANO,
        None => Quantity::arg(args, 1)?.0,
    };
    operation(Quantity::arg(args, 0)?.0, right)
        .map(|amount| CowVal::owned(Quantity(amount)))
        .ok_or_else(|| ExecutionError::function_error(name, "the amount is too large"))
}

/// Digits with at most one point, then a suffix: `Ki` … `Ei`, `n` … `E`, or an exponent.
fn parse(text: &str) -> Result<i128, String> {
    let wrong = || format!("`{text}` is not a quantity, like 500m, 2 or 1.5Gi");
    let (negative, rest) = match text.strip_prefix(['+', '-']) {
        Some(rest) => (text.starts_with('-'), rest),
        None => (false, text),
    };
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    let (number, suffix) = rest.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return Err(wrong());
    }
    let digits: i128 = format!("{whole}{fraction}").parse().map_err(|_| wrong())?;
    let places = u32::try_from(fraction.len()).map_err(|_| wrong())?;
    let (numerator, denominator) = scale(suffix).ok_or_else(wrong)?;
    let divisor = 10i128.checked_pow(places).and_then(|p| p.checked_mul(denominator));
    let divisor = divisor.ok_or_else(wrong)?;
    let amount = digits
        .checked_mul(numerator)
        .and_then(|amount| amount.checked_mul(NANO))
        .ok_or_else(|| format!("the quantity `{text}` is too large"))?;
    // What is finer than a billionth is rounded up, away from zero.
    let amount = amount / divisor + i128::from(amount % divisor != 0);
    Ok(if negative { -amount } else { amount })
}

/// A suffix as a fraction.
fn scale(suffix: &str) -> Option<(i128, i128)> {
    const BINARY: [&str; 6] = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    const DECIMAL: [&str; 6] = ["k", "M", "G", "T", "P", "E"];
    if let Some(power) = BINARY.iter().position(|known| *known == suffix) {
        return Some((1024i128.pow(power as u32 + 1), 1));
    }
    if let Some(power) = DECIMAL.iter().position(|known| *known == suffix) {
        return Some((1000i128.pow(power as u32 + 1), 1));
    }
    match suffix {
        "" => Some((1, 1)),
        "m" => Some((1, 1_000)),
        "u" => Some((1, 1_000_000)),
        "n" => Some((1, NANO)),
        exponent => {
            let power: i32 = exponent.strip_prefix(['e', 'E'])?.parse().ok()?;
            let factor = 10i128.checked_pow(power.unsigned_abs())?;
            Some(if power < 0 { (1, factor) } else { (factor, 1) })
        }
    }
}
