use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use curtain_control::audit::OBSERVED_PATH;
use curtain_control::identity::{Issuer, Subject, SubjectKind};
use curtain_role::http_client;
use http::{Request, header};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use std::collections::HashMap;

use super::*;
use crate::owner::Owner;
use crate::wire::{Batch, Line, Part, Position, Source};

mod names;

/// An observer with two lines, and a control plane that lets `dev` look at the project `shop`.
struct World {
    rest: String,
    mcp: String,
    issuer: Issuer,
    shutdown: Shutdown,
    /// What the control plane is told, with the token that proves who tells.
    told: tokio::sync::Mutex<Told>,
    _directory: tempfile::TempDir,
}

impl Drop for World {
    fn drop(&mut self) {
        self.shutdown.trigger();
    }
}

type Told = tokio::sync::mpsc::UnboundedReceiver<(String, Value)>;

async fn observed(
    State(sender): State<tokio::sync::mpsc::UnboundedSender<(String, Value)>>,
    headers: http::HeaderMap,
    Json(body): Json<Value>,
) {
    let token = headers[header::AUTHORIZATION].to_str().expect("text").to_owned();
    sender.send((token, body)).expect("the test listens");
}

/// A minute of what `cart` uses.
fn measure(directory: &std::path::Path) {
    use crate::metrics::names::{CPU, CPU_REQUEST, MEMORY};
    use crate::metrics::wire::{Batch, Labels, Part, Sample, Value};
    let store = metrics::Store::open(&directory.join("metrics.db"), Retention::default());
    let store = store.expect("opens");
    let owner = crate::Owner {
        namespace: "default".into(),
        project: "shop".into(),
        component: "cart".into(),
        environment: "development".into(),
        ..crate::Owner::default()
    };
    let sample = |name: &str, value: f64| Sample {
        name: name.into(),
        labels: Labels::from([("pod".into(), "cart-1".into())]),
        value: Value::Gauge(value),
    };
    for time in (1_767_225_600..1_767_225_660).step_by(5) {
        let samples = vec![sample(CPU, 2e7), sample(CPU_REQUEST, 1e8), sample(MEMORY, 1e6)];
        let batch =
            Batch { time, since: None, parts: vec![Part { owner: owner.clone(), samples }] };
        store.ingest(&batch, time).expect("stores");
    }
}

async fn serve_somewhere(router: Router, shutdown: &Shutdown) -> String {
    let listener = listen(([127, 0, 0, 1], 0).into()).await.expect("binds");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(serve(listener, router, shutdown.clone()));
    format!("http://{address}")
}

impl World {
    async fn new() -> World {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).expect("a key");
        let issuer = Issuer::new(key.serialize_pem().as_bytes(), "iss".into(), "aud".into())
            .expect("an issuer");
        let shutdown = Shutdown::default();
        let (sender, told) = tokio::sync::mpsc::unbounded_channel();
        let jwks = issuer.jwks();
        let control = Router::new()
            .route("/oauth2/jwks", get(move || async move { Json(jwks) }))
            .route("/api/v1/authz/profile", get(profile))
            .route("/api/v1/authz/evaluates", post(evaluate))
            .route("/api/v1/authz/names", get(there))
            .route("/api/v1/authz/choices", get(choices))
            .route(OBSERVED_PATH, post(observed).with_state(sender));
        let control = serve_somewhere(control, &shutdown).await;

        let directory = tempfile::tempdir().expect("a directory");
        let store = logs::Store::open(&directory.path().join("logs.db"), Retention::default())
            .expect("opens");
        let source = Source {
            pod_uid: "u".into(),
            pod: "cart-1".into(),
            container: "main".into(),
            owner: Owner {
                namespace: "default".into(),
                project: "shop".into(),
                component: "cart".into(),
                environment: "development".into(),
                ..Owner::default()
            },
            ..Source::default()
        };
        let at = |seconds: i64| Position {
            time: 1_767_225_600_000_000_000 + seconds * 1_000_000_000,
            ordinal: 0,
        };
        let lines =
            vec![Line(at(1), "level=info hello".into()), Line(at(2), "level=error oh no".into())];
        store.ingest(&Batch { parts: vec![Part { source, lines }] }).expect("stores");
        crate::alerts::testing::seed(directory.path());

