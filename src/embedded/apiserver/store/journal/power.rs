//! What is left after the power was cut: all that was synced, and any of the rest.
//!
//! The disk of these tests keeps to itself what is written, as a page cache does, until it is told to sync. When the
//! power goes, each sector that was written since has reached the medium or not, whatever became of the others and
//! whichever came first; so has each change of the file's length.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use redb::StorageBackend;

use super::*;

const SECTOR: u64 = 512;

#[derive(Debug)]
enum Done {
    Written { at: u64, data: Vec<u8> },
    Length(u64),
}

/// What is below the page cache.
#[derive(Debug, Default)]
struct Medium {
    /// What is there whatever happens.
    synced: Vec<u8>,
    /// What has been done since, in order.
    cached: Vec<Done>,
    /// So many more writes and syncs, then the power is off.
    left: u32,
}

impl Medium {
    /// One more thing to do, if there is power.
    fn step(&mut self) -> io::Result<()> {
        self.left = self.left.checked_sub(1).ok_or_else(|| io::Error::other("the power is off"))?;
        Ok(())
    }

    fn apply(file: &mut Vec<u8>, done: &Done, mut reaches: impl FnMut() -> bool) {
        match done {
            Done::Length(length) => {
                if reaches() {
                    file.resize(*length as usize, 0);
                }
            }
            Done::Written { at, data } => {
                let (mut from, end) = (*at, at + data.len() as u64);
                while from < end {
                    let to = end.min((from / SECTOR + 1) * SECTOR);
                    if reaches() {
                        file.resize(file.len().max(to as usize), 0);
                        file[from as usize..to as usize]
                            .copy_from_slice(&data[(from - at) as usize..(to - at) as usize]);
                    }
                    from = to;
                }
            }
        }
    }

    fn sync(&mut self) {
        for done in self.cached.drain(..) {
            Self::apply(&mut self.synced, &done, || true);
        }
    }

    /// The file as it is found when the power is back, which stays for so many steps.
    fn cut(&mut self, dice: &mut StdRng, left: u32) -> &[u8] {
        let share = *[0.0, 0.1, 0.5, 0.9, 1.0].choose(dice).unwrap();
        for done in std::mem::take(&mut self.cached) {
            Self::apply(&mut self.synced, &done, || dice.random_bool(share));
        }
        self.left = left;
        &self.synced
    }
}

/// A file on that disk; what it says it holds is in a real one.
#[derive(Debug)]
struct Disk {
    file: FileBackend,
    medium: Arc<Mutex<Medium>>,
}

impl StorageBackend for Disk {
    fn len(&self) -> Result<u64, io::Error> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        let mut medium = self.medium.lock().unwrap();
        medium.step()?;
        medium.cached.push(Done::Length(len));
        self.file.set_len(len)
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        let mut medium = self.medium.lock().unwrap();
        medium.step()?;
        medium.sync();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        let mut medium = self.medium.lock().unwrap();
        medium.step()?;
        medium.cached.push(Done::Written { at: offset, data: data.to_vec() });
        self.file.write(offset, data)
    }

    fn close(&self) -> Result<(), io::Error> {
        self.file.close()
    }
}

/// What a journal holds.
#[derive(Clone, Debug, Default, PartialEq)]
struct Content {
    records: BTreeMap<u64, Record>,
    floor: u64,
}

impl Content {
    fn of(journal: &mut RedbJournal) -> Result<Self, JournalError> {
        let mut records = BTreeMap::new();
        let floor = journal.replay(&mut |rv, record| drop(records.insert(rv, record)))?;
        Ok(Self { records, floor })
    }

    fn after(&self, batch: &Batch) -> Self {
        let mut records = self.records.clone();
        records.extend(batch.put.iter().cloned());
        records.retain(|rv, _| !batch.drop.contains(rv));
        Self { records, floor: batch.floor }
    }

    /// Something to do next: `size` bytes at most in a record.
    fn next(&self, dice: &mut StdRng, size: usize) -> Batch {
        let last = self.records.last_key_value().map_or(self.floor, |(rv, _)| *rv).max(self.floor);
        let count = *[1, 1, 2, 5, 40].choose(dice).unwrap();
        let put = (last + 1..=last + count).map(|rv| {
            let record = Record {
                change: *[Change::Added, Change::Modified, Change::Deleted].choose(dice).unwrap(),
                table: "/pods".into(),
                key: Key::new("default", &rv.to_string()),
                bytes: vec![rv as u8; dice.random_range(0..size)].into(),
            };
            (rv, record)
        });
        let put = put.collect();
        let share = *[0.0, 0.1, 1.0].choose(dice).unwrap();
        let drop = self.records.keys().copied().filter(|_| dice.random_bool(share)).collect();
        Batch { put, drop, floor: last }
    }
}

/// Writes through so many power cuts. What was acknowledged is there after each of them, and of what was on its way
/// all or nothing. Returns how often the file was made smaller.
fn outlive(seed: u64, size: usize, cuts: u32) -> u32 {
    let mut dice = StdRng::seed_from_u64(seed);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("objects.redb");
    let medium = Arc::new(Mutex::new(Medium::default()));
    let mut compacted = 0;
    let (mut acknowledged, mut on_its_way) = (Content::default(), None::<Content>);
    for cut in 0..cuts {
        let steps = dice.random_range(0..400);
        std::fs::write(&path, medium.lock().unwrap().cut(&mut dice, steps)).unwrap();
        let disk = medium.clone();
        let open = move |file| {
            let backend = Disk { file: FileBackend::new(file)?, medium: disk.clone() };
            Ok(Database::builder().set_cache_size(CACHE).create_with_backend(backend)?)
        };
        let is_off = |error: JournalError| {
            assert_eq!(medium.lock().unwrap().left, 0, "seed {seed}, cut {cut}: {error}");
        };
        let mut journal = match RedbJournal::open_with(&path, Box::new(open)) {
            Ok(journal) => journal,
            Err(error) => {
                is_off(error);
                continue;
            }
        };
        let found = Content::of(&mut journal).expect("reading needs no power");
        if on_its_way.take().is_some_and(|content| content == found) {
            acknowledged = found;
        } else {
            assert!(acknowledged == found, "seed {seed}, cut {cut}: {found:?}");
        }
        loop {
            if dice.random_ratio(1, 8) {
                match journal.compact() {
                    Ok(done) => compacted += u32::from(done),
                    Err(error) => {
                        is_off(error);
                        break;
                    }
                }
            }
            let batch = acknowledged.next(&mut dice, size);
            let content = acknowledged.after(&batch);
            match journal.append(&batch) {
                Ok(()) => acknowledged = content,
                Err(error) => {
                    is_off(error);
                    on_its_way = Some(content);
                    break;
                }
            }
        }
    }
    compacted
}

/// How often everything is tried.
fn rounds() -> u64 {
    std::env::var("CURTAIN_POWER_ROUNDS").map_or(8, |rounds| rounds.parse().expect("a number"))
}

#[test]
fn what_was_acknowledged_is_there_after_the_power_was_cut() {
    for seed in 0..rounds() {
        outlive(seed, 3000, 12);
    }
}

#[test]
fn a_file_that_is_made_small_loses_nothing_when_the_power_is_cut() {
    let compacted: u32 = (0..rounds().div_ceil(4)).map(|seed| outlive(seed, 300_000, 12)).sum();
    assert!(compacted > 0, "none of them was");
}
