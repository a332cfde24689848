//! How large the file system of the node's home is, and how much of it is free.

use std::path::Path;

use nix::sys::statvfs::statvfs;

/// Most that is kept free, of however large a file system: see `storage::pressure`.
const MOST_KEPT: u64 = 512 << 20;

/// Bytes and files of a file system. One that makes room for files as they come says that it has none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::node) struct Room {
    pub(in crate::node) bytes: Part,
    pub(in crate::node) inodes: Part,
}

/// Of one of the two.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::node) struct Part {
    pub(in crate::node) capacity: u64,
    /// Free for everybody: what is kept for root is not.
    pub(in crate::node) available: u64,
    pub(in crate::node) used: u64,
}

impl Room {
    /// Bytes that pods can have: all but those that are kept free.
    pub(in crate::node) fn allocatable(&self) -> u64 {
        self.bytes.capacity - kept(self.bytes.capacity)
    }

    /// That of the file system of a directory; `None` where nobody can say.
    pub(in crate::node) fn of(dir: &Path) -> Option<Self> {
        let found = statvfs(dir).ok()?;
        let size = found.fragment_size();
        let bytes = |blocks: u64| blocks.saturating_mul(size);
        let free = found.files_free();
        Some(Self {
            bytes: Part {
                capacity: bytes(found.blocks()),
                available: bytes(found.blocks_available()),
                used: bytes(found.blocks().saturating_sub(found.blocks_free())),
            },
            inodes: Part {
                capacity: found.files(),
                available: found.files_available(),
                used: found.files().saturating_sub(free),
            },
        })
    }
}

/// Bytes that are kept free of a file system of so many: the API server must go on writing.
pub(super) fn kept(capacity: u64) -> u64 {
    (capacity / 10).min(MOST_KEPT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_is_kept_of_a_small_disk_and_never_more_than_it_takes() {
        for (capacity, allocatable) in [(0, 0), (1000, 900), (1 << 40, (1 << 40) - (512 << 20))] {
            let bytes = Part { capacity, ..Part::default() };
            assert_eq!(Room { bytes, ..Room::default() }.allocatable(), allocatable, "{capacity}");
        }
    }

    #[test]
    fn a_file_system_says_how_large_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let room = Room::of(dir.path()).unwrap();
        let Part { capacity, available, used } = room.bytes;
        assert!(available > 0 && available + used <= capacity, "{room:?}");
        assert!(room.inodes.available <= room.inodes.capacity, "{room:?}");
        assert_eq!(Room::of(&dir.path().join("none")), None);
    }
}
