//! A server that speaks the wire format of the REST API, identity and the observer, over objects
//! that tests can look at and change.

use axum::body::Bytes;
use axum::extract::{Path, Query, Request, State};
use axum::middleware::{self, Next};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use futures::StreamExt as _;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use tokio::sync::broadcast;

/// Objects by collection path, as `/namespaces/default/projects`.
type Objects = BTreeMap<String, Vec<Value>>;

/// Method, path, body and `If-Match` of a change.
type Written = (String, String, Value, Option<String>);

#[derive(Clone)]
pub(crate) struct Wire {
    pub(crate) objects: Arc<Mutex<Objects>>,
    pub(crate) logs: Arc<Mutex<Vec<Value>>>,
    /// Environments in which nothing may be changed, and what may not be done where none is asked for.
    pub(crate) denied: Arc<Mutex<Vec<String>>>,
    /// What was written.
    pub(crate) written: Arc<Mutex<Vec<Written>>>,
    /// The traffic of development.
    pub(crate) topology: Arc<Mutex<Value>>,
    /// What the SRE agent found about the incident that is active.
    pub(crate) report: Arc<Mutex<Option<Value>>>,
    /// Reports as a list has them.
    pub(crate) causes: Arc<Mutex<Vec<Value>>>,
    /// What the observer answers at a path; with `metric` behind it, to that question.
    pub(crate) observed: Arc<Mutex<HashMap<String, Value>>>,
    /// The paths that were asked for.
    pub(crate) asked: Arc<Mutex<Vec<String>>>,
    /// So many changes come too late.
    pub(crate) overtaken: Arc<Mutex<u32>>,
    /// Incidents are told of one project at a time.
    pub(crate) narrow: Arc<Mutex<bool>>,
    /// All incidents are resolved.
    pub(crate) calm: Arc<Mutex<bool>>,
    /// Tokens are refused.
    pub(crate) expired: Arc<Mutex<bool>>,
    changed: broadcast::Sender<()>,
}

impl Wire {
    /// The demo project as the platform answers it.
    pub(crate) fn new() -> Wire {
        let objects: Objects = serde_json::from_str(include_str!("objects.json")).unwrap();
        let logs = serde_json::from_str(include_str!("logs.json")).unwrap();
        Wire {
            objects: Arc::new(Mutex::new(objects)),
            logs: Arc::new(Mutex::new(logs)),
            denied: Arc::default(),
            written: Arc::default(),
            topology: Arc::new(Mutex::new(json!({"nodes": [], "edges": []}))),
            report: Arc::default(),
            causes: Arc::default(),
            observed: Arc::default(),
            asked: Arc::default(),
            overtaken: Arc::default(),
            narrow: Arc::default(),
            calm: Arc::default(),
            expired: Arc::default(),
            changed: broadcast::channel(16).0,
        }
    }

    /// Serves on a free port of the loopback and returns the base URL.
    pub(crate) async fn serve(&self) -> String {
        let app = Router::new()
            .route("/oauth2/token", post(token))
            .route("/api/v1/authz/evaluates", post(evaluates))
            .route("/api/v1/authz/profile", get(profile))
            .route("/api/v1/logs/query", post(logs))
            .route("/api/v1alpha1/metrics/runtime-topology", post(topology))
            .route("/api/v1alpha1/incidents/query", post(incidents))
            .route("/api/v1alpha1/incidents/{id}", put(change_incident))
            .route("/api/v1/rca-agent/reports", get(reports))
            .route("/api/v1/rca-agent/reports/{id}", get(report).put(decide))
            .route("/api/v1alpha1/rca-agent/chat", post(chat))
            .route("/api/v1alpha1/alerts/query", post(canned))
            .route("/api/v1/metrics/query", post(canned))
            .route("/api/v1/events/query", post(canned))
            .route("/api/v1alpha1/traces/{*rest}", post(canned))
            .route("/api/v1/authz/names", get(names))
            .route("/api/v1/audit/summary", get(summary))
            .route("/api/v1/agents", get(agents))
            .route("/api/v1/audit", get(audit))
            .route("/api/v1/{*path}", get(read).post(create).put(replace).delete(remove))
            .layer(middleware::from_fn_with_state(self.clone(), remember))
            .with_state(self.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await });
        format!("http://{address}")
    }

    /// Adds an object to a collection.
    pub(crate) fn add(&self, collection: &str, object: Value) {
        self.objects.lock().unwrap().entry(collection.to_owned()).or_default().push(object);
    }

    /// Changes a binding, as a controller does.
    pub(crate) fn change_binding(&self, name: &str, change: impl FnOnce(&mut Value)) {
        self.change("/namespaces/default/releasebindings", name, change);
    }

    /// Changes an object of a collection, as somebody else does.
    pub(crate) fn change(&self, collection: &str, name: &str, change: impl FnOnce(&mut Value)) {
        let mut objects = self.objects.lock().unwrap();
        let all = objects.get_mut(collection).unwrap();
        change(all.iter_mut().find(|object| object["metadata"]["name"] == name).unwrap());
        drop(objects);
        let _ = self.changed.send(());
    }
}

