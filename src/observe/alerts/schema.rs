//! Tables of alerts. The names are upstream's, so that what reads its database reads this one.

use crate::database::Layout;

pub(super) const LAYOUT: Layout = Layout {
    version: 1,
    tables: "
CREATE TABLE alert_entries (
    id TEXT PRIMARY KEY, timestamp_ns INTEGER NOT NULL,
    alert_rule_name TEXT NOT NULL, alert_rule_cr_name TEXT NOT NULL, alert_rule_cr_namespace TEXT NOT NULL,
    alert_value TEXT NOT NULL,
    namespace_name TEXT NOT NULL, component_name TEXT NOT NULL, environment_name TEXT NOT NULL,
    project_name TEXT NOT NULL, component_id TEXT NOT NULL, environment_id TEXT NOT NULL, project_id TEXT NOT NULL,
    incident_enabled INTEGER NOT NULL, severity TEXT NOT NULL, description TEXT NOT NULL,
    notification_channels TEXT NOT NULL,
    source_type TEXT NOT NULL, source_query TEXT NOT NULL, source_metric TEXT NOT NULL,
    condition_operator TEXT NOT NULL, condition_threshold INTEGER NOT NULL,
    condition_window TEXT NOT NULL, condition_interval TEXT NOT NULL,
    trigger_ai_rca INTEGER NOT NULL, trigger_ai_cost_analysis INTEGER NOT NULL,
    quiet_since_ns INTEGER, resolved_at_ns INTEGER
);
CREATE UNIQUE INDEX alert_active ON alert_entries (alert_rule_cr_namespace, alert_rule_cr_name, component_id)
    WHERE resolved_at_ns IS NULL;
CREATE INDEX alert_rule ON alert_entries (alert_rule_cr_namespace, alert_rule_cr_name, component_id, timestamp_ns);
CREATE INDEX alert_place ON alert_entries (namespace_name, timestamp_ns);
CREATE TABLE incident_entries (
    id TEXT PRIMARY KEY, alert_id TEXT NOT NULL, timestamp_ns INTEGER NOT NULL, status TEXT NOT NULL,
    trigger_ai_rca INTEGER NOT NULL, trigger_ai_cost_analysis INTEGER NOT NULL,
    triggered_at_ns INTEGER NOT NULL, acknowledged_at_ns INTEGER, resolved_at_ns INTEGER,
    notes TEXT NOT NULL, description TEXT NOT NULL,
    namespace_name TEXT NOT NULL, component_name TEXT NOT NULL, environment_name TEXT NOT NULL,
    project_name TEXT NOT NULL, component_id TEXT NOT NULL, environment_id TEXT NOT NULL, project_id TEXT NOT NULL
);
CREATE INDEX incident_alert ON incident_entries (alert_id);
CREATE INDEX incident_place ON incident_entries (namespace_name, timestamp_ns);
CREATE TABLE incident_history (
    id INTEGER PRIMARY KEY, incident_id TEXT NOT NULL, timestamp_ns INTEGER NOT NULL, status TEXT NOT NULL,
    actor TEXT NOT NULL
);
CREATE INDEX history_incident ON incident_history (incident_id);
CREATE TABLE delivery (
    id TEXT PRIMARY KEY, alert_id TEXT NOT NULL, channel TEXT NOT NULL, event TEXT NOT NULL, state TEXT NOT NULL,
    created_ns INTEGER NOT NULL, next_ns INTEGER NOT NULL, attempts INTEGER NOT NULL, error TEXT NOT NULL
);
CREATE INDEX delivery_due ON delivery (state, next_ns);
CREATE INDEX delivery_alert ON delivery (alert_id);
",
    owners: "(SELECT namespace_name AS namespace, project_name AS project, \
        component_name AS component, environment_name AS environment FROM alert_entries)",
};
