//! Unpacking a snapshot into a directory of its own.

use std::ffi::{OsStr, OsString};
use std::fs::{DirBuilder, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{AT_FDCWD as CWD, AtFlags, OFlag, OpenHow, ResolveFlag, openat, openat2};
use nix::sys::stat::{Mode, SFlag, mkdirat, mknodat};
use nix::sys::statvfs::statvfs;
use nix::unistd::{linkat, symlinkat};
use tar::EntryType;

use super::attributes::Attributes;
use super::path::inside;
use super::read::{damaged, head_of, none, open};
use super::{Contents, SnapshotError, Stop, UNPROVEN};
use crate::node::images::Headers;

/// Bytes that are looked at together: where all are zero, a file gets a hole.
const BLOCK: usize = 64 << 10;
/// What stands after the last entry, at most.
const TAIL: u64 = 64 << 10;

/// Unpacks the snapshot `file` into the directory `into`, which must not be there, and checks that it is whole and holds
/// what `contents` says. On the disk when it returns.
///
/// # Errors
/// A file that is not a whole snapshot, no room, a disk that fails, `stop`. What was unpacked is for the caller to remove.
pub fn unpack(
    file: &Path,
    into: &Path,
    contents: &Contents,
    stop: Stop<'_>,
) -> Result<(), SnapshotError> {
    room(into, contents)?;
    DirBuilder::new().mode(0o700).create(into).map_err(SnapshotError::file("make", into))?;
    let root = open_dir(into).map_err(SnapshotError::file("open", into))?;
    let mut tree = Tree { root, into, parent: None, directories: Vec::new(), own: None, stop };

    let mut plain = open(file)?;
    let what = file.display().to_string();
    let headers = Headers::of(&what);
    let mut archive = tar::Archive::new(headers.bound(&mut plain));
    let mut entries = archive.entries().map_err(damaged(file))?;
    let mut seen = Contents::default();
    let mut first = true;
    while let Some(entry) = headers.next(|| entries.next()) {
        if stop() {
            return Err(SnapshotError::Stopped);
        }
        let mut entry = entry.map_err(damaged(file))?;
        if std::mem::take(&mut first) {
            head_of(&mut entry, file)?;
            continue;
        }
        seen.entries += 1;
        if entry.header().entry_type() == EntryType::Regular {
            seen.bytes = seen.bytes.saturating_add(entry.size());
        }
        if seen.entries > contents.entries || seen.bytes > contents.bytes {
            return Err(none(file, "it holds more than it says"));
        }
        tree.add(&mut entry, file)?;
    }
    // To the checksum at its end.
    let rest = io::copy(&mut (&mut plain).take(TAIL), &mut io::sink()).map_err(damaged(file))?;
    if rest == TAIL {
        return Err(none(file, "there is something behind its end"));
    }
    if (seen.entries, seen.bytes) != (contents.entries, contents.bytes) {
        return Err(none(file, "it holds less than it says"));
    }
    tree.finish(file)
}

/// Whether there is room for it, as far as can be known before.
fn room(into: &Path, contents: &Contents) -> Result<(), SnapshotError> {
    let dir = into.parent().unwrap_or(Path::new("/"));
    let found = statvfs(dir).map_err(|errno| SnapshotError::file("look at", dir)(errno.into()))?;
    let free = (found.blocks_available() as u64).saturating_mul(found.fragment_size() as u64);
    if free < contents.room {
        let (dir, needed) = (dir.to_owned(), contents.room);
        return Err(SnapshotError::NoRoom { dir, needed, free });
    }
    Ok(())
}

fn open_dir(path: &Path) -> io::Result<OwnedFd> {
    let flags = libc::O_DIRECTORY | libc::O_NOFOLLOW;
    Ok(File::options().read(true).custom_flags(flags).open(path)?.into())
}

/// The directory that is filled.
struct Tree<'a> {
    root: OwnedFd,
    into: &'a Path,
    /// The one that the last entry was in.
    parent: Option<(PathBuf, OwnedFd)>,
    /// Those whose attributes are set last: filling them changes their times, and they may be closed to their maker.
    directories: Vec<(PathBuf, Attributes)>,
    /// The directory's own.
    own: Option<Attributes>,
    stop: Stop<'a>,
}

