//! How much of the disk directories take: allocated blocks, and files of more than one name once.
//!
//! It is done in slices. Between them the shim does everything else, and rests for longer than it has worked, so that a
//! large tree costs a part of one processor and delays no output. Trees are containers': nothing is followed out of
//! them, be it a link, something mounted there or what takes a directory's place meanwhile.

mod walk;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use walk::Walk;

/// How long a slice is, and the rest after it.
const SLICE: Duration = Duration::from_millis(2);
const REST: Duration = Duration::from_millis(8);
/// Entries between two looks at the clock.
const STEPS: usize = 16;
/// No measurement takes longer; what it has found by then is the answer, and incomplete.
const LONGEST: Duration = Duration::from_secs(60);
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

/// What was found in each of some directories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Measured {
    pub(crate) usage: Vec<DiskUsage>,
    /// Whether there is more than this: not all of it could be looked at, or not in time.
    pub(crate) incomplete: bool,
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
    found: Measured,
}

impl Measurement {
    /// Of these directories, each for itself. What is not there takes nothing.
    pub(super) fn new(id: u64, paths: Vec<PathBuf>, now: Instant) -> Self {
        let found = Measured { usage: Vec::new(), incomplete: false };
        let (until, left) = (now + LONGEST, paths.into_iter());
        Self { id, next_at: now, until, left, walk: None, found }
    }

    /// Goes on if it is time; the answer once there is one.
    pub(super) fn advance(&mut self, now: Instant) -> Option<Measured> {
        if now < self.next_at {
            return None;
        }
        loop {
            for _ in 0..STEPS {
                if !self.step() {
                    return Some(self.found.clone());
                }
            }
            let at = Instant::now();
            if at >= self.until {
                self.leave();
                let left = self.left.by_ref().map(|_| DiskUsage::default());
                self.found.usage.extend(left);
                self.found.incomplete = true;
                return Some(self.found.clone());
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
                    self.leave();
                }
            }
            None => match self.left.next() {
                Some(path) => match Walk::of(&path) {
                    Ok(walk) => self.walk = Some(walk),
                    Err(error) => {
                        self.found.usage.push(DiskUsage::default());
                        self.found.incomplete |= !walk::is_gone(&error);
                    }
                },
                None => return false,
            },
        }
        true
    }

    /// Notes what was found on a walk.
    fn leave(&mut self) {
        if let Some(walk) = self.walk.take() {
            self.found.usage.push(walk.usage());
            self.found.incomplete |= walk.is_incomplete();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::unix::fs::symlink;

    use super::*;

    /// What is found, all of it.
    fn measure(paths: &[PathBuf]) -> Vec<DiskUsage> {
        let mut now = Instant::now();
        let mut measurement = Measurement::new(1, paths.to_vec(), now);
        loop {
            if let Some(found) = measurement.advance(now) {
                assert!(!found.incomplete, "{found:?}");
                return found.usage;
            }
            assert!(measurement.next_at > now, "it rests");
            assert_eq!(measurement.advance(now), None, "and is not to be hurried");
            now = measurement.next_at;
        }
    }

    #[test]
    fn what_is_in_a_directory_is_counted_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let (outside, tree) = (dir.path().join("outside"), dir.path().join("tree"));
        fs::create_dir_all(tree.join("a/b")).unwrap();
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("large"), vec![1; 1 << 20]).unwrap();
        fs::write(tree.join("a/b/file"), vec![1; 64 << 10]).unwrap();
        let found = measure(std::slice::from_ref(&tree));
        let before = found[0];
        assert_eq!(before.inodes, 4);
        assert!((64 << 10..256 << 10).contains(&before.bytes), "{before:?}");

        // Another name for a file takes no room, and what a link leads to is elsewhere.
        fs::hard_link(tree.join("a/b/file"), tree.join("again")).unwrap();
        symlink(&outside, tree.join("link")).unwrap();
        // A hole is no block.
        File::create(tree.join("sparse")).unwrap().set_len(1 << 30).unwrap();
        let found = measure(&[tree.clone(), dir.path().join("none"), tree.join("a/b/file")]);
        assert_eq!(found[0].inodes, before.inodes + 2);
        assert!(found[0].bytes < before.bytes + (64 << 10), "{found:?}");
        assert_eq!(found[1..], [DiskUsage::default(); 2], "there is no such directory");
    }

    #[test]
    fn a_measurement_without_time_left_answers_with_what_it_has_and_says_so() {
        let dir = tempfile::tempdir().unwrap();
        for number in 0..STEPS * 3 {
            fs::write(dir.path().join(number.to_string()), "x").unwrap();
        }
        let now = Instant::now();
        let mut measurement = Measurement::new(1, vec![dir.path().to_owned(); 2], now);
        measurement.until = now;
        let Measured { usage: found, incomplete } = measurement.advance(now).unwrap();
        assert_eq!((found.len(), incomplete), (2, true));
        assert!((1..STEPS as u64 * 2).contains(&found[0].inodes), "{found:?}");
        assert_eq!(found[1], DiskUsage::default());
    }
}
