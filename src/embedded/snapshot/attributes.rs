//! What a file has beside its content: owner, mode, time and extended attributes.
//!
//! A tar has no place for all of them, and its readers split the records of its extended headers at line ends, so what may
//! be any bytes is encoded.

use std::ffi::OsStr;
use std::fs::Metadata;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nix::fcntl::AtFlags;
use nix::sys::stat::{FchmodatFlags, Mode, UtimensatFlags, fchmodat, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, Uid, fchownat};
use rustix::fs::{XattrFlags, lgetxattr, llistxattr, lsetxattr};

/// The record of an extended attribute: `<name>:<value>`, each in Base64.
const ATTRIBUTE: &str = "CURTAIN.xattr";
/// The record of the time of the last change: `<seconds>.<nanoseconds>`.
const TIME: &str = "mtime";
/// Attributes of these belong to the file; others are the machine's (labels of security modules).
const KEPT: [&[u8]; 4] = [b"user.", b"trusted.", b"security.capability", b"system.posix_acl_"];
/// More than the kernel lets any file have.
const MOST: usize = 64 << 10;

/// Everything but the content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Attributes {
    mode: u32,
    owner: (u32, u32),
    /// Seconds and nanoseconds.
    changed: (i64, i64),
    /// Extended ones, by name.
    extended: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Attributes {
    /// Of the file or link at `path`, which `meta` is about.
    pub(super) fn of(path: &Path, meta: &Metadata) -> io::Result<Self> {
        Ok(Self {
            mode: meta.mode() & 0o7777,
            owner: (meta.uid(), meta.gid()),
            changed: (meta.mtime(), meta.mtime_nsec()),
            extended: extended(path)?,
        })
    }

    /// Puts what a header has room for into `header`.
    pub(super) fn fill(&self, header: &mut tar::Header) {
        header.set_mode(self.mode);
        header.set_uid(self.owner.0.into());
        header.set_gid(self.owner.1.into());
        header.set_mtime(u64::try_from(self.changed.0).unwrap_or(0));
    }

    /// The records of everything else.
    pub(super) fn records(&self) -> Vec<(&'static str, String)> {
        let (seconds, nanoseconds) = self.changed;
        let time = std::iter::once((TIME, format!("{seconds}.{nanoseconds:09}")));
        let extended = self.extended.iter().map(|(name, value)| {
            (ATTRIBUTE, format!("{}:{}", STANDARD.encode(name), STANDARD.encode(value)))
        });
        time.chain(extended).collect()
    }

    /// What `entry` says.
    pub(super) fn read(entry: &mut tar::Entry<'_, impl Read>) -> io::Result<Self> {
        let header = entry.header();
        let id = |id: u64| u32::try_from(id).map_err(|_| unclear("an owner that cannot be"));
        let mut attributes = Self {
            mode: header.mode()? & 0o7777,
            owner: (id(header.uid()?)?, id(header.gid()?)?),
            changed: (i64::try_from(header.mtime()?).unwrap_or(0), 0),
            extended: Vec::new(),
        };
        for record in entry.pax_extensions()?.into_iter().flatten() {
            let record = record?;
            let value = record.value().map_err(|_| unclear("an attribute in no known form"))?;
            match record.key() {
                Ok(TIME) => attributes.changed = time(value)?,
                Ok(ATTRIBUTE) => attributes.extended.push(attribute(value)?),
                _ => {}
            }
        }
        Ok(attributes)
    }

    /// Gives them to `name` in `dir`, which was made a moment ago, in the order in which none undoes another.
    pub(super) fn apply(&self, dir: BorrowedFd<'_>, name: &OsStr, is_link: bool) -> io::Result<()> {
        let (uid, gid) = (Uid::from_raw(self.owner.0), Gid::from_raw(self.owner.1));
        fchownat(dir, name, Some(uid), Some(gid), AtFlags::AT_SYMLINK_NOFOLLOW)?;
        if !is_link {
            fchmodat(dir, name, Mode::from_bits_truncate(self.mode), FchmodatFlags::FollowSymlink)?;
        }
        let path = Path::new("/proc/self/fd").join(dir.as_raw_fd().to_string()).join(name);
        for (key, value) in &self.extended {
            lsetxattr(&path, key.as_slice(), value, XattrFlags::empty())?;
        }
        let time = TimeSpec::new(self.changed.0, self.changed.1);
        Ok(utimensat(dir.as_fd(), name, &time, &time, UtimensatFlags::NoFollowSymlink)?)
    }
}

