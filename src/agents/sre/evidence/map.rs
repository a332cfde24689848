//! Who calls whom, and how everyone is: what `query_topology` answers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Of calls, this part has to fail to be trouble.
const FAILING: f64 = 0.05;

/// Calls from one component to another.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Call {
    /// Who calls.
    pub from: String,
    /// Who is called.
    pub to: String,
    /// Such as `grpc`.
    pub protocol: String,
    /// Requests in a second.
    pub rate: f64,
    /// The part that failed, from 0 to 1.
    pub failed: f64,
    /// Milliseconds in which 99 of 100 were answered.
    pub p99: f64,
    /// Statuses, and connections that came to nothing.
    pub note: String,
}

impl Call {
    /// Whether enough fail to be noticed.
    pub fn fails(&self) -> bool {
        self.failed >= FAILING
            || self.note.contains("denied")
            || self.note.contains("connections failed")
    }
}

/// How a component is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// `ready/all` pods.
    pub pods: String,
    /// Requests in a second.
    pub rate: f64,
    /// The part that it failed, from 0 to 1.
    pub failed: f64,
    /// Milliseconds in which 99 of 100 were answered.
    pub p99: f64,
    /// Memory, as a part of the limit.
    pub memory: Option<f64>,
    /// Processor, as a part of the limit.
    pub cpu: Option<f64>,
    /// What the platform finds wrong with it.
    pub complaints: Vec<String>,
}

impl State {
    /// Whether enough of what it answers fails to be noticed.
    pub fn fails(&self) -> bool {
        self.failed >= FAILING
    }

    /// Whether a pod is known to be ready.
    pub fn serves(&self) -> bool {
        let ready = self.pods.split_once('/').and_then(|(ready, _)| ready.parse::<u64>().ok());
        ready.is_some_and(|ready| ready > 0)
    }
}

/// Calls and states of an answer.
pub(super) fn read(answer: &Value) -> (Vec<Call>, BTreeMap<String, State>) {
    let calls = rows(&answer["calls"]).map(|row| Call {
        from: row.text("from"),
        to: row.text("to"),
        protocol: row.text("protocol"),
        rate: row.number("requests/s").unwrap_or_default(),
        failed: row.part("failed").unwrap_or_default(),
        p99: row.number("p99 ms").unwrap_or_default(),
        note: row.text("note"),
    });
    let mut states: BTreeMap<String, State> = rows(&answer["components"])
        .map(|row| {
            let state = State {
                pods: row.text("pods ready"),
                rate: row.number("requests/s").unwrap_or_default(),
                failed: row.part("failed").unwrap_or_default(),
                p99: row.number("p99 ms").unwrap_or_default(),
                memory: row.part("memory of limit"),
                cpu: row.part("cpu of limit"),
                complaints: Vec::new(),
            };
            (row.text("component"), state)
        })
        .collect();
    for (component, complaints) in answer["unhealthy"].as_object().into_iter().flatten() {
        let all = complaints.as_array().into_iter().flatten().filter_map(Value::as_str);
        states.entry(component.clone()).or_default().complaints = all.map(str::to_owned).collect();
    }
    (calls.collect(), states)
}

/// A row of a table whose columns have names.
struct Row<'a> {
    columns: &'a [Value],
    cells: &'a [Value],
}

fn rows(table: &Value) -> impl Iterator<Item = Row<'_>> {
    let columns = table["columns"].as_array().map_or(&[][..], Vec::as_slice);
    let rows = table["rows"].as_array().into_iter().flatten();
    rows.filter_map(move |cells| Some(Row { columns, cells: cells.as_array()? }))
}

impl Row<'_> {
    fn cell(&self, name: &str) -> &Value {
        let at = self.columns.iter().position(|column| column == name);
        at.and_then(|at| self.cells.get(at)).unwrap_or(&Value::Null)
    }

    fn text(&self, name: &str) -> String {
        self.cell(name).as_str().unwrap_or_default().to_owned()
    }

    fn number(&self, name: &str) -> Option<f64> {
        self.cell(name).as_f64()
    }

    /// Percent as a part.
    fn part(&self, name: &str) -> Option<f64> {
        let percent = self.cell(name).as_str()?.trim_end_matches('%').trim().parse::<f64>().ok()?;
        Some(percent / 100.0)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_topology_is_read_by_the_names_of_its_columns() {
        let answer = json!({
            "calls": {"columns": ["from", "to", "failed", "requests/s", "p99 ms", "note"],
                "rows": [["web", "cart", "19%", 1.9, 45.9, "503 x23"], ["web", "stock", "0%", 2, 9.0, ""]]},
            "components": {"columns": ["component", "pods ready", "failed", "memory of limit"],
                "rows": [["cart", "0/1", "19%", "97%"], ["load", "1/1", null, "2%"]]},
            "unhealthy": {"cart": ["0 of 1 pods ready"], "mail": ["3 restarts"]},
        });
        let (calls, states) = read(&answer);
        assert!(calls[0].fails() && !calls[1].fails());
        assert_eq!((calls[0].p99, calls[1].rate), (45.9, 2.0));
        assert_eq!(states["cart"].memory, Some(0.97));
        assert_eq!(states["cart"].complaints, ["0 of 1 pods ready"]);
        assert_eq!(states["mail"].complaints, ["3 restarts"]);
        assert!(!states["load"].fails());
    }
}
