//! Runs against a provider on loopback that answers from a script; its requests are looked at.

mod answers;
mod faults;
mod guards;
pub(crate) mod provider;
mod tools;

use serde_json::{Value, json};

use super::*;
use provider::Provider;
use tools::Tools;

const KEY: &str = "sk-hidden-key";

/// Summary and causes.
fn schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "summary": {"type": "string"},
            "causes": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["summary", "causes"],
        "additionalProperties": false,
    })
}

fn task() -> Task {
    Task::new("You find root causes.", "Why does the cart fail?", schema())
        .evidence("the alert", "cart: 5xx > 2 %")
        .allow(["query_logs", "query_traces", "delete_component"])
}

fn good() -> Value {
    json!({"summary": "The cache is full.", "causes": ["cache"]})
}

async fn answer(provider: &Provider, tools: &Tools) -> Outcome {
    reason(&provider.endpoint(), tools, task()).await.expect("an answer")
}

async fn failure(provider: &Provider, tools: &Tools) -> Failure {
    *reason(&provider.endpoint(), tools, task()).await.expect_err("no answer")
}

fn verdicts(trail: &Trail) -> Vec<Verdict> {
    trail.calls.iter().map(|call| call.verdict).collect()
}
