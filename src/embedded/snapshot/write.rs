//! Writing a snapshot.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use flate2::{Compression, write::GzEncoder};
use tar::{Builder, EntryType, Header};

use super::attributes::Attributes;
use super::path::{entry, left_out};
use super::{Contents, HEAD, SnapshotError, Stop};
use crate::node::images;

/// How much is written to the file at a time.
const CHUNK: usize = 256 << 10;
/// What a file takes of a disk beside its content, about.
const FILE_ROOM: u64 = 4 << 10;

/// Writes the cluster's home `root`, of which nothing runs, to `file`, at `path`, with what `head` makes of its contents at
/// the beginning. On the disk when it returns.
///
/// # Errors
/// A file that cannot be read or written; `stop`. What was written is of no use then.
pub fn write(
    root: &Path,
    (file, path): (File, &Path),
    head: impl FnOnce(&Contents) -> io::Result<Vec<u8>>,
    stop: Stop<'_>,
) -> Result<Contents, SnapshotError> {
    let found = survey(root, stop)?;
    // A store that cannot be read is kept as it is.
    let images = images::list(root).map_or(0, |images| images.len() as u64);
    let contents = Contents { images, ..contents(&found) };
    let failed = || SnapshotError::file("write", path);
    let head = head(&contents).map_err(failed())?;
    // Quickly rather than small: somebody waits, and the cluster does not run.
    let packed = GzEncoder::new(BufWriter::with_capacity(CHUNK, file), Compression::fast());
    let mut archive = Builder::new(packed);
    append_head(&mut archive, &head).map_err(failed())?;
    let mut links = Links::default();
    for one in &found {
        if stop() {
            return Err(SnapshotError::Stopped);
        }
        append(&mut archive, root, one, &mut links, stop).map_err(|error| error.or(path))?;
    }
    let finish = || -> io::Result<()> {
        let buffered = archive.into_inner()?.finish()?;
        buffered.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
    };
    finish().map_err(failed())?;
    Ok(contents)
}

/// Something to be written.
struct Found {
    /// Relative to the home.
    path: PathBuf,
    meta: Metadata,
}

/// Everything that belongs to the snapshot, each directory before what is in it.
fn survey(root: &Path, stop: Stop<'_>) -> Result<Vec<Found>, SnapshotError> {
    let mut found = Vec::new();
    let mut left = vec![PathBuf::new()];
    while let Some(path) = left.pop() {
        if stop() {
            return Err(SnapshotError::Stopped);
        }
        let full = root.join(&path);
        let meta = fs::symlink_metadata(&full).map_err(SnapshotError::file("look at", &full))?;
        if meta.is_dir() {
            let names = || -> io::Result<Vec<PathBuf>> {
                fs::read_dir(&full)?.map(|entry| Ok(path.join(entry?.file_name()))).collect()
            };
            let mut inside = names().map_err(SnapshotError::file("read", &full))?;
            inside.retain(|path| !left_out(path));
            inside.sort_by(|one, other| other.cmp(one));
            left.extend(inside);
        }
        if kind(&meta).is_some() {
            found.push(Found { path, meta });
        }
    }
    Ok(found)
}

/// What the entry of a file is; `None` for one that is no part of a snapshot.
fn kind(meta: &Metadata) -> Option<EntryType> {
    let of = meta.file_type();
    if of.is_dir() {
        Some(EntryType::Directory)
    } else if of.is_file() {
        Some(EntryType::Regular)
    } else if of.is_symlink() {
        Some(EntryType::Symlink)
    } else if of.is_fifo() {
        Some(EntryType::Fifo)
    } else {
        // What hides a file of a layer below.
        (of.is_char_device() && meta.rdev() == 0).then_some(EntryType::Char)
    }
}

fn contents(found: &[Found]) -> Contents {
    let mut contents = Contents { entries: found.len() as u64, ..Contents::default() };
    let mut links = Links::default();
    for one in found {
        contents.room += FILE_ROOM;
        if one.meta.is_file() && links.first(&one.path, &one.meta).is_none() {
            let size = one.meta.len();
            contents.bytes += size;
            // Of one with holes, only what is not.
            contents.room += size.min(one.meta.blocks().saturating_mul(512));
        }
        let mut parts = one.path.components();
        let (top, rest) = (parts.next(), parts.count());
        let top = top.map(|part| part.as_os_str().as_bytes());
        match (top, rest) {
            (Some(b"pods"), 1) => contents.pods += 1,
            (Some(b"volumes"), 1) => contents.volumes += 1,
            _ => {}
        }
    }
    contents
}

