//! The platform as an agent reaches it: the tools of its MCP servers.

use std::sync::Arc;

use curtain_control::identity::Secret;
use curtain_control::mcp::bridge::{TokenSource, Upstream};
use curtain_control::mcp::client::Client;
use curtain_role::Instance;
use futures::future::BoxFuture;
use http::Uri;
use serde_json::Value;

/// A server with tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// What is deployed, and how.
    Control,
    /// What it does.
    Observer,
}

/// Whatever answers calls of tools.
pub trait Tools: Send + Sync {
    /// What `tool` answers; the error is a sentence.
    fn call<'a>(
        &'a self,
        server: Server,
        tool: &'a str,
        arguments: Value,
    ) -> BoxFuture<'a, Result<Value, String>>;

    /// The tools that `server` offers to this agent, as MCP lists them.
    fn offered(&self, server: Server) -> BoxFuture<'_, Result<Vec<Value>, String>>;
}

/// Both servers of an instance.
#[derive(Debug)]
pub struct Platform {
    control: Client,
    observer: Client,
}

impl Platform {
    /// The servers at `control` and `observer`, the URLs of their `/mcp`, asked with the tokens of `tokens`.
    pub fn new(
        (control, observer): (Uri, Uri),
        tokens: Arc<dyn TokenSource>,
        instance: &Instance,
    ) -> Self {
        let client = |name: &str, url: Uri| {
            let upstream = Upstream { name: name.to_owned(), url };
            Client::new(upstream, tokens.clone(), instance.clone())
        };
        Self { control: client("control plane", control), observer: client("observer", observer) }
    }

    fn at(&self, server: Server) -> &Client {
        match server {
            Server::Control => &self.control,
            Server::Observer => &self.observer,
        }
    }
}

impl Tools for Platform {
    fn call<'a>(
        &'a self,
        server: Server,
        tool: &'a str,
        arguments: Value,
    ) -> BoxFuture<'a, Result<Value, String>> {
        Box::pin(self.at(server).call(tool, arguments))
    }

    fn offered(&self, server: Server) -> BoxFuture<'_, Result<Vec<Value>, String>> {
        Box::pin(self.at(server).tools())
    }
}

/// The token of somebody who asks, for as long as the answer takes.
pub struct Held(pub Secret);

impl TokenSource for Held {
    fn token(&self) -> BoxFuture<'_, Result<Secret, String>> {
        Box::pin(async { Ok(self.0.clone()) })
    }

    /// There is no other.
    fn forget(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}
