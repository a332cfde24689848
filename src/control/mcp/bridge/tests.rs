//! The bridge between a client on pipes and real servers.

use std::sync::Arc;

use curtain_role::{Instance, http_client};
use futures::future::BoxFuture;
use rmcp::{ClientHandler, ClientLifecycleMode, ClientServiceExt as _, model::ProtocolVersion};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream};

use super::{Behind, OwnTool, TokenSource, Upstream, run, upstream::Sender};
use crate::{
    identity::{
        Secret,
        client::{Credentials, TokenClient},
    },
    mcp::{Access, Arg, ArgKind, Arguments, Member, Output, Tool},
    testing::Platform,
};

#[derive(Clone, Default)]
struct TestClient;

impl ClientHandler for TestClient {}

fn upstream(name: &str, url: &str) -> Upstream {
    Upstream { name: name.to_owned(), url: url.parse().expect("url") }
}

fn agent(platform: &Platform) -> Arc<dyn TokenSource> {
    let credentials = Credentials::Client { id: "one".into(), secret: Secret::new("secret-one") };
    Arc::new(TokenClient::new(&platform.base, Instance::default(), credentials).expect("client"))
}

/// A bridge in the background; the client's end of its pipe.
fn bridge(upstreams: Vec<Upstream>, tokens: Arc<dyn TokenSource>) -> DuplexStream {
    start(behind(upstreams), tokens)
}

fn behind(upstreams: Vec<Upstream>) -> Behind {
    Behind { upstreams, own: Vec::new(), instance: Instance::default() }
}

fn start(behind: Behind, tokens: Arc<dyn TokenSource>) -> DuplexStream {
    let (ours, theirs) = tokio::io::duplex(1024 * 1024);
    let (input, output) = tokio::io::split(theirs);
    tokio::spawn(async move { run(behind, tokens, input, output).await.expect("bridge") });
    ours
}

struct Echo;

static ECHO: Tool = Tool {
    name: "list_namespaces",
    description: "Says it again.",
    toolsets: &[],
    args: &[Arg::required("word", ArgKind::Text)],
    actions: &[],
    access: Access::Update,
    output: Output::Object(&[Member::text("word")]),
};

impl OwnTool for Echo {
    fn tool(&self) -> &'static Tool {
        &ECHO
    }

    fn call(&self, arguments: Arguments) -> BoxFuture<'_, Result<Value, String>> {
        Box::pin(async move {
            match arguments.text("word") {
                "no" => Err("I will not say that".to_owned()),
                word => Ok(json!({ "word": word })),
            }
        })
    }
}

#[tokio::test]
async fn a_tool_of_the_bridge_is_listed_once_and_answers_like_one_of_a_server() {
    let platform = Platform::start().await;
    let current =
        ClientLifecycleMode::Discover { preferred_versions: vec![ProtocolVersion::V_2026_07_28] };
    for lifecycle in [ClientLifecycleMode::Initialize, current] {
        let mut behind = behind(vec![upstream("control plane", &platform.mcp)]);
        behind.own.push(Arc::new(Echo));
        let pipe = start(behind, agent(&platform));
        let client = TestClient.serve_with_lifecycle(pipe, lifecycle).await.expect("client");
        let tools = client.list_all_tools().await.expect("tools");
        let of_the_name = tools.iter().filter(|tool| tool.name == ECHO.name);
        let descriptions: Vec<_> = of_the_name.map(|tool| tool.description.as_deref()).collect();
        assert_eq!(descriptions, [Some("Says it again.")]);
        assert!(tools.iter().any(|tool| tool.name == "list_projects"));
        let say = async |word: Value| {
            let mut params = rmcp::model::CallToolRequestParams::new(ECHO.name);
            params.arguments = json!({ "word": word }).as_object().cloned();
            client.call_tool(params).await.expect("an answer")
        };
        assert_eq!(say(json!("yes")).await.structured_content, Some(json!({"word": "yes"})));
        for (word, why) in [(json!("no"), "I will not"), (json!(1), "must be a string")] {
            let refused = say(word).await;
            assert_eq!(refused.is_error, Some(true));
            let said = serde_json::to_string(&refused.content).expect("JSON");
            assert!(said.contains(why), "{said}");
        }
        client.cancel().await.expect("end");
    }
}

#[tokio::test]
async fn a_client_on_pipes_needs_neither_url_nor_token() {
    let platform = Platform::start().await;
    let current =
        ClientLifecycleMode::Discover { preferred_versions: vec![ProtocolVersion::V_2026_07_28] };
    for lifecycle in [ClientLifecycleMode::Initialize, current] {
        let pipe = bridge(vec![upstream("control plane", &platform.mcp)], agent(&platform));
        let client = TestClient.serve_with_lifecycle(pipe, lifecycle).await.expect("client");
        let tools = client.list_all_tools().await.expect("tools");
        assert!(tools.iter().any(|tool| tool.name == "list_projects"));
        let mut params = rmcp::model::CallToolRequestParams::new("list_namespaces");
        params.arguments = Some(serde_json::Map::new());
        let result = client.call_tool(params).await.expect("result");
        let structured = result.structured_content.expect("structured");
        assert_eq!(structured["namespaces"][0]["name"], "team");
        client.cancel().await.expect("end");
    }
}

/// Sends lines and returns as many answers, by id.
async fn exchange(pipe: DuplexStream, lines: &[&str], answers: usize) -> Vec<Value> {
    let (read, mut write) = tokio::io::split(pipe);
    for line in lines {
        write.write_all(format!("{line}\n").as_bytes()).await.expect("write");
    }
    let mut read = BufReader::new(read).lines();
    let mut got = Vec::new();
    while got.len() < answers {
        let line = tokio::time::timeout(std::time::Duration::from_secs(20), read.next_line()).await;
        let line = line.expect("in time").expect("line").expect("open");
        got.push(serde_json::from_str::<Value>(&line).expect("json"));
    }
    got.sort_by_key(|answer| answer["id"].to_string());
    got
}

