//! The door itself, by plain HTTP: who may come in, and what the protocol wants to be said.

use http::{HeaderMap, HeaderName, Request, header};
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};

use crate::testing::Platform;

const VERSION: &str = "mcp-protocol-version";
const CURRENT: &str = "2026-07-28";

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

async fn post(platform: &Platform, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
    let uri = format!("{}{path}", platform.mcp.trim_end_matches("/mcp"));
    let mut request = Request::post(uri)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::ACCEPT, "application/json, text/event-stream");
    for (name, value) in headers {
        request = request.header(name.parse::<HeaderName>().expect("name"), *value);
    }
    let request = request.body(Full::from(body.to_string())).expect("request");
    let response = curtain_role::http_client().request(request).await.expect("answer");
    let (parts, body) = response.into_parts();
    let body = body.collect().await.expect("body").to_bytes();
    Answer {
        status: parts.status.as_u16(),
        headers: parts.headers,
        body: serde_json::from_slice(&body).unwrap_or_default(),
    }
}

async fn bearer(platform: &Platform) -> String {
    format!("Bearer {}", platform.token("one").await)
}

fn list() -> Value {
    json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"})
}

/// A request of revision 2026-07-28 that says in its body that it is of `version`.
fn current(method: &str, version: &str, mut params: Value) -> Value {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": version,
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
}

#[tokio::test]
async fn the_door_opens_only_with_a_token_from_our_own_pages_and_only_at_mcp() {
    let platform = Platform::start().await;
    let stranger = post(&platform, "/mcp", &[], &list()).await;
    assert_eq!(stranger.status, 401);
    let challenge = &stranger.headers[header::WWW_AUTHENTICATE];
    assert_eq!(challenge, "Bearer", "no resource_metadata on the bearer port");
    let bearer = bearer(&platform).await;
    let token = ("authorization", bearer.as_str());
    let known = post(&platform, "/mcp", &[token], &list()).await;
    assert!(known.status == 200 && known.body["result"]["tools"].is_array(), "{}", known.body);
    for path in [
        "/.well-known/oauth-protected-resource",
        "/.well-known/openid-configuration",
        "/",
        "/mcp/x",
    ] {
        assert_eq!(post(&platform, path, &[token], &list()).await.status, 404, "{path}");
    }
    for foreign in [("origin", "https://evil.example"), ("host", "evil.example")] {
        let refused = post(&platform, "/mcp", &[token, foreign], &list()).await;
        assert_eq!(refused.status, 403, "{foreign:?}");
    }
}

#[tokio::test]
async fn what_headers_and_body_say_of_a_request_must_agree() {
    let platform = Platform::start().await;
    let bearer = bearer(&platform).await;
    let token = ("authorization", bearer.as_str());
    let call = json!({"name": "list_namespaces", "arguments": {}});
    let named = [("mcp-method", "tools/call"), ("mcp-name", "list_namespaces")];
    let good = [token, (VERSION, CURRENT), named[0], named[1]];
    let answer =
        post(&platform, "/mcp", &good, &current("tools/call", CURRENT, call.clone())).await;
    assert_eq!((answer.status, &answer.body["error"]), (200, &Value::Null), "{}", answer.body);

    let disagreeing = [
        [token, (VERSION, "2025-11-25"), named[0], named[1]],
        [token, (VERSION, CURRENT), ("mcp-method", "tools/list"), named[1]],
        [token, (VERSION, CURRENT), named[0], ("mcp-name", "delete_component")],
    ];
    for headers in disagreeing {
        let body = current("tools/call", CURRENT, call.clone());
        let answer = post(&platform, "/mcp", &headers, &body).await;
        let code = answer.body["error"]["code"].as_i64();
        assert_eq!((answer.status, code), (400, Some(-32020)), "{headers:?}: {}", answer.body);
    }
}

#[tokio::test]
async fn an_unknown_revision_is_refused_with_those_there_are() {
    let platform = Platform::start().await;
    let bearer = bearer(&platform).await;
    let headers =
        [("authorization", bearer.as_str()), (VERSION, "2099-01-01"), ("mcp-method", "tools/list")];
    let body = current("tools/list", "2099-01-01", json!({}));
    let answer = post(&platform, "/mcp", &headers, &body).await;
    let error = &answer.body["error"];
    assert_eq!((answer.status, error["code"].as_i64()), (400, Some(-32022)), "{error}");
    let supported = error["data"]["supported"].as_array().expect("supported");
    assert!(supported.contains(&json!(CURRENT)), "{error}");
}

/// A list follows its caller's permissions: nobody else may be shown it, and it is asked for again each time.
#[tokio::test]
async fn a_list_of_tools_is_for_its_caller_alone() {
    let platform = Platform::start().await;
    let bearer = bearer(&platform).await;
    let headers =
        [("authorization", bearer.as_str()), (VERSION, CURRENT), ("mcp-method", "tools/list")];
    let body = current("tools/list", CURRENT, json!({}));
    let answer = post(&platform, "/mcp", &headers, &body).await;
    let result = &answer.body["result"];
    assert_eq!((&result["cacheScope"], &result["ttlMs"]), (&json!("private"), &json!(0)));
}
