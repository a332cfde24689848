//! Messages and frames as anybody may send them.

use bytes::Bytes;

use super::channel::{Input, Version};

pub(in crate::apiserver) fn frames(data: &[u8]) {
    super::spdy::fuzz::frames(data);
}

/// A message is for the program, about the terminal, the end of its input, or passed over.
pub(in crate::apiserver) fn channels(data: &[u8]) {
    for version in [Version::V4, Version::V5] {
        match version.read(Bytes::copy_from_slice(data)) {
            Input::Stdin(bytes) => assert_eq!(bytes, data[1..]),
            Input::StdinEnd => assert_eq!((version, data), (Version::V5, &[255, 0][..])),
            Input::Resize { .. } => assert_eq!(data[0], 4),
            Input::Unknown => {}
        }
    }
}