        others(directory.path());
        measure(directory.path());

        let nowhere: SocketAddr = ([127, 0, 0, 1], 0).into();
        let config = Config {
            listen: nowhere,
            mcp_listen: nowhere,
            ingest_listen: nowhere,
            health_listen: nowhere,
            data: directory.path().to_owned(),
            retention: Retention::default(),
            prices: Prices::default(),
            alerts: crate::alerts::Options::default(),
            control: control.parse().expect("a URL"),
            issuer: "iss".into(),
            audience: "aud".into(),
            collector: String::new(),
            instance: Instance::new("ci"),
            allowed_hosts: Vec::new(),
            kube: KubeAccess::InCluster,
            version: "0.0.0".into(),
        };
        let instance = config.instance.clone();
        let validator = Validator::remote(&config.control, "iss", "aud", instance.clone());
        let validator = Arc::new(validator.expect("a URL"));
        drop(store);
        let token = directory.path().join("token");
        std::fs::write(&token, "role-token\n").expect("writes");
        let witness = Witness::with_token(&config.control, token, shutdown.clone());
        let gate = Arc::new(Gate::new(&config.control, instance, Via::Observer).witnessed(witness));
        let signals = signals(&config, &gate).expect("opens");
        let (rest, tools) = doors(&config, &signals, gate, validator, &shutdown);
        let rest = serve_somewhere(rest, &shutdown).await;
        let mcp = format!("{}/mcp", serve_somewhere(tools, &shutdown).await);
        World { rest, mcp, issuer, shutdown, told: told.into(), _directory: directory }
    }

    fn token(&self, name: &str) -> String {
        let kind = if name == "dev" { SubjectKind::User } else { SubjectKind::Agent };
        let subject =
            Subject { name: name.into(), kind, groups: Vec::new(), display_name: String::new() };
        let now = jiff::Timestamp::now().as_second().unsigned_abs();
        self.issuer.issue(&subject, now).expect("a token").expose().to_owned()
    }

    async fn post(
        &self,
        url: &str,
        headers: &[(header::HeaderName, String)],
        body: &Value,
    ) -> (u16, Value) {
        self.send(Request::post(url), headers, body).await
    }

    async fn send(
        &self,
        request: http::request::Builder,
        headers: &[(header::HeaderName, String)],
        body: &Value,
    ) -> (u16, Value) {
        let mut request = request.header(header::CONTENT_TYPE, "application/json");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(Bytes::from(body.to_string()))).expect("a request");
        let response = http_client().request(request).await.expect("an answer");
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.expect("a body").to_bytes();
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    async fn query(&self, who: &str, change: Value) -> (u16, Value) {
        let url = format!("{}/api/v1/logs/query", self.rest);
        let bearer = (header::AUTHORIZATION, format!("Bearer {}", self.token(who)));
        self.post(&url, &[bearer], &body(change)).await
    }

    /// Status and body of a query by GET.
    async fn get(&self, who: &str, path: &str) -> (u16, Value) {
        let request = Request::get(format!("{}{path}", self.rest))
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token(who)))
            .body(Full::new(Bytes::new()))
            .expect("a request");
        let response = http_client().request(request).await.expect("an answer");
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.expect("a body").to_bytes();
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    /// Asks about alerts and incidents: a query, or with `change` an update.
    async fn alerts(&self, who: &str, path: &str, change: Value) -> (u16, Value) {
        let url = format!("{}/api/v1alpha1/{path}", self.rest);
        let bearer = [(header::AUTHORIZATION, format!("Bearer {}", self.token(who)))];
        match path.ends_with("/query") {
            true => self.send(Request::post(url), &bearer, &body(change)).await,
            false => self.send(Request::put(url), &bearer, &change).await,
        }
    }

    async fn call(&self, who: &str, arguments: Value) -> Value {
        self.tool(who, "query_component_logs", arguments).await
    }

    async fn tool(&self, who: &str, name: &str, arguments: Value) -> Value {
        self.mcp(who, "tools/call", json!({"name": name, "arguments": arguments})).await
    }

    async fn mcp(&self, who: &str, method: &str, params: Value) -> Value {
        let headers = [
            (header::AUTHORIZATION, format!("Bearer {}", self.token(who))),
            (header::ACCEPT, "application/json, text/event-stream".to_owned()),
            (header::HeaderName::from_static("mcp-protocol-version"), "2025-11-25".to_owned()),
        ];
        let call = json!({"jsonrpc":"2.0","id":1,"method":method,"params":params});
        let (status, answer) = self.post(&self.mcp, &headers, &call).await;
        assert_eq!(status, 200, "{answer}");
        answer["result"].clone()
    }
}

