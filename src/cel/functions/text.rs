//! Where a text is in another one. The interpreter's own search takes time in proportion to the product of both.

use super::{Args, Outcome, failed, int, integer, text};
use crate::budget;
use cel::common::types::{INT_TYPE, STRING_TYPE};
use cel::{DeclarationError, Env, ExecutionError};

pub(super) fn register(env: &mut Env) -> Result<(), DeclarationError> {
    let texts = || vec![STRING_TYPE, STRING_TYPE];
    let bounded = || vec![STRING_TYPE, STRING_TYPE, INT_TYPE];
    env.add_overload("@indexOf", "@index_of", texts(), first)?;
    env.add_overload("@indexOf", "@index_of_offset", bounded(), first)?;
    env.add_overload("@lastIndexOf", "@last_index_of", texts(), last)?;
    env.add_overload("@lastIndexOf", "@last_index_of_offset", bounded(), last)
}

/// The characters before the first place of a text in another one, or before the first that is not before an offset.
fn first<'b, 'v>(args: Args<'b, 'v>) -> Outcome<'b, 'v> {
    let (whole, part) = counted(&args)?;
    let Some(offset) = args.get(2).map(|_| int(&args, 2)) else {
        return Ok(place(whole, whole.find(part)));
    };
    match start(whole, part, offset).ok_or_else(|| out_of_range("indexOf", offset))? {
        Start::Nothing(place) => Ok(integer(place)),
        Start::At(start) => Ok(place(whole, whole[start..].find(part).map(|found| start + found))),
    }
}

/// The characters before the last place of a text in another one, or before the last that is not behind an offset.
fn last<'b, 'v>(args: Args<'b, 'v>) -> Outcome<'b, 'v> {
    let (whole, part) = counted(&args)?;
    let Some(offset) = args.get(2).map(|_| int(&args, 2)) else {
        return Ok(place(whole, whole.rfind(part)));
    };
    match start(whole, part, offset).ok_or_else(|| out_of_range("lastIndexOf", offset))? {
        Start::Nothing(place) => Ok(integer(place)),
        Start::At(start) => {
            // One that begins there ends at a boundary, if it is one.
            let end = whole.floor_char_boundary(start.saturating_add(part.len()));
            Ok(place(whole, whole[..end].rfind(part)))
        }
    }
}

/// Both texts, after what it costs to go through them was taken from the budget.
fn counted<'a>(args: &'a Args<'_, '_>) -> Result<(&'a str, &'a str), ExecutionError> {
    let (whole, part) = (text(args, 0), text(args, 1));
    budget::read(whole.len().saturating_add(part.len()))?;
    Ok((whole, part))
}

/// Where a search starts.
enum Start {
    /// For nothing, which is there already, behind so many characters.
    Nothing(i64),
    /// At this byte.
    At(usize),
}

/// `None` if the offset is outside of the text.
fn start(whole: &str, part: &str, offset: i64) -> Option<Start> {
    let characters = usize::try_from(offset).ok()?;
    if part.is_empty() {
        let all = i64::try_from(whole.chars().count()).unwrap_or(i64::MAX);
        return Some(Start::Nothing(offset.min(all)));
    }
    whole.char_indices().nth(characters).map(|(byte, _)| Start::At(byte))
}

/// A place in bytes as one in characters, -1 for none.
fn place<'b, 'v>(whole: &str, found: Option<usize>) -> cel::common::value::CowVal<'b, 'v> {
    let characters = found.map(|byte| whole[..byte].chars().count());
    integer(characters.and_then(|it| i64::try_from(it).ok()).unwrap_or(-1))
}

fn out_of_range(function: &str, offset: i64) -> ExecutionError {
    failed(function, format!("index out of range: {offset}"))
}
