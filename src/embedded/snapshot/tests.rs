//! What is written is read again, and nothing else is.

use std::cell::Cell;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use flate2::{Compression, write::GzEncoder};
use nix::sys::stat::{Mode, SFlag, mknod};
use nix::unistd::{geteuid, mkfifo};
use rustix::fs::{XattrFlags, lgetxattr, lsetxattr};
use tar::{EntryType, Header};

use super::{Contents, HEAD, SnapshotError, exchange, head, is_proven, prove, unpack, write};

const GOES_ON: &dyn Fn() -> bool = &|| false;

struct World {
    _dir: tempfile::TempDir,
    home: PathBuf,
    file: PathBuf,
    into: PathBuf,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let [home, file, into] =
            ["cluster", "x.tar.gz", "cluster.restoring"].map(|n| dir.path().join(n));
        fs::create_dir(&home).unwrap();
        Self { _dir: dir, home, file, into }
    }

    fn put(&self, path: &str, text: &str) -> PathBuf {
        let path = self.home.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    fn write(&self) -> Result<Contents, SnapshotError> {
        let head = |contents: &Contents| Ok(format!("{contents:?}").into_bytes());
        write(&self.home, (File::create(&self.file).unwrap(), &self.file), head, GOES_ON)
    }

    fn unpack(&self, contents: &Contents) -> Result<(), SnapshotError> {
        unpack(&self.file, &self.into, contents, GOES_ON)
    }

    /// Unpacks a snapshot that somebody else made of entries, and removes what came of it.
    fn hostile(&self, fill: impl FnOnce(&mut tar::Builder<GzEncoder<File>>)) -> String {
        let packed = GzEncoder::new(File::create(&self.file).unwrap(), Compression::fast());
        let mut archive = tar::Builder::new(packed);
        raw(&mut archive, HEAD, EntryType::Regular, None, b"{}");
        raw(&mut archive, "cluster", EntryType::Directory, None, b"");
        fill(&mut archive);
        archive.into_inner().unwrap().finish().unwrap();
        let contents = Contents { entries: 100, bytes: 1_000, ..Contents::default() };
        let error = self.unpack(&contents).unwrap_err();
        assert!(matches!(error, SnapshotError::Damaged { .. }), "{error:?}");
        fs::remove_dir_all(&self.into).unwrap();
        error.to_string()
    }
}

/// An entry with a name that no library would write.
fn raw(
    archive: &mut tar::Builder<impl Write>,
    name: &str,
    kind: EntryType,
    target: Option<&str>,
    content: &[u8],
) {
    let mut header = Header::new_gnu();
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(kind);
    header.set_size(content.len() as u64);
    header.set_mode(0o755);
    header.set_uid(geteuid().as_raw().into());
    header.set_gid(nix::unistd::getegid().as_raw().into());
    header.set_mtime(1);
    if kind.is_character_special() {
        header.set_device_major(1).unwrap();
        header.set_device_minor(3).unwrap();
    }
    if let Some(target) = target {
        header.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
    }
    header.set_cksum();
    archive.append(&header, content).unwrap();
}

