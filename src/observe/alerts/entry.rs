//! Alerts and incidents as the database has them.

use rusqlite::{Row, Transaction, params};

use super::rule::Facts;
use super::title::Seen;
use crate::asked::Place;
use crate::database::DatabaseError;

/// A rule that fired.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Alert {
    pub(super) id: String,
    /// When, in nanoseconds since 1970.
    pub(super) time: i64,
    /// The number that was too much.
    pub(super) value: String,
    pub(super) rule: Facts,
    /// Since when the condition no longer holds.
    pub(super) quiet_since: Option<i64>,
    /// When it was over.
    pub(super) resolved: Option<i64>,
}

/// Columns of [`Alert::read`].
pub(super) const ALERT: &str = "id, timestamp_ns, alert_value, quiet_since_ns, resolved_at_ns, alert_rule_name, \
    alert_rule_cr_name, alert_rule_cr_namespace, namespace_name, project_name, component_name, environment_name, \
    component_id, project_id, environment_id, description, severity, source_type, source_query, source_metric, \
    condition_operator, condition_threshold, condition_window, condition_interval, notification_channels, \
    incident_enabled, trigger_ai_rca, trigger_ai_cost_analysis";

impl Alert {
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Alert> {
        let channels: String = row.get(24)?;
        Ok(Alert {
            id: row.get(0)?,
            time: row.get(1)?,
            value: row.get(2)?,
            quiet_since: row.get(3)?,
            resolved: row.get(4)?,
            rule: Facts {
                name: row.get(5)?,
                object: row.get(6)?,
                object_namespace: row.get(7)?,
                place: Place {
                    namespace: row.get(8)?,
                    project: row.get(9)?,
                    component: row.get(10)?,
                    environment: row.get(11)?,
                },
                component_uid: row.get(12)?,
                project_uid: row.get(13)?,
                environment_uid: row.get(14)?,
                description: row.get(15)?,
                severity: row.get(16)?,
                source: row.get(17)?,
                query: row.get(18)?,
                metric: row.get(19)?,
                operator: row.get(20)?,
                threshold: row.get(21)?,
                window: row.get(22)?,
                interval: row.get(23)?,
                channels: serde_json::from_str(&channels).unwrap_or_default(),
                incident: row.get(25)?,
                rca: row.get(26)?,
                cost_analysis: row.get(27)?,
            },
        })
    }

    pub(super) fn insert(&self, transaction: &Transaction<'_>) -> Result<(), DatabaseError> {
        let rule = &self.rule;
        let marks: Vec<String> = (1..=28).map(|number| format!("?{number}")).collect();
        let sql = format!("INSERT INTO alert_entries ({ALERT}) VALUES ({})", marks.join(","));
        transaction.prepare_cached(&sql)?.execute(params![
            self.id,
            self.time,
            self.value,
            self.quiet_since,
            self.resolved,
            rule.name,
            rule.object,
            rule.object_namespace,
            rule.place.namespace,
            rule.place.project,
            rule.place.component,
            rule.place.environment,
            rule.component_uid,
            rule.project_uid,
            rule.environment_uid,
            rule.description,
            rule.severity,
            rule.source,
            rule.query,
            rule.metric,
            rule.operator,
            rule.threshold,
            rule.window,
            rule.interval,
            serde_json::to_string(&rule.channels).unwrap_or_default(),
            rule.incident,
            rule.rca,
            rule.cost_analysis,
        ])?;
        Ok(())
    }
}

/// An alert that somebody has to see to.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Incident {
    pub(super) id: String,
    pub(super) alert: String,
    pub(super) time: i64,
    pub(super) status: String,
    pub(super) rca: bool,
    pub(super) cost_analysis: bool,
    pub(super) triggered: i64,
    pub(super) acknowledged: Option<i64>,
    pub(super) resolved: Option<i64>,
    /// Who acknowledged it.
    pub(super) acknowledged_by: Option<String>,
    /// Who resolved it.
    pub(super) resolved_by: Option<String>,
    pub(super) notes: String,
    pub(super) description: String,
    pub(super) place: Place,
    pub(super) component_uid: String,
    pub(super) project_uid: String,
    pub(super) environment_uid: String,
    /// Of its alert, while that is kept.
    pub(super) seen: Option<Seen>,
    /// The channels that are told of its alert, each with how that went.
    pub(super) notified: Option<String>,
}

