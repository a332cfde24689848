//! Walking through a tree, an entry at a time.
//!
//! Few directories are open at a time, however deep it is: down to [`DEEPEST`] the whole way is, and what is below is
//! read directory by directory.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::{self, DirEntry, File, Metadata, ReadDir};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sys::stat::Mode;

use super::DiskUsage;

/// Directories of which the way down is kept open.
const DEEPEST: usize = 128;
/// Bytes that the names of directories may take which are visited later, below that.
const MOST_NAMED: usize = 1 << 20;
/// Files of several names that are told apart.
const MOST_LINKED: usize = 100_000;
/// What `st_blocks` counts in.
const BLOCK: u64 = 512;

/// A tree that is walked through.
pub(super) struct Walk {
    count: Count,
    /// The way down to where it is, or to where what is deeper begins.
    open: Vec<Open>,
    deep: Option<Deep>,
}

impl Walk {
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let open = Open::at(AT_FDCWD, path)?;
        let meta = open.dir.metadata()?;
        let mut count = Count { device: meta.dev(), ..Count::default() };
        count.add(&meta);
        Ok(Self { count, open: vec![open], deep: None })
    }

    /// Looks at one entry; `false` when there is none left.
    pub(super) fn step(&mut self) -> bool {
        if let Some(deep) = &mut self.deep {
            if !deep.step(&mut self.count) {
                self.deep = None;
            }
            return true;
        }
        let Some(here) = self.open.last_mut() else { return false };
        let Some(entry) = here.entries.next() else {
            self.open.pop();
            return true;
        };
        let Some(name) = self.count.entry(entry) else { return true };
        let below = Open::at(here.dir.as_fd(), Path::new(&name));
        if self.open.len() < DEEPEST {
            self.open.extend(self.count.opened(below));
        } else {
            self.deep = self.count.opened(below.and_then(Deep::of));
        }
        true
    }

    /// What was found by now.
    pub(super) fn usage(&self) -> DiskUsage {
        self.count.usage
    }

    /// Whether something was left out that is there.
    pub(super) fn is_incomplete(&self) -> bool {
        self.count.incomplete
    }
}

/// Whether a failure says that something else is there by now than was a moment ago, or nothing: trees change.
pub(super) fn is_gone(error: &io::Error) -> bool {
    let gone = [Errno::ENOENT, Errno::ENOTDIR, Errno::ELOOP];
    error.raw_os_error().is_some_and(|code| gone.contains(&Errno::from_raw(code)))
}

/// What was found.
#[derive(Default)]
struct Count {
    device: u64,
    usage: DiskUsage,
    incomplete: bool,
    /// Files that have more names, by number.
    linked: HashSet<u64>,
}

impl Count {
    /// Never counts twice: what is found is there at least.
    fn add(&mut self, meta: &Metadata) {
        if meta.nlink() > 1 && !meta.is_dir() {
            if self.linked.contains(&meta.ino()) {
                return;
            }
            // It may have been counted by another name.
            if self.linked.len() == MOST_LINKED {
                self.incomplete = true;
                return;
            }
            self.linked.insert(meta.ino());
        }
        self.usage += DiskUsage { bytes: meta.blocks().saturating_mul(BLOCK), inodes: 1 };
    }

    /// Counts the entry itself, whatever it leads to; its name if it is a directory of this file system.
    fn entry(&mut self, entry: io::Result<DirEntry>) -> Option<OsString> {
        let found = entry.and_then(|entry| Ok((entry.metadata()?, entry)));
        let (meta, entry) = self.opened(found).filter(|(meta, _)| meta.dev() == self.device)?;
        self.add(&meta);
        meta.is_dir().then(|| entry.file_name())
    }

    /// What was opened, or a note that it was not.
    fn opened<T>(&mut self, opened: io::Result<T>) -> Option<T> {
        let noted = |error: &io::Error| self.incomplete |= !is_gone(error);
        opened.inspect_err(noted).ok()
    }
}

struct Open {
    dir: File,
    entries: ReadDir,
}

impl Open {
    fn at(dir: BorrowedFd<'_>, path: &Path) -> io::Result<Self> {
        let dir = open(dir, path)?;
        let entries = fs::read_dir(format!("/proc/self/fd/{}", dir.as_raw_fd()))?;
        Ok(Self { dir, entries })
    }
}

fn open(dir: BorrowedFd<'_>, path: &Path) -> io::Result<File> {
    let how = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    Ok(File::from(openat(dir, path, how, Mode::empty())?))
}

/// A tree of which only one directory is open. It is read to its end, then those below it are, one by one; the way back is
/// by `..`, and believed only if it leads to where it came from.
struct Deep {
    here: File,
    /// What is left of it.
    entries: Option<ReadDir>,
    way: Vec<Level>,
    /// What the names on the way take.
    named: usize,
}

/// A directory on the way down to where it is.
struct Level {
    inode: u64,
    /// Directories in it that are to be visited.
    below: Vec<OsString>,
}