#[test]
fn everything_that_a_file_has_comes_back() {
    let world = World::new();
    let at = |path: &str| world.home.join(path);
    world.put("data/objects.redb", "objects");
    let secret = world.put("pki/ca.key", "key");
    fs::set_permissions(&secret, PermissionsExt::from_mode(0o600)).unwrap();
    let odd = world.home.join("volumes/pvc-1").join(std::ffi::OsStr::from_bytes(b"od\xffd\nname"));
    world.put("volumes/pvc-1/plain", "");
    fs::write(&odd, "odd").unwrap();
    let deep = world.put(&format!("volumes/pvc-1/{}/{}", "d".repeat(200), "f".repeat(200)), "deep");
    let sparse = at("volumes/pvc-1/sparse");
    let file = File::create(&sparse).unwrap();
    file.set_len(3 << 20).unwrap();
    symlink("./a//b/../nowhere", at("volumes/pvc-1/link")).unwrap();
    fs::hard_link(&deep, at("volumes/pvc-1/hard")).unwrap();
    mkfifo(&at("volumes/pvc-1/fifo"), Mode::S_IRUSR).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(at("volumes/pvc-1/socket")).unwrap();
    for out in
        ["run/supervisor.json", "config.json", "pods/1/containers/a/0/upper/x", "images/pulls/x"]
    {
        world.put(out, "x");
    }
    world.put("pods/1/volumes/empty/kept", "kept");
    lsetxattr(&odd, "user.note", b"a\n=b", XattrFlags::empty()).unwrap();
    fs::set_permissions(at("volumes/pvc-1"), PermissionsExt::from_mode(0o2570)).unwrap();
    let is_root = geteuid().is_root();
    if is_root {
        let layer = at("images/layers/l");
        fs::create_dir_all(&layer).unwrap();
        mknod(&layer.join("gone"), SFlag::S_IFCHR, Mode::empty(), 0).unwrap();
        lsetxattr(&layer, "trusted.overlay.opaque", b"y", XattrFlags::empty()).unwrap();
        chown(&odd, Some(1_000), Some(2_000)).unwrap();
        chown(at("volumes/pvc-1"), Some(0), Some(4_000_000_000)).unwrap();
        fs::set_permissions(at("volumes/pvc-1"), PermissionsExt::from_mode(0o2570)).unwrap();
        // A device that is no whiteout is made anew by whoever needs it.
        mknod(
            &at("volumes/pvc-1/null"),
            SFlag::S_IFCHR,
            Mode::S_IRUSR,
            nix::sys::stat::makedev(1, 3),
        )
        .unwrap();
    } else {
        println!("NOT RUN: owners and whiteouts, which are root's to make");
    }

    let contents = world.write().unwrap();
    assert_eq!((contents.pods, contents.volumes, contents.images), (1, 1, 0));
    assert!(contents.bytes > 3 << 20 && contents.room < 1 << 20, "{contents:?}");
    assert_eq!(head(&world.file).unwrap(), format!("{contents:?}").into_bytes());
    assert!(world.file.metadata().unwrap().len() < 64 << 10, "zeros are small");
    world.unpack(&contents).unwrap();

    let seen = |root: &Path| -> Vec<String> {
        let mut lines = Vec::new();
        let mut left = vec![root.to_owned()];
        while let Some(path) = left.pop() {
            let meta = path.symlink_metadata().unwrap();
            let name = path.strip_prefix(root).unwrap().to_owned();
            if meta.is_dir() {
                left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            }
            let content = if meta.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
            let note = ["user.note", "trusted.overlay.opaque"].map(|key| {
                let mut value = [0; 16];
                lgetxattr(&path, key, &mut value).map(|count| value[..count].to_vec()).ok()
            });
            lines.push(format!(
                "{name:?} {:o} {}:{} {}.{} {} {:?} {note:?} {}",
                meta.mode(),
                meta.uid(),
                meta.gid(),
                meta.mtime(),
                meta.mtime_nsec(),
                meta.rdev(),
                fs::read_link(&path).ok(),
                content.iter().map(|byte| u64::from(*byte)).sum::<u64>(),
            ));
        }
        lines.sort();
        lines
    };
    let out = ["\"run", "\"config.json", "containers", "images/pulls", "socket", "null"];
    let expected: Vec<String> = seen(&world.home)
        .into_iter()
        .filter(|line| !out.iter().any(|out| line.contains(out)))
        .collect();
    assert!(is_proven(&world.home) && !is_proven(&world.into));
    let mut unpacked = seen(&world.into);
    unpacked.retain(|line| !line.contains("\"unproven\""));
    assert_eq!(unpacked, expected);
    prove(&world.into).unwrap();
    assert!(is_proven(&world.into));
    prove(&world.into).unwrap();
    assert_eq!(expected.iter().any(|line| line.contains("2570 0:4000000000")), is_root);
    let meta = |path: &str| world.into.join(path).metadata().unwrap();
    assert_eq!(meta("volumes/pvc-1/hard").nlink(), 2);
    assert_eq!(meta("volumes/pvc-1/sparse").len(), 3 << 20);
    assert!(meta("volumes/pvc-1/sparse").blocks() < 64, "what was a hole is one");
}

