//! What is still to be told, and what could not be.
//!
//! A delivery is planned in the transaction that makes its alert, and is tried until it succeeds or has failed too
//! often: then it stays as a dead letter with the reason.

use std::time::Duration;

use rusqlite::{OptionalExtension, Row, Transaction, params};
use uuid::Uuid;

use super::Store;
use super::entry::{ALERT, Alert, INCIDENT, Incident};
use crate::database::DatabaseError;

/// Pauses after failures; after the last one it is a dead letter.
const PAUSES: [Duration; 6] = [
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(20),
    Duration::from_secs(60),
    Duration::from_secs(300),
    Duration::from_secs(900),
];
/// Deliveries under way at once.
const AT_ONCE: usize = 8;

/// What is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// An alert began.
    Trigger,
    /// It is over.
    Resolve,
    /// An agent is to look for its cause.
    Rca,
}

impl Event {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Event::Trigger => "trigger",
            Event::Resolve => "resolve",
            Event::Rca => "rca",
        }
    }

    fn of(text: &str) -> Event {
        match text {
            "resolve" => Event::Resolve,
            "rca" => Event::Rca,
            _ => Event::Trigger,
        }
    }
}

/// Something to tell one channel.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Delivery {
    pub(super) id: String,
    pub(super) alert: String,
    pub(super) channel: String,
    pub(super) event: Event,
    /// `pending`, `delivered` or `dead`.
    pub(super) state: String,
    pub(super) created: i64,
    pub(super) attempts: i64,
    /// Why it failed last.
    pub(super) error: String,
}

pub(super) const DELIVERY: &str =
    "id, alert_id, channel, event, state, created_ns, attempts, error";

impl Delivery {
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Delivery> {
        let event: String = row.get(3)?;
        Ok(Delivery {
            id: row.get(0)?,
            alert: row.get(1)?,
            channel: row.get(2)?,
            event: Event::of(&event),
            state: row.get(4)?,
            created: row.get(5)?,
            attempts: row.get(6)?,
            error: row.get(7)?,
        })
    }
}

/// A delivery with what it is about.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Errand {
    pub(super) delivery: Delivery,
    pub(super) alert: Alert,
    pub(super) incident: Option<Incident>,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    /// Told, or nothing to tell.
    Done,
    /// It may go better later.
    Failed(String),
    /// It never will.
    Hopeless(String),
}

/// Writes down that something is to be told.
pub(super) fn plan(
    transaction: &Transaction<'_>,
    alert: &str,
    channel: &str,
    event: Event,
    now: i64,
) -> Result<(), DatabaseError> {
    transaction
        .prepare_cached(
            "INSERT INTO delivery (id, alert_id, channel, event, state, created_ns, next_ns, attempts, error) \
             VALUES (?1, ?2, ?3, ?4, 'pending', ?5, ?5, 0, '')",
        )?
        .execute(params![Uuid::new_v4().to_string(), alert, channel, event.as_str(), now])?;
    Ok(())
}

impl Store {
    /// What is due at `now`, and else when something will be.
    pub(super) fn due(&self, now: i64) -> Result<(Vec<Errand>, Option<i64>), DatabaseError> {
        self.database.read(|connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {DELIVERY} FROM delivery WHERE state = 'pending' AND next_ns <= ?1 \
                 ORDER BY next_ns LIMIT {AT_ONCE}"
            ))?;
            let due: Vec<Delivery> =
                statement.query_map([now], Delivery::read)?.collect::<Result<_, _>>()?;
            let mut errands = Vec::with_capacity(due.len());
            for delivery in due {
                let sql = format!("SELECT {ALERT} FROM alert_entries WHERE id = ?1");
                let mut statement = connection.prepare_cached(&sql)?;
                // Forgotten between these two lines.
                let Some(alert) = statement.query_row([&delivery.alert], Alert::read).optional()?
                else {
                    continue;
                };
                let sql = format!("SELECT {INCIDENT} FROM incident_entries WHERE alert_id = ?1");
                let mut statement = connection.prepare_cached(&sql)?;
                let incident =
                    statement.query_map([&delivery.alert], Incident::read)?.next().transpose()?;
                errands.push(Errand { delivery, alert, incident });
            }
            let sql = "SELECT MIN(next_ns) FROM delivery WHERE state = 'pending'";
            let next = connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
            Ok((errands, next))
        })
    }

    /// Takes in how an attempt ended; returns the reason if the delivery is a dead letter now.
    pub(super) fn attempted(
        &self,
        delivery: &Delivery,
        attempt: Attempt,
        now: i64,
    ) -> Result<Option<String>, DatabaseError> {
        let pause = usize::try_from(delivery.attempts).ok().and_then(|past| PAUSES.get(past));
        let (state, next, error) = match (attempt, pause) {
            (Attempt::Done, _) => ("delivered", now, String::new()),
            (Attempt::Failed(reason), Some(pause)) => {
                let pause = i64::try_from(pause.as_nanos()).unwrap_or(i64::MAX);
                ("pending", now.saturating_add(pause), reason)
            }
            (Attempt::Failed(reason) | Attempt::Hopeless(reason), _) => ("dead", now, reason),
        };
        self.database.write(|connection| {
            connection
                .prepare_cached(
                    "UPDATE delivery SET state = ?2, next_ns = ?3, error = ?4, attempts = attempts + 1 \
                     WHERE id = ?1",
                )?
                .execute(params![delivery.id, state, next, error])?;
            Ok(())
        })?;
        Ok((state == "dead").then_some(error))
    }
}
