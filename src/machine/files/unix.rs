//! Modes and owners.

use std::{
    fs::{self, File, Metadata, OpenOptions, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown, symlink},
    path::Path,
};

use nix::{errno::Errno, libc, unistd::geteuid};

/// A user and a group.
type Owner = (u32, u32);

/// Who may do what with a file, and whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rights {
    mode: u32,
    owner: Option<Owner>,
}

impl Rights {
    /// Only who makes the file reads and writes it.
    pub const PRIVATE: Self = Self { mode: 0o600, owner: None };

    /// Those of the file or folder that `metadata` is about.
    pub fn of(metadata: &Metadata) -> Self {
        Self { mode: metadata.mode() & 0o777, owner: Some(owner(metadata)) }
    }

    /// Only whoever the folder of `path` belongs to reads and writes it.
    pub fn private_beside(path: &Path) -> Self {
        Self { owner: folder_owner(path), ..Self::PRIVATE }
    }

    /// Makes the file `path` with these rights, to be written.
    ///
    /// # Errors
    /// A file that is there, or cannot be made or given away.
    pub fn create_new(self, path: &Path) -> io::Result<File> {
        let file = OpenOptions::new().write(true).create_new(true).mode(self.mode).open(path)?;
        if let Some(owner) = self.owner {
            give(&file, owner)?;
        }
        file.set_permissions(Permissions::from_mode(self.mode))?;
        Ok(file)
    }
}

pub(super) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}

/// The sticky bit means nothing on a folder that only its user writes into, so it says who made it: it is there from the
/// first moment, before anything can be recorded, and for as long as the folder.
const MARK: u32 = 0o1000;
/// What a folder for files of all kinds is at most, before the user's mask. Where others may write, group or everybody,
/// the mark would keep them from each other's files, and a folder is sticky for a reason of its own.
const SHARED: u32 = 0o755;
const PRIVATE: u32 = 0o700;
/// What some file systems and folders above hand down to each folder made in them.
const HANDED_DOWN: u32 = 0o2000;

pub(super) fn create_folder(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().mode(PRIVATE).create(path)
}

pub(super) fn create_marked_folder(path: &Path, private: bool) -> io::Result<()> {
    let wanted = MARK | if private { PRIVATE } else { SHARED };
    fs::DirBuilder::new().mode(wanted).create(path)?;
    // Some kernels (that of macOS) take no more than the permissions from whoever makes a folder.
    let made = fs::metadata(path)?.mode() & 0o7777;
    fs::set_permissions(path, Permissions::from_mode(made | MARK))
}

pub(super) fn remove_marked_folder(path: &Path) -> bool {
    let is_marked = |found: Metadata| {
        let mode = found.mode() & 0o7777 & !HANDED_DOWN;
        // Ours has the owner's permissions whole, and of the others' no more than we give; masks leave less.
        let made_here = mode & (PRIVATE | !SHARED) == MARK | PRIVATE;
        found.is_dir() && made_here && found.uid() == geteuid().as_raw()
    };
    fs::symlink_metadata(path).is_ok_and(is_marked) && fs::remove_dir(path).is_ok()
}

pub(super) fn hand_on_folder(path: &Path) -> io::Result<()> {
    let Some(owner) = folder_owner(path) else { return Ok(()) };
    let flags = libc::O_DIRECTORY | libc::O_NOFOLLOW;
    let folder = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    give(&folder, owner)
}

pub(super) fn make_executable(path: &Path) -> io::Result<()> {
    fs::set_permissions(path, Permissions::from_mode(0o755))
}

pub(super) fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|found| found.is_file() && found.mode() & 0o111 != 0)
}

pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

pub(super) fn link(to: &Path, link: &Path) -> io::Result<()> {
    symlink(to, link)
}

fn folder_owner(path: &Path) -> Option<Owner> {
    path.parent().and_then(|folder| fs::metadata(folder).ok()).as_ref().map(owner)
}

fn owner(metadata: &Metadata) -> Owner {
    (metadata.uid(), metadata.gid())
}

/// Gives `file` to `owner`, where this process may and the file system can.
fn give(file: &File, owner: Owner) -> io::Result<()> {
    let now = file.metadata()?;
    if (now.uid(), now.gid()) == owner {
        return Ok(());
    }
    match fchown(file, Some(owner.0), Some(owner.1)) {
        Err(error) if !cannot_be_given(&error) => Err(error),
        _ => Ok(()),
    }
}

