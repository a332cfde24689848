//! Frames: control frames `1|version|type|flags|length`, and data frames `0|stream|flags|length`.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

use super::headers::{Deflater, Headers, Inflater};

const VERSION: u16 = 3;
const HEAD: usize = 8;
/// Largest frame of a client: theirs are of 32 KiB.
const LARGEST: usize = 1 << 20;
const CONTROL: u16 = 0x8000;
const STREAM: u32 = 0x7fff_ffff;
const FIN: u8 = 1;

const SYN_STREAM: u16 = 1;
const SYN_REPLY: u16 = 2;
const RST_STREAM: u16 = 3;
const PING: u16 = 6;
const GOAWAY: u16 = 7;
const HEADERS: u16 = 8;

/// Why a stream is refused.
pub(super) const REFUSED_STREAM: u32 = 3;
/// The session ends without an error.
pub(super) const GOODBYE: u32 = 0;
/// The session ends because of the client's error.
pub(super) const PROTOCOL_ERROR: u32 = 1;

/// What a client says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// Begins a stream.
    Open { stream: u32, headers: Headers, fin: bool },
    /// Bytes of a stream, and whether they are the last.
    Data { stream: u32, bytes: Bytes, fin: bool },
    /// Gives a stream up.
    Reset { stream: u32 },
    /// To be sent back.
    Ping { id: u32 },
    /// No more streams will begin.
    GoAway,
    /// Of no importance here: settings, windows, more headers.
    Other,
}

/// What a client must not say. It ends the session.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Malformed {
    #[error("SPDY version {0} instead of {VERSION}")]
    Version(u16),
    #[error("a frame of {0} bytes: {LARGEST} is the most")]
    Large(usize),
    #[error("a frame of type {kind} with {length} bytes")]
    Length { kind: u16, length: usize },
    #[error("headers that cannot be read: {0}")]
    Headers(&'static str),
}

/// Reads frames from bytes as they come.
pub(super) struct Decoder {
    buffer: BytesMut,
    inflater: Inflater,
}

impl Decoder {
    pub(super) fn new() -> Self {
        Self { buffer: BytesMut::new(), inflater: Inflater::new() }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame, if it is there. After an error nothing more can be read.
    pub(super) fn next(&mut self) -> Result<Option<Frame>, Malformed> {
        let Some(head) = self.buffer.first_chunk::<HEAD>() else {
            return Ok(None);
        };
        let [a, b, c, d, flags, length @ ..] = *head;
        let length = u32::from_be_bytes([0, length[0], length[1], length[2]]) as usize;
        let first = u16::from_be_bytes([a, b]);
        let version = first & !CONTROL;
        if first & CONTROL != 0 && version != VERSION {
            return Err(Malformed::Version(version));
        }
        if length > LARGEST {
            return Err(Malformed::Large(length));
        }
        if self.buffer.len() < HEAD + length {
            return Ok(None);
        }
        self.buffer.advance(HEAD);
        let payload = self.buffer.split_to(length).freeze();
        let fin = flags & FIN != 0;
        if first & CONTROL == 0 {
            let stream = u32::from_be_bytes([a, b, c, d]);
            return Ok(Some(Frame::Data { stream, bytes: payload, fin }));
        }
        self.control(u16::from_be_bytes([c, d]), fin, payload).map(Some)
    }

    fn control(&mut self, kind: u16, fin: bool, mut payload: Bytes) -> Result<Frame, Malformed> {
        let length = payload.len();
        let at_least = |wanted| match length >= wanted {
            true => Ok(()),
            false => Err(Malformed::Length { kind, length }),
        };
        Ok(match kind {
            SYN_STREAM => {
                at_least(10)?;
                let stream = payload.get_u32() & STREAM;
                // The stream that this one belongs to, its priority, and a certificate's slot.
                payload.advance(6);
                Frame::Open { stream, headers: self.inflater.read(&payload)?, fin }
            }
            // Not to be understood, but the headers that come later are compressed with what these were.
            SYN_REPLY | HEADERS => {
                at_least(4)?;
                self.inflater.read(&payload[4..])?;
                Frame::Other
            }
            RST_STREAM => {
                at_least(8)?;
                Frame::Reset { stream: payload.get_u32() & STREAM }
            }
            PING => {
                at_least(4)?;
                Frame::Ping { id: payload.get_u32() }
            }
            GOAWAY => Frame::GoAway,
            _ => Frame::Other,
        })
    }
}

fn head(first: u32, flags: u8, length: usize) -> BytesMut {
    let mut frame = BytesMut::with_capacity(HEAD + length);
    frame.put_u32(first);
    frame.put_u32(u32::from(flags) << 24 | length as u32);
    frame
}

fn control(kind: u16, payload: &[u8]) -> Bytes {
    let first = u32::from(CONTROL | VERSION) << 16 | u32::from(kind);
    let mut frame = head(first, 0, payload.len());
    frame.put_slice(payload);
    frame.freeze()
}

/// Bytes of a stream; never more than the length of a frame can tell.
pub(super) fn data(stream: u32, bytes: &[u8], fin: bool) -> Bytes {
    let mut frame = head(stream & STREAM, if fin { FIN } else { 0 }, bytes.len());
    frame.put_slice(bytes);
    frame.freeze()
}

/// The answer to a stream that has begun, without headers of its own.
pub(super) fn reply(stream: u32, deflater: &mut Deflater) -> Bytes {
    let mut payload = stream.to_be_bytes().to_vec();
    payload.extend(deflater.write(&Headers::default()));
    control(SYN_REPLY, &payload)
}

/// Refuses a stream.
pub(super) fn reset(stream: u32, status: u32) -> Bytes {
    control(RST_STREAM, &[stream.to_be_bytes(), status.to_be_bytes()].concat())
}

/// The answer to a ping.
pub(super) fn ping(id: u32) -> Bytes {
    control(PING, &id.to_be_bytes())
}

/// The end of the session.
pub(super) fn go_away(last: u32, status: u32) -> Bytes {
    control(GOAWAY, &[last.to_be_bytes(), status.to_be_bytes()].concat())
}

#[cfg(test)]
pub(super) mod tests;
