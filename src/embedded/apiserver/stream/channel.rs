//! Messages of `v4.channel.k8s.io` and `v5.channel.k8s.io`: the number of a channel, then what goes through it.
//!
//! Version 5 has one thing more: the message `255, N` closes channel N.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use serde::Deserialize;

const STDIN: u8 = 0;
/// A program's output.
pub(super) const STDOUT: u8 = 1;
/// Its errors.
pub(super) const STDERR: u8 = 2;
/// How it ended: a `Status`.
pub(super) const STATUS: u8 = 3;
const RESIZE: u8 = 4;
const CLOSE: u8 = 255;

/// Which messages there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::apiserver) enum Version {
    V4,
    V5,
}

/// A message of a client.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// For the program to read.
    Stdin(Bytes),
    /// There is nothing more to read.
    StdinEnd,
    /// The size of the terminal.
    Resize { columns: u16, rows: u16 },
    /// Not understood: it is passed over, as upstream does.
    Unknown,
}

#[derive(Deserialize)]
struct Size {
    #[serde(rename = "Width", alias = "width")]
    columns: u16,
    #[serde(rename = "Height", alias = "height")]
    rows: u16,
}

impl Version {
    /// Reads a client's message.
    pub(super) fn read(self, mut message: Bytes) -> Input {
        if message.is_empty() {
            return Input::Unknown;
        }
        match message.get_u8() {
            STDIN => Input::Stdin(message),
            RESIZE => match serde_json::from_slice(&message) {
                Ok(Size { columns, rows }) => Input::Resize { columns, rows },
                Err(_) => Input::Unknown,
            },
            CLOSE if self == Self::V5 && message[..] == [STDIN] => Input::StdinEnd,
            _ => Input::Unknown,
        }
    }
}

/// A message of ours.
pub(super) fn message(channel: u8, content: &[u8]) -> Bytes {
    let mut message = BytesMut::with_capacity(content.len() + 1);
    message.put_u8(channel);
    message.put_slice(content);
    message.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_clients_are_read() {
        let read = |version: Version, bytes: &'static [u8]| version.read(Bytes::from_static(bytes));
        let both = [Version::V4, Version::V5];
        for version in both {
            assert_eq!(read(version, b"\0text"), Input::Stdin(Bytes::from_static(b"text")));
            let size = Input::Resize { columns: 80, rows: 24 };
            assert_eq!(read(version, br#"_{"Width":80,"Height":24}"#), Input::Unknown);
            assert_eq!(read(version, b"\x04{\"Width\":80,\"Height\":24}"), size);
        }
        assert_eq!(read(Version::V5, &[255, 0]), Input::StdinEnd);
        assert_eq!(read(Version::V4, &[255, 0]), Input::Unknown, "version 4 has no such message");
    }

    #[test]
    fn what_is_not_understood_is_passed_over() {
        let wrong: [&[u8]; 9] = [
            b"",
            b"\x04",
            b"\x04{}",
            b"\x04{\"Width\":-1,\"Height\":24}",
            b"\x04{\"Width\":70000,\"Height\":24}",
            b"\x03status",
            b"\xff",
            b"\xff\x01",
            b"\x09?",
        ];
        for bytes in wrong {
            assert_eq!(Version::V5.read(Bytes::from_static(bytes)), Input::Unknown, "{bytes:?}");
        }
    }

    #[test]
    fn our_messages_begin_with_their_channel() {
        assert_eq!(message(STDOUT, b"hi"), Bytes::from_static(b"\x01hi"));
        assert_eq!(message(STATUS, b""), Bytes::from_static(b"\x03"));
    }
}
