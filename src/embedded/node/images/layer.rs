//! Unpacking one layer into a directory, in the form that overlayfs reads.
//!
//! Nothing in a layer is trusted. Parents are looked up by the kernel inside the directory; every change is made
//! through the parent's descriptor and never follows a link at the last step.

use std::ffi::CStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Component, Path};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, OpenHow, ResolveFlag, openat, openat2};
use nix::sys::stat::{
    FchmodatFlags, Mode, SFlag, UtimensatFlags, fchmodat, mkdirat, mknodat, utimensat,
};
use nix::sys::time::{TimeSpec, TimeValLike};
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchownat, linkat, symlinkat, unlinkat};

use super::ImageError;
use super::budget::Budget;
use super::decode::{Digest, Hashing, decompress};
use super::headers::Headers;
use crate::node::rootless::Ids;
use crate::node::sandbox::sys;

const WHITEOUT: &str = ".wh.";
const OPAQUE: &str = ".wh..wh..opq";
/// Beginning of the attributes that say what a layer hides from those below it, and of nothing an image may bring along.
const OVERLAY: &str = "user.overlay.";
const XATTR_RECORD: &str = "SCHILY.xattr.";

/// Unpacks the layer `digest` in `file` into the empty directory `into`, as far as `budget` lets it; the digest of its
/// plain content.
pub(super) fn unpack(
    file: &Path,
    digest: &Digest,
    into: &Path,
    budget: &Budget,
) -> Result<Digest, ImageError> {
    let read = |source| ImageError::Read { source };
    let source = File::open(file).map_err(ImageError::store(file))?;
    let mut content = Hashing::new(decompress(source).map_err(read)?);
    let (layer, ids) = (format!("layer {digest}"), Ids::read());
    let root = Root { dir: open(into)?, budget, layer, marks: Marks::of(&ids), ids };
    let headers = Headers::of(&root.layer);
    let mut archive = tar::Archive::new(headers.bound(&mut content));
    // Times of directories are set last: filling them changes them.
    let mut directories = Vec::new();
    let mut entries = archive.entries().map_err(read)?;
    while let Some(entry) = headers.next(|| entries.next()) {
        let entry = entry.map_err(|error| ImageError::or(error, read))?;
        if let Some(directory) = root.add(entry)? {
            directories.push(directory);
        }
    }
    for (path, time) in directories.iter().rev() {
        root.set_time(path, *time)?;
    }
    content.finish().map_err(read)
}

fn open(path: &Path) -> Result<OwnedFd, ImageError> {
    let mut options = File::options();
    let dir = options.read(true).custom_flags(libc::O_DIRECTORY).open(path);
    Ok(dir.map_err(ImageError::store(path))?.into())
}

/// Notes on a layer's directory which one it is.
pub(super) fn set_digest(dir: &Path, digest: &Digest) -> Result<(), ImageError> {
    let noted =
        sys::set_xattr(open(dir)?.as_fd(), Marks::here().digest, digest.to_string().as_bytes());
    noted.map_err(ImageError::store(dir))
}

/// Which layer a directory has; `None` for those of former versions.
pub(super) fn digest(dir: &Path) -> Result<Option<Digest>, ImageError> {
    let mut noted = [0; 128];
    match sys::get_xattr(open(dir)?.as_fd(), Marks::here().digest, &mut noted) {
        Ok(noted) => Digest::parse(&String::from_utf8_lossy(noted)).map(Some),
        Err(error) if error.raw_os_error() == Some(libc::ENODATA) => Ok(None),
        Err(error) => Err(ImageError::store(dir)(error)),
    }
}

struct Root<'a> {
    dir: OwnedFd,
    budget: &'a Budget,
    /// What is unpacked, for errors.
    layer: String,
    marks: Marks,
    /// Who a file may be given to: what is somebody else's who is not there stays the store's own.
    ids: Ids,
}

/// Attributes that say what a layer is and hides. Containers see only the upper directory's.
struct Marks {
    digest: &'static CStr,
    opaque: &'static CStr,
}

impl Marks {
    /// The machine's root has some of its own; in a user namespace there are those that everybody has.
    fn of(ids: &Ids) -> Self {
        match ids.are_the_machines() {
            true => Self { digest: c"trusted.curtain.digest", opaque: c"trusted.overlay.opaque" },
            false => Self { digest: c"user.curtain.digest", opaque: c"user.overlay.opaque" },
        }
    }