/// An event of the cart, and a trace through it and through a component of another project.
fn others(directory: &std::path::Path) {
    let owner = |project: &str| crate::Owner {
        namespace: "default".into(),
        project: project.into(),
        component: "cart".into(),
        environment: "development".into(),
        ..crate::Owner::default()
    };
    let time = 1_767_225_601_000_000_000;
    let event = events::wire::Event {
        uid: "e".into(),
        first: time,
        last: time,
        count: 3,
        r#type: "Warning".into(),
        reason: "BackOff".into(),
        message: "back-off".into(),
        object_kind: "Pod".into(),
        object_name: "cart-1".into(),
        object_namespace: "dp".into(),
        owner: owner("shop"),
    };
    let store = events::Store::open(&directory.join("events.db"), Retention::default());
    let batch = events::wire::Batch { events: vec![event] };
    store.expect("opens").ingest(&batch).expect("stores");
    let part = |project: &str, span: &str, parent: Option<&str>| {
        let span = json!({"trace": TRACE, "span": span, "parent": parent, "name": "GET", "kind": 2,
            "start": time, "duration": 1000, "status": 2, "message": "oh no", "attributes": {"a": 1},
            "events": [{"name": "exception"}]});
        let resource = r#"{"service.name":"cart"}"#;
        json!({"source": {"owner": owner(project), "pod": "cart-1", "resource": resource}, "spans": [span]})
    };
    let parts = [
        part("shop", "00000000000000aa", None),
        part("bank", "00000000000000bb", Some("00000000000000aa")),
    ];
    let batch = serde_json::from_value(json!({"parts": parts})).expect("a batch");
    let store = traces::Store::open(&directory.join("traces.db"), Retention::default());
    store.expect("opens").ingest(&batch).expect("stores");
}

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn body(change: Value) -> Value {
    let mut body = json!({"startTime":"2026-01-01T00:00:00Z","endTime":"2026-01-01T01:00:00Z",
        "searchScope":{"namespace":"default","project":"shop","component":"cart","environment":"development"}});
    for (name, value) in change.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    body
}

/// Whose token the request has.
fn subject(headers: &http::HeaderMap) -> Value {
    use base64::Engine as _;
    let token = curtain_control::identity::bearer::token(headers).expect("a token");
    let claims = token.split('.').nth(1).expect("claims");
    let claims = base64::prelude::BASE64_URL_SAFE_NO_PAD.decode(claims).expect("base64");
    serde_json::from_slice::<Value>(&claims).expect("JSON")["sub"].take()
}

/// Only `dev` may look at anything anywhere.
async fn profile(headers: http::HeaderMap) -> Json<Value> {
    let places =
        if subject(&headers) == "dev" { json!([{"path": "ns/default"}]) } else { json!([]) };
    let one = json!({"allowed": places, "denied": []});
    Json(json!({"capabilities": {"logs:view": one, "events:view": one, "traces:view": one}}))
}

/// What there is: two projects, a component and two environments. `guest` is told of nothing that it is absent.
async fn there(
    headers: http::HeaderMap,
    axum::extract::Query(asked): axum::extract::Query<HashMap<String, String>>,
) -> Json<Value> {
    let named = |name: &str| asked.get(name).map(String::as_str);
    let (name, known): (_, &[&str]) =
        match (named("component"), named("project"), named("environment")) {
            (Some(component), Some("shop"), None) => (component, &["quiet"]),
            (Some(component), _, None) => (component, &[]),
            (None, Some(project), None) => (project, &["bank", "shop"]),
            (None, None, Some(environment)) => (environment, &["development", "staging"]),
            _ => (named("namespace").expect("a namespace"), &["default"]),
        };
    let absent = subject(&headers) != "guest" && !known.contains(&name);
    Json(if absent {
        json!({"absent": true, "known": known, "more": false})
    } else {
        json!({"absent": false})
    })
}