async fn remember(State(wire): State<Wire>, request: Request, next: Next) -> Response {
    wire.asked.lock().unwrap().push(request.uri().path().to_owned());
    next.run(request).await
}

fn refused(wire: &Wire, headers: &HeaderMap) -> Option<Response> {
    let token = headers.get("authorization").and_then(|value| value.to_str().ok());
    let ok =
        token.is_some_and(|token| token.starts_with("Bearer ")) && !*wire.expired.lock().unwrap();
    (!ok).then(|| {
        let body = json!({"error": "INVALID_TOKEN", "message": "the token has expired"});
        (StatusCode::UNAUTHORIZED, Json(body)).into_response()
    })
}

async fn token(body: String) -> Response {
    let good = body.contains("code=good") || body.contains("password=right");
    if !good {
        let body = json!({"error": "invalid_grant", "error_description": "unknown user or wrong password"});
        return (StatusCode::BAD_REQUEST, Json(body)).into_response();
    }
    // {"sub":"admin@openchoreo.dev","name":"Ada Admin"}
    let claims = "eyJzdWIiOiJhZG1pbkBvcGVuY2hvcmVvLmRldiIsIm5hbWUiOiJBZGEgQWRtaW4ifQ";
    Json(json!({
        "access_token": format!("e30.{claims}.sig"), "token_type": "Bearer", "expires_in": 3600,
    }))
    .into_response()
}

async fn evaluates(State(wire): State<Wire>, Json(asked): Json<Vec<Value>>) -> Json<Value> {
    let denied = wire.denied.lock().unwrap().clone();
    Json(
        asked
            .iter()
            .map(|question| {
                let action = question["action"].as_str().unwrap();
                let environment = question["context"]["resource"]["environment"].as_str();
                let decision = !denied.iter().any(|denied| denied == environment.unwrap_or(action));
                let reason = match (decision, environment) {
                    (true, _) => "allowed".to_owned(),
                    (_, None) => format!("you need {action} there"),
                    (_, Some(_)) => "you need releasebinding:update there".to_owned(),
                };
                json!({"decision": decision, "context": {"reason": reason}})
            })
            .collect(),
    )
}

async fn profile() -> Json<Value> {
    Json(json!({
        "user": {"type": "user", "entitlement_claim": "groups", "entitlement_values": ["admins"]},
        "capabilities": {
            "component:view": {"allowed": [{"path": "*"}], "denied": []},
            "releasebinding:update": {"allowed": [{"path": "*"}], "denied": []},
        },
    }))
}

