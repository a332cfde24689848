//! The Messages API of Anthropic.

use serde::Deserialize;
use serde_json::{Value, json};

use super::Ask;
use crate::model::Usage;
use crate::model::conversation::{Finish, Message, Reply, ToolCall, ToolResult};

pub(super) fn body(model: &str, ask: Ask<'_>) -> Value {
    let mut messages: Vec<Value> = ask
        .conversation
        .messages
        .iter()
        .map(|message| match message {
            Message::User(text) => {
                json!({"role": "user", "content": [{"type": "text", "text": text}]})
            }
            Message::Assistant(content) => json!({"role": "assistant", "content": content}),
            Message::Results(results) => {
                json!({"role": "user", "content": results.iter().map(result).collect::<Vec<_>>()})
            }
        })
        .collect();
    // A conversation is sent again and again: what was sent before is read from the cache at a tenth of its price.
    if let Some(last) = messages.last_mut().and_then(|message| message["content"].as_array_mut())
        && let Some(block) = last.last_mut()
    {
        block["cache_control"] = json!({"type": "ephemeral"});
    }
    let mut body = json!({
        "model": model,
        "max_tokens": ask.reply_tokens,
        "messages": messages,
    });
    if !ask.conversation.system.is_empty() {
        body["system"] = json!([{"type": "text", "text": ask.conversation.system,
            "cache_control": {"type": "ephemeral"}}]);
    }
    if !ask.tools.is_empty() {
        body["tools"] = ask
            .tools
            .iter()
            .map(|tool| {
                json!({"name": tool.name, "description": tool.description,
                    "input_schema": tool.input_schema})
            })
            .collect();
    }
    body
}

fn result(result: &ToolResult) -> Value {
    let mut block =
        json!({"type": "tool_result", "tool_use_id": result.id, "content": result.text});
    if result.failed {
        block["is_error"] = true.into();
    }
    block
}

#[derive(Deserialize)]
struct Answer {
    model: Option<String>,
    content: Vec<Value>,
    stop_reason: Option<String>,
    #[serde(default)]
    stop_details: Value,
    usage: Option<Tokens>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block {
    Text {
        text: String,
    },
    ToolUse {
        id: String,
        name: String,
        #[serde(default)]
        input: Value,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Tokens {
    input_tokens: u64,
    #[serde(default)]
    output_tokens: u64,
    cache_read_input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
}

pub(super) fn reply(body: &[u8]) -> Result<Reply, String> {
    let answer: Answer = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let mut reply = Reply { model: answer.model, ..Reply::default() };
    for block in &answer.content {
        match Block::deserialize(block).map_err(|error| error.to_string())? {
            Block::Text { text } => reply.text.push_str(&text),
            Block::ToolUse { id, name, input } => {
                let arguments = match input {
                    Value::Null => Ok(json!({})),
                    Value::Object(arguments) => Ok(Value::Object(arguments)),
                    other => Err(other.to_string()),
                };
                reply.calls.push(ToolCall { id, name, arguments });
            }
            Block::Other => {}
        }
    }
    reply.finish = match answer.stop_reason.as_deref() {
        Some("max_tokens") => Finish::Cut,
        Some("model_context_window_exceeded") => Finish::Full,
        Some("refusal") => {
            let words = answer.stop_details["explanation"].as_str().unwrap_or(&reply.text);
            Finish::Refused(if words.is_empty() { "it gave no reason" } else { words }.to_owned())
        }
        _ => Finish::Done,
    };
    reply.usage = answer.usage.map(|tokens| {
        let cached = tokens.cache_read_input_tokens.unwrap_or_default();
        let written = tokens.cache_creation_input_tokens.unwrap_or_default();
        // Only what was in no cache counts as input there.
        let input = tokens.input_tokens.saturating_add(cached).saturating_add(written);
        Usage { input, cached, written, output: tokens.output_tokens }
    });
    let said = !reply.text.is_empty() || !reply.calls.is_empty();
    // An empty text is written but not taken back.
    let mut content = answer.content;
    content.retain(|block| block["type"] != "text" || block["text"] != "");
    reply.verbatim = said.then_some(Value::Array(content));
    Ok(reply)
}