/// Columns of [`Incident::put`].
macro_rules! incident_columns {
    () => {
        "id, alert_id, timestamp_ns, status, trigger_ai_rca, trigger_ai_cost_analysis, triggered_at_ns, \
         acknowledged_at_ns, resolved_at_ns, notes, description, namespace_name, project_name, component_name, \
         environment_name, component_id, project_id, environment_id"
    };
}

/// Who brought an incident to a status first: what follows it is a change of something else.
macro_rules! actor {
    ($status:literal) => {
        concat!(
            ", (SELECT actor FROM incident_history WHERE incident_id = incident_entries.id AND status = '",
            $status,
            "' ORDER BY incident_history.id LIMIT 1)"
        )
    };
}

/// Columns of [`Incident::read`].
pub(super) const INCIDENT: &str = concat!(
    incident_columns!(),
    actor!("acknowledged"),
    actor!("resolved"),
    ", (SELECT json_object('source', source_type, 'query', source_query, 'metric', source_metric, \
     'value', alert_value) FROM alert_entries WHERE alert_entries.id = incident_entries.alert_id), \
     (SELECT group_concat(channel || ': ' || state, ', ' ORDER BY channel) FROM delivery \
     WHERE delivery.alert_id = incident_entries.alert_id AND event = 'trigger')"
);

impl Incident {
    /// What becomes of an alert.
    pub(super) fn of(id: String, alert: &Alert) -> Incident {
        let rule = &alert.rule;
        Incident {
            id,
            alert: alert.id.clone(),
            time: alert.time,
            status: "active".into(),
            rca: rule.rca,
            cost_analysis: rule.cost_analysis,
            triggered: alert.time,
            acknowledged: None,
            resolved: None,
            acknowledged_by: None,
            resolved_by: None,
            notes: String::new(),
            description: rule.description.clone(),
            place: rule.place.clone(),
            component_uid: rule.component_uid.clone(),
            project_uid: rule.project_uid.clone(),
            environment_uid: rule.environment_uid.clone(),
            seen: Some(Seen::of(alert)),
            notified: None,
        }
    }

    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Incident> {
        let seen: Option<String> = row.get(20)?;
        Ok(Incident {
            id: row.get(0)?,
            alert: row.get(1)?,
            time: row.get(2)?,
            status: row.get(3)?,
            rca: row.get(4)?,
            cost_analysis: row.get(5)?,
            triggered: row.get(6)?,
            acknowledged: row.get(7)?,
            resolved: row.get(8)?,
            notes: row.get(9)?,
            description: row.get(10)?,
            place: Place {
                namespace: row.get(11)?,
                project: row.get(12)?,
                component: row.get(13)?,
                environment: row.get(14)?,
            },
            component_uid: row.get(15)?,
            project_uid: row.get(16)?,
            environment_uid: row.get(17)?,
            acknowledged_by: row.get(18)?,
            resolved_by: row.get(19)?,
            seen: seen.and_then(|seen| serde_json::from_str(&seen).ok()),
            notified: row.get(21)?,
        })
    }

    /// Writes it, new or changed. Who made a step is in its history.
    pub(super) fn put(&self, transaction: &Transaction<'_>) -> Result<(), DatabaseError> {
        let marks: Vec<String> = (1..=18).map(|number| format!("?{number}")).collect();
        let sql = format!(
            "INSERT OR REPLACE INTO incident_entries ({}) VALUES ({})",
            incident_columns!(),
            marks.join(",")
        );
        transaction.prepare_cached(&sql)?.execute(params![
            self.id,
            self.alert,
            self.time,
            self.status,
            self.rca,
            self.cost_analysis,
            self.triggered,
            self.acknowledged,
            self.resolved,
            self.notes,
            self.description,
            self.place.namespace,
            self.place.project,
            self.place.component,
            self.place.environment,
            self.component_uid,
            self.project_uid,
            self.environment_uid,
        ])?;
        Ok(())
    }
}