async fn logs(State(wire): State<Wire>, headers: HeaderMap, Json(query): Json<Value>) -> Response {
    if let Some(refused) = refused(&wire, &headers) {
        return refused;
    }
    let since = query["startTime"].as_str().unwrap();
    let phrase = query["searchPhrase"].as_str().unwrap_or_default();
    let mut lines: Vec<Value> = wire
        .logs
        .lock()
        .unwrap()
        .iter()
        .filter(|line| line["timestamp"].as_str().unwrap() >= since)
        .filter(|line| line["log"].as_str().unwrap().contains(phrase))
        .cloned()
        .collect();
    if query["sortOrder"] == "desc" {
        lines.reverse();
    }
    Json(json!({"logs": lines, "total": lines.len(), "tookMs": 1})).into_response()
}

async fn topology(
    State(wire): State<Wire>,
    headers: HeaderMap,
    Json(query): Json<Value>,
) -> Response {
    if let Some(refused) = refused(&wire, &headers) {
        return refused;
    }
    let scope = &query["searchScope"];
    if (&scope["project"], &scope["environment"]) != (&json!("shop"), &json!("development")) {
        return Json(json!({"nodes": [], "edges": []})).into_response();
    }
    Json(wire.topology.lock().unwrap().clone()).into_response()
}

async fn incidents(State(wire): State<Wire>, Json(query): Json<Value>) -> Response {
    let mut scope = query["searchScope"].clone();
    let component = scope.as_object_mut().and_then(|scope| scope.remove("component"));
    let whole = scope == json!({"namespace": "default"}) && !*wire.narrow.lock().unwrap();
    if !whole && scope != json!({"namespace": "default", "project": "shop"}) {
        let body = json!({"title": "forbidden", "message": "you need incidents:view there"});
        return (StatusCode::FORBIDDEN, Json(body)).into_response();
    }
    let incident = |status: &str, description: &str| {
        json!({"incidentId": status, "status": status, "description": description,
            "alertId": format!("alert-{status}"), "incidentTriggerAiRca": status == "active",
            "acknowledgedAt": "2026-11-22T13:05:00Z", "acknowledgedBy": "<ann>",
            "resolvedAt": if status == "resolved" { "2026-11-22T13:10:00Z" } else { "" }, "resolvedBy": "system:observer",
            "triggeredAt": "2026-11-22T12:58:00Z",
            "labels": {"componentName": "greeter", "environmentName": "development",
                "projectName": "shop"}})
    };
    let mut victim = incident("victim", "some requests fail");
    victim["labels"]["componentName"] = "web".into();
    victim["title"] = "web: error rate in <development>".into();
    victim["atStart"] = "23 <%>".into();
    victim["notified"] = "ops: <delivered>".into();
    let mut all = vec![
        victim,
        incident("active", "half of <b>all</b> requests fail"),
        incident("resolved", "was slow"),
    ];
    if *wire.calm.lock().unwrap() {
        all.iter_mut().for_each(|incident| incident["status"] = "resolved".into());
    }
    if let Some(component) = component {
        all.retain(|incident| incident["labels"]["componentName"] == component);
    }
    Json(json!({"incidents": all, "total": all.len(), "tookMs": 1})).into_response()
}

async fn change_incident(
    State(wire): State<Wire>,
    Path(id): Path<String>,
    Json(body): Json<Value>,
) -> Response {
    wire.written.lock().unwrap().push(("PUT".to_owned(), format!("/incidents/{id}"), body, None));
    if id == "resolved" {
        let message = "an incident that is resolved cannot become acknowledged";
        let body = json!({"title": "badRequest", "message": message});
        return (StatusCode::BAD_REQUEST, Json(body)).into_response();
    }
    Json(json!({})).into_response()
}

async fn reports(
    State(wire): State<Wire>,
    Query(query): Query<HashMap<String, String>>,
) -> Json<Value> {
    let here = ["namespace", "project"].map(|name| query[name].as_str());
    assert_eq!(here, ["default", "shop"]);
    if !query.contains_key("alertId") {
        let causes = wire.causes.lock().unwrap().clone();
        return Json(json!({"reports": causes, "totalCount": causes.len()}));
    }
    assert_eq!(query["environment"], "development");
    let found = wire
        .report
        .lock()
        .unwrap()
        .as_ref()
        .filter(|report| report["alertId"] == query["alertId"])
        .map(|report| json!({"alertId": report["alertId"], "reportId": report["reportId"]}));
    let reports: Vec<Value> = found.into_iter().collect();
    Json(json!({"reports": reports, "totalCount": reports.len()}))
}