#[test]
fn two_states_take_each_others_place() {
    let world = World::new();
    world.put("which", "one");
    fs::create_dir(&world.into).unwrap();
    fs::write(world.into.join("which"), "other").unwrap();
    exchange(&world.home, &world.into).unwrap();
    let which = |dir: &Path| fs::read_to_string(dir.join("which")).unwrap();
    assert_eq!((which(&world.home), which(&world.into)), ("other".to_owned(), "one".to_owned()));
    fs::remove_dir_all(&world.into).unwrap();
    assert!(exchange(&world.home, &world.into).is_err());
    assert_eq!(which(&world.home), "other");
}

#[test]
fn nothing_in_a_snapshot_leads_out_of_its_folder() {
    use EntryType::{Char, Continuous, Directory, Fifo, Link, Regular, Symlink};
    let world = World::new();
    let outside = world.home.parent().unwrap().join("outside");
    fs::create_dir(&outside).unwrap();
    let outside_text = outside.display().to_string();
    let before = || fs::read_dir(outside.parent().unwrap()).unwrap().count();
    let count = before();
    for name in ["/etc/x", "cluster/../x", "../x", "cluster//x", "x", "cluster/a/../../../x"] {
        world.hostile(|archive| raw(archive, name, Regular, None, b"x"));
    }
    // Through a link, made by the snapshot itself.
    for (kind, name) in
        [(Regular, "cluster/l/x"), (Directory, "cluster/l/x"), (Fifo, "cluster/l/x")]
    {
        let said = world.hostile(|archive| {
            raw(archive, "cluster/l", Symlink, Some(&outside_text), b"");
            raw(archive, name, kind, None, b"");
        });
        assert!(said.contains("no folder"), "{said}");
    }
    // Over a link, or a folder that is replaced by one.
    let said = world.hostile(|archive| {
        raw(archive, "cluster/l", Symlink, Some(&format!("{outside_text}/x")), b"");
        raw(archive, "cluster/l", Regular, None, b"x");
    });
    assert!(said.contains("twice"), "{said}");
    world.hostile(|archive| {
        raw(archive, "cluster/d", Directory, None, b"");
        raw(archive, "cluster/d", Symlink, Some(&outside_text), b"");
    });
    world.hostile(|archive| raw(archive, "cluster", Symlink, Some(&outside_text), b""));
    for target in ["/etc/passwd", "cluster/../../outside", "outside", "cluster/none", "cluster/l/x"]
    {
        fs::write(outside.join("x"), "x").unwrap();
        world.hostile(|archive| {
            raw(archive, "cluster/l", Symlink, Some(&outside_text), b"");
            raw(archive, "cluster/h", Link, Some(target), b"");
        });
        fs::remove_file(outside.join("x")).unwrap();
    }
    world.hostile(|archive| raw(archive, "cluster/h", Link, None, b""));
    // What says of itself that it was not seen to start is written by nobody else.
    for kind in [Symlink, Regular] {
        let target = (kind == Symlink).then(|| format!("{outside_text}/x"));
        world.hostile(|archive| raw(archive, "cluster/unproven", kind, target.as_deref(), b""));
    }
    // Content where there is none to be.
    let said = world.hostile(|archive| raw(archive, "cluster/l", Fifo, None, b"x"));
    assert!(said.contains("has content"), "{said}");
    // Devices, and what no snapshot has.
    world.hostile(|archive| raw(archive, "cluster/null", Char, None, b""));
    world.hostile(|archive| raw(archive, "cluster/odd", Continuous, None, b""));
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    // And the file itself.
    assert_eq!(before(), count + 1);
}

