//! How much of the disk directories take: allocated blocks, and files of more than one name once.
//!
//! It is done in slices. Between them the shim does everything else, and rests for longer than it has worked, so that a
//! large tree costs a part of one processor and delays no output. Trees are containers': nothing is followed out of
//! them, be it a link, something mounted there or what takes a directory's place meanwhile.

use std::collections::HashSet;
use std::fs::{self, File, Metadata, ReadDir};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sys::stat::Mode;
use serde::{Deserialize, Serialize};

/// How long a slice is, and the rest after it.
const SLICE: Duration = Duration::from_millis(2);
const REST: Duration = Duration::from_millis(8);
/// Entries between two looks at the clock.
const STEPS: usize = 16;
/// No measurement takes longer; what it has found by then is the answer.
const LONGEST: Duration = Duration::from_secs(60);
/// Directories that are open at a time: what is deeper is not counted.
const DEEPEST: usize = 128;
/// Files of several names that are told apart.
const MOST_LINKED: usize = 100_000;
/// What `st_blocks` counts in.
const BLOCK: u64 = 512;

/// What something takes of a disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DiskUsage {
    pub(crate) bytes: u64,
    /// Files, directories and everything else that has a name.
    pub(crate) inodes: u64,
}

impl std::ops::AddAssign for DiskUsage {
    fn add_assign(&mut self, other: Self) {
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.inodes = self.inodes.saturating_add(other.inodes);
    }
}

/// A measurement that goes on.
pub(super) struct Measurement {
    /// Of the request.
    pub(super) id: u64,
    /// When it goes on.
    pub(super) next_at: Instant,
    until: Instant,
    left: std::vec::IntoIter<PathBuf>,
    walk: Option<Walk>,
    found: Vec<DiskUsage>,
}

impl Measurement {
    /// Of these directories, each for itself. What is not there takes nothing.
    pub(super) fn new(id: u64, paths: Vec<PathBuf>, now: Instant) -> Self {
        let (left, found) = (paths.into_iter(), Vec::new());
        Self { id, next_at: now, until: now + LONGEST, left, walk: None, found }
    }

    /// Goes on if it is time; the answer once there is one.
    pub(super) fn advance(&mut self, now: Instant) -> Option<Vec<DiskUsage>> {
        if now < self.next_at {
            return None;
        }
        loop {
            for _ in 0..STEPS {
                if !self.step() {
                    return Some(std::mem::take(&mut self.found));
                }
            }
            let at = Instant::now();
            if at >= self.until {
                let walks = self.walk.take().into_iter().map(|walk| walk.usage);
                self.found.extend(walks.chain(self.left.by_ref().map(|_| DiskUsage::default())));
                return Some(std::mem::take(&mut self.found));
            }
            if at >= now + SLICE {
                self.next_at = at + REST;
                return None;
            }
        }
    }

    /// Looks at one entry; `false` when there is none left.
    fn step(&mut self) -> bool {
        match &mut self.walk {
            Some(walk) => {
                if !walk.step() {
                    self.found.push(walk.usage);
                    self.walk = None;
                }
            }
            None => match self.left.next() {
                Some(path) => match Walk::of(&path) {
                    Ok(walk) => self.walk = Some(walk),
                    Err(_) => self.found.push(DiskUsage::default()),
                },
                None => return false,
            },
        }
        true
    }
}

/// A tree that is walked through.
struct Walk {
    device: u64,
    usage: DiskUsage,
    /// The way down to where it is.
    open: Vec<Open>,
    /// Files that have more names, by number.
    linked: HashSet<u64>,
}

struct Open {
    dir: File,
    entries: ReadDir,
}

impl Open {
    fn at(dir: BorrowedFd<'_>, path: &Path) -> io::Result<Self> {
        let how = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let dir = File::from(openat(dir, path, how, Mode::empty())?);
        let entries = fs::read_dir(format!("/proc/self/fd/{}", dir.as_raw_fd()))?;
        Ok(Self { dir, entries })
    }
}

impl Walk {
    fn of(path: &Path) -> io::Result<Self> {
        let open = Open::at(AT_FDCWD, path)?;
        let meta = open.dir.metadata()?;
        let (device, usage) = (meta.dev(), DiskUsage::default());
        let mut walk = Self { device, usage, open: vec![open], linked: HashSet::new() };
        walk.count(&meta);
        Ok(walk)
    }