async fn report(State(wire): State<Wire>, Path(id): Path<String>) -> Response {
    match &*wire.report.lock().unwrap() {
        Some(report) if report["reportId"] == *id => Json(report.clone()).into_response(),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Tells what it does, and then answers; to what it cannot, with an error.
async fn chat(State(wire): State<Wire>, Json(body): Json<Value>) -> String {
    let fails = body["messages"][0]["content"] == "fail";
    wire.written.lock().unwrap().push(("POST".to_owned(), "/chat".to_owned(), body, None));
    let last = match fails {
        true => json!({"type": "error", "message": "no steps are left"}),
        false => json!({"type": "done", "message": "It is <b>the pool</b>"}),
    };
    format!("{}\n{last}\n", json!({"type": "tool_call", "tool": "query_component_logs"}))
}

async fn decide(
    State(wire): State<Wire>,
    Path(id): Path<String>,
    Json(body): Json<Value>,
) -> Json<Value> {
    wire.written.lock().unwrap().push(("PUT".to_owned(), format!("/reports/{id}"), body, None));
    Json(json!({"status": "ok"}))
}

/// What a test put there for greeter in development, or nothing.
async fn canned(State(wire): State<Wire>, uri: http::Uri, Json(query): Json<Value>) -> Response {
    let path = format!("{}{}", uri.path(), query["metric"].as_str().unwrap_or_default());
    let observed = wire.observed.lock().unwrap();
    let scope = &query["searchScope"];
    let here = scope["environment"] == "development" && scope["project"] == "shop";
    match observed.get(&path) {
        Some(answer) if here => Json(answer.clone()).into_response(),
        Some(_) => Json(json!({})).into_response(),
        None => {
            let body = json!({"title": "forbidden", "message": "you need <more> there"});
            (StatusCode::FORBIDDEN, Json(body)).into_response()
        }
    }
}

async fn summary() -> Json<Value> {
    Json(json!({"items": [{"agent": "claude-1", "reads": 4, "writes": 0, "denied": 0, "failed": 0,
        "lastSeen": "2026-11-22T12:58:00Z"}]}))
}

async fn read(
    State(wire): State<Wire>,
    Path(path): Path<String>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    if let Some(refused) = refused(&wire, &headers) {
        return refused;
    }
    if query.contains_key("watch") {
        let changes = tokio_stream::wrappers::BroadcastStream::new(wire.changed.subscribe());
        let first = futures::stream::once(async { Event::default().event("snapshot").data("{}") });
        let later = changes.map(|_| Event::default().event("applied").data("{}"));
        return Sse::new(first.chain(later).map(Ok::<_, Infallible>)).into_response();
    }
    let path = format!("/{path}");
    let objects = wire.objects.lock().unwrap();
    if let Some(items) = objects.get(&path) {
        let fits = |item: &&Value| {
            let owner = &item["spec"]["owner"];
            query.get("project").is_none_or(|project| owner["projectName"] == **project)
                && query.get("component").is_none_or(|name| owner["componentName"] == **name)
        };
        let items: Vec<&Value> = items.iter().filter(fits).collect();
        return Json(json!({"items": items, "pagination": {}})).into_response();
    }
    let (collection, name) = path.rsplit_once('/').unwrap();
    let found = objects
        .get(collection)
        .and_then(|items| items.iter().find(|item| item["metadata"]["name"] == name));
    match found {
        Some(object) => ([("etag", "\"7\"")], Json(object.clone())).into_response(),
        None => {
            let body = json!({"error": format!("{name} not found"), "code": "NOT_FOUND"});
            (StatusCode::NOT_FOUND, Json(body)).into_response()
        }
    }
}

/// What there is instead of a project or component.
async fn names(Query(query): Query<HashMap<String, String>>) -> Json<Value> {
    assert_eq!(query["namespace"], "default");
    let known = match query.contains_key("component") {
        true => json!(["greeter", "mailer"]),
        false => json!(["default", "<shop>"]),
    };
    Json(json!({"absent": true, "known": known, "more": false}))
}

async fn agents() -> Json<Value> {
    Json(json!({
        "items": [{
            "name": "claude-1", "displayName": "Claude",
            "activity": {"reads": 4, "writes": 0, "denied": 1, "failed": 0, "lastSeen": "2026-01-02T03:04:05Z"},
            "grants": [{"binding": "x", "namespace": "default", "roles": ["config-fix"],
                "where": "environment development", "expiresAt": "2026-01-02T04:04:05Z",
                "remainingSeconds": 3600, "grantedBy": "admin@openchoreo.dev"}],
        }],
        "kinds": [{"name": "scale", "description": "set the number of replicas, and nothing else"}],
    }))
}

/// Long ago, an agent was refused a change; since then, another one has only looked.
async fn audit(Query(query): Query<HashMap<String, String>>) -> Json<Value> {
    let refused = json!({
        "id": 1, "time": "2026-01-02T03:04:05Z", "actor": "claude-1", "actorKind": "agent", "via": "mcp",
        "call": "update_release_binding", "action": "releasebinding:update", "result": "denied",
        "object": "ReleaseBinding/<b>web</b>", "environment": "default/production",
    });
    let read = |id: u32| {
        json!({
            "id": id, "time": "2026-01-02T04:04:05Z", "actor": "looker", "actorKind": "agent", "via": "observer",
            "call": "query", "action": "logs:view", "result": "allowed", "object": "Component/web",
            "reads": 41, "kinds": ["logs", "<b>traces</b>"],
        })
    };
    let many: usize = query["limit"].parse().unwrap();
    let items: Vec<Value> = match (query.get("changes"), query.get("result")) {
        (None, None) if query.contains_key("summed") => {
            (2..102).rev().map(read).take(many).collect()
        }
        (None, None) => panic!("reads are asked for one by one"),
        _ => vec![refused],
    };
    Json(json!({"items": items, "pagination": {}}))
}

async fn remove(
    State(wire): State<Wire>,
    Path(path): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Json<Value> {
    wire.written.lock().unwrap().push((
        "DELETE".to_owned(),
        format!("/{path}"),
        json!(query),
        None,
    ));
    Json(json!({"revoked": []}))
}

async fn create(State(wire): State<Wire>, Path(path): Path<String>, body: Bytes) -> Response {
    let value: Value = serde_json::from_slice(&body).unwrap();
    let path = format!("/{path}");
    wire.written.lock().unwrap().push(("POST".to_owned(), path.clone(), value.clone(), None));
    wire.objects.lock().unwrap().entry(path).or_default().push(value.clone());
    let _ = wire.changed.send(());
    (StatusCode::CREATED, Json(value)).into_response()
}

async fn replace(
    State(wire): State<Wire>,
    Path(path): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let value: Value = serde_json::from_slice(&body).unwrap();
    let expected = headers.get("if-match").map(|tag| tag.to_str().unwrap().to_owned());
    let path = format!("/{path}");
    let environment = format!("default/{}", value["spec"]["environment"].as_str().unwrap_or(""));
    if wire.denied.lock().unwrap().contains(&environment) {
        let message = format!("you need releasebinding:update in <{environment}>");
        let body = json!({"error": message, "code": "FORBIDDEN"});
        return (StatusCode::FORBIDDEN, Json(body)).into_response();
    }
    let mut overtaken = wire.overtaken.lock().unwrap();
    if *overtaken > 0 {
        *overtaken -= 1;
        let body = json!({"error": "somebody changed it meanwhile", "code": "CONFLICT"});
        return (StatusCode::CONFLICT, Json(body)).into_response();
    }
    wire.written.lock().unwrap().push(("PUT".to_owned(), path, value.clone(), expected));
    Json(value).into_response()
}
