//! The archive itself: a tar, compressed.

use std::io::{self, Write};

use flate2::{Compression, write::GzEncoder};
use jiff::Timestamp;

/// Packs `files` below one folder called `folder`.
///
/// # Errors
/// A path that no archive can have.
pub(super) fn pack(
    folder: &str,
    files: &[(String, Vec<u8>)],
    now: Timestamp,
) -> io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
    for (path, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o600);
        header.set_mtime(u64::try_from(now.as_second()).unwrap_or(0));
        archive.append_data(&mut header, format!("{folder}/{path}"), bytes.as_slice())?;
    }
    let mut compressed = archive.into_inner()?;
    compressed.flush()?;
    compressed.finish()
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn what_goes_in_comes_out_below_one_folder() {
        let long = format!("logs/{}/{}.log", "n".repeat(60), "p".repeat(120));
        let files = [("a.txt".to_owned(), b"one".to_vec()), (long, b"two".to_vec())];
        let packed = pack("x", &files, Timestamp::UNIX_EPOCH).unwrap();
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(packed.as_slice()));
        let mut found = Vec::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let path = entry.path().unwrap().to_string_lossy().into_owned();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            assert_eq!(entry.header().mode().unwrap(), 0o600);
            found.push((path, bytes));
        }
        let expected = files.map(|(path, bytes)| (format!("x/{path}"), bytes));
        assert_eq!(found, expected);
    }
}
