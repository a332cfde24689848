//! What a number means: an alert begins, goes on, or is over.
//!
//! An alert is over when its condition has not held for a whole window of which nothing is missing, when its rule was
//! changed so that it does not hold any more, and when its rule is gone: silence of who should tell is no good news. A
//! rule that fired waits before it fires again, so a condition that comes and goes is told at most once in that time; one
//! that stays is told late, but told.

use rusqlite::{OptionalExtension, Transaction, params};
use std::time::Duration;
use uuid::Uuid;

use super::Store;
use super::delivery::{self, Event};
use super::entry::{ALERT, Alert, Incident};
use super::incident;
use super::rule::{Facts, Key, Rule};
use crate::database::DatabaseError;

/// What came of a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Nothing that is to be told.
    Same,
    /// An alert began.
    Fired,
    /// One is over.
    Resolved,
}

/// What a look needs to know beside the rule.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    /// The number; `None` when nothing is known, which is not what the rule is about.
    pub(super) value: Option<f64>,
    /// Nanoseconds since 1970.
    pub(super) now: i64,
    /// The newest stretch of time of which nothing is missing.
    pub(super) watched: Option<(i64, i64)>,
    /// How long a rule that fired waits.
    pub(super) suppression: Duration,
    /// Whether there is an agent to look for causes.
    pub(super) rca: bool,
}

impl Store {
    /// Takes in what was found for a rule.
    pub(super) fn judge(&self, rule: &Rule, look: Look) -> Result<Outcome, DatabaseError> {
        let Look { value, now, watched, .. } = look;
        let facts = &rule.facts;
        let holds = value.is_some_and(|value| rule.holds(value));
        self.database.write(|connection| {
            let transaction = connection.transaction()?;
            let active = active(&transaction, facts)?;
            let outcome = match (active, holds) {
                (None, false) => return Ok(Outcome::Same),
                (None, true) if suppressed(&transaction, facts, look)? => return Ok(Outcome::Same),
                (None, true) => {
                    fire(&transaction, facts, value.unwrap_or_default(), look)?;
                    Outcome::Fired
                }
                (Some(alert), true) => {
                    if alert.quiet_since.is_none() {
                        return Ok(Outcome::Same);
                    }
                    quiet(&transaction, &alert.id, None)?;
                    Outcome::Same
                }
                (Some(alert), false) => {
                    let window = i64::try_from(rule.window.as_nanos()).unwrap_or(i64::MAX);
                    let quiet_since = alert.quiet_since.unwrap_or(now);
                    // Only what was watched counts as quiet.
                    let quiet_since = watched.map(|(first, _)| quiet_since.max(first));
                    let last = watched.map_or(now, |(_, last)| last.min(now));
                    if !same_condition(&alert.rule, facts) {
                        let note = "Resolved by itself: the rule was changed, and its condition does not hold.";
                        resolve(&transaction, &alert, now, note)?;
                        Outcome::Resolved
                    } else if quiet_since.is_some_and(|since| last.saturating_sub(since) >= window) {
                        let note =
                            format!("Resolved by itself: the condition has not held for {}.", facts.window);
                        resolve(&transaction, &alert, now, &note)?;
                        Outcome::Resolved
                    } else {
                        if alert.quiet_since == quiet_since {
                            return Ok(Outcome::Same);
                        }
                        quiet(&transaction, &alert.id, quiet_since)?;
                        Outcome::Same
                    }
                }
            };
            transaction.commit()?;
            Ok(outcome)
        })
    }

    /// Ends the alerts of every rule that `stays` does not know; returns how many there were.
    pub(super) fn end(
        &self,
        stays: impl Fn(&Key) -> bool,
        note: &str,
        now: i64,
    ) -> Result<usize, DatabaseError> {
        self.database.write(|connection| {
            let transaction = connection.transaction()?;
            let orphans: Vec<Alert> = {
                let sql = format!("SELECT {ALERT} FROM alert_entries WHERE resolved_at_ns IS NULL");
                let mut statement = transaction.prepare_cached(&sql)?;
                let rows = statement.query_map([], Alert::read)?;
                rows.collect::<Result<_, _>>()?
            };
            let gone = |alert: &&Alert| {
                !stays(&(alert.rule.object_namespace.clone(), alert.rule.object.clone()))
            };
            let mut ended = 0;
            for alert in orphans.iter().filter(gone) {
                resolve(&transaction, alert, now, note)?;
                ended += 1;
            }
            transaction.commit()?;
            Ok(ended)
        })
    }
}