impl Deep {
    fn of(Open { dir, entries }: Open) -> io::Result<Self> {
        let way = vec![Level::of(&dir)?];
        Ok(Self { here: dir, entries: Some(entries), way, named: 0 })
    }

    fn step(&mut self, count: &mut Count) -> bool {
        let Some(level) = self.way.last_mut() else { return false };
        if let Some(entries) = &mut self.entries {
            match entries.next() {
                None => self.entries = None,
                Some(entry) => {
                    let Some(name) = count.entry(entry) else { return true };
                    self.named += cost(&name);
                    if self.named <= MOST_NAMED {
                        level.below.push(name);
                    } else {
                        self.named -= cost(&name);
                        count.incomplete = true;
                    }
                }
            }
            return true;
        }
        if let Some(name) = level.below.pop() {
            self.named -= cost(&name);
            let below = Open::at(self.here.as_fd(), Path::new(&name));
            let below = below.and_then(|below| Ok((Level::of(&below.dir)?, below)));
            if let Some((level, Open { dir, entries })) = count.opened(below) {
                self.way.push(level);
                (self.here, self.entries) = (dir, Some(entries));
            }
            return true;
        }
        self.way.pop();
        self.way.is_empty() || self.go_back(count)
    }

    /// Goes back up to the last directory of the way; whether it is there.
    fn go_back(&mut self, count: &mut Count) -> bool {
        let above = open(self.here.as_fd(), Path::new(".."));
        let above = above.and_then(|above| Ok((Level::of(&above)?.inode, above)));
        let expected = self.way.last().map(|level| level.inode);
        match above {
            Ok((inode, above)) if Some(inode) == expected => self.here = above,
            // What was to be visited there is somewhere else now.
            _ => {
                count.incomplete = true;
                return false;
            }
        }
        true
    }
}

impl Level {
    fn of(dir: &File) -> io::Result<Self> {
        Ok(Self { inode: dir.metadata()?.ino(), below: Vec::new() })
    }
}

/// What a name takes.
fn cost(name: &OsString) -> usize {
    size_of::<OsString>() + name.len()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    /// A tree whose way down is as long as is kept open, with what lies below it: directories `a` and `b` that have so many
    /// levels, each with a file and a directory more.
    fn deep_tree(levels: usize) -> (tempfile::TempDir, PathBuf, u64) {
        let dir = tempfile::tempdir().unwrap();
        let edge: PathBuf = std::iter::repeat_n("d", DEEPEST).collect();
        let edge = dir.path().join(edge);
        let mut inodes = DEEPEST as u64 + 1;
        for branch in ["a", "b"] {
            let mut here = edge.join(branch);
            for _ in 0..levels {
                fs::create_dir_all(here.join("more")).unwrap();
                fs::write(here.join("file"), "x").unwrap();
                inodes += 3;
                here.push("below");
            }
        }
        (dir, edge, inodes)
    }

    /// Walks until it is so deep below what is kept open.
    fn walk_to(walk: &mut Walk, levels: usize) -> &mut Deep {
        while walk.deep.as_ref().is_none_or(|deep| deep.way.len() < levels) {
            assert!(walk.step(), "it ends before");
        }
        walk.deep.as_mut().unwrap()
    }

    #[test]
    fn what_is_deeper_than_can_be_open_is_counted() {
        let (dir, _, inodes) = deep_tree(30);
        let mut walk = Walk::of(dir.path()).unwrap();
        while walk.step() {
            assert!(walk.open.len() <= DEEPEST);
        }
        assert_eq!((walk.usage().inodes, walk.is_incomplete()), (inodes, false));
    }

    #[test]
    fn who_does_not_find_back_leaves_something_out_and_says_so() {
        let (dir, edge, inodes) = deep_tree(5);
        let mut walk = Walk::of(dir.path()).unwrap();
        // The edge, one of the two below it, and on.
        let inode = walk_to(&mut walk, 4).way[2].inode;
        let ways = ["a", "b"].map(|name| edge.join(name).join("below"));
        let is_on_it = |way: &&PathBuf| fs::metadata(way).unwrap().ino() == inode;
        let outside = tempfile::tempdir().unwrap();
        fs::rename(ways.iter().find(is_on_it).unwrap(), outside.path().join("moved")).unwrap();
        while walk.step() {}
        assert!(walk.is_incomplete());
        assert!(walk.usage().inodes < inodes, "{:?}", walk.usage());
    }

    #[test]
    fn names_of_directories_are_not_kept_without_an_end() {
        let (dir, _, inodes) = deep_tree(5);
        let mut walk = Walk::of(dir.path()).unwrap();
        walk_to(&mut walk, 1).named = MOST_NAMED;
        while walk.step() {}
        assert!(walk.is_incomplete());
        assert!(walk.usage().inodes < inodes, "{:?}", walk.usage());
    }
}
