//! Frames of HTTP/2 (RFC 9113): taking them off a stream of bytes, and header blocks off them.

use std::borrow::Cow;
use std::time::Instant;

use super::Lost;

/// What a client sends first.
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Bytes of a frame that is looked into, and of a whole header block.
const BLOCK: usize = 32 * 1024;

pub(super) const DATA: u8 = 0;
const HEADERS: u8 = 1;
pub(super) const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const PUSH: u8 = 5;
const CONTINUATION: u8 = 9;

pub(super) const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;

/// Whether a server's first bytes are, so far, settings.
pub(super) fn may_be_settings(bytes: &[u8]) -> bool {
    let length = |at: usize| bytes.get(at).is_none_or(|byte| at == 2 || *byte == 0);
    let fits = [length(0), length(1), bytes.get(3).is_none_or(|kind| *kind == SETTINGS)];
    fits.iter().all(|fits| *fits)
}

/// One direction.
pub(super) struct Half {
    /// What is left of the preface.
    preface: usize,
    /// The first frame has come, and was the right one.
    settled: bool,
    header: [u8; 9],
    filled: usize,
    /// When the frame began.
    began: Option<Instant>,
    /// What is left of a frame's payload.
    left: usize,
    /// Payload of a frame that is looked into, when it comes in pieces.
    payload: Vec<u8>,
    /// A header block that goes on in the next frame.
    open: Option<Block<'static>>,
}

#[derive(Clone, Copy)]
pub(super) struct Frame {
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
    length: usize,
    began: Instant,
}

/// A frame with its payload.
type Taken<'a> = (Frame, Cow<'a, [u8]>);

/// A header block.
pub(super) struct Block<'a> {
    pub(super) stream: u32,
    /// Of its first frame.
    pub(super) flags: u8,
    /// It is a request that the server makes up.
    pub(super) pushed: bool,
    pub(super) began: Instant,
    pub(super) bytes: Cow<'a, [u8]>,
}

impl Half {
    /// What a client sends.
    pub(super) fn client() -> Self {
        Self { preface: PREFACE.len(), ..Self::server() }
    }

    /// What a server sends.
    pub(super) fn server() -> Self {
        Self {
            preface: 0,
            settled: false,
            header: [0; 9],
            filled: 0,
            began: None,
            left: 0,
            payload: Vec::new(),
            open: None,
        }
    }

    /// The next frame that is looked at, with its payload as far as it is looked into. `None` when it is not there
    /// yet, or of no interest.
    pub(super) fn next<'a>(
        &mut self,
        bytes: &mut &'a [u8],
        now: Instant,
    ) -> Result<Option<Taken<'a>>, Lost> {
        if self.preface > 0 {
            let here = self.preface.min(bytes.len());
            self.preface -= here;
            *bytes = &bytes[here..];
            return Ok(None);
        }
        let began = *self.began.get_or_insert(now);
        if self.filled < self.header.len() {
            let here = (self.header.len() - self.filled).min(bytes.len());
            self.header[self.filled..][..here].copy_from_slice(&bytes[..here]);
            self.filled += here;
            *bytes = &bytes[here..];
            if self.filled < self.header.len() {
                return Ok(None);
            }
            let frame = self.frame(began);
            self.check(frame)?;
            self.left = frame.length;
        }
        let frame = self.frame(began);
        let looked_into = matches!(frame.kind, HEADERS | PUSH | CONTINUATION | RESET);
        let here = self.left.min(bytes.len());
        let (payload, rest) = bytes.split_at(here);
        (*bytes, self.left) = (rest, self.left - here);
        if looked_into && (self.left > 0 || !self.payload.is_empty()) {
            self.payload.extend_from_slice(payload);
        }
        if self.left > 0 {
            return Ok(None);
        }
        (self.filled, self.began) = (0, None);
        let payload = match std::mem::take(&mut self.payload) {
            joined if joined.is_empty() => Cow::Borrowed(payload),
            joined => Cow::Owned(joined),
        };
        Ok((looked_into || frame.kind == DATA).then_some((frame, payload)))
    }

    fn frame(&self, began: Instant) -> Frame {
        let [a, b, c, kind, flags, stream @ ..] = self.header;
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        Frame { kind, flags, stream: u32::from_be_bytes(stream) & 0x7fff_ffff, length, began }
    }

    /// What each frame has to be in its place.
    fn check(&mut self, frame: Frame) -> Result<(), Lost> {
        let Frame { kind, stream, length, .. } = frame;
        let settled = std::mem::replace(&mut self.settled, true) || kind == SETTINGS;
        let goes_on = match &self.open {
            Some(open) => kind == CONTINUATION && stream == open.stream,
            None => kind != CONTINUATION,
        };
        let held = self.open.as_ref().map_or(0, |open| open.bytes.len());
        let small = !matches!(kind, HEADERS | PUSH | CONTINUATION) || held + length <= BLOCK;
        let exact = kind != RESET || length == 4;
        let owned = !matches!(kind, HEADERS | PUSH | CONTINUATION | DATA | RESET) || stream != 0;
        if settled && goes_on && small && exact && owned { Ok(()) } else { Err(Lost) }
    }

    /// Adds a frame of headers; gives back the block when it is complete.
    pub(super) fn headers<'a>(
        &mut self,
        frame: Frame,
        payload: &'a [u8],
    ) -> Result<Option<Block<'a>>, Lost> {
        let fragment = fragment(frame, payload).ok_or(Lost)?;
        let Frame { flags, stream, kind, began, .. } = frame;
        let block = match self.open.take() {
            Some(mut open) => {
                open.bytes.to_mut().extend_from_slice(fragment);
                open
            }
            None => {
                let bytes = Cow::Borrowed(fragment);
                Block { stream, flags, pushed: kind == PUSH, began, bytes }
            }
        };
        if flags & END_HEADERS != 0 {
            return Ok(Some(block));
        }
        self.open = Some(Block { bytes: Cow::Owned(block.bytes.into_owned()), ..block });
        Ok(None)
    }
}

/// The part of a header block that a frame carries, without padding, priority and the promised stream.
fn fragment(frame: Frame, mut payload: &[u8]) -> Option<&[u8]> {
    if frame.kind != CONTINUATION && frame.flags & PADDED != 0 {
        let (padding, rest) = payload.split_first()?;
        payload = rest.get(..rest.len().checked_sub(usize::from(*padding))?)?;
    }
    match frame.kind {
        HEADERS if frame.flags & PRIORITY != 0 => payload.get(5..),
        PUSH => payload.get(4..),
        _ => Some(payload),
    }
}
