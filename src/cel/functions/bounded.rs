//! Operations whose result may be far larger than their operands, behind a bound. The rewriting
//! pass puts them in place of the interpreter's.

use super::{Args, Outcome, failed, int, items, string, text};
use crate::budget::{self, OVERHEAD};
use crate::kubernetes;
use cel::common::types::{
    CelBytes, CelInt, CelList, CelMap, CelOptional, CelString, INT_TYPE, LIST_TYPE, STRING_TYPE,
};
use cel::common::value::{CowVal, Val};
use cel::{DeclarationError, Env, ExecutionError};

pub(super) fn register(env: &mut Env) -> Result<(), DeclarationError> {
    env.add_overload("@range", "@range", vec![INT_TYPE], range)?;
    let three = || vec![STRING_TYPE, STRING_TYPE, STRING_TYPE];
    env.add_overload("@replace", "@replace", three(), replace)?;
    let mut four = three();
    four.push(INT_TYPE);
    env.add_overload("@replace", "@replace_count", four, replace)?;
    env.add_overload("@join", "@join", vec![LIST_TYPE], join)?;
    env.add_overload("@join", "@join_separator", vec![LIST_TYPE, STRING_TYPE], join)
}

/// The numbers below one, after their size was taken from the budget.
fn range<'b, 'v>(args: Args<'b, 'v>) -> Outcome<'b, 'v> {
    let end = int(&args, 0);
    let count =
        usize::try_from(end).map_err(|_| failed("lists.range", "the size cannot be negative"))?;
    budget::fits("lists.range", count)?;
    budget::keep(count.saturating_mul(OVERHEAD))?;
    let items = (0..end).map(|item| Box::new(CelInt::from(item)) as Box<dyn Val + 'v>);
    Ok(CowVal::owned(CelList::from(items.collect::<Vec<_>>())))
}

/// About the bytes a value takes, with all that is in it. Beyond what the current evaluation has room for they are not
/// counted.
pub(crate) fn size(value: &dyn Val) -> usize {
    let mut size = 0;
    weigh(value, budget::room(), &mut size);
    size
}

fn weigh(value: &dyn Val, most: usize, size: &mut usize) {
    if *size > most {
        return;
    }
    *size = size.saturating_add(OVERHEAD);
    if let Some(text) = value.downcast_ref::<CelString>() {
        *size = size.saturating_add(text.inner().len());
    } else if let Some(bytes) = value.downcast_ref::<CelBytes>() {
        *size = size.saturating_add(bytes.inner().len());
    } else if let Some(list) = value.downcast_ref::<CelList>() {
        for item in list.inner() {
            if *size > most {
                return;
            }
            weigh(item.as_ref(), most, size);
        }
    } else if let Some(map) = value.downcast_ref::<CelMap>() {
        for (key, item) in map.inner() {
            if *size > most {
                return;
            }
            weigh(key.inner(), most, size);
            weigh(item.as_ref(), most, size);
        }
    } else if let Some(optional) = value.downcast_ref::<CelOptional>() {
        optional.option().into_iter().for_each(|inner| weigh(inner, most, size));
    } else {
        *size = size.saturating_add(kubernetes::bytes(value));
    }
}

fn replace<'b, 'v>(args: Args<'b, 'v>) -> Outcome<'b, 'v> {
    let (whole, old, new) = (text(&args, 0), text(&args, 1), text(&args, 2));
    let limit = match args.get(3).and_then(|arg| arg.downcast_ref::<CelInt>()) {
        Some(count) => usize::try_from(*count.inner()).unwrap_or(usize::MAX),
        None => usize::MAX,
    };
    let count = whole.matches(old).count().min(limit);
    budget::fits("replace", whole.len().saturating_add(count.saturating_mul(new.len())))?;
    Ok(string(whole.replacen(old, new, count)))
}

fn join<'b, 'v>(args: Args<'b, 'v>) -> Outcome<'b, 'v> {
    let list = args.first().ok_or(ExecutionError::MissingArgumentOrTarget)?;
    let separator = text(&args, 1);
    let mut parts = Vec::new();
    let mut length = 0usize;
    for item in items(list.as_ref())? {
        let part = item.downcast_ref::<CelString>().ok_or_else(|| {
            let got = item.get_type().name().to_owned();
            ExecutionError::UnexpectedType { got, want: "string".to_owned() }
        })?;
        length = length.saturating_add(part.inner().len() + separator.len());
        parts.push(part.inner());
    }
    budget::look(parts.len())?;
    budget::fits("join", length)?;
    Ok(string(parts.join(separator)))
}
