//! What the SRE agent has reported about incidents, asked in the name of whoever asks for these.
//!
//! It is told beside the incidents as far as the caller may read reports. An agent that does not answer in time leaves it
//! out: incidents are told all the same.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use curtain_control::identity::Secret;
use curtain_role::{HttpClient, http_client};
use http::{Request, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::entry::Incident;
use crate::asked::Place;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// The newest reports of the place: older ones are in a list of their own.
const MOST: usize = 200;
const LONGEST: usize = 1 << 20;

/// A report, as far as it is told beside an incident.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Reported {
    alert_id: String,
    report_id: String,
    status: String,
    /// What would help, in one line.
    pub(super) proposed_fix: Option<String>,
}

impl Reported {
    /// Its id once there is something to read, and before that how it stands.
    pub(super) fn id(&self) -> &str {
        if self.status == "completed" { &self.report_id } else { &self.status }
    }
}

#[derive(Debug, Deserialize)]
struct Listed {
    reports: Vec<Reported>,
}

/// Where reports are.
#[derive(Clone, Debug)]
pub(super) struct Reports {
    base: Uri,
    client: HttpClient,
}

impl Reports {
    pub(super) fn new(base: Uri) -> Self {
        Self { base, client: http_client() }
    }

    /// What is reported of those of `incidents` that an agent was to look into, by alert. They are of `place`.
    pub(super) async fn about(
        &self,
        token: &Secret,
        place: &Place,
        incidents: &[Incident],
    ) -> HashMap<String, Reported> {
        if !incidents.iter().any(|incident| incident.rca) {
            return HashMap::new();
        }
        let asked = tokio::time::timeout(PATIENCE, self.list(token, place));
        let asked = asked.await.unwrap_or_else(|_| Err("no answer in time".to_owned()));
        let reports = asked.unwrap_or_else(|reason| {
            tracing::debug!(reason, "incidents are told without what the SRE agent reports");
            Vec::new()
        });
        reports.into_iter().map(|report| (report.alert_id.clone(), report)).collect()
    }

    async fn list(&self, token: &Secret, place: &Place) -> Result<Vec<Reported>, String> {
        let base = self.base.to_string();
        let mut url =
            format!("{}/api/v1/rca-agent/reports?limit={MOST}", base.trim_end_matches('/'));
        for (name, value) in [
            ("namespace", &place.namespace),
            ("project", &place.project),
            ("component", &place.component),
            ("environment", &place.environment),
        ] {
            url = format!("{url}&{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC));
        }
        let request = Request::get(url)
            .header(header::AUTHORIZATION, format!("Bearer {}", token.expose()))
            .body(Full::new(Bytes::new()))
            .map_err(|error| error.to_string())?;
        let answer = self.client.request(request).await.map_err(|error| error.to_string())?;
        if !answer.status().is_success() {
            return Err(format!("it answered {}", answer.status()));
        }
        let body = Limited::new(answer.into_body(), LONGEST).collect().await;
        let body = body.map_err(|error| error.to_string())?.to_bytes();
        let listed: Listed = serde_json::from_slice(&body).map_err(|error| error.to_string())?;
        Ok(listed.reports)
    }
}

#[cfg(test)]
mod tests {
    use axum::extract::RawQuery;
    use axum::routing::get;
    use axum::{Json, Router};
    use http::HeaderMap;
    use serde_json::{Value, json};

    use super::super::answer;
    use super::super::testing::{look, open, rule};
    use super::*;
    use crate::asked::Page;

    /// An agent that knows of two alerts, and what it was asked last.
    async fn agent(alert: String) -> Uri {
        let reports = move |RawQuery(query): RawQuery, headers: HeaderMap| {
            let alert = alert.clone();
            async move {
                let query = query.unwrap_or_default();
                let place = "namespace=default&project=shop&component=&environment=";
                assert_eq!(query, format!("limit={MOST}&{place}"));
                if headers[header::AUTHORIZATION] != "Bearer theirs" {
                    return Json(json!({"error": "not yours"}));
                }
                Json(json!({"totalCount": 2, "reports": [
                    {"alertId": alert, "reportId": "r1", "status": "completed",
                        "summary": "It is bad.", "proposedFix": "Remove TAX_PERCENT"},
                    {"alertId": "other", "reportId": "r2", "status": "pending", "summary": ""},
                ]}))
            }
        };
        let router = Router::new().route("/api/v1/rca-agent/reports", get(reports));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("listens");
        let base = format!("http://{}", listener.local_addr().expect("an address"));
        tokio::spawn(async move { axum::serve(listener, router).await });
        base.parse().expect("a URL")
    }

    #[tokio::test]
    async fn an_incident_names_the_fix_that_its_report_proposes_and_who_was_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = open(folder.path());
        look(&store, &rule(&json!({})), 1, 3.0);
        let place =
            Place { namespace: "default".into(), project: "shop".into(), ..Place::default() };
        let (between, limit) = ((0, i64::MAX), 1);
        let page = Page { place: place.clone(), between, limit, newest_first: true };
        let found = store.incidents(&page).expect("finds");
        let incident = found.rows[0].clone();
        let reports = Reports::new(agent(incident.alert.clone()).await);
        let about = async |token: &str, incidents: &[Incident]| {
            reports.about(&Secret::new(token.to_owned()), &place, incidents).await
        };
        let told = about("theirs", &found.rows).await;
        assert_eq!(told["other"].id(), "pending");
        let shown = answer::compact_incidents(&found, 4000, &told);
        let shown: &Value = &shown["incidents"][0];
        assert_eq!(
            (&shown["report"], &shown["proposedFix"], &shown["notified"]),
            (&json!("r1"), &json!("Remove TAX_PERCENT"), &json!("ops: pending")),
        );
        // Who may not read reports, and an incident that no agent was to look into, are told none.
        assert!(about("nobody's", &found.rows).await.is_empty());
        let unasked = Incident { rca: false, ..incident };
        assert!(about("theirs", &[unasked]).await.is_empty());
        let nowhere = Reports::new(Uri::from_static("http://127.0.0.1:1"));
        assert!(
            nowhere.about(&Secret::new("theirs".to_owned()), &place, &found.rows).await.is_empty()
        );
    }
}
