use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use redb::StorageBackend;

use super::*;

fn record(name: &str, change: Change) -> Record {
    Record {
        change,
        table: "/pods".into(),
        key: Key::new("default", name),
        bytes: Bytes::from_static(b"{}"),
    }
}

#[test]
fn records_survive_their_encoding() {
    for change in [Change::Added, Change::Modified, Change::Deleted] {
        let record = record("a", change);
        assert_eq!(decode(&encode(&record)), Some(record));
    }
    assert_eq!(decode(&[]), None);
    assert_eq!(decode(&[0, 9, 0, b'x']), None);
    assert_eq!(decode(&[7, 0, 0, 0, 0, 0, 0]), None);
}

#[test]
fn a_reopened_file_holds_what_was_appended_and_not_what_was_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("objects.redb");
    let mut journal = RedbJournal::open(&path).unwrap();
    assert_eq!(journal.replay(&mut |_, _| panic!("empty")).unwrap(), 0);
    let put = vec![(1, record("a", Change::Added)), (2, record("b", Change::Added))];
    journal.append(&Batch { put, drop: vec![], floor: 0 }).unwrap();
    let put = vec![(3, record("a", Change::Modified))];
    journal.append(&Batch { put, drop: vec![1], floor: 2 }).unwrap();
    drop(journal);

    let mut journal = RedbJournal::open(&path).unwrap();
    let mut seen = Vec::new();
    let floor =
        journal.replay(&mut |rv, record| seen.push((rv, record.key.name.to_string()))).unwrap();
    assert_eq!((floor, seen), (2, vec![(2, "b".to_string()), (3, "a".to_string())]));
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
}

/// A file on a disk that has room for so many bytes.
#[derive(Debug)]
struct Cramped {
    file: FileBackend,
    room: Arc<AtomicU64>,
}

impl Cramped {
    fn fits(&self, end: u64) -> std::io::Result<()> {
        match end <= self.room.load(Ordering::SeqCst) {
            true => Ok(()),
            false => Err(std::io::ErrorKind::StorageFull.into()),
        }
    }
}

impl StorageBackend for Cramped {
    fn len(&self) -> Result<u64, std::io::Error> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), std::io::Error> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> Result<(), std::io::Error> {
        self.file.set_len(len)
    }

    fn sync_data(&self) -> Result<(), std::io::Error> {
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), std::io::Error> {
        self.fits(offset + data.len() as u64)?;
        self.file.write(offset, data)
    }

    fn close(&self) -> Result<(), std::io::Error> {
        self.file.close()
    }
}

fn large(name: &str) -> Record {
    Record { bytes: Bytes::from(vec![b'x'; 4000]), ..record(name, Change::Added) }
}

fn names(journal: &mut RedbJournal) -> Vec<String> {
    let mut names = Vec::new();
    journal.replay(&mut |_, record| names.push(record.key.name.to_string())).unwrap();
    names
}

#[test]
fn a_full_disk_refuses_the_whole_batch_until_there_is_room() {
    let batch = |from: u64, count: u64| Batch {
        put: (from..from + count).map(|rv| (rv, large(&rv.to_string()))).collect(),
        ..Batch::default()
    };
    for restarted in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("objects.redb");
        let room = Arc::new(AtomicU64::new(u64::MAX));
        let disk = room.clone();
        let open = move |file| {
            let backend = Cramped { file: FileBackend::new(file)?, room: disk.clone() };
            Ok(Database::builder().set_cache_size(CACHE).create_with_backend(backend)?)
        };
        let mut journal = RedbJournal::open_with(&path, Box::new(open)).unwrap();
        journal.append(&batch(1, 1)).unwrap();
        room.store(std::fs::metadata(&path).unwrap().len(), Ordering::SeqCst);
        for _ in 0..3 {
            let error = journal.append(&batch(2, 1000)).unwrap_err();
            assert!(matches!(error, JournalError::Full { .. }), "{error:?}");
        }
        room.store(u64::MAX, Ordering::SeqCst);
        if restarted {
            drop(journal);
            journal = RedbJournal::open(&path).unwrap();
            assert_eq!(names(&mut journal), ["1"]);
        }
        journal.append(&batch(1002, 2)).unwrap();
        assert_eq!(names(&mut journal), ["1", "1002", "1003"]);
        drop(journal);
        assert_eq!(names(&mut RedbJournal::open(&path).unwrap()), ["1", "1002", "1003"]);
    }
}

#[test]
fn a_file_that_is_mostly_free_is_made_small_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("objects.redb");
    let mut journal = RedbJournal::open(&path).unwrap();
    let length = || std::fs::metadata(&path).unwrap().len();
    let all = 1..5001u64;
    let put = all.clone().map(|rv| (rv, large(&rv.to_string()))).collect();
    journal.append(&Batch { put, ..Batch::default() }).unwrap();
    assert!(!journal.compact().unwrap(), "it is full of records");
    let kept = |rv: &u64| rv.is_multiple_of(500);
    let drop = all.clone().filter(|rv| !kept(rv)).collect();
    journal.append(&Batch { drop, floor: 7, ..Batch::default() }).unwrap();
    let before = length();
    assert!(journal.compact().unwrap(), "most of it is free: {before} bytes");
    assert!(length() < before / 4, "{before} bytes have become {}", length());
    assert!(!journal.compact().unwrap(), "it is small now");

    let put = vec![(6000, large("later"))];
    journal.append(&Batch { put, floor: 7, ..Batch::default() }).unwrap();
    let mut expected: Vec<String> = all.filter(kept).map(|rv| rv.to_string()).collect();
    expected.push("later".into());
    assert_eq!(names(&mut journal), expected);
    std::mem::drop(journal);
    let mut journal = RedbJournal::open(&path).unwrap();
    assert_eq!(journal.replay(&mut |_, _| {}).unwrap(), 7);
    assert_eq!(names(&mut journal), expected);
}

#[test]
fn a_file_of_another_format_is_refused_with_its_number() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("objects.redb");
    let database = Database::create(&path).unwrap();
    let write = database.begin_write().unwrap();
    write.open_table(META).unwrap().insert("format", 7).unwrap();
    write.commit().unwrap();
    drop(database);
    let error = RedbJournal::open(&path).err().unwrap();
    assert!(matches!(error, JournalError::Format { found: 7, .. }), "{error}");
}
