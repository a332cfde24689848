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

use super::*;
use crate::wire::{Batch, Line, Part, Position, Source};

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
            .route(OBSERVED_PATH, post(observed).with_state(sender));
        let control = serve_somewhere(control, &shutdown).await;

        let directory = tempfile::tempdir().expect("a directory");
        let store = logs::Store::open(&directory.path().join("logs.db"), Retention::default())
            .expect("opens");
        let source = Source {
            pod_uid: "u".into(),
            pod: "cart-1".into(),
            container: "main".into(),
            namespace: "default".into(),
            project: "shop".into(),
            component: "cart".into(),
            environment: "development".into(),
            ..Source::default()
        };
        let at = |seconds: i64| Position {
            time: 1_767_225_600_000_000_000 + seconds * 1_000_000_000,
            ordinal: 0,
        };
        let lines =
            vec![Line(at(1), "level=info hello".into()), Line(at(2), "level=error oh no".into())];
        store.ingest(&Batch { parts: vec![Part { source, lines }] }).expect("stores");

        let nowhere: SocketAddr = ([127, 0, 0, 1], 0).into();
        let config = Config {
            listen: nowhere,
            mcp_listen: nowhere,
            ingest_listen: nowhere,
            health_listen: nowhere,
            data: directory.path().to_owned(),
            retention: Retention::default(),
            control: control.parse().expect("a URL"),
            issuer: "iss".into(),
            audience: "aud".into(),
            collector: String::new(),
            instance: Instance::new("ci"),
            allowed_hosts: Vec::new(),
            kube: KubeAccess::InCluster,
            version: "0.0.0".into(),
        };
        let jwks = format!("{control}/oauth2/jwks").parse().expect("a URL");
        let instance = config.instance.clone();
        let validator = Arc::new(Validator::remote(jwks, "iss", "aud", instance.clone()));
        drop(store);
        let token = directory.path().join("token");
        std::fs::write(&token, "role-token\n").expect("writes");
        let witness = Witness::with_token(&config.control, token, shutdown.clone());
        let gate = Arc::new(Gate::new(&config.control, instance).witnessed(witness));
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
        let mut request = Request::post(url).header(header::CONTENT_TYPE, "application/json");
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

    async fn call(&self, who: &str, arguments: Value) -> Value {
        let params = json!({"name":"query_component_logs","arguments":arguments});
        self.mcp(who, "tools/call", params).await
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

/// Only `dev` may look at logs anywhere.
async fn profile(headers: http::HeaderMap) -> Json<Value> {
    let places =
        if subject(&headers) == "dev" { json!([{"path": "ns/default"}]) } else { json!([]) };
    Json(json!({"capabilities": {"logs:view": {"allowed": places, "denied": []}}}))
}

/// Decides by the token alone, as the control plane does, and insists on the form of the question. The agent `staged`
/// may look in another environment, and to `banned` it is forbidden.
async fn evaluate(headers: http::HeaderMap, Json(questions): Json<Value>) -> Json<Value> {
    let question = &questions[0];
    assert_eq!(question["action"], "logs:view");
    assert_eq!(question["context"]["resource"]["environment"], "default/development");
    let allowed =
        subject(&headers) == "dev" && question["resource"]["hierarchy"]["project"] == "shop";
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
        message.contains(
            "missing permission \"logs:view\" on component shop/cart in namespace default, environment \
             default/development for agent claude"
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
    let forbidden = "AuthzRoleBinding default/freeze forbids \"logs:view\"";
    assert!(message.contains(forbidden) && !message.contains("kubectl"), "{message}");

    let (status, answer) = world.query("dev", json!({"limit": 5000})).await;
    assert_eq!((status, &answer["errorCode"]), (400, &json!("OBS-V1-L-01")));
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
    assert!(text.contains("missing permission \"logs:view\""), "{text}");
    for (who, tools) in [("dev", 1), ("claude", 0)] {
        let listed = world.mcp(who, "tools/list", json!({})).await;
        assert_eq!(listed["tools"].as_array().map(Vec::len), Some(tools), "{who}: {listed}");
    }
    let wrong = world.call("dev", json!({"namespace":"default"})).await;
    assert!(
        wrong["content"][0]["text"].as_str().unwrap_or_default().contains("start_time is required"),
        "{wrong}"
    );
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
