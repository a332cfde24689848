//! The life of incidents: active, acknowledged, resolved; each step is kept with who made it.

use rusqlite::{OptionalExtension, Transaction, params};

use super::Store;
use super::entry::{INCIDENT, Incident};
use crate::database::DatabaseError;

/// Who resolves an incident when nobody does; no user or agent has this name.
pub(super) const OURSELVES: &str = "system:observer";

/// A change that somebody asks for.
#[derive(Clone, Debug, Default)]
pub(super) struct Change {
    pub(super) status: String,
    pub(super) notes: Option<String>,
    pub(super) description: Option<String>,
}

/// Why an incident did not change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unchanged {
    /// There is none of this id.
    Unknown,
    /// It cannot go from one status to another.
    Transition { from: String },
}

impl Store {
    /// One incident.
    pub(super) fn incident(&self, id: &str) -> Result<Option<Incident>, DatabaseError> {
        self.database.read(|connection| {
            let sql = format!("SELECT {INCIDENT} FROM incident_entries WHERE id = ?1");
            Ok(connection.prepare_cached(&sql)?.query_row([id], Incident::read).optional()?)
        })
    }

    /// Changes an incident.
    pub(super) fn update(
        &self,
        id: &str,
        change: Change,
        actor: &str,
        now: i64,
    ) -> Result<Result<Incident, Unchanged>, DatabaseError> {
        self.database.write(|connection| {
            let transaction = connection.transaction()?;
            let sql = format!("SELECT {INCIDENT} FROM incident_entries WHERE id = ?1");
            let found =
                transaction.prepare_cached(&sql)?.query_row([id], Incident::read).optional()?;
            let Some(mut incident) = found else { return Ok(Err(Unchanged::Unknown)) };
            if !may(&incident.status, &change.status) {
                return Ok(Err(Unchanged::Transition { from: incident.status }));
            }
            incident.enter(&change.status, actor, now);
            incident.notes = change.notes.unwrap_or(incident.notes);
            incident.description = change.description.unwrap_or(incident.description);
            incident.put(&transaction)?;
            remember(&transaction, &incident, actor, now)?;
            transaction.commit()?;
            Ok(Ok(incident))
        })
    }
}

/// Whether an incident may go from one status to another.
fn may(from: &str, to: &str) -> bool {
    from == to
        || matches!(
            (from, to),
            ("active", "acknowledged" | "resolved") | ("acknowledged", "resolved")
        )
}

impl Incident {
    /// Takes on a status, whose time and actor are set once.
    fn enter(&mut self, status: &str, actor: &str, now: i64) {
        let (time, by) = match status {
            "acknowledged" => (&mut self.acknowledged, &mut self.acknowledged_by),
            "resolved" => (&mut self.resolved, &mut self.resolved_by),
            _ => return status.clone_into(&mut self.status),
        };
        time.get_or_insert(now);
        by.get_or_insert_with(|| actor.to_owned());
        status.clone_into(&mut self.status);
    }
}

/// Keeps who brought an incident to its status.
pub(super) fn remember(
    transaction: &Transaction<'_>,
    incident: &Incident,
    actor: &str,
    now: i64,
) -> Result<(), DatabaseError> {
    transaction
        .prepare_cached(
            "INSERT INTO incident_history (incident_id, timestamp_ns, status, actor) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![incident.id, now, incident.status, actor])?;
    Ok(())
}

/// Resolves what is open of an alert that is over.
pub(super) fn resolve_of(
    transaction: &Transaction<'_>,
    alert: &str,
    note: &str,
    now: i64,
) -> Result<(), DatabaseError> {
    let sql = format!(
        "SELECT {INCIDENT} FROM incident_entries WHERE alert_id = ?1 AND status <> 'resolved'"
    );
    let open: Vec<Incident> = {
        let mut statement = transaction.prepare_cached(&sql)?;
        let rows = statement.query_map([alert], Incident::read)?;
        rows.collect::<Result<_, _>>()?
    };
    for mut incident in open {
        incident.enter("resolved", OURSELVES, now);
        if !incident.notes.is_empty() {
            incident.notes.push('\n');
        }
        incident.notes.push_str(note);
        incident.put(transaction)?;
        remember(transaction, &incident, OURSELVES, now)?;
    }
    Ok(())
}
