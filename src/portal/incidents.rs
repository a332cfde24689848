//! Incidents and their reports: read from the observer and the SRE agent, and changed by a person.

use crate::ask::{Window, scope};
use crate::backend::User;
use crate::edits;
use crate::error::{BackendError, PageError};
use crate::forms::Submitted;
use crate::login::encode;
use crate::model::{taken, text};
use crate::pages::incident::{self, Place};
use crate::remedy;
use crate::server::Portal;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Incidents are looked for in so many days, fewer than the observer answers for at once.
pub(crate) const DAYS: i64 = 29;
/// Incidents asked for.
pub(crate) const MOST: usize = 200;

/// The incidents of a project, newest first.
pub(crate) async fn all(
    user: &User<'_>,
    namespace: &str,
    project: &str,
) -> Result<Vec<Value>, BackendError> {
    of(user, (namespace, project), "").await
}

/// Those of one of its components, or of all.
pub(crate) async fn of(
    user: &User<'_>,
    (namespace, project): (&str, &str),
    component: &str,
) -> Result<Vec<Value>, BackendError> {
    let question = Window::last(DAYS * 86_400).ask(scope(namespace, project, component, ""), MOST);
    let mut answer = user.observed("/api/v1alpha1/incidents/query", &question).await?;
    Ok(taken(&mut answer["incidents"]))
}

/// Whether somebody has to see to it still.
pub(crate) fn is_open(incident: &Value) -> bool {
    text(incident, "/status") != "resolved"
}

/// The incident of that id.
pub(crate) async fn one(user: &User<'_>, place: &Place) -> Result<Value, BackendError> {
    let all = all(user, &place.namespace, &place.project).await?;
    among(&all, place).cloned()
}

/// The incident of that id, of those that there are.
pub(crate) fn among<'v>(all: &'v [Value], place: &Place) -> Result<&'v Value, BackendError> {
    let found = all.iter().find(|incident| text(incident, "/incidentId") == place.incident);
    found.ok_or_else(|| {
        let why = format!(
            "there is no incident {} among the newest {MOST} of the last {DAYS} days",
            place.incident
        );
        BackendError::NotFound(why)
    })
}

/// The alert that an incident is of.
pub(crate) async fn alert(
    user: &User<'_>,
    place: &Place,
    incident: &Value,
) -> Result<Option<Value>, BackendError> {
    let scope =
        scope(&place.namespace, &place.project, text(incident, "/labels/componentName"), "");
    let question = Window::last(DAYS * 86_400).ask(scope, MOST);
    let mut answer = user.observed("/api/v1alpha1/alerts/query", &question).await?;
    let of = |alert: &Value| alert["alertId"] == incident["alertId"];
    Ok(taken(&mut answer["alerts"]).into_iter().find(of))
}

/// The report about an incident's alert.
pub(crate) async fn report(
    user: &User<'_>,
    place: &Place,
    incident: &Value,
) -> Result<Option<Value>, BackendError> {
    let query = [
        ("namespace", place.namespace.as_str()),
        ("project", &place.project),
        ("component", text(incident, "/labels/componentName")),
        ("environment", text(incident, "/labels/environmentName")),
        ("alertId", text(incident, "/alertId")),
        ("limit", "1"),
    ]
    .map(|(name, value)| format!("{name}={}", encode(value)))
    .join("&");
    let mut answer = user.reports(&format!("?{query}")).await?;
    match taken(&mut answer["reports"]).into_iter().next() {
        Some(found) => {
            let id = encode(text(&found, "/reportId"));
            user.reports(&format!("/{id}")).await.map(Some)
        }
        None => Ok(None),
    }
}

/// The actions that a report recommends.
pub(crate) fn actions(report: &Value) -> Vec<&Value> {
    let actions = "/report/result/recommendations/recommended_actions";
    report.pointer(actions).and_then(Value::as_array).into_iter().flatten().collect()
}

#[derive(Deserialize)]
pub(crate) struct Change {
    status: String,
    #[serde(default)]
    notes: String,
}

/// Acknowledges or resolves an incident.
pub(crate) async fn change(
    State(portal): State<Arc<Portal>>,
    Path(place): Path<Place>,
    Submitted { session, form }: Submitted<Change>,
) -> Result<Response, PageError> {
    let user = portal.backend.of(&session.token);
    let path = format!("/api/v1alpha1/incidents/{}", encode(&place.incident));
    let mut body = json!({"status": form.status});
    if !form.notes.trim().is_empty() {
        body["notes"] = form.notes.trim().into();
    }
    match user.observe(&path, &body).await {
        Ok(_) => {
            tracing::info!(incident = place.incident, status = form.status, "changed an incident");
            Ok(Redirect::to(&place.href()).into_response())
        }
        Err(error) => incident::with_problem(&portal, &session, place, error).await,
    }
}

