//! Streams that may be compressed, and their digests.

use std::io::{self, BufReader, Read};

use flate2::read::MultiGzDecoder;
use ruzstd::decoding::StreamingDecoder;
use sha2::{Digest as _, Sha256};

use super::ImageError;

const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// The content of a stream, whether it is plain, gzip or zstd: told by its first bytes, not by its name.
pub(super) fn decompress<'a>(mut reader: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let mut head = Vec::with_capacity(4);
    reader.by_ref().take(4).read_to_end(&mut head)?;
    let whole = io::Cursor::new(head.clone()).chain(reader);
    if head.starts_with(&GZIP) {
        Ok(Box::new(MultiGzDecoder::new(BufReader::new(whole))))
    } else if head.starts_with(&ZSTD) {
        let decoder = StreamingDecoder::new(BufReader::new(whole))
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
        Ok(Box::new(decoder))
    } else {
        Ok(Box::new(whole))
    }
}

/// Passes a stream on and computes its digest.
pub(super) struct Hashing<R> {
    inner: R,
    hash: Sha256,
}

impl<R: Read> Hashing<R> {
    pub(super) fn new(inner: R) -> Self {
        Self { inner, hash: Sha256::new() }
    }

    /// Reads what is left and gives the digest of all.
    pub(super) fn finish(mut self) -> io::Result<Digest> {
        io::copy(&mut self, &mut io::sink())?;
        Ok(Digest::of(self.hash))
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hash.update(&buffer[..count]);
        Ok(count)
    }
}

/// A SHA-256 digest.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::node) struct Digest {
    hex: String,
}

impl Digest {
    /// Of what was hashed.
    pub(in crate::node) fn of(hash: Sha256) -> Self {
        Self { hex: hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect() }
    }

    /// Parses `sha256:<64 hexadecimal digits>`.
    pub(in crate::node) fn parse(text: &str) -> Result<Self, ImageError> {
        let lower_hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
        match text.strip_prefix("sha256:") {
            Some(hex) if hex.len() == 64 && hex.chars().all(lower_hex) => {
                Ok(Self { hex: hex.to_owned() })
            }
            _ => Err(ImageError::DigestForm(text.to_owned())),
        }
    }

    pub(in crate::node) fn hex(&self) -> &str {
        &self.hex
    }

    /// The name of a layer's directory. Short, because all of an image's must fit into the options of one `mount`;
    /// two layers have the same one only by intent, and the store refuses the second.
    pub(in crate::node) fn short(&self) -> &str {
        &self.hex[..24]
    }
}

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "sha256:{}", self.hex)
    }
}