    fn here() -> Self {
        Self::of(&Ids::read())
    }
}

impl Root<'_> {
    /// Adds one entry; its path and time if it is a directory.
    fn add(
        &self,
        mut entry: tar::Entry<'_, impl Read>,
    ) -> Result<Option<(String, i64)>, ImageError> {
        let raw = entry.path_bytes().into_owned();
        let raw = String::from_utf8_lossy(&raw).into_owned();
        let path = inside(&raw)?;
        if path.is_empty() {
            return Ok(None);
        }
        let fail = |source: io::Error| {
            ImageError::or(source, |source| match source.kind() {
                io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData => {
                    ImageError::Read { source }
                }
                _ => ImageError::Unpack { path: raw.clone(), source },
            })
        };
        self.add_at(&path, &mut entry).map_err(fail)?;
        // What is no file may have content all the same: it is no part of the next entry's headers.
        io::copy(&mut entry, &mut io::sink()).map_err(fail)?;
        let time = i64::try_from(entry.header().mtime().unwrap_or(0)).unwrap_or(0);
        Ok(entry.header().entry_type().is_dir().then_some((path, time)))
    }

    fn add_at(&self, path: &str, entry: &mut tar::Entry<'_, impl Read>) -> io::Result<()> {
        let (parent, name) = match path.rsplit_once('/') {
            Some((parent, name)) => (self.make_dirs(parent)?, name),
            None => (self.dir.try_clone()?, path),
        };
        self.budget.entry(&self.layer)?;
        if name == OPAQUE {
            return sys::set_xattr(parent.as_fd(), self.marks.opaque, b"y");
        }
        if let Some(hidden) = name.strip_prefix(WHITEOUT) {
            remove(&parent, hidden)?;
            return Ok(mknodat(&parent, hidden, SFlag::S_IFCHR, Mode::empty(), 0)?);
        }

        let kind = entry.header().entry_type();
        let mode = Mode::from_bits_truncate(entry.header().mode()? & 0o7777);
        if kind.is_dir() {
            match mkdirat(&parent, name, mode) {
                Err(Errno::EEXIST) if is_dir(&parent, name)? => {}
                Err(Errno::EEXIST) => {
                    remove(&parent, name)?;
                    mkdirat(&parent, name, mode)?;
                }
                result => result?,
            }
        } else {
            remove(&parent, name)?;
            match kind {
                tar::EntryType::Symlink => {
                    let target = entry.link_name_bytes().unwrap_or_default().into_owned();
                    let target = String::from_utf8_lossy(&target).into_owned();
                    symlinkat(target.as_str(), &parent, name)?;
                }
                tar::EntryType::Link => {
                    let target = entry.link_name_bytes().unwrap_or_default().into_owned();
                    return self.hard_link(&String::from_utf8_lossy(&target), &parent, name);
                }
                tar::EntryType::Fifo => mknodat(&parent, name, SFlag::S_IFIFO, mode, 0)?,
                // Containers get their devices from the node.
                tar::EntryType::Char | tar::EntryType::Block => return Ok(()),
                _ => {
                    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
                    let file = openat(&parent, name, flags, Mode::from_bits_truncate(0o600))?;
                    self.budget.copy(entry, &mut File::from(file), &self.layer)?;
                }
            }
        }
        set_attributes(&parent, name, entry, (mode, &self.ids))
    }

    fn hard_link(&self, target: &str, parent: &OwnedFd, name: &str) -> io::Result<()> {
        let target = inside(target).map_err(io::Error::other)?;
        let found = self.find(&target, OFlag::O_NOFOLLOW)?;
        linkat(&found, "", parent, name, AtFlags::AT_EMPTY_PATH)?;
        Ok(())
    }

    fn set_time(&self, path: &str, seconds: i64) -> Result<(), ImageError> {
        let set = || -> io::Result<()> {
            let found = match self.find(path, OFlag::O_NOFOLLOW) {
                // A later entry replaced it.
                Err(Errno::ENOENT) => return Ok(()),
                result => result?,
            };
            let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&found));
            let time = TimeSpec::seconds(seconds);
            utimensat(AT_FDCWD, path.as_str(), &time, &time, UtimensatFlags::FollowSymlink)?;
            Ok(())
        };
        set().map_err(|source| ImageError::Unpack { path: path.to_owned(), source })
    }

    /// Looks a path up without leaving the layer.
    fn find(&self, path: &str, flags: OFlag) -> nix::Result<OwnedFd> {
        let how = OpenHow::new()
            .flags(OFlag::O_PATH | OFlag::O_CLOEXEC | flags)
            .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        openat2(&self.dir, path, how)
    }

    /// The directory at `path`; archives may leave out parents.
    fn make_dirs(&self, path: &str) -> io::Result<OwnedFd> {
        let directory = OFlag::O_DIRECTORY;
        match self.find(path, directory) {
            Ok(found) => return reopen(&found),
            Err(Errno::ENOENT) => {}
            Err(errno) => return Err(errno.into()),
        }
        let parent = match path.rsplit_once('/') {
            Some((parent, _)) => self.make_dirs(parent)?,
            None => self.dir.try_clone()?,
        };
        let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
        self.budget.entry(&self.layer)?;
        mkdirat(&parent, name, Mode::from_bits_truncate(0o755))?;
        reopen(&self.find(path, directory)?)
    }
}

