//! Cutting a stream of bytes into lines with places.

use std::io;

use futures::io::{AsyncBufRead, AsyncBufReadExt};
use jiff::Timestamp;

use crate::wire::{Line, Position};

/// A longer line is cut; the rest of it is dropped.
pub(super) const LONGEST: usize = 64 << 10;
const CUT: &str = " … (cut)";

/// Gives each line of a container's log its place, from its time stamp.
///
/// Times that go backwards (two streams written at once) count as the time before, so that places only grow.
#[derive(Debug)]
pub(super) struct Numbering {
    last: Option<Position>,
}

impl Numbering {
    /// For a log that is read from a whole second on, or from its start.
    pub(super) fn new() -> Self {
        Numbering { last: None }
    }

    /// The place of the next line.
    fn next(&mut self, time: i64) -> Position {
        let position = match self.last {
            Some(last) if time <= last.time => {
                Position { time: last.time, ordinal: last.ordinal + 1 }
            }
            _ => Position { time, ordinal: 0 },
        };
        self.last = Some(position);
        position
    }

    /// A line as `pods/log?timestamps=true` writes it. Without a time stamp it has the time of the one before.
    pub(super) fn line(&mut self, text: &str) -> Line {
        let stamped = text.split_once(' ').unwrap_or((text, ""));
        match stamped.0.parse::<Timestamp>() {
            Ok(time) => {
                let time = i64::try_from(time.as_nanosecond()).unwrap_or(i64::MAX);
                Line(self.next(time), stamped.1.to_owned())
            }
            Err(_) => {
                let time = self.last.map_or(0, |last| last.time);
                Line(self.next(time), text.to_owned())
            }
        }
    }
}

/// The next line without its line feed; `None` at the end. Memory is bounded by [`LONGEST`].
pub(super) async fn read_line<R: AsyncBufRead + Unpin>(
    reader: &mut R,
) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    let mut cut = false;
    loop {
        let buffer = reader.fill_buf().await?;
        if buffer.is_empty() {
            // A line without its end is not complete: it is read again next time.
            return Ok(None);
        }
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let part = &buffer[..end.unwrap_or(buffer.len())];
        let room = LONGEST - line.len();
        line.extend_from_slice(&part[..part.len().min(room)]);
        cut |= part.len() > room;
        let used = end.map_or(buffer.len(), |end| end + 1);
        reader.consume_unpin(used);
        if end.is_some() {
            if line.last() == Some(&b'\r') {
                line.pop();
            }
            let mut text = String::from_utf8_lossy(&line).into_owned();
            if cut {
                text.push_str(CUT);
            }
            return Ok(Some(text));
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::io::Cursor;

    use super::*;

    #[test]
    fn places_grow_whatever_the_clock_says() {
        let mut numbering = Numbering::new();
        let mut place = |text: &str| numbering.line(text).0;
        let first = place("2026-01-01T00:00:00.000000001Z a");
        let same = place("2026-01-01T00:00:00.000000001Z b");
        let back = place("2025-01-01T00:00:00Z c");
        let bare = place("no time at all");
        let next = place("2026-01-01T00:00:00.000000002Z d");
        assert!(first < same && same < back && back < bare && bare < next);
        assert_eq!((same.ordinal, back.ordinal, bare.ordinal, next.ordinal), (1, 2, 3, 0));
        assert_eq!(numbering.line("2026-01-02T00:00:00Z ").1, "");
        assert_eq!(numbering.line("2026-01-02T00:00:00Z  two").1, " two");
    }

    #[tokio::test]
    async fn lines_are_bounded_and_an_unfinished_one_waits() {
        let long = "x".repeat(LONGEST + 10);
        let text = format!("one\r\n\n{long}\nnot finished");
        let mut reader = Cursor::new(text.into_bytes());
        let mut next = async || read_line(&mut reader).await.expect("reads");
        assert_eq!(next().await.as_deref(), Some("one"));
        assert_eq!(next().await.as_deref(), Some(""));
        let cut = next().await.expect("a line");
        assert!(cut.len() == LONGEST + CUT.len() && cut.ends_with(CUT));
        assert_eq!(next().await, None);
    }
}