fn unclear(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

fn time(text: &str) -> io::Result<(i64, i64)> {
    let read = || {
        let (seconds, nanoseconds) = text.split_once('.')?;
        let nanoseconds =
            nanoseconds.parse().ok().filter(|part| (0..1_000_000_000).contains(part))?;
        Some((seconds.parse().ok()?, nanoseconds))
    };
    read().ok_or_else(|| unclear("a time in no known form"))
}

fn attribute(text: &str) -> io::Result<(Vec<u8>, Vec<u8>)> {
    let read = || {
        let (name, value) = text.split_once(':')?;
        Some((STANDARD.decode(name).ok()?, STANDARD.decode(value).ok()?))
    };
    let (name, value) = read().ok_or_else(|| unclear("an attribute in no known form"))?;
    if !is_kept(&name) {
        return Err(unclear("an attribute that no snapshot has"));
    }
    Ok((name, value))
}

fn is_kept(name: &[u8]) -> bool {
    KEPT.iter().any(|start| name.starts_with(start))
}

/// The attributes of what is at `path`, be it a link.
fn extended(path: &Path) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut names = Vec::new();
    match read_into(&mut names, |buffer| llistxattr(path, buffer)) {
        Ok(()) => {}
        // A file system without any.
        Err(rustix::io::Errno::NOTSUP) => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    }
    let mut found = Vec::new();
    for name in names.split(|byte| *byte == 0).filter(|name| is_kept(name)) {
        let mut value = Vec::new();
        read_into(&mut value, |buffer| lgetxattr(path, name, buffer))?;
        found.push((name.to_owned(), value));
    }
    found.sort();
    Ok(found)
}

/// Fills `into` by `read`, with as much room as it takes.
fn read_into(
    into: &mut Vec<u8>,
    read: impl Fn(&mut [u8]) -> rustix::io::Result<usize>,
) -> rustix::io::Result<()> {
    let mut size = 256;
    loop {
        into.resize(size, 0);
        match read(into) {
            Ok(count) => {
                into.truncate(count);
                return Ok(());
            }
            Err(rustix::io::Errno::RANGE) if size < MOST => size *= 16,
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_of_any_bytes_are_read_as_they_were_written() {
        for (name, value) in [
            (&b"user.a"[..], &b""[..]),
            (b"user.a=b\n", b"x"),
            (b"user.ab", b"xy\0\n="),
            (b"user.abc", b"xyz"),
            (b"trusted.overlay.opaque", b"y"),
        ] {
            let written = Attributes {
                mode: 0,
                owner: (0, 0),
                changed: (-1, 5),
                extended: vec![(name.to_owned(), value.to_owned())],
            };
            let records = written.records();
            assert_eq!(time(&records[0].1).unwrap(), (-1, 5));
            assert_eq!(attribute(&records[1].1).unwrap(), written.extended[0], "{records:?}");
        }
        for bad in ["", "x", ":", "dXNlci5h", "*:*", "c2VjdXJpdHkuc2VsaW51eA==:eA=="] {
            assert!(attribute(bad).is_err(), "{bad}");
        }
        for bad in ["", "1", "1.", ".1", "1.-5", "1.1000000000", "x.1"] {
            assert!(time(bad).is_err(), "{bad}");
        }
    }
}