/// A descriptor that can do more than name a directory.
fn reopen(found: &OwnedFd) -> io::Result<OwnedFd> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    Ok(openat(found, ".", flags, Mode::empty())?)
}

/// Owner, mode, extended attributes and time, in the order in which none undoes another.
fn set_attributes(
    parent: &OwnedFd,
    name: &str,
    entry: &mut tar::Entry<'_, impl Read>,
    (mode, ids): (Mode, &Ids),
) -> io::Result<()> {
    let id = |value: io::Result<u64>| value.map(|id| u32::try_from(id).unwrap_or(0));
    let (uid, gid) = (id(entry.header().uid())?, id(entry.header().gid())?);
    let (uid, gid) = (ids.has_user(uid).then_some(uid), ids.has_group(gid).then_some(gid));
    let owner = (uid.map(Uid::from_raw), gid.map(Gid::from_raw));
    fchownat(parent, name, owner.0, owner.1, AtFlags::AT_SYMLINK_NOFOLLOW)?;
    let is_link = entry.header().entry_type().is_symlink();
    if !is_link {
        // Not a link: it was made just now, and nobody else is here.
        fchmodat(parent, name, mode, FchmodatFlags::FollowSymlink)?;
        let attributes: Vec<(String, Vec<u8>)> = match entry.pax_extensions()? {
            Some(records) => records
                .flatten()
                .filter_map(|record| {
                    let key = record.key().ok()?.strip_prefix(XATTR_RECORD)?;
                    Some((key.to_owned(), record.value_bytes().to_vec()))
                })
                .collect(),
            None => Vec::new(),
        };
        for (key, value) in attributes {
            // File capabilities and the like; `trusted.*` and some others belong to overlayfs.
            let is_users = key.starts_with("user.") && !key.starts_with(OVERLAY);
            if key.starts_with("security.capability") || is_users {
                let file = openat(parent, name, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?;
                let key = std::ffi::CString::new(key).map_err(io::Error::other)?;
                sys::set_xattr(file.as_fd(), &key, &value)?;
            }
        }
    }
    let seconds = i64::try_from(entry.header().mtime().unwrap_or(0)).unwrap_or(0);
    let time = TimeSpec::seconds(seconds);
    utimensat(parent, name, &time, &time, UtimensatFlags::NoFollowSymlink)?;
    Ok(())
}

fn is_dir(parent: &OwnedFd, name: &str) -> nix::Result<bool> {
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_DIRECTORY;
    match openat(parent, name, flags, Mode::empty()) {
        Ok(_) => Ok(true),
        Err(Errno::ENOTDIR | Errno::ELOOP) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Removes what an earlier entry of the same layer left under this name. A directory in the way must be empty.
fn remove(parent: &OwnedFd, name: &str) -> nix::Result<()> {
    match unlinkat(parent, name, UnlinkatFlags::NoRemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => Ok(()),
        Err(Errno::EISDIR) => unlinkat(parent, name, UnlinkatFlags::RemoveDir),
        Err(errno) => Err(errno),
    }
}

/// The path relative to the layer. A leading `/` is dropped; `..` is refused.
fn inside(path: &str) -> Result<String, ImageError> {
    let mut parts = Vec::new();
    for part in Path::new(path).components() {
        match part {
            Component::Normal(part) => parts.push(part.to_string_lossy().into_owned()),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
            Component::ParentDir => {
                return Err(ImageError::Escape { path: path.to_owned() });
            }
        }
    }
    Ok(parts.join("/"))
}