/// Files with several names: the first one is written, and leads the others.
#[derive(Default)]
struct Links(BTreeMap<(u64, u64), PathBuf>);

impl Links {
    /// The name under which what is at `path` was met first; `None` if that is now.
    fn first(&mut self, path: &Path, meta: &Metadata) -> Option<PathBuf> {
        if meta.nlink() < 2 || meta.is_dir() {
            return None;
        }
        let known = self.0.get(&(meta.dev(), meta.ino())).cloned();
        if known.is_none() {
            self.0.insert((meta.dev(), meta.ino()), path.to_owned());
        }
        known
    }
}

/// What went wrong with an entry: with what is read, or with what is written.
enum Failed {
    Reading(SnapshotError),
    Writing(io::Error),
}

impl Failed {
    fn or(self, path: &Path) -> SnapshotError {
        match self {
            Self::Reading(error) => error,
            Self::Writing(error) => SnapshotError::file("write", path)(error),
        }
    }
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::Writing(error)
    }
}

fn append_head(archive: &mut Builder<impl Write>, head: &[u8]) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_size(head.len() as u64);
    header.set_mode(0o600);
    archive.append_data(&mut header, HEAD, head)
}

fn append(
    archive: &mut Builder<impl Write>,
    root: &Path,
    one: &Found,
    links: &mut Links,
    stop: Stop<'_>,
) -> Result<(), Failed> {
    let Some(kind) = kind(&one.meta) else { return Ok(()) };
    let full = root.join(&one.path);
    let reading = |action| {
        let full = full.clone();
        move |source| Failed::Reading(SnapshotError::file(action, &full)(source))
    };
    let name = entry(&one.path);
    let mut header = Header::new_gnu();
    header.set_size(0);
    if let Some(first) = links.first(&one.path, &one.meta) {
        header.set_entry_type(EntryType::Link);
        append_target(archive, entry(&first).as_os_str().as_bytes())?;
        return Ok(archive.append_data(&mut header, name, io::empty())?);
    }
    let attributes = Attributes::of(&full, &one.meta).map_err(reading("look at"))?;
    header.set_entry_type(kind);
    attributes.fill(&mut header);
    let records = attributes.records();
    archive.append_pax_extensions(records.iter().map(|(key, value)| (*key, value.as_bytes())))?;
    match kind {
        EntryType::Regular => {
            let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
            let file = File::options().read(true).custom_flags(flags).open(&full);
            let file = file.map_err(reading("read"))?;
            let left = one.meta.len();
            header.set_size(left);
            let content = Exactly { file, path: &full, left, stop };
            archive.append_data(&mut header, name, content)?;
        }
        EntryType::Symlink => {
            let target = fs::read_link(&full).map_err(reading("read"))?;
            append_target(archive, target.as_os_str().as_bytes())?;
            archive.append_data(&mut header, name, io::empty())?;
        }
        EntryType::Char => {
            header.set_device_major(0)?;
            header.set_device_minor(0)?;
            archive.append_data(&mut header, name, io::empty())?;
        }
        _ => archive.append_data(&mut header, name, io::empty())?,
    }
    Ok(())
}

/// Where the next entry leads, byte for byte; the library would tidy it up.
fn append_target(archive: &mut Builder<impl Write>, target: &[u8]) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_path("././@LongLink")?;
    header.set_entry_type(EntryType::GNULongLink);
    header.set_mode(0o644);
    header.set_size(target.len() as u64 + 1);
    header.set_cksum();
    archive.append(&header, target.chain(&[0][..]))
}

/// As much of a file as its entry says. Its errors hold a [`SnapshotError`].
struct Exactly<'a> {
    file: File,
    path: &'a Path,
    left: u64,
    stop: Stop<'a>,
}

impl Read for Exactly<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if (self.stop)() {
            return Err(io::Error::other(SnapshotError::Stopped));
        }
        let most = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if most == 0 {
            return Ok(0);
        }
        let failed = |source| io::Error::other(SnapshotError::file("read", self.path)(source));
        match self.file.read(&mut buffer[..most]) {
            Ok(0) => Err(failed(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "it became shorter meanwhile: something of the cluster still runs",
            ))),
            Ok(count) => {
                self.left -= count as u64;
                Ok(count)
            }
            Err(error) => Err(failed(error)),
        }
    }
}