/// What there is to choose from, for those who may see it.
async fn choices(
    headers: http::HeaderMap,
    axum::extract::Query(asked): axum::extract::Query<HashMap<String, String>>,
) -> Json<Value> {
    let known: &[&str] = match asked["of"].as_str() {
        "namespace" => &["default"],
        "project" => &["bank", "shop"],
        other => panic!("nobody asks for {other}"),
    };
    Json(match subject(&headers) == "guest" {
        true => Value::Null,
        false => json!({"known": known, "more": false}),
    })
}

/// Decides by the token alone, as the control plane does, and insists on the form of the question. The agent `staged`
/// may look in another environment, and to `banned` it is forbidden.
async fn evaluate(headers: http::HeaderMap, Json(questions): Json<Value>) -> Json<Value> {
    let question = &questions[0];
    let action = question["action"].as_str().expect("an action");
    let (resource, verb) = action.split_once(':').expect("resource:verb");
    let known = ["logs", "events", "traces", "metrics", "finops", "alerts", "incidents"];
    assert!(known.contains(&resource) && ["view", "update"].contains(&verb), "{action}");
    let environment = question["context"]["resource"]["environment"].as_str();
    assert!(environment.is_none_or(|name| name.starts_with("default/")), "{environment:?}");
    let project = &question["resource"]["hierarchy"]["project"];
    let allowed = subject(&headers) == "guest" || subject(&headers) == "dev" && project != "bank";
    let mut context = match subject(&headers).as_str() {
        _ if allowed => json!({"result": "allowed", "binding": "b", "entitlement": "groups:g"}),
        Some("staged") => json!({"result": "missing", "unmet": "AuthzRoleBinding default/staged"}),
        Some("banned") => {
            json!({"result": "forbidden", "binding": "AuthzRoleBinding default/freeze"})
        }
        _ => json!({"result": "missing"}),
    };
    // Words are for people: they may change.
    context["reason"] = json!("because");
    Json(json!([{"decision": allowed, "context": context}]))
}

#[tokio::test]
async fn rest_answers_whom_the_control_plane_allows() {
    let world = World::new().await;
    let (status, answer) = world.query("dev", json!({"logLevels":["ERROR"]})).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["total"], 1);
    let line = &answer["logs"][0];
    assert_eq!(line["timestamp"], "2026-01-01T00:00:02Z");
    assert_eq!((&line["log"], &line["level"]), (&json!("level=error oh no"), &json!("ERROR")));
    assert_eq!(line["metadata"]["componentName"], "cart");

    let (status, answer) = world.query("claude", json!({})).await;
    assert_eq!((status, &answer["title"]), (403, &json!("forbidden")));
    let message = answer["message"].as_str().unwrap_or_default();
    assert!(
        message.starts_with(
            "denied: logs:view on component shop/cart in namespace default, environment default/development: \
             agent claude has no permission for it. A person who may administer access can allow it: "
        ),
        "{message}"
    );
    assert!(message.contains("kubectl") && message.contains("AuthzRoleBinding"), "{message}");
    let only_there = r#""expression":"resource.environment == \"default/development\"""#;
    assert!(message.contains(only_there), "{message}");

    let (_, answer) = world.query("staged", json!({})).await;
    let message = answer["message"].as_str().unwrap_or_default();
    assert!(message.contains("or allow it: echo"), "{message}");
    assert!(message.contains("$(curtain kubeconfig --name ci)"), "{message}");
    assert!(
        message.contains("widen the condition of AuthzRoleBinding default/staged"),
        "{message}"
    );

    let (_, answer) = world.query("banned", json!({})).await;
    let message = answer["message"].as_str().unwrap_or_default();
    let forbidden = "AuthzRoleBinding default/freeze forbids it to";
    assert!(message.contains(forbidden) && !message.contains("kubectl"), "{message}");

    let (status, answer) = world.query("dev", json!({"limit": 5000})).await;
    assert_eq!((status, &answer["errorCode"]), (400, &json!("OBS-V1-L-01")));
}

