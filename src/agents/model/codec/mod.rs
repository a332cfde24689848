//! The words of the providers.

mod anthropic;
mod openai;

use http::HeaderValue;
use http::header::{AUTHORIZATION, HeaderMap, HeaderName};
use serde_json::Value;

use super::conversation::{Conversation, Reply};
use super::{Endpoint, Kind, ToolSpec};

/// What is sent: the conversation, the tools on offer, and how much may be written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ask<'a> {
    pub(super) conversation: &'a Conversation,
    pub(super) tools: &'a [&'a ToolSpec],
    pub(super) reply_tokens: u64,
}

/// The body of a request.
pub(super) fn body(endpoint: &Endpoint, ask: Ask<'_>) -> Value {
    match endpoint.kind {
        Kind::OpenAi => openai::body(&endpoint.model, ask),
        Kind::Anthropic => anthropic::body(&endpoint.model, ask),
    }
}

/// Key and version. None of it is shown when a request is.
pub(super) fn headers(endpoint: &Endpoint) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let key = endpoint.key.expose();
    let (name, value) = match endpoint.kind {
        Kind::OpenAi => (AUTHORIZATION, format!("Bearer {key}")),
        Kind::Anthropic => (HeaderName::from_static("x-api-key"), key.to_owned()),
    };
    if !key.is_empty()
        && let Ok(mut value) = HeaderValue::try_from(value)
    {
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    if endpoint.kind == Kind::Anthropic {
        headers.insert("anthropic-version", HeaderValue::from_static("2023-06-01"));
    }
    headers
}

/// What an answer with status 200 says. The error is a sentence's end.
pub(super) fn reply(kind: Kind, body: &[u8]) -> Result<Reply, String> {
    match kind {
        Kind::OpenAi => openai::reply(body),
        Kind::Anthropic => anthropic::reply(body),
    }
}
