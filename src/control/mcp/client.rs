//! Calling tools of a server from within a program of ours.
//!
//! Every call stands for itself, as the servers keep no sessions: there is nothing to negotiate or to lose.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use curtain_role::{Instance, http_client};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::bridge::{Sender, TokenSource, Upstream, headers};

/// The revision that calls are made in.
const REVISION: &str = "2025-11-25";
/// How long a server that cannot be reached is tried again.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest list of tools, in pages.
const PAGES: usize = 20;

/// One server and who asks it.
pub struct Client {
    upstream: Upstream,
    sender: Sender,
    calls: AtomicU64,
    aside: mpsc::Sender<String>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Client").field("upstream", &self.upstream).finish_non_exhaustive()
    }
}

impl Client {
    /// Asks `upstream` with the tokens of `tokens`; `instance` is for the commands that errors suggest.
    pub fn new(upstream: Upstream, tokens: Arc<dyn TokenSource>, instance: Instance) -> Self {
        let sender = Sender { http: http_client(), tokens, instance };
        // What a server says beside its answer has no reader here.
        let (aside, _) = mpsc::channel(1);
        Self { upstream, sender, calls: AtomicU64::new(1), aside }
    }

    /// What the tool `name` answers to `arguments`: its JSON, or its text.
    ///
    /// # Errors
    /// A sentence: what the tool refused or failed to do, or why the server could not be asked.
    pub async fn call(&self, name: &str, arguments: Value) -> Result<Value, String> {
        let params = json!({"name": name, "arguments": arguments});
        let mut result = self.ask("tools/call", params).await?;
        let text = result["content"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|part| part["text"].as_str())
            .collect::<Vec<_>>()
            .join("\n");
        if result["isError"] == true {
            return Err(text);
        }
        match result["structuredContent"].take() {
            Value::Null => Ok(serde_json::from_str(&text).unwrap_or(Value::String(text))),
            structured => Ok(structured),
        }
    }

    /// The tools that the server lists for the caller, as it lists them.
    ///
    /// # Errors
    /// A sentence: why the server could not be asked.
    pub async fn tools(&self) -> Result<Vec<Value>, String> {
        let mut tools = Vec::new();
        let mut params = json!({});
        for _ in 0..PAGES {
            let mut page = self.ask("tools/list", params).await?;
            if let Value::Array(listed) = page["tools"].take() {
                tools.extend(listed);
            }
            let Some(cursor) = page["nextCursor"].as_str() else { return Ok(tools) };
            params = json!({"cursor": cursor});
        }
        Err(format!("the {} lists tools without end", self.upstream.name))
    }

    async fn ask(&self, method: &str, params: Value) -> Result<Value, String> {
        let id = self.calls.fetch_add(1, Ordering::Relaxed);
        let message = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        let headers = headers(&message, Some(REVISION));
        let mut answer =
            self.sender.ask(&self.upstream, &message, headers, PATIENCE, &self.aside).await?;
        match answer["error"]["message"].as_str() {
            Some(reason) => Err(reason.to_owned()),
            None => Ok(answer["result"].take()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        identity::{
            Secret,
            client::{Credentials, TokenClient},
        },
        testing::Platform,
    };

    #[tokio::test]
    async fn a_program_calls_tools_and_hears_why_not() {
        let platform = Platform::start().await;
        let credentials =
            Credentials::Client { id: "one".into(), secret: Secret::new("secret-one") };
        let tokens = TokenClient::new(&platform.base, Instance::default(), credentials);
        let url = platform.mcp.parse().expect("url");
        let upstream = Upstream { name: "control plane".into(), url };
        let client = Client::new(upstream, Arc::new(tokens.expect("client")), Instance::default());
        let tools = client.tools().await.expect("tools");
        assert!(tools.iter().any(|tool| tool["name"] == "list_projects"));
        let answer = client.call("list_namespaces", json!({})).await.expect("an answer");
        assert_eq!(answer["namespaces"][0]["name"], "team");
        let refusal = client.call("list_projects", json!({"limit": "many"})).await.unwrap_err();
        assert!(refusal.contains("limit") || refusal.contains("namespace_name"), "{refusal}");
        let unknown = client.call("make_coffee", json!({})).await.unwrap_err();
        assert!(unknown.contains("make_coffee"), "{unknown}");
    }
}
