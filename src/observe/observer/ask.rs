//! A log query as callers write it, and the answer as they read it.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::level::Level;
use crate::store::{Found, Query, Row};

const DEFAULT_LIMIT: i64 = 100;
const MAX_LIMIT: i64 = 1000;
const MAX_DAYS: i64 = 30;

/// The body of `POST /api/v1/logs/query`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct LogsQuery {
    pub(super) start_time: String,
    pub(super) end_time: String,
    pub(super) search_scope: Scope,
    pub(super) limit: Option<i64>,
    pub(super) sort_order: String,
    pub(super) log_levels: Vec<String>,
    pub(super) search_phrase: String,
}

/// Where to look. A workflow scope is told by `workflowRunName`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Scope {
    pub(super) namespace: String,
    pub(super) project: String,
    pub(super) component: String,
    pub(super) environment: String,
    pub(super) workflow_run_name: String,
    pub(super) task_name: String,
}

impl LogsQuery {
    /// Checks it. The error is a sentence for the caller.
    pub(super) fn check(self) -> Result<Query, String> {
        let scope = &self.search_scope;
        if scope.namespace.is_empty() {
            return Err("searchScope.namespace is required".into());
        }
        if !scope.workflow_run_name.is_empty() || !scope.task_name.is_empty() {
            return Err(
                "logs of workflow runs are not kept: there is no workflow engine yet".into()
            );
        }
        if !scope.component.is_empty() && scope.project.is_empty() {
            return Err("searchScope.component needs searchScope.project".into());
        }
        let (start, end) = (time("startTime", &self.start_time)?, time("endTime", &self.end_time)?);
        if end < start {
            return Err("endTime is before startTime".into());
        }
        if end.as_second() - start.as_second() > MAX_DAYS * 24 * 3600 {
            return Err(format!("the time range is longer than {MAX_DAYS} days"));
        }
        let limit = match self.limit.unwrap_or(0) {
            0 => DEFAULT_LIMIT,
            limit if (1..=MAX_LIMIT).contains(&limit) => limit,
            limit => return Err(format!("limit is {limit}; it must be between 1 and {MAX_LIMIT}")),
        };
        let newest_first = match self.sort_order.as_str() {
            "" | "desc" => true,
            "asc" => false,
            other => return Err(format!("sortOrder is {other:?}; it must be asc or desc")),
        };
        let mut levels = Vec::with_capacity(self.log_levels.len());
        for name in &self.log_levels {
            let known = ["DEBUG", "INFO", "WARN", "ERROR"].contains(&name.as_str());
            match name.parse::<Level>() {
                Ok(level) if known => levels.push(level),
                _ => return Err(format!("logLevels has {name:?}; use DEBUG, INFO, WARN, ERROR")),
            }
        }
        Ok(Query {
            between: (nanoseconds(start), nanoseconds(end)),
            namespace: self.search_scope.namespace,
            project: self.search_scope.project,
            component: self.search_scope.component,
            environment: self.search_scope.environment,
            levels,
            phrase: self.search_phrase,
            limit: usize::try_from(limit).unwrap_or(1),
            newest_first,
        })
    }
}

fn time(name: &str, text: &str) -> Result<Timestamp, String> {
    if text.is_empty() {
        return Err(format!("{name} is required"));
    }
    text.parse()
        .map_err(|_| format!("{name} is {text:?}; it must be a time such as 2026-01-31T12:00:00Z"))
}

fn nanoseconds(time: Timestamp) -> i64 {
    i64::try_from(time.as_nanosecond()).unwrap_or(i64::MAX)
}

/// The answer as JSON.
pub(super) fn answer(found: &Found, took_ms: u128) -> Value {
    let logs: Vec<Value> = found.rows.iter().map(entry).collect();
    json!({"logs": logs, "total": found.total, "tookMs": took_ms})
}

fn entry(row: &Row) -> Value {
    let source = &row.source;
    let time = Timestamp::from_nanosecond(row.time.into()).map(|time| time.to_string());
    let mut metadata = json!({
        "componentName": source.component,
        "projectName": source.project,
        "environmentName": source.environment,
        "namespaceName": source.namespace,
        "containerName": source.container,
        "podName": source.pod,
        "podNamespace": source.pod_namespace,
    });
    let uids = [
        ("componentUid", &source.component_uid),
        ("projectUid", &source.project_uid),
        ("environmentUid", &source.environment_uid),
    ];
    for (name, uid) in uids.into_iter().filter(|(_, uid)| !uid.is_empty()) {
        metadata[name] = uid.as_str().into();
    }
    json!({
        "timestamp": time.unwrap_or_default(),
        "log": row.text,
        "level": row.level.to_string(),
        "metadata": metadata,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(change: Value) -> Result<Query, String> {
        let mut body = json!({"startTime":"2026-01-01T00:00:00Z","endTime":"2026-01-02T00:00:00Z","searchScope":{"namespace":"default"}});
        for (name, value) in change.as_object().expect("an object") {
            body[name] = value.clone();
        }
        serde_json::from_value::<LogsQuery>(body).expect("well-formed").check()
    }

    #[test]
    fn defaults_are_a_hundred_of_the_newest() {
        let query = check(json!({})).expect("good");
        assert_eq!((query.limit, query.newest_first), (100, true));
        assert_eq!(query.between.0, 1_767_225_600_000_000_000);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let cases = [
            (json!({"startTime":""}), "startTime is required"),
            (json!({"endTime":"noon"}), "endTime is \"noon\""),
            (json!({"endTime":"2025-01-01T00:00:00Z"}), "endTime is before startTime"),
            (json!({"endTime":"2026-03-01T00:00:00Z"}), "longer than 30 days"),
            (json!({"limit":1001}), "between 1 and 1000"),
            (json!({"sortOrder":"up"}), "asc or desc"),
            (json!({"logLevels":["FATAL"]}), "use DEBUG, INFO, WARN, ERROR"),
            (json!({"searchScope":{}}), "searchScope.namespace is required"),
            (json!({"searchScope":{"namespace":"a","component":"c"}}), "needs searchScope.project"),
            (
                json!({"searchScope":{"namespace":"a","workflowRunName":"r"}}),
                "no workflow engine yet",
            ),
        ];
        for (change, words) in cases {
            let error = check(change.clone()).expect_err("wrong");
            assert!(error.contains(words), "{change}: {error}");
        }
    }
}
