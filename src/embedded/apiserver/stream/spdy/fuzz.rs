//! Frames as anybody may send them.

use super::frame::{Decoder, Frame, Malformed};

/// What a headers block of so many bytes may be inflated to, in all.
const HEADERS: usize = 16 << 10;

/// What a decoder makes of bytes that come in pieces: the frames, and what ended them.
fn read(data: &[u8], piece: usize) -> (Vec<Frame>, Option<Malformed>) {
    let (mut decoder, mut frames) = (Decoder::new(), Vec::new());
    for bytes in data.chunks(piece) {
        decoder.push(bytes);
        loop {
            match decoder.next() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return (frames, Some(error)),
            }
        }
    }
    (frames, None)
}

/// However the bytes are cut, the frames are the same, and no more than was sent.
pub(in crate::apiserver::stream) fn frames(data: &[u8]) {
    let whole = read(data, data.len().max(1));
    assert!(whole.0.len() <= data.len() / 8);
    for frame in &whole.0 {
        match frame {
            Frame::Open { headers, .. } => {
                // A byte that is no text is three when it is shown.
                let size: usize =
                    headers.0.iter().map(|(name, value)| name.len() + value.len()).sum();
                assert!(size <= 3 * HEADERS);
            }
            Frame::Data { bytes, .. } => assert!(bytes.len() + 8 <= data.len()),
            _ => {}
        }
    }
    for piece in [1, 3, 61] {
        assert_eq!(read(data, piece), whole, "in pieces of {piece}");
    }
}