#[test]
fn what_is_not_whole_is_refused() {
    let world = World::new();
    let mut text = String::new();
    for line in 0..20_000 {
        text.push_str(&format!("{line} {:x}\n", line * 7_919 % 10_007));
    }
    world.put("data/objects.redb", &text);
    let contents = world.write().unwrap();
    let whole = fs::read(&world.file).unwrap();
    let refused = |bytes: &[u8], contents: &Contents| {
        fs::write(&world.file, bytes).unwrap();
        let error = world.unpack(contents).unwrap_err();
        assert!(matches!(error, SnapshotError::Damaged { .. }), "{error:?}");
        assert!(error.to_string().contains("x.tar.gz"), "{error}");
        fs::remove_dir_all(&world.into).unwrap();
        error.to_string()
    };
    for length in [0, 1, 40, whole.len() / 2, whole.len() - 9, whole.len() - 1] {
        refused(&whole[..length], &contents);
    }
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 0x10;
    refused(&flipped, &contents);
    refused(b"not a snapshot at all", &contents);
    let entries = contents.entries;
    let more = refused(&whole, &Contents { entries: entries + 1, ..contents.clone() });
    assert!(more.contains("less than it says"), "{more}");
    let less = refused(&whole, &Contents { bytes: 10, ..contents.clone() });
    assert!(less.contains("more than it says"), "{less}");
    fs::write(&world.file, &whole).unwrap();
    world.unpack(&contents).unwrap();

    // And something else that is a tar.
    fs::remove_dir_all(&world.into).unwrap();
    let packed = GzEncoder::new(File::create(&world.file).unwrap(), Compression::fast());
    let mut archive = tar::Builder::new(packed);
    raw(&mut archive, "other", EntryType::Regular, None, b"x");
    archive.into_inner().unwrap().finish().unwrap();
    let error = head(&world.file).unwrap_err().to_string();
    assert!(error.contains(HEAD), "{error}");
    fs::write(&world.file, "").unwrap();
    assert!(matches!(head(&world.file), Err(SnapshotError::Damaged { .. })));
}

#[test]
fn long_names_do_not_fill_the_memory() {
    let world = World::new();
    let said = world.hostile(|archive| {
        let mut header = Header::new_gnu();
        header.set_path("././@LongLink").unwrap();
        header.set_entry_type(EntryType::GNULongName);
        header.set_size(64 << 20);
        header.set_cksum();
        archive.append(&header, io::repeat(b'x').take(64 << 20)).unwrap();
    });
    assert!(said.contains("names and attributes"), "{said}");
}

#[test]
fn no_room_is_said_before_anything_is_unpacked_and_a_full_disk_while_it_is_written() {
    let world = World::new();
    world.put("data/x", &"x".repeat(1 << 20));
    let contents = world.write().unwrap();
    let large = Contents { room: u64::MAX / 2, ..contents };
    assert!(matches!(world.unpack(&large), Err(SnapshotError::NoRoom { .. })));
    assert!(!world.into.exists());
    let full = File::options().write(true).open("/dev/full").unwrap();
    let written =
        write(&world.home, (full, Path::new("/dev/full")), |_| Ok(vec![0; 1 << 20]), GOES_ON);
    let Err(SnapshotError::File { action: "write", source, .. }) = written else {
        panic!("{written:?}")
    };
    assert_eq!(source.kind(), io::ErrorKind::StorageFull);
}

#[test]
fn whoever_wants_it_to_end_does_not_wait() {
    let world = World::new();
    for name in 0..50 {
        world.put(&format!("data/{name}"), "x");
    }
    let contents = world.write().unwrap();
    let calls = Cell::new(0);
    let soon = |after: usize| {
        calls.set(0);
        move |calls: &Cell<usize>| {
            calls.set(calls.get() + 1);
            calls.get() > after
        }
    };
    for after in [0, 10, 60] {
        let ends = soon(after);
        let file = (File::create(&world.file).unwrap(), world.file.as_path());
        let written = write(&world.home, file, |_| Ok(Vec::new()), &|| ends(&calls));
        assert!(matches!(written, Err(SnapshotError::Stopped)), "{written:?}");
    }
    world.write().unwrap();
    for after in [0, 10] {
        let ends = soon(after);
        let unpacked = unpack(&world.file, &world.into, &contents, &|| ends(&calls));
        assert!(matches!(unpacked, Err(SnapshotError::Stopped)), "{unpacked:?}");
        fs::remove_dir_all(&world.into).unwrap();
    }
}