fn active(transaction: &Transaction<'_>, rule: &Facts) -> Result<Option<Alert>, DatabaseError> {
    let sql = format!(
        "SELECT {ALERT} FROM alert_entries WHERE alert_rule_cr_namespace = ?1 AND alert_rule_cr_name = ?2 \
         AND component_id = ?3 AND resolved_at_ns IS NULL"
    );
    let mut statement = transaction.prepare_cached(&sql)?;
    let names = params![rule.object_namespace, rule.object, rule.component_uid];
    Ok(statement.query_row(names, Alert::read).optional()?)
}

/// Whether two states of a rule ask the same question.
fn same_condition(before: &Facts, after: &Facts) -> bool {
    let condition = |rule: &Facts| {
        let text = [&rule.source, &rule.query, &rule.metric, &rule.operator, &rule.window];
        (text.map(String::clone), rule.threshold)
    };
    condition(before) == condition(after)
}

/// Whether the rule fired so recently, with the same condition, that it has to wait.
fn suppressed(
    transaction: &Transaction<'_>,
    rule: &Facts,
    Look { now, suppression, .. }: Look,
) -> Result<bool, DatabaseError> {
    let suppression = i64::try_from(suppression.as_nanos()).unwrap_or(i64::MAX);
    let sql = format!(
        "SELECT {ALERT} FROM alert_entries WHERE alert_rule_cr_namespace = ?1 AND alert_rule_cr_name = ?2 \
         AND component_id = ?3 AND timestamp_ns > ?4 ORDER BY timestamp_ns DESC LIMIT 1"
    );
    let mut statement = transaction.prepare_cached(&sql)?;
    let since = now.saturating_sub(suppression);
    let names = params![rule.object_namespace, rule.object, rule.component_uid, since];
    let last = statement.query_row(names, Alert::read).optional()?;
    Ok(last.is_some_and(|alert| same_condition(&alert.rule, rule)))
}

fn fire(
    transaction: &Transaction<'_>,
    rule: &Facts,
    value: f64,
    Look { now, rca, .. }: Look,
) -> Result<(), DatabaseError> {
    let alert = Alert {
        id: Uuid::new_v4().to_string(),
        time: now,
        value: value.to_string(),
        rule: rule.clone(),
        quiet_since: None,
        resolved: None,
    };
    alert.insert(transaction)?;
    if rule.incident {
        let incident = Incident::of(Uuid::new_v4().to_string(), &alert);
        incident.put(transaction)?;
        incident::remember(transaction, &incident, incident::OURSELVES, now)?;
    }
    for channel in &rule.channels {
        delivery::plan(transaction, &alert.id, channel, Event::Trigger, now)?;
    }
    if rule.rca && rca {
        delivery::plan(transaction, &alert.id, "", Event::Rca, now)?;
    }
    Ok(())
}

fn quiet(transaction: &Transaction<'_>, id: &str, since: Option<i64>) -> Result<(), DatabaseError> {
    transaction
        .prepare_cached("UPDATE alert_entries SET quiet_since_ns = ?2 WHERE id = ?1")?
        .execute(params![id, since])?;
    Ok(())
}

fn resolve(
    transaction: &Transaction<'_>,
    alert: &Alert,
    now: i64,
    note: &str,
) -> Result<(), DatabaseError> {
    transaction
        .prepare_cached("UPDATE alert_entries SET resolved_at_ns = ?2 WHERE id = ?1")?
        .execute(params![alert.id, now])?;
    incident::resolve_of(transaction, &alert.id, note, now)?;
    for channel in &alert.rule.channels {
        delivery::plan(transaction, &alert.id, channel, Event::Resolve, now)?;
    }
    Ok(())
}
