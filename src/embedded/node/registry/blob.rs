//! One blob into a file that has its digest for a name; an interrupted one goes on where it stopped.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use http::StatusCode;
use http::header::CONTENT_RANGE;
use sha2::{Digest as _, Sha256};

use super::document::named;
use super::error::PullError;
use super::pace::Pace;
use super::session::{Ask, Session};
use crate::node::images::{Descriptor, Digest};

/// How often a blob is asked for within one pull; each goes on where the one before stopped.
const TRIES: u32 = 4;
const PAUSE: Duration = Duration::from_millis(200);

/// The blob, from `dir` or from the registry; the file is at its beginning.
pub(super) async fn fetch(
    session: &Session<'_>,
    blob: &Descriptor,
    dir: &Path,
) -> Result<File, PullError> {
    let digest = named(session, blob)?;
    let path = dir.join(digest.hex());
    if let Ok(file) = File::open(&path) {
        // It got its name when it was verified, and nobody else writes here.
        return Ok(file);
    }
    let beside = dir.join(format!("{}.partial", digest.hex()));
    let mut partial = Partial::open(&beside, blob.size).map_err(PullError::file(&beside))?;
    let mut tries = 0;
    while partial.length < blob.size {
        match go_on(session, &digest, blob.size, &mut partial, &beside).await {
            Ok(()) => {}
            Err(error @ (PullError::Unreachable { .. } | PullError::Answer { .. })) => {
                tries += 1;
                if tries == TRIES {
                    return Err(error);
                }
                tokio::time::sleep(PAUSE * 2_u32.pow(tries)).await;
            }
            Err(error) => return Err(error),
        }
    }
    let found = Digest::of(partial.hash);
    if found != digest {
        std::fs::remove_file(&beside).map_err(PullError::file(&beside))?;
        let (expected, found) = (digest.to_string(), found.to_string());
        return Err(PullError::Digest { host: session.host.clone(), expected, found });
    }
    std::fs::rename(&beside, &path).map_err(PullError::file(&path))?;
    partial.file.rewind().map_err(PullError::file(&path))?;
    Ok(partial.file)
}

/// Asks for what is missing, and takes what comes.
async fn go_on(
    session: &Session<'_>,
    digest: &Digest,
    size: u64,
    partial: &mut Partial,
    path: &Path,
) -> Result<(), PullError> {
    let name = format!("blobs/{digest}");
    let ask = Ask { path: &name, accept: None, from: partial.length };
    let answer = session.get(&ask).await?;
    if answer.status() == StatusCode::RANGE_NOT_SATISFIABLE {
        // It has less than we: not the same.
        partial.clear().map_err(PullError::file(path))?;
        return Err(session.answer("does not have the rest of a blob"));
    }
    let range = answer.headers().get(CONTENT_RANGE).and_then(|value| value.to_str().ok());
    let begin = format!("bytes {}-", partial.length);
    let goes_on = answer.status() == StatusCode::PARTIAL_CONTENT
        && range.is_some_and(|range| range.starts_with(&begin));
    if !goes_on && partial.length > 0 {
        if answer.status() == StatusCode::PARTIAL_CONTENT {
            return Err(session.answer("sent another part of a blob than the one asked for"));
        }
        // The host knows no parts: all of it comes again.
        partial.clear().map_err(PullError::file(path))?;
    }
    let (mut body, mut pace) = (answer.into_body(), Pace::new(Instant::now()));
    while let Some(piece) = session.piece(&mut body, &mut pace).await? {
        if partial.length + piece.len() as u64 > size {
            partial.clear().map_err(PullError::file(path))?;
            let why = format!("it is larger than the {size} bytes that the image says");
            return Err(PullError::Unusable { name: session.name(&name), why });
        }
        partial.add(&piece).map_err(PullError::file(path))?;
    }
    if partial.length < size {
        return Err(
            session.answer(format!("ended a blob after {} of {size} bytes", partial.length))
        );
    }
    Ok(())
}

/// What has come so far.
struct Partial {
    file: File,
    length: u64,
    hash: Sha256,
}

impl Partial {
    /// What an earlier attempt left, if it can be the beginning of `size` bytes.
    fn open(path: &Path, size: u64) -> io::Result<Self> {
        let mut options = File::options();
        options.create(true).truncate(false).read(true).write(true).mode(0o600);
        let file = options.open(path)?;
        let mut partial = Self { file, length: 0, hash: Sha256::new() };
        if partial.file.metadata()?.len() > size {
            partial.clear()?;
            return Ok(partial);
        }
        let mut buffer = vec![0; 128 << 10];
        loop {
            match partial.file.read(&mut buffer)? {
                0 => return Ok(partial),
                count => {
                    partial.hash.update(&buffer[..count]);
                    partial.length += count as u64;
                }
            }
        }
    }

    fn add(&mut self, piece: &[u8]) -> io::Result<()> {
        self.file.write_all(piece)?;
        self.hash.update(piece);
        self.length += piece.len() as u64;
        Ok(())
    }

    fn clear(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.seek(SeekFrom::Start(0))?;
        self.length = 0;
        self.hash = Sha256::new();
        Ok(())
    }
}
