//! What a model may look into.

use futures::future::BoxFuture;
use serde_json::Value;

/// Tools behind one door, such as the sessions with some MCP servers.
pub trait Toolbox: Send + Sync {
    /// What there is. Asked once a run.
    fn specs(&self) -> Vec<ToolSpec>;

    /// Calls a tool that [`Toolbox::specs`] named, with an object of arguments. Not every argument is checked: the
    /// server that owns the tool does that.
    ///
    /// The error is a sentence for the model, so that it can ask differently: without secrets and inner addresses. A
    /// call may be dropped while it runs.
    fn call<'a>(&'a self, name: &'a str, arguments: Value)
    -> BoxFuture<'a, Result<String, String>>;
}

/// One tool, as MCP's `tools/list` has it.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolSpec {
    /// Its name: letters, digits, `_` and `-`, at most 64.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// JSON schema of its arguments.
    pub input_schema: Value,
    /// MCP's `readOnlyHint`; false where a server does not say. What is not read-only is never called.
    pub read_only: bool,
}