#[tokio::test]
async fn alerts_and_incidents_are_shown_to_whom_the_control_plane_allows() {
    let world = World::new().await;
    let (status, answer) = world.alerts("dev", "alerts/query", json!({})).await;
    assert_eq!((status, &answer["total"]), (200, &json!(1)), "{answer}");
    let alert = &answer["alerts"][0];
    assert_eq!(
        (&alert["timestamp"], &alert["alertValue"]),
        (&json!("2026-01-01T00:00:01Z"), &json!("3"))
    );
    let metadata = &alert["metadata"];
    assert_eq!(metadata["labels"]["componentName"], "cart");
    let condition = json!({"operator": "gt", "threshold": 2, "window": "30s", "interval": "5s"});
    assert_eq!(metadata["alertRule"]["condition"], condition);
    assert_eq!(metadata["alertRule"]["source"], json!({"type": "log", "query": "oh no"}));
    let (status, answer) = world.alerts("dev", "notifications/query", json!({})).await;
    assert_eq!((status, &answer["total"]), (200, &json!(2)), "{answer}");
    let elsewhere = json!({"startTime": "2026-01-02T00:00:00Z", "endTime": "2026-01-02T01:00:00Z"});
    assert_eq!(world.alerts("dev", "alerts/query", elsewhere).await.1["total"], 0);
    let (status, answer) = world.alerts("claude", "alerts/query", json!({})).await;
    assert_eq!((status, &answer["errorCode"]), (403, &json!("FORBIDDEN")), "{answer}");
    let (status, answer) = world.alerts("dev", "alerts/query", json!({"limit": 5000})).await;
    assert_eq!((status, &answer["errorCode"]), (400, &json!("VALIDATION_ERROR")), "{answer}");

    let (_, answer) = world.alerts("dev", "incidents/query", json!({})).await;
    let incident = &answer["incidents"][0];
    assert_eq!((&incident["status"], &incident["alertId"]), (&json!("active"), &alert["alertId"]));
    let path = format!("incidents/{}", incident["incidentId"].as_str().expect("an id"));
    let seen = json!({"status": "acknowledged", "notes": "looking"});
    let (status, answer) = world.alerts("claude", &path, seen.clone()).await;
    assert_eq!(status, 403, "{answer}");
    assert!(answer.to_string().contains("incidents:update"), "{answer}");
    let (status, answer) = world.alerts("dev", &path, seen).await;
    assert_eq!((status, &answer["notes"]), (200, &json!("looking")), "{answer}");
    assert!(answer["acknowledgedAt"].is_string(), "{answer}");
    for (path, status, code) in [
        (path.as_str(), "active", "INVALID_STATUS_TRANSITION"),
        (path.as_str(), "closed", "VALIDATION_ERROR"),
        ("incidents/none", "resolved", "INCIDENT_NOT_FOUND"),
    ] {
        let (_, answer) = world.alerts("dev", path, json!({"status": status})).await;
        assert_eq!(answer["errorCode"], code, "{answer}");
    }

    let arguments = json!({"namespace":"default","project":"shop","component":"cart","environment":"development",
        "start_time":"2026-01-01T00:00:00Z","end_time":"2026-01-01T01:00:00Z"});
    let ask = async |tool: &str, who: &str| {
        world.mcp(who, "tools/call", json!({"name": tool, "arguments": arguments})).await
    };
    let answer = ask("query_alerts", "dev").await;
    let alert = &answer["structuredContent"]["alerts"][0];
    assert_eq!(
        (&alert["rule"], &alert["component"]),
        (&json!("errors"), &json!("shop/cart")),
        "{answer}"
    );
    assert!(alert.get("resolvedAt").is_none(), "{answer}");
    let answer = ask("query_incidents", "dev").await;
    assert_eq!(answer["structuredContent"]["incidents"][0]["notes"], "looking", "{answer}");
    assert_eq!(ask("query_incidents", "claude").await["isError"], true);
}

#[tokio::test]
async fn strangers_and_rebound_names_are_turned_away() {
    let world = World::new().await;
    let url = format!("{}/api/v1/logs/query", world.rest);
    assert_eq!(world.post(&url, &[], &body(json!({}))).await.0, 401);
    let forged = (header::AUTHORIZATION, "Bearer x.y.z".to_owned());
    assert_eq!(world.post(&url, &[forged], &body(json!({}))).await.0, 401);
    for target in [&url, &world.mcp] {
        let bearer = (header::AUTHORIZATION, format!("Bearer {}", world.token("dev")));
        let origin = (header::ORIGIN, "http://evil.example".to_owned());
        assert_eq!(
            world.post(target, &[bearer, origin], &body(json!({}))).await.0,
            403,
            "{target}"
        );
    }
    assert_eq!(world.post(&world.mcp, &[], &json!({})).await.0, 401);
}

