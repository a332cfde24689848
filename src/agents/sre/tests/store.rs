//! What the database keeps beside reports, and how an old one becomes a new one.

use super::world::request;
use crate::sre::store::{Store, StoreError, Wanted};
use jiff::Timestamp;
use rusqlite::Connection;
use serde_json::{Value, json};

fn report(component: &str) -> Value {
    let actions = json!([{"description": format!("Mend {component}")}, {"description": "More"}]);
    json!({"result": {
        "root_causes": [{"supporting_findings": [{"component": component}]}],
        "recommendations": {"recommended_actions": actions},
    }})
}

/// The alerts in the list and where their causes are. What helps there is told with them.
fn listed(store: &Store) -> Vec<(String, Option<String>)> {
    let (rows, _) = store.list(&Wanted::default()).expect("lists");
    for row in &rows {
        let fix = row.cause.as_ref().map(|cause| format!("Mend {cause}"));
        assert_eq!(row.fix, fix, "{}", row.request.alert.id);
    }
    let mut rows: Vec<_> = rows.into_iter().map(|row| (row.request.alert.id, row.cause)).collect();
    rows.sort();
    rows
}

#[test]
fn causes_are_kept_as_reports_end_and_change_and_are_listed_without_the_reports() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("reports.db");
    let store = Store::open(&path).expect("opens");
    let request = request("web", "errors");
    let (kept, _) = store.begin(&request, Timestamp::now()).expect("begins");
    let alert = request.alert.id;
    assert_eq!(listed(&store), [(alert.clone(), None)]);
    store.end(&kept.id, "s", Some(&report("cart"))).expect("ends");
    assert_eq!(listed(&store), [(alert.clone(), Some("cart".to_owned()))]);
    let change = |value: &mut Value| {
        *value = report("stock");
        Ok::<(), ()>(())
    };
    store.change(&kept.id, change).expect("changes").expect("is not refused");
    let other = Connection::open(&path).expect("opens");
    other.execute("UPDATE rca_reports SET report = 'no JSON'", []).expect("writes");
    assert_eq!(listed(&store), [(alert, Some("stock".to_owned()))]);
}

#[test]
fn a_database_of_an_earlier_version_gets_what_it_lacks_and_a_newer_one_is_refused() {
    for (version, column, cause, unknown) in
        [(1, "", "", ""), (2, "cause TEXT,", "'cart',", "NULL,")]
    {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("reports.db");
        let old = Connection::open(&path).expect("opens");
        let tables = format!(
            "CREATE TABLE rca_reports (
                 report_id TEXT PRIMARY KEY, alert_id TEXT NOT NULL UNIQUE, status TEXT NOT NULL,
                 timestamp TEXT NOT NULL, summary TEXT NOT NULL, namespace TEXT NOT NULL,
                 project TEXT NOT NULL, component TEXT NOT NULL, environment TEXT NOT NULL,
                 request TEXT NOT NULL, {column} report TEXT
             ) STRICT;
             CREATE INDEX rca_reports_time ON rca_reports (timestamp);
             PRAGMA user_version = {version};"
        );
        old.execute_batch(&tables).expect("makes");
        let found = report("cart").to_string();
        for (alert, report) in [("a", Some(&*found)), ("b", None), ("c", Some("no JSON"))] {
            let mut request = request("web", "errors");
            request.alert.id = alert.to_owned();
            let request = serde_json::to_string(&request).expect("JSON");
            let cause = if alert == "a" { cause } else { unknown };
            let sql = format!(
                "INSERT INTO rca_reports VALUES \
                 (?1, ?1, 'completed', '2026-11-22T12:00:00Z', '', 'n', 'p', 'web', 'e', ?2, {cause} ?3)"
            );
            old.execute(&sql, rusqlite::params![alert, request, report]).expect("writes");
        }
        drop(old);
        let own = |alert: &str, cause: Option<&str>| (alert.to_owned(), cause.map(str::to_owned));
        let all = [own("a", Some("cart")), own("b", None), own("c", None)];
        for _ in 0..2 {
            let store = Store::open(&path).expect("opens");
            assert_eq!(listed(&store), all, "version {version}");
            let kept = store.get("a").expect("reads").expect("is there");
            assert_eq!(kept.report, Some(report("cart")));
        }
        let newer = Connection::open(&path).expect("opens");
        newer.pragma_update(None, "user_version", 4).expect("writes");
        assert!(matches!(Store::open(&path), Err(StoreError::Version(4))));
    }
}
