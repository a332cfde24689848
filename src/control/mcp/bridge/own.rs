//! Tools of the bridge itself: what only a program on the client's machine can do.

use futures::future::BoxFuture;
use rmcp::model::{CallToolResult, ContentBlock};
use serde_json::{Value, json};

use crate::mcp::{Arguments, Tool, schema::describe};

/// A tool of the bridge. What it changes in the instance it changes as whoever the bridge acts as.
pub trait OwnTool: Send + Sync {
    /// Its row. Everybody sees it listed: who may not use it learns from the refusal who can let them.
    fn tool(&self) -> &'static Tool;

    /// What it answers; or a sentence, why it did nothing.
    fn call(&self, arguments: Arguments) -> BoxFuture<'_, Result<Value, String>>;
}

/// What `tools/list` says of `own`.
pub(super) fn described(own: &dyn OwnTool) -> Value {
    // A row is plain data, which cannot fail to be JSON.
    serde_json::to_value(describe(own.tool())).unwrap_or_default()
}

/// The answer of `own` to the message `call`.
pub(super) async fn answer(own: &dyn OwnTool, call: &Value) -> Value {
    let given = call["params"]["arguments"].as_object().cloned();
    let answered = match Arguments::check(own.tool(), given) {
        Ok(arguments) => own.call(arguments).await,
        Err(wrong) => Err(wrong.to_string()),
    };
    let result = match answered {
        Ok(value) => CallToolResult::structured(value),
        Err(reason) => CallToolResult::error(vec![ContentBlock::text(reason)]),
    };
    json!({"jsonrpc": "2.0", "id": call["id"], "result": result})
}