#[tokio::test]
async fn agents_ask_by_tool_with_their_own_token() {
    let world = World::new().await;
    let arguments = json!({"namespace":"default","project":"shop","component":"cart","environment":"development",
        "start_time":"2026-01-01T00:00:00Z","end_time":"2026-01-01T01:00:00Z","search_phrase":"HELLO","sort_order":"asc"});
    let result = world.call("dev", arguments.clone()).await;
    assert_eq!(result["structuredContent"]["logs"][0]["log"], "level=info hello", "{result}");
    let refused = world.call("claude", arguments).await;
    assert_eq!(refused["isError"], true);
    let text = refused["content"][0]["text"].as_str().unwrap_or_default();
    assert!(text.starts_with("denied: logs:view on "), "{text}");
    for (who, tools) in [("dev", 7), ("claude", 0)] {
        let listed = world.mcp(who, "tools/list", json!({})).await;
        assert_eq!(listed["tools"].as_array().map(Vec::len), Some(tools), "{who}: {listed}");
    }
    let lately = world.call("dev", json!({"namespace":"default"})).await;
    assert_eq!(lately["structuredContent"]["total"], 0, "the line is of another year: {lately}");
    let wrong = world.call("dev", json!({"namespace":"default","start_time":"5m ago"})).await;
    let text = wrong["content"][0]["text"].as_str().unwrap_or_default();
    assert!(text.starts_with("start_time is \"5m ago\""), "{wrong}");
}

#[tokio::test]
async fn the_control_plane_is_told_by_the_role_itself_what_agents_ask() {
    let world = World::new().await;
    // What a person looks at is not told.
    assert_eq!(world.query("dev", json!({})).await.0, 200);
    assert_eq!(world.query("claude", json!({})).await.0, 403);
    let mut told = world.told.lock().await;
    let heard = tokio::time::timeout(Duration::from_secs(10), told.recv()).await;
    let (token, body) = heard.expect("it is told").expect("a request");
    assert_eq!(token, "Bearer role-token");
    let one = &body[0];
    assert_eq!(body.as_array().map(Vec::len), Some(1), "{body}");
    assert_eq!((&one["actor"], &one["actorKind"]), (&json!("claude"), &json!("agent")));
    assert_eq!((&one["action"], &one["object"]), (&json!("logs:view"), &json!("Component/cart")));
    assert_eq!(
        (&one["at"], &one["decision"]["result"]),
        (&json!("ns/default/project/shop/component/cart"), &json!("missing"))
    );
}

