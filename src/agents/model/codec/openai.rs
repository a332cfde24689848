//! Chat completions, as OpenAI defines them and many servers understand them.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Ask;
use crate::model::Usage;
use crate::model::conversation::{Finish, Message, Reply, ToolCall};

pub(super) fn body(model: &str, ask: Ask<'_>) -> Value {
    let mut messages = vec![json!({"role": "system", "content": ask.conversation.system})];
    for message in &ask.conversation.messages {
        match message {
            Message::User(text) => messages.push(json!({"role": "user", "content": text})),
            Message::Assistant(verbatim) => messages.push(verbatim.clone()),
            Message::Results(results) => messages.extend(results.iter().map(
                |result| json!({"role": "tool", "tool_call_id": result.id, "content": result.text}),
            )),
        }
    }
    let mut body = json!({
        "model": model,
        "messages": messages,
        "max_completion_tokens": ask.reply_tokens,
    });
    if !ask.tools.is_empty() {
        body["tools"] = ask
            .tools
            .iter()
            .map(|tool| {
                let function = json!({"name": tool.name, "description": tool.description,
                    "parameters": tool.input_schema});
                json!({"type": "function", "function": function})
            })
            .collect();
    }
    body
}

#[derive(Deserialize)]
struct Completion {
    model: Option<String>,
    choices: Vec<Choice>,
    usage: Option<Tokens>,
}

#[derive(Deserialize)]
struct Choice {
    message: Map<String, Value>,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Call {
    #[serde(default)]
    id: String,
    function: Function,
}

#[derive(Deserialize)]
struct Function {
    name: String,
    #[serde(default)]
    arguments: Value,
}

#[derive(Deserialize)]
struct Tokens {
    prompt_tokens: u64,
    #[serde(default)]
    completion_tokens: u64,
    prompt_tokens_details: Option<Details>,
}

#[derive(Deserialize)]
struct Details {
    cached_tokens: Option<u64>,
}

pub(super) fn reply(body: &[u8]) -> Result<Reply, String> {
    let completion: Completion = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let choice = completion.choices.into_iter().next().ok_or("it has no choices")?;
    let mut message = choice.message;
    let text =
        |name: &str| message.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (content, refusal) = (text("content"), text("refusal"));
    let calls = match message.get("tool_calls") {
        None | Some(Value::Null) => Vec::new(),
        Some(calls) => Vec::<Call>::deserialize(calls).map_err(|error| error.to_string())?,
    };
    let finish = match choice.finish_reason.as_deref() {
        _ if !refusal.is_empty() => Finish::Refused(refusal),
        Some("content_filter") => Finish::Refused("a content filter of the provider".into()),
        Some("length") => Finish::Cut,
        _ => Finish::Done,
    };
    // What else a message may hold is not taken back by all, except for the reasoning of those who ask for it.
    let said = !content.is_empty() || !calls.is_empty();
    message.retain(|name, value| {
        matches!(name.as_str(), "role" | "content" | "tool_calls" | "reasoning_content")
            && (name == "content" || !value.is_null())
    });
    message.insert("role".into(), "assistant".into());
    Ok(Reply {
        model: completion.model,
        text: content,
        calls: calls.into_iter().map(call).collect(),
        finish,
        usage: completion.usage.map(|tokens| Usage {
            input: tokens.prompt_tokens,
            cached: tokens.prompt_tokens_details.and_then(|d| d.cached_tokens).unwrap_or_default(),
            written: 0,
            output: tokens.completion_tokens,
        }),
        verbatim: said.then_some(Value::Object(message)),
    })
}

/// The arguments are text that should be JSON; no text means no arguments.
fn call(call: Call) -> ToolCall {
    let arguments = match call.function.arguments {
        Value::Null => Ok(json!({})),
        Value::String(text) if text.trim().is_empty() => Ok(json!({})),
        Value::String(text) => match serde_json::from_str(&text) {
            Ok(Value::Object(arguments)) => Ok(Value::Object(arguments)),
            _ => Err(text),
        },
        Value::Object(arguments) => Ok(Value::Object(arguments)),
        other => Err(other.to_string()),
    };
    ToolCall { id: call.id, name: call.function.name, arguments }
}