/// Whether `error` says that the caller may not give a file away (`EPERM`, `EACCES`), that the user is none in its user
/// namespace (`EINVAL`), or that the file system knows no owners (`EOPNOTSUPP`, `ENOSYS`).
fn cannot_be_given(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw);
    let known = [Errno::EPERM, Errno::EACCES, Errno::EINVAL, Errno::EOPNOTSUPP, Errno::ENOSYS];
    errno.is_some_and(|errno| known.contains(&errno))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::chown;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    #[test]
    fn what_is_private_is_so_from_the_first_moment() {
        let dir = tempfile::tempdir().unwrap();
        let (folder, marked) = (dir.path().join("folder"), dir.path().join("marked"));
        create_folder(&folder).unwrap();
        create_marked_folder(&marked, true).unwrap();
        assert_eq!((mode(&folder), mode(&marked)), (PRIVATE, PRIVATE | MARK));
        let file = folder.join("file");
        private().create(true).append(true).open(&file).unwrap();
        assert_eq!(mode(&file), 0o600);
        make_executable(&file).unwrap();
        assert_eq!(mode(&file), 0o755);
    }

    #[test]
    fn a_shared_folder_is_as_the_users_mask_makes_it() {
        let dir = tempfile::tempdir().unwrap();
        let (plain, shared) = (dir.path().join("plain"), dir.path().join("shared"));
        fs::create_dir(&plain).unwrap();
        create_marked_folder(&shared, false).unwrap();
        assert_eq!(mode(&shared), mode(&plain) & SHARED | MARK);
        assert!(remove_marked_folder(&shared) && !remove_marked_folder(&plain));
        // For everybody such as /tmp, for a group, or with permissions that we give nobody.
        for others in [0o1777, 0o1775, 0o1770, 0o1757, 0o5755, 0o755, 0o1500] {
            fs::set_permissions(&plain, Permissions::from_mode(others)).unwrap();
            assert!(!remove_marked_folder(&plain), "{others:o}");
        }
        for ours in [0o1755, 0o1750, 0o1700, 0o3755] {
            fs::set_permissions(&plain, Permissions::from_mode(ours)).unwrap();
            assert!(remove_marked_folder(&plain), "{ours:o}");
            fs::create_dir(&plain).unwrap();
        }
    }

    /// A thread can have a mask of its own there.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_group_that_the_mask_lets_write_does_not_write_into_a_shared_folder() {
        use nix::{
            sched::{CloneFlags, unshare},
            sys::stat::{Mode, umask},
        };
        let dir = tempfile::tempdir().unwrap();
        for (mask, wanted) in [(0o002, 0o1755), (0o027, 0o1750), (0o077, 0o1700)] {
            let shared = dir.path().join("shared");
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    unshare(CloneFlags::CLONE_FS).unwrap();
                    umask(Mode::from_bits_truncate(mask));
                    create_marked_folder(&shared, false).unwrap();
                });
            });
            assert_eq!(mode(&shared), wanted, "{mask:o}");
            assert!(remove_marked_folder(&shared), "{mask:o}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_given_away_is_kept() {
        let cannot = |errno: Errno| cannot_be_given(&errno.into());
        assert!([Errno::EPERM, Errno::EINVAL, Errno::EOPNOTSUPP].map(cannot).iter().all(|&is| is));
        assert!(!cannot(Errno::EIO) && !cannot(Errno::ENOSPC));
        // What it is already, it need not become: not even where nothing may be given.
        let dir = tempfile::tempdir().unwrap();
        let file = File::open(dir.path()).unwrap();
        give(&file, owner(&file.metadata().unwrap())).unwrap();
    }

    #[test]
    fn what_is_made_beside_something_belongs_to_whom_that_does() {
        let dir = tempfile::tempdir().unwrap();
        let theirs = (12_345, 12_346);
        // Nobody but root gives files away, and nobody else needs this.
        if chown(dir.path(), Some(theirs.0), Some(theirs.1)).is_err() {
            println!("NOT RUN: this user gives no files away");
            return;
        }
        let (folder, file) = (dir.path().join("folder"), dir.path().join("file"));
        create_folder(&folder).unwrap();
        hand_on_folder(&folder).unwrap();
        Rights::private_beside(&file).create_new(&file).unwrap();
        let as_it_is = Rights::of(&fs::metadata(&file).unwrap());
        assert_eq!(as_it_is, Rights { mode: 0o600, owner: Some(theirs) });
        for path in [&folder, &file] {
            assert_eq!(owner(&fs::metadata(path).unwrap()), theirs, "{}", path.display());
        }
    }
}