#[derive(Deserialize)]
pub(crate) struct Decision {
    /// Which recommended actions, by their index in the report.
    indices: String,
    /// What was looked at, for each.
    #[serde(default)]
    seen: String,
    decision: String,
    /// The values of the one action, as the form had them.
    #[serde(flatten)]
    values: BTreeMap<String, String>,
}

/// Applies or dismisses what a report recommends.
pub(crate) async fn decide(
    State(portal): State<Arc<Portal>>,
    Path(place): Path<Place>,
    Submitted { session, form }: Submitted<Decision>,
) -> Result<Response, PageError> {
    let user = portal.backend.of(&session.token);
    let done = match form.decision.as_str() {
        "apply" => apply(&user, &place, &form).await,
        "dismiss" => dismiss(&user, &place, &form).await,
        other => Err(BackendError::Refused(format!("`{other}` is no decision"))),
    };
    match done {
        Ok(()) => {
            let (incident, decision) = (&place.incident, &form.decision);
            tracing::info!(incident, decision, indices = form.indices, "decided on a report");
            Ok(Redirect::to(&place.href()).into_response())
        }
        Err(error) => incident::with_problem(&portal, &session, place, error).await,
    }
}

/// The report on an incident, which must be there.
pub(crate) async fn current(user: &User<'_>, place: &Place) -> Result<Value, BackendError> {
    let incident = one(user, place).await?;
    let gone = || BackendError::NotFound("there is no report on this incident any more".to_owned());
    report(user, place, &incident).await?.ok_or_else(gone)
}

fn indices(form: &Decision, report: &Value) -> Result<Vec<usize>, BackendError> {
    let most = actions(report).len();
    let index = |text: &str| text.parse().ok().filter(|index| *index < most);
    let indices: Option<Vec<usize>> = form.indices.split(',').map(index).collect();
    indices.ok_or_else(|| BackendError::Refused("the report has no such action".to_owned()))
}

async fn tell(user: &User<'_>, report: &Value, change: Value) -> Result<(), BackendError> {
    let id = encode(text(report, "/reportId"));
    user.report(&format!("/{id}"), &change).await.map(drop)
}

async fn dismiss(user: &User<'_>, place: &Place, form: &Decision) -> Result<(), BackendError> {
    let report = current(user, place).await?;
    let indices = indices(form, &report)?;
    tell(user, &report, json!({"appliedIndices": [], "dismissedIndices": indices})).await
}

/// One write per binding; all that was seen must still be so before the first.
async fn apply(user: &User<'_>, place: &Place, form: &Decision) -> Result<(), BackendError> {
    let report = current(user, place).await?;
    let (indices, actions) = (indices(form, &report)?, actions(&report));
    let mut seen = form.seen.split(',');
    let mut by_binding: Vec<(remedy::Proposal, Vec<usize>)> = Vec::new();
    // The form of one action has its values; several are taken as they are proposed.
    let edited = match indices.as_slice() {
        [one] => edits::edited(&actions[*one]["change"], &form.values)?,
        _ if edits::are_in(&form.values) => {
            let why = "several actions are applied only as they are proposed; apply what you edited by itself";
            return Err(BackendError::Refused(why.to_owned()));
        }
        _ => None,
    };
    for index in &indices {
        let action = actions[*index];
        if action["status"] != "revised" || !action["change"].is_object() {
            let why = "this action proposes no change, or was decided on already".to_owned();
            return Err(BackendError::Refused(why));
        }
        let at = (place.namespace.as_str(), place.project.as_str());
        let proposal = remedy::propose(user, at, &action["change"]).await?;
        if seen.next() != Some(proposal.seal.as_str()) {
            let why = "the release binding or the proposal changed since you looked; look again";
            return Err(BackendError::Conflict(why.to_owned()));
        }
        match by_binding.iter_mut().find(|(known, _)| known.binding == proposal.binding) {
            Some((_, indices)) => indices.push(*index),
            None => by_binding.push((proposal, vec![*index])),
        }
    }
    let (mut applied, mut failed) = (Vec::new(), None);
    for (proposal, indices) in by_binding {
        let proposed = indices.iter().map(|index| &actions[*index]["change"]);
        let changes: Vec<&Value> = match &edited {
            Some(edited) => vec![edited],
            None => proposed.collect(),
        };
        match remedy::carry_out(user, &place.namespace, &proposal, &changes).await {
            Ok(()) => applied.extend(indices),
            Err(error) => {
                failed = Some(error);
                break;
            }
        }
    }
    if !applied.is_empty() {
        let mut told = json!({"appliedIndices": applied, "dismissedIndices": []});
        if let (Some(edited), [index]) = (&edited, applied.as_slice()) {
            told["edits"] = json!([edits::told(*index, edited)]);
        }
        tell(user, &report, told).await.map_err(|error| {
            let why = format!("the change was made, but the report was not told of it: {error}");
            BackendError::Unavailable(why)
        })?;
    }
    failed.map_or(Ok(()), Err)
}
