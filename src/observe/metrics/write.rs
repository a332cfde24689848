//! Taking samples in.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};

use rusqlite::{OptionalExtension, Transaction, params, params_from_iter};

use super::Store;
use super::packed::{Values, pack, unpack};
use super::retention::remove_above;
use super::wire::{Batch, Part, Sample};
use crate::database::DatabaseError;
use crate::owner::{COLUMNS, Owner};

/// A moment that is older came too late, in seconds: it may be in a coarser row already.
const LATE: i64 = 3600;
/// A clock may be ahead by so much, in seconds.
const EARLY: i64 = 60;
/// Series that an owner may have; more are not stored.
const MAX_SERIES: i64 = 2000;
/// Numbers of series that are remembered.
const REMEMBERED: usize = 20_000;
/// How exactly the last time of a series is kept, in seconds.
const LAST: i64 = 3600;

/// Numbers of owners and series, by a hash that nobody outside can work out: most samples are of series that are known.
#[derive(Default)]
pub(super) struct Known {
    hasher: RandomState,
    owners: Mutex<HashMap<u64, i64>>,
    /// Number, and the last time that is written down.
    series: Mutex<HashMap<u64, (i64, i64)>>,
}

impl std::fmt::Debug for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Known")
    }
}

impl Known {
    /// Forgets all: what was remembered may not have been stored, or is not there any more.
    pub(super) fn forget(&self) {
        self.owners.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.series.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn owner(&self, transaction: &Transaction<'_>, owner: &Owner) -> Result<i64, DatabaseError> {
        let key = self.hasher.hash_one(owner);
        let mut owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(id) = owners.get(&key) {
            return Ok(*id);
        }
        let names = params_from_iter(owner.values());
        let known = transaction
            .prepare_cached(&format!(
                "SELECT id FROM owner WHERE ({COLUMNS}) = (?1, ?2, ?3, ?4, ?5, ?6, ?7)"
            ))?
            .query_row(names.clone(), |row| row.get(0))
            .optional()?;
        let id = match known {
            Some(id) => id,
            None => {
                transaction
                    .prepare_cached(&format!(
                        "INSERT INTO owner ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"
                    ))?
                    .execute(names)?;
                transaction.last_insert_rowid()
            }
        };
        if owners.len() >= REMEMBERED {
            owners.clear();
        }
        owners.insert(key, id);
        Ok(id)
    }

    /// `None` when the owner has too many series.
    fn series(
        &self,
        transaction: &Transaction<'_>,
        owner: i64,
        sample: &Sample,
        time: i64,
    ) -> Result<Option<i64>, DatabaseError> {
        let key = self.hasher.hash_one((owner, &sample.name, &sample.labels));
        let mut series = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((id, last)) = series.get_mut(&key) {
            if time - *last > LAST {
                transaction
                    .prepare_cached("UPDATE series SET last = ?2 WHERE id = ?1")?
                    .execute(params![*id, time])?;
                *last = time;
            }
            return Ok(Some(*id));
        }
        // Strings only: it cannot fail.
        let labels = serde_json::to_string(&sample.labels).unwrap_or_default();
        let known = transaction
            .prepare_cached(
                "SELECT id, last FROM series WHERE owner = ?1 AND name = ?2 AND labels = ?3",
            )?
            .query_row(params![owner, sample.name, labels], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let found = match known {
            Some(found) => found,
            None => {
                let count: i64 = transaction
                    .prepare_cached("SELECT COUNT(*) FROM series WHERE owner = ?1")?
                    .query_row([owner], |row| row.get(0))?;
                if count >= MAX_SERIES {
                    return Ok(None);
                }
                transaction
                    .prepare_cached(
                        "INSERT INTO series (owner, name, labels, last) VALUES (?1, ?2, ?3, ?4)",
                    )?
                    .execute(params![owner, sample.name, labels, time])?;
                (transaction.last_insert_rowid(), time)
            }
        };
        if series.len() >= REMEMBERED {
            series.clear();
        }
        series.insert(key, found);
        Ok(Some(found.0))
    }
}

impl Store {
    /// Stores what is not stored yet of a moment; returns how many samples these were. `now` is in seconds since 1970: a
    /// moment from too long ago is not stored.
    ///
    /// # Errors
    /// [`DatabaseError::Sqlite`]; nothing of the moment is stored then.
    pub fn ingest(&self, batch: &Batch, now: i64) -> Result<usize, DatabaseError> {
        if batch.time < now.saturating_sub(LATE) || batch.time > now.saturating_add(EARLY) {
            tracing::warn!(time = batch.time, now, "samples of another time are not stored");
            return Ok(0);
        }
        let stored = self.database.write(|connection| {
            let transaction = connection.transaction()?;
            let mut stored = 0;
            for part in &batch.parts {
                stored += self.ingest_part(&transaction, part, batch.time)?;
            }
            transaction.commit()?;
            // A burst may outgrow the bound by an eighth until the next prune, not by more.
            let bytes = self.retention.bytes;
            while remove_above(connection, bytes.saturating_add(bytes / 8))? > 0 {}
            Ok(stored)
        });
        match stored {
            Ok(_) => self.watched.note(batch),
            Err(_) => self.known.forget(),
        }
        stored
    }

    fn ingest_part(
        &self,
        transaction: &Transaction<'_>,
        part: &Part,
        time: i64,
    ) -> Result<usize, DatabaseError> {
        let owner = self.known.owner(transaction, &part.owner)?;
        let old: Option<Vec<u8>> = transaction
            .prepare_cached("SELECT data FROM moment WHERE owner = ?1 AND grain = 0 AND time = ?2")?
            .query_row(params![owner, time], |row| row.get(0))
            .optional()?;
        let mut values: Values = old.as_deref().map(unpack).into_iter().flatten().collect();
        let before = values.len();
        let mut refused = 0;
        for sample in &part.samples {
            match self.known.series(transaction, owner, sample, time)? {
                Some(series) => values.push((series, sample.value.clone())),
                None => refused += 1,
            }
        }
        if refused > 0 {
            tracing::warn!(component = part.owner.component, refused, "too many series");
        }
        // Stable: of two values of a series the one that was there first stays.
        values.sort_by_key(|(series, _)| *series);
        values.dedup_by_key(|(series, _)| *series);
        let stored = values.len() - before;
        if stored > 0 {
            transaction
                .prepare_cached(
                    "INSERT OR REPLACE INTO moment (owner, grain, time, ticks, data) VALUES (?1, 0, ?2, 1, ?3)",
                )?
                .execute(params![owner, time, pack(&values)])?;
        }
        Ok(stored)
    }
}