impl Tree<'_> {
    fn add(
        &mut self,
        entry: &mut tar::Entry<'_, impl Read>,
        file: &Path,
    ) -> Result<(), SnapshotError> {
        let raw = entry.path_bytes().into_owned();
        let path = inside(&raw).map_err(|why| none(file, &why))?;
        let kind = entry.header().entry_type();
        if kind != EntryType::Regular && entry.size() != 0 {
            return Err(none(file, &format!("{} has content and is no file", path.display())));
        }
        if path.as_os_str().is_empty() {
            if kind != EntryType::Directory || self.own.is_some() {
                return Err(none(file, "its folder is none, or is there twice"));
            }
            self.own = Some(Attributes::read(entry).map_err(damaged(file))?);
            return Ok(());
        }
        let refused = |what: &str| none(file, &format!("{} is {what}", path.display()));
        let shown = self.into.join(&path);
        let made = SnapshotError::file("make", &shown);
        let Some(name) = path.file_name().map(OsStr::to_owned) else {
            return Err(refused("no name"));
        };
        self.enter(path.parent().unwrap_or(Path::new(""))).map_err(|error| {
            match is_missing(&error) {
                true => refused("in no folder of the snapshot"),
                false => SnapshotError::file("open the folder of", &shown)(error),
            }
        })?;
        let parent = self.parent.as_ref().map_or(&self.root, |(_, parent)| parent);
        let dir = parent.as_fd();
        let private = Mode::from_bits_truncate(0o600);
        let taken = |error: io::Error| match error.kind() {
            io::ErrorKind::AlreadyExists => refused("there twice"),
            _ => made(error),
        };
        match kind {
            EntryType::Directory => {
                mkdirat(dir, name.as_os_str(), Mode::S_IRWXU)
                    .map_err(|errno| taken(errno.into()))?;
                let attributes = Attributes::read(entry).map_err(damaged(file))?;
                self.directories.push((path, attributes));
                return Ok(());
            }
            EntryType::Regular => {
                let flags = OFlag::O_WRONLY
                    | OFlag::O_CREAT
                    | OFlag::O_EXCL
                    | OFlag::O_NOFOLLOW
                    | OFlag::O_CLOEXEC;
                let to = openat(dir, name.as_os_str(), flags, private)
                    .map_err(|errno| taken(errno.into()))?;
                copy(entry, File::from(to), self.stop, &shown, file)?;
            }
            EntryType::Symlink => {
                let target = target(entry).map_err(|why| refused(&why))?;
                symlinkat(target.as_os_str(), dir, name.as_os_str())
                    .map_err(|errno| taken(errno.into()))?;
            }
            EntryType::Link => {
                let target = target(entry).map_err(|why| refused(&why))?;
                let target = inside(target.as_bytes()).map_err(|why| none(file, &why))?;
                let found = self.find(&target, OFlag::O_NOFOLLOW);
                let found = found.map_err(|error| match is_missing(&error) {
                    true => refused("a link to what is not there"),
                    false => SnapshotError::file("open", &self.into.join(&target))(error),
                })?;
                let found = format!("/proc/self/fd/{}", found.as_raw_fd());
                linkat(CWD, found.as_str(), dir, name.as_os_str(), AtFlags::AT_SYMLINK_FOLLOW)
                    .map_err(|errno| taken(errno.into()))?;
                return Ok(());
            }
            EntryType::Fifo => mknodat(dir, name.as_os_str(), SFlag::S_IFIFO, private, 0)
                .map_err(|errno| taken(errno.into()))?,
            EntryType::Char if is_whiteout(entry) => {
                mknodat(dir, name.as_os_str(), SFlag::S_IFCHR, Mode::empty(), 0)
                    .map_err(|errno| taken(errno.into()))?;
            }
            _ => return Err(refused("of a kind that no snapshot has")),
        }
        let attributes = Attributes::read(entry).map_err(damaged(file))?;
        let shown = self.into.join(&path);
        attributes
            .apply(dir, &name, kind == EntryType::Symlink)
            .map_err(SnapshotError::file("restore the attributes of", &shown))
    }

    /// Makes `path` the directory that entries are in.
    fn enter(&mut self, path: &Path) -> io::Result<()> {
        if path.as_os_str().is_empty() {
            self.parent = None;
        } else if self.parent.as_ref().is_none_or(|(known, _)| known != path) {
            self.parent = Some((path.to_owned(), self.find(path, OFlag::O_DIRECTORY)?));
        }
        Ok(())
    }

    /// Looks a path up without leaving the directory or following any link.
    fn find(&self, path: &Path, flags: OFlag) -> io::Result<OwnedFd> {
        let resolve = ResolveFlag::RESOLVE_BENEATH
            | ResolveFlag::RESOLVE_NO_SYMLINKS
            | ResolveFlag::RESOLVE_NO_MAGICLINKS;
        // A link itself may be the target of a hard link, its parents may not be links.
        let how = OpenHow::new().flags(OFlag::O_PATH | OFlag::O_CLOEXEC | flags).resolve(resolve);
        Ok(openat2(&self.root, path, how)?)
    }

    /// Gives the directories what is theirs, and waits for the disk.
    fn finish(mut self, file: &Path) -> Result<(), SnapshotError> {
        let Some(own) = self.own.take() else {
            return Err(none(file, "its folder is missing"));
        };
        let shown = self.into.to_owned();
        for (path, attributes) in std::mem::take(&mut self.directories).iter().rev() {
            let failed = SnapshotError::file("restore the attributes of", &shown.join(path));
            let mut set = || -> io::Result<()> {
                self.enter(path.parent().unwrap_or(Path::new("")))?;
                let parent = self.parent.as_ref().map_or(&self.root, |(_, parent)| parent);
                attributes.apply(parent.as_fd(), path.file_name().unwrap_or_default(), false)
            };
            set().map_err(failed)?;
        }
        let set = || -> io::Result<()> {
            // Not over what the snapshot itself brought by that name.
            let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
            drop(openat(&self.root, UNPROVEN, flags, Mode::S_IRUSR)?);
            let above = open_dir(shown.parent().unwrap_or(Path::new("/")))?;
            own.apply(above.as_fd(), shown.file_name().unwrap_or_default(), false)?;
            Ok(rustix::fs::syncfs(&self.root)?)
        };
        set().map_err(SnapshotError::file("finish", &shown))
    }
}