    fn step(&mut self) -> bool {
        let Some(here) = self.open.last_mut() else { return false };
        let Some(Ok(entry)) = here.entries.next() else {
            self.open.pop();
            return true;
        };
        // Of the entry itself, whatever it leads to. It may be gone by now.
        let Ok(meta) = entry.metadata() else { return true };
        if meta.dev() != self.device {
            return true;
        }
        let below = if meta.is_dir() && self.open.len() < DEEPEST {
            let here = self.open.last().map(|here| here.dir.as_fd());
            here.and_then(|here| Open::at(here, Path::new(&entry.file_name())).ok())
        } else {
            None
        };
        self.count(&meta);
        self.open.extend(below);
        true
    }

    fn count(&mut self, meta: &Metadata) {
        if meta.nlink() > 1 && !meta.is_dir() {
            if self.linked.contains(&meta.ino()) {
                return;
            }
            if self.linked.len() < MOST_LINKED {
                self.linked.insert(meta.ino());
            }
        }
        self.usage += DiskUsage { bytes: meta.blocks().saturating_mul(BLOCK), inodes: 1 };
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// The answer, and after how many slices it came.
    fn measure(paths: &[PathBuf]) -> (Vec<DiskUsage>, usize) {
        let mut now = Instant::now();
        let mut measurement = Measurement::new(1, paths.to_vec(), now);
        for slices in 1.. {
            if let Some(found) = measurement.advance(now) {
                return (found, slices);
            }
            assert!(measurement.next_at > now, "it rests");
            assert_eq!(measurement.advance(now), None, "and is not to be hurried");
            now = measurement.next_at;
        }
        unreachable!("there is no end of numbers")
    }

    #[test]
    fn what_is_in_a_directory_is_counted_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let (outside, tree) = (dir.path().join("outside"), dir.path().join("tree"));
        fs::create_dir_all(tree.join("a/b")).unwrap();
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("large"), vec![1; 1 << 20]).unwrap();
        fs::write(tree.join("a/b/file"), vec![1; 64 << 10]).unwrap();
        let (found, _) = measure(std::slice::from_ref(&tree));
        let before = found[0];
        assert_eq!(before.inodes, 4);
        assert!((64 << 10..256 << 10).contains(&before.bytes), "{before:?}");

        // Another name for a file takes no room, and what a link leads to is elsewhere.
        fs::hard_link(tree.join("a/b/file"), tree.join("again")).unwrap();
        symlink(&outside, tree.join("link")).unwrap();
        // A hole is no block.
        File::create(tree.join("sparse")).unwrap().set_len(1 << 30).unwrap();
        let (found, _) = measure(&[tree.clone(), dir.path().join("none"), tree.join("a/b/file")]);
        assert_eq!(found[0].inodes, before.inodes + 2);
        assert!(found[0].bytes < before.bytes + (64 << 10), "{found:?}");
        assert_eq!(found[1..], [DiskUsage::default(); 2], "there is no such directory");
    }

    #[test]
    fn what_is_deeper_than_can_be_open_ends_the_way_down_and_not_the_count() {
        let dir = tempfile::tempdir().unwrap();
        let deep: PathBuf = std::iter::repeat_n("d", DEEPEST + 20).collect();
        fs::create_dir_all(dir.path().join(&deep)).unwrap();
        fs::write(dir.path().join("file"), "x").unwrap();
        let (found, _) = measure(&[dir.path().to_owned()]);
        assert_eq!(found[0].inodes, DEEPEST as u64 + 2);
    }

    #[test]
    fn a_measurement_without_time_left_answers_with_what_it_has() {
        let dir = tempfile::tempdir().unwrap();
        for number in 0..STEPS * 3 {
            fs::write(dir.path().join(number.to_string()), "x").unwrap();
        }
        let now = Instant::now();
        let mut measurement = Measurement::new(1, vec![dir.path().to_owned(); 2], now);
        measurement.until = now;
        let found = measurement.advance(now).unwrap();
        assert_eq!(found.len(), 2);
        assert!((1..STEPS as u64 * 2).contains(&found[0].inodes), "{found:?}");
        assert_eq!(found[1], DiskUsage::default());
    }
}
