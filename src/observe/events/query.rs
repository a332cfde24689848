//! Finding events.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};

use super::Store;
use super::wire::Event;
use crate::asked::{Page, Place};
use crate::database::DatabaseError;
use crate::owner::{COLUMNS, IN_PLACE, Owner, list, newest};

/// More matches than this are not counted.
const COUNTED: u64 = 1000;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// The events, in the wanted order.
    pub events: Vec<Event>,
    /// How many match in all, counted up to 1000.
    pub total: u64,
}

impl Found {
    /// Whether the total is the exact number, and not where counting stopped.
    pub fn is_counted(&self) -> bool {
        self.total < COUNTED
    }
}

impl Store {
    /// Finds events by the time when they happened last. Of a component that was deleted and made anew under the same
    /// name, only the newer one's.
    ///
    /// # Errors
    /// [`DatabaseError::Sqlite`].
    pub fn query(&self, page: &Page) -> Result<Found, DatabaseError> {
        self.database.read(|connection| {
            let owners = owners(connection, &page.place)?;
            let from = format!(
                "FROM event WHERE owner IN ({}) AND last BETWEEN ?1 AND ?2",
                list(owners.keys())
            );
            let order = if page.newest_first { "DESC" } else { "ASC" };
            let (first, last) = page.between;
            let mut statement = connection.prepare(&format!(
                "SELECT uid, owner, first, last, count, type, reason, message, object_kind, object_name, \
                 object_namespace {from} ORDER BY last {order}, id {order} LIMIT {}",
                page.limit
            ))?;
            let rows = statement.query_map(params![first, last], |row| {
                Ok(Event {
                    uid: row.get(0)?,
                    owner: owners.get(&row.get::<_, i64>(1)?).cloned().unwrap_or_default(),
                    first: row.get(2)?,
                    last: row.get(3)?,
                    count: row.get(4)?,
                    r#type: row.get(5)?,
                    reason: row.get(6)?,
                    message: row.get(7)?,
                    object_kind: row.get(8)?,
                    object_name: row.get(9)?,
                    object_namespace: row.get(10)?,
                })
            })?;
            let events = rows.collect::<Result<Vec<_>, _>>()?;
            let total: i64 = connection
                .prepare(&format!("SELECT COUNT(*) FROM (SELECT 1 {from} LIMIT {COUNTED})"))?
                .query_row(params![first, last], |row| row.get(0))?;
            Ok(Found { events, total: total.unsigned_abs() })
        })
    }
}

/// The owners in scope, without former incarnations of a component.
pub(super) fn owners(
    connection: &Connection,
    place: &Place,
) -> Result<BTreeMap<i64, Owner>, DatabaseError> {
    let mut statement = connection
        .prepare_cached(&format!("SELECT id, {COLUMNS} FROM owner WHERE {IN_PLACE} ORDER BY id"))?;
    let Place { namespace, project, component, environment } = place;
    let names = params![namespace, project, component, environment];
    let rows = statement.query_map(names, |row| Ok((row.get(0)?, Owner::read(row, 1)?)))?;
    let mut owners = rows.collect::<Result<_, _>>()?;
    newest(&mut owners, |owner| owner);
    Ok(owners)
}
