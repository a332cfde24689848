//! Finding lines with a phrase in them, by the full-text index.
//!
//! The index knows which lines have three characters after each other somewhere. Lines that have all of a phrase's threes
//! are few enough to look at their text. The index knows of no time and place, but rows are numbered as lines come: a
//! stretch of time is also one of numbers, and beyond it the index is not read. Where a phrase is common, a small part of
//! the time has enough of it: the part that a page begins with is looked at first.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};

use super::query::{COUNTED, Hit, Query, Taken, by_stream, direction, levels, numbers};
use crate::database::DatabaseError;
use crate::owner::list;
use crate::wire::Source;

/// The shortest phrase that the index can find.
pub(super) const INDEXED: usize = 3;
/// Of a long phrase so many threes are looked up: more do not leave out many lines.
const THREES: usize = 16;
/// So many lines of a place and time are found faster by these than by a phrase.
const FEW: i64 = 200_000;
/// What parts of the time are looked at one after the other, until there is enough.
const PARTS: [i64; 4] = [4096, 256, 16, 1];

/// The lines of some streams that `query` is about, and how many there are. Where fewer than `seen` are to be looked at,
/// the index is not read.
pub(super) fn by_text(
    connection: &Connection,
    query: &Query,
    streams: &BTreeMap<i64, Source>,
    seen: i64,
) -> Result<(Vec<Hit>, u64), DatabaseError> {
    let enough = COUNTED.max(query.page.limit) as u64;
    let mut part = query.clone();
    let mut found = (Vec::new(), 0);
    for parts in PARTS {
        part.page.between = beginning(query, parts);
        found = in_part(connection, &part, streams, seen)?;
        if found.1 >= enough {
            break;
        }
    }
    Ok(found)
}

/// The time of a page in so many parts, of these the one that it begins with.
fn beginning(query: &Query, parts: i64) -> (i64, i64) {
    let (first, last) = query.page.between;
    let long = last.saturating_sub(first) / parts;
    match query.page.newest_first {
        _ if parts == 1 => (first, last),
        true => (last - long, last),
        false => (first, first + long),
    }
}

fn in_part(
    connection: &Connection,
    query: &Query,
    streams: &BTreeMap<i64, Source>,
    seen: i64,
) -> Result<(Vec<Hit>, u64), DatabaseError> {
    let order = direction(query);
    let place = format!(
        "stream IN ({}) AND level IN ({}) AND time BETWEEN ?1 AND ?2",
        list(streams.keys()),
        numbers(levels(query))
    );
    let (first, last) = query.page.between;
    let near = format!(
        "SELECT COUNT(*), MIN(id), MAX(id) FROM \
         (SELECT id FROM line INDEXED BY line_place WHERE {place} LIMIT {FEW})"
    );
    let (count, numbers) = connection.prepare(&near)?.query_row(params![first, last], |row| {
        let numbers = (row.get::<_, Option<i64>>(1)?, row.get::<_, Option<i64>>(2)?);
        Ok((row.get::<_, i64>(0)?, numbers))
    })?;
    let (Some(lowest), Some(highest)) = numbers else { return Ok((Vec::new(), 0)) };
    // Of letters beyond ASCII only the index knows the case.
    if count < seen && query.phrase.is_ascii() {
        return by_stream(connection, query, streams);
    }
    let (hint, lowest, highest) = match count < FEW {
        true => ("INDEXED BY line_place", lowest, highest),
        // Not all numbers are known.
        false => ("NOT INDEXED", 0, i64::MAX),
    };
    let from = format!(
        "FROM line {hint} WHERE {place} AND id IN \
         (SELECT rowid FROM line_text WHERE line_text MATCH ?3 AND rowid BETWEEN ?4 AND ?5) \
         AND text LIKE ?6 ESCAPE '\\'"
    );
    let values =
        params![first, last, threes(&query.phrase), lowest, highest, pattern(&query.phrase)];
    let mut page = connection.prepare(&format!(
        "SELECT stream, time, ordinal, level, text {from} ORDER BY time {order}, ordinal {order} LIMIT {}",
        COUNTED.max(query.page.limit)
    ))?;
    // Finding them is what takes time: those beyond the page are counted by the way.
    let mut taken = Taken::default();
    taken.take(page.query(values)?, query.page.limit)?;
    Ok((taken.hits, taken.total as u64))
}

/// A phrase as the index is asked for it: each three characters of it, in any order.
fn threes(phrase: &str) -> String {
    let characters: Vec<char> = phrase.chars().collect();
    let all = characters.windows(INDEXED).collect::<Vec<_>>();
    let some = all.iter().step_by(all.len().div_ceil(THREES).max(1));
    let quoted = some.map(|three| {
        let three: String = three.iter().collect();
        format!("\"{}\"", three.replace('"', "\"\""))
    });
    quoted.collect::<Vec<_>>().join(" AND ")
}

/// The phrase as a pattern. Of letters beyond ASCII LIKE does not know the case: they stand for any character, since the
/// index has seen to it that they are there.
fn pattern(phrase: &str) -> String {
    let known = |one: char| if one.is_ascii() { like(&one.to_string()) } else { "_".to_owned() };
    format!("%{}%", phrase.chars().map(known).collect::<String>())
}

/// As a part of a LIKE pattern that means only itself.
pub(super) fn like(text: &str) -> String {
    text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phrase_is_asked_for_by_its_threes_and_means_only_itself() {
        assert_eq!(threes("a\"bc"), r#""a""b" AND """bc""#);
        assert_eq!(threes(&"0123456789".repeat(10)).matches("AND").count(), 13);
        assert_eq!(pattern("50%_Öl"), r"%50\%\__l%");
    }
}