#[tokio::test]
async fn several_servers_look_like_one() {
    let platform = Platform::start().await;
    let narrow = format!("{}?toolsets=namespace", platform.mcp);
    let other = format!("{}?toolsets=project", platform.mcp);
    let upstreams = vec![upstream("control plane", &narrow), upstream("observer", &other)];
    let lines = [
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}"#,
        r#"{"jsonrpc":"2.0","id":2,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"list_projects","arguments":{"namespace_name":"team"}}}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
    ];
    let answers = exchange(bridge(upstreams, agent(&platform)), &lines, 3).await;
    let tools = answers[0]["result"]["tools"].as_array().expect("tools");
    let names: Vec<&str> = tools.iter().filter_map(|tool| tool["name"].as_str()).collect();
    assert_eq!(names, ["list_namespaces", "list_projects"]);
    assert_eq!(answers[1], json!({"jsonrpc": "2.0", "id": 2, "result": {}}));
    assert_eq!(answers[2]["result"]["structuredContent"], json!({"projects": []}));
}

#[tokio::test]
async fn lines_that_are_no_requests_are_answered_by_errors() {
    let platform = Platform::start().await;
    let pipe = bridge(vec![upstream("control plane", &platform.mcp)], agent(&platform));
    let answers = exchange(pipe, &["not json", "[]", "", "7"], 3).await;
    let codes: Vec<_> = answers.iter().map(|answer| answer["error"]["code"].as_i64()).collect();
    assert_eq!(codes, [Some(-32700), Some(-32600), Some(-32600)]);
}

#[tokio::test]
async fn a_server_that_is_left_out_does_not_stop_the_others() {
    let platform = Platform::start().await;
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = nobody.local_addr().expect("address");
    drop(nobody);
    let upstreams = vec![
        upstream("control plane", &platform.mcp),
        upstream("observer", &format!("http://{address}/mcp")),
    ];
    let lines = [r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}"#];
    let answers = exchange(bridge(upstreams, agent(&platform)), &lines, 1).await;
    assert!(answers[0]["result"]["tools"].as_array().is_some_and(|tools| tools.len() > 10));
}

#[tokio::test]
async fn a_refused_identity_is_explained() {
    let platform = Platform::start().await;
    let credentials = Credentials::Client { id: "one".into(), secret: Secret::new("wrong") };
    let tokens = Arc::new(
        TokenClient::new(&platform.base, Instance::default(), credentials).expect("client"),
    );
    let pipe = bridge(vec![upstream("control plane", &platform.mcp)], tokens);
    let lines = [r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}"#];
    let answers = exchange(pipe, &lines, 1).await;
    let message = answers[0]["error"]["message"].as_str().expect("message");
    assert!(message.contains("refused the credentials"), "{message}");
}

/// A server that takes every request and never answers.
async fn silent() -> Upstream {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let address = listener.local_addr().expect("address");
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });
    upstream("silent", &format!("http://{address}/mcp"))
}

struct AnyToken;

impl TokenSource for AnyToken {
    fn token(&self) -> BoxFuture<'_, Result<Secret, String>> {
        Box::pin(async { Ok(Secret::new("token")) })
    }

    fn forget(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

#[tokio::test]
async fn however_many_requests_wait_the_next_line_is_read() {
    let pipe = bridge(vec![silent().await], Arc::new(AnyToken));
    let waiting: Vec<String> = (0..40)
        .map(|id| json!({"jsonrpc": "2.0", "id": id, "method": "tools/list"}).to_string())
        .collect();
    let mut lines: Vec<&str> = waiting.iter().map(String::as_str).collect();
    lines.push(r#"{"jsonrpc":"2.0","id":"last","method":"ping"}"#);
    assert_eq!(exchange(pipe, &lines, 1).await[0]["id"], "last");
}

#[tokio::test]
async fn a_client_that_takes_no_answers_ends_the_bridge() {
    let (input, mut ours) = tokio::io::duplex(1024);
    let (output, gone) = tokio::io::duplex(1024);
    drop(gone);
    let running =
        tokio::spawn(run(behind(vec![silent().await]), Arc::new(AnyToken), input, output));
    ours.write_all(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\n").await.expect("write");
    let ended = tokio::time::timeout(std::time::Duration::from_secs(20), running).await;
    let ended = ended.expect("in time").expect("no panic");
    assert!(matches!(ended, Err(super::BridgeError::Write(_))), "{ended:?}");
}

#[tokio::test]
async fn a_server_that_is_away_is_looked_for_in_its_own_instance() {
    let instance = Instance::new("ci");
    let sender =
        Sender { http: http_client(), tokens: Arc::new(AnyToken), instance: instance.clone() };
    let away = "http://127.0.0.1:1";
    let (aside, _messages) = tokio::sync::mpsc::channel(1);
    let server = upstream("control plane", away);
    let none = std::time::Duration::ZERO;
    let asked = sender.ask(&server, &json!({}), http::HeaderMap::new(), none, &aside).await;
    let said = asked.expect_err("nobody listens there");
    assert!(said.contains("`curtain status --name ci` says"), "{said}");

    let credentials = Credentials::LoginCode(Secret::new("code"));
    let tokens = TokenClient::new(away, instance, credentials).expect("client");
    let said = tokens.token().await.expect_err("nobody listens there").to_string();
    assert!(said.contains("`curtain status --name ci` says"), "{said}");
}