#[tokio::test]
async fn events_and_traces_are_for_those_who_may_look_there() {
    let world = World::new().await;
    let query = async |who: &str, path: &str, change: Value| {
        let bearer = (header::AUTHORIZATION, format!("Bearer {}", world.token(who)));
        world.post(&format!("{}{path}", world.rest), &[bearer], &body(change)).await
    };
    let (status, found) = query("dev", "/api/v1/events/query", json!({})).await;
    assert_eq!((status, &found["total"]), (200, &json!(1)), "{found}");
    let event = &found["events"][0];
    assert_eq!(
        (&event["reason"], &event["timestamp"]),
        (&json!("BackOff"), &json!("2026-01-01T00:00:01Z"))
    );
    assert_eq!(
        (&event["metadata"]["objectName"], &event["metadata"]["componentName"]),
        (&json!("cart-1"), &json!("cart"))
    );
    let (status, refused) = query("claude", "/api/v1/events/query", json!({})).await;
    assert_eq!((status, &refused["errorCode"]), (403, &json!("OBS-V1-E-02")));

    let (status, found) = query("dev", "/api/v1alpha1/traces/query", json!({})).await;
    assert_eq!(status, 200, "{found}");
    let trace = &found["traces"][0];
    assert_eq!(
        (&trace["traceId"], &trace["spanCount"]),
        (&json!(TRACE), &json!(1)),
        "of the project only"
    );
    assert_eq!((&trace["hasErrors"], &trace["rootSpanKind"]), (&json!(true), &json!("Server")));
    let spans = format!("/api/v1alpha1/traces/{TRACE}/spans");
    let (_, found) =
        query("dev", &format!("{spans}/query"), json!({"includeAttributes": true})).await;
    let span = &found["spans"][0];
    assert_eq!((&found["total"], &span["attributes"]["a"]), (&json!(1), &json!(1)), "{found}");
    assert_eq!(span["status"], json!({"code": "error", "message": "oh no"}));
    let (_, found) = query("dev", &format!("{spans}/query"), json!({})).await;
    assert!(found["spans"][0].get("attributes").is_none(), "{found}");

    // A span is found by its ids alone, and is shown to those who may look at its own place.
    let (status, span) = world.get("dev", &format!("{spans}/00000000000000aa")).await;
    assert_eq!((status, &span["events"][0]["name"]), (200, &json!("exception")), "{span}");
    assert_eq!(span["resourceAttributes"]["openchoreo.dev/component"], "cart");
    assert_eq!(world.get("claude", &format!("{spans}/00000000000000aa")).await.0, 403);
    let (status, refused) = world.get("dev", &format!("{spans}/00000000000000bb")).await;
    assert_eq!((status, &refused["errorCode"]), (403, &json!("OBS-V1-T-02")));
    let message = refused["message"].as_str().unwrap_or_default();
    assert!(message.contains("denied: traces:view on component bank/cart"), "{message}");
    let (status, missing) = world.get("dev", &format!("{spans}/00000000000000cc")).await;
    assert_eq!((status, &missing["errorCode"]), (404, &json!("OBS-V1-T-07")));
    assert_eq!(world.get("dev", &format!("{spans}/cc")).await.0, 400);
}

#[tokio::test]
async fn agents_read_events_and_traces_by_tool() {
    let world = World::new().await;
    let place = json!({"namespace":"default","project":"shop","component":"cart","environment":"development",
        "start_time":"2026-01-01T00:00:00Z","end_time":"2026-01-01T01:00:00Z"});
    let answer = world.tool("dev", "query_component_events", place.clone()).await;
    assert_eq!(answer["structuredContent"]["events"][0]["count"], 3, "{answer}");
    let answer = world.tool("dev", "query_traces", place.clone()).await;
    assert_eq!(answer["structuredContent"]["traces"][0]["errors"], 1, "{answer}");
    let mut spans = place.clone();
    spans["trace_id"] = TRACE.into();
    let answer = world.tool("dev", "query_trace_spans", spans).await;
    assert_eq!(answer["structuredContent"]["errors"][0]["message"], "oh no", "{answer}");
    let ids = json!({"trace_id": TRACE, "span_id": "00000000000000aa"});
    let answer = world.tool("dev", "get_span_details", ids.clone()).await;
    assert_eq!(answer["structuredContent"]["attributes"]["a"], 1, "{answer}");
    for (who, tool, arguments, words) in [
        ("claude", "get_span_details", ids, "denied: traces:view on "),
        ("claude", "query_component_events", place.clone(), "denied: events:view on "),
        (
            "dev",
            "query_workflow_events",
            json!({"namespace": "default", "start_time": "a", "end_time": "b"}),
            "no workflow engine yet",
        ),
        (
            "dev",
            "query_workflow_logs",
            json!({"namespace": "default", "start_time": "a", "end_time": "b"}),
            "no workflow engine yet",
        ),
    ] {
        let refused = world.tool(who, tool, arguments).await;
        let text = refused["content"][0]["text"].as_str().unwrap_or_default();
        assert!(refused["isError"] == true && text.contains(words), "{tool}: {refused}");
    }
}

