//! Lines that may come in pieces.

use super::Lost;

/// What is kept of a line. Longer ones are cut; what matters is at the beginning.
const KEPT: usize = 2048;
/// A longer line is nothing that anybody sends in earnest.
const LONGEST: usize = 256 * 1024;

/// The beginning of a line whose end has not come yet.
#[derive(Default)]
pub(super) struct Line {
    begun: Vec<u8>,
    length: usize,
}

/// A whole line without its end.
pub(super) struct Whole<'a> {
    pub(super) text: &'a [u8],
    /// Whether it was longer than what is kept.
    pub(super) cut: bool,
}

impl Line {
    /// Takes the next line off `bytes` and gives it to `read`; `None` when its end is not there yet.
    pub(super) fn next<T>(
        &mut self,
        bytes: &mut &[u8],
        read: impl FnOnce(Whole<'_>) -> Result<T, Lost>,
    ) -> Result<Option<T>, Lost> {
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let (piece, rest) = match end {
            Some(end) => (&bytes[..end], &bytes[end + 1..]),
            None => (*bytes, &[][..]),
        };
        *bytes = rest;
        self.length += piece.len();
        if self.length > LONGEST {
            return Err(Lost);
        }
        if end.is_some() && self.begun.is_empty() {
            self.length = 0;
            return read(whole(piece, piece.len())).map(Some);
        }
        let room = KEPT - self.begun.len();
        self.begun.extend_from_slice(&piece[..piece.len().min(room)]);
        if end.is_none() {
            return Ok(None);
        }
        let (line, length) = (std::mem::take(&mut self.begun), std::mem::take(&mut self.length));
        read(whole(&line, length)).map(Some)
    }
}

/// The same for a line that came at once and for one that came in pieces.
fn whole(text: &[u8], length: usize) -> Whole<'_> {
    let cut = length > KEPT;
    let text = if cut { &text[..KEPT] } else { text.strip_suffix(b"\r").unwrap_or(text) };
    Whole { text, cut }
}