/// Waits until what is in a directory is on the disk.
pub(super) fn sync(directory: &Path) -> io::Result<()> {
    File::from(open_dir(directory)?).sync_all()
}

/// Whether a path leads nowhere, or not to where only entries of the snapshot lead.
fn is_missing(error: &io::Error) -> bool {
    let known = [libc::ENOENT, libc::ENOTDIR, libc::ELOOP, libc::EXDEV];
    error.raw_os_error().is_some_and(|code| known.contains(&code))
}

/// Where a link leads.
fn target(entry: &tar::Entry<'_, impl Read>) -> Result<OsString, String> {
    let target = entry.link_name_bytes().map(|target| target.into_owned()).unwrap_or_default();
    if target.is_empty() || target.contains(&0) {
        return Err("a link to nowhere".to_owned());
    }
    Ok(OsStr::from_bytes(&target).to_owned())
}

fn is_whiteout(entry: &tar::Entry<'_, impl Read>) -> bool {
    let device = (entry.header().device_major(), entry.header().device_minor());
    matches!(device, (Ok(Some(0)), Ok(Some(0))))
}

/// Writes the content of `entry` to `to`, with holes where it has nothing but zeros.
fn copy(
    entry: &mut tar::Entry<'_, impl Read>,
    mut to: File,
    stop: Stop<'_>,
    shown: &Path,
    file: &Path,
) -> Result<(), SnapshotError> {
    let size = entry.size();
    let mut block = vec![0; BLOCK.min(usize::try_from(size).unwrap_or(BLOCK))];
    let mut left = size;
    let mut hole = false;
    let failed = || SnapshotError::file("write", shown);
    while left > 0 {
        if stop() {
            return Err(SnapshotError::Stopped);
        }
        let most = block.len().min(usize::try_from(left).unwrap_or(BLOCK));
        let block = &mut block[..most];
        entry.read_exact(block).map_err(damaged(file))?;
        left -= most as u64;
        hole = most == BLOCK && block.iter().all(|byte| *byte == 0);
        if hole {
            to.seek(SeekFrom::Current(most as i64)).map_err(failed())?;
        } else {
            to.write_all(block).map_err(failed())?;
        }
    }
    if hole {
        to.set_len(size).map_err(failed())?;
    }
    Ok(())
}