#[tokio::test]
async fn metrics_and_costs_are_asked_for_over_rest_and_by_tool() {
    let world = World::new().await;
    let bearer = |who: &str| (header::AUTHORIZATION, format!("Bearer {}", world.token(who)));
    let url = format!("{}/api/v1/metrics/query", world.rest);
    let resource = body(json!({"metric": "resource", "step": "1m"}));
    let (status, answer) = world.post(&url, &[bearer("dev")], &resource).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["cpuUsage"], json!([{"timestamp": "2026-01-01T00:00:00Z", "value": 0.02}]));
    assert_eq!(answer["diskReadBytes"], json!([]));
    assert_eq!(world.post(&url, &[bearer("claude")], &resource).await.0, 403);
    let (status, answer) =
        world.post(&url, &[bearer("dev")], &body(json!({"metric": "gpu"}))).await;
    assert_eq!((status, &answer["errorCode"]), (400, &json!("OBS-V1-M-01")));

    let url = format!("{}/api/v1alpha1/metrics/runtime-topology", world.rest);
    let (status, answer) = world.post(&url, &[bearer("dev")], &body(json!({}))).await;
    // Nobody counts requests here, but there are traces.
    let ids = answer["edges"].as_array().expect("edges").iter().map(|edge| edge["id"].clone());
    assert_eq!(ids.collect::<Vec<_>>(), ["cart->bank/cart", "external:unknown->cart"], "{answer}");
    assert_eq!((status, &answer["edges"][0]["metrics"]["tracedRequestCount"]), (200, &json!(1)));
    let nowhere = json!({"searchScope": {"namespace": "default", "project": "shop"}});
    let (status, answer) = world.post(&url, &[bearer("dev")], &body(nowhere)).await;
    assert_eq!((status, &answer["errorCode"]), (400, &json!("OBS-V1-RG-01")));

    let costs =
        format!("{}/api/v1alpha1/costs/namespaces/default/environments/development", world.rest);
    for (path, member) in [("", "efficiency"), ("/recommendations", "recommendation")] {
        let url = format!(
            "{costs}{path}?project=shop&component=cart&startTime=2026-01-01T00:00:00Z&endTime=2026-01-01T01:00:00Z"
        );
        let get = async |who: &str| {
            let (name, value) = bearer(who);
            let request = Request::get(&url).header(name, value).body(Full::new(Bytes::new()));
            let answer =
                http_client().request(request.expect("a request")).await.expect("an answer");
            let status = answer.status().as_u16();
            let body = answer.into_body().collect().await.expect("a body").to_bytes();
            (status, serde_json::from_slice::<Value>(&body).unwrap_or_default())
        };
        let (status, answer) = get("dev").await;
        assert_eq!(status, 200, "{answer}");
        assert_eq!(answer["items"][0]["component"], "cart", "{answer}");
        assert!(!answer["items"][0][member].is_null(), "{answer}");
        assert_eq!(get("claude").await.0, 403);
    }

    let arguments = json!({"namespace":"default","project":"shop","component":"cart","environment":"development",
        "start_time":"2026-01-01T00:00:00Z","end_time":"2026-01-01T00:01:00Z"});
    for (tool, member) in [
        ("query_resource_metrics", "series"),
        ("query_http_metrics", "series"),
        ("query_topology", "components"),
        ("query_app_metrics", "series"),
        ("query_costs", "costs"),
        ("query_recommendations", "recommendations"),
    ] {
        let params = json!({"name": tool, "arguments": arguments});
        let result = world.mcp("dev", "tools/call", params.clone()).await;
        assert!(!result["structuredContent"][member].is_null(), "{tool}: {result}");
        assert_eq!(world.mcp("claude", "tools/call", params).await["isError"], true, "{tool}");
    }
}

/// Where the log goes.
#[derive(Clone, Default)]
struct Log(Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("lock").write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn each_refusal_leaves_a_line_that_names_what_was_asked_for() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber =
        tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    // With a second one there, the threads of other tests do not decide for all what is logged.
    let _other = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::default());
    let _guard = tracing::subscriber::set_default(subscriber);
    let world = World::new().await;
    assert_eq!(world.query("dev", json!({})).await.0, 200);
    // The second one is answered from memory, and refused none the less.
    for _ in 0..2 {
        assert_eq!(world.query("claude", json!({})).await.0, 403);
    }
    let text = String::from_utf8(log.0.lock().expect("lock").clone()).expect("text");
    let lines: Vec<&str> = text.lines().filter(|line| line.contains(" audit: ")).collect();
    assert_eq!(lines.len(), 2, "{lines:#?}");
    for word in [
        r#"actor="claude""#,
        r#"via="observer""#,
        r#"action="logs:view""#,
        r#"object="Component/cart""#,
        r#"environment="default/development""#,
        r#"result="missing""#,
    ] {
        assert!(lines.iter().all(|line| line.contains(word)), "{word} in {lines:#?}");
    }
}
