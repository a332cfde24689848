//! JSON-RPC messages, as far as the bridge looks into them.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

/// The key in a request's `_meta` that names its protocol revision (2026-07-28 and later).
const META_VERSION: &str = "io.modelcontextprotocol/protocolVersion";

/// The protocol revision that `message` itself names.
pub(super) fn version(message: &Value) -> Option<&str> {
    message["params"]["_meta"][META_VERSION].as_str()
}

/// The headers that HTTP wants beside `message`; `negotiated` is the revision of an earlier `initialize`.
pub(in crate::mcp) fn headers(message: &Value, negotiated: Option<&str>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let mut put = |name: &'static str, value: &str| {
        if let Ok(value) = HeaderValue::from_str(&header_text(value)) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    let method = message["method"].as_str().unwrap_or_default();
    if let Some(version) = version(message).or(negotiated.filter(|_| method != "initialize")) {
        put("mcp-protocol-version", version);
    }
    put("mcp-method", method);
    let named = match method {
        "tools/call" | "prompts/get" => &message["params"]["name"],
        "resources/read" | "resources/subscribe" | "resources/unsubscribe" => {
            &message["params"]["uri"]
        }
        "tasks/get" | "tasks/update" | "tasks/cancel" => &message["params"]["taskId"],
        _ => &Value::Null,
    };
    if let Some(name) = named.as_str() {
        put("mcp-name", name);
    }
    headers
}

/// `text` as MCP puts it into a header: as it is when that is possible, else in Base64 between markers.
fn header_text(text: &str) -> String {
    let blank = |char: Option<char>| matches!(char, Some(' ' | '\t'));
    let printable = text.chars().all(|char| (' '..='~').contains(&char));
    let edged = blank(text.chars().next()) || blank(text.chars().next_back());
    let marked = text.starts_with("=?base64?") && text.ends_with("?=");
    let plain = printable && !edged && !marked;
    if plain { text.to_owned() } else { format!("=?base64?{}?=", STANDARD.encode(text)) }
}

/// An error as the answer to the request `id`.
pub(super) fn error(id: &Value, code: i64, message: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": message}})
}

/// An id as a key of a map.
pub(super) fn key(id: &Value) -> String {
    id.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_repeat_what_the_message_says() {
        let message = json!({"method": "tools/call", "params": {
            "name": "list_projects", "_meta": {META_VERSION: "2026-07-28"},
        }});
        let headers = headers(&message, Some("2025-11-25"));
        assert_eq!(headers["mcp-protocol-version"], "2026-07-28");
        assert_eq!(
            (&headers["mcp-method"], &headers["mcp-name"]),
            (&HeaderValue::from_static("tools/call"), &HeaderValue::from_static("list_projects"),)
        );
        let legacy = super::headers(&json!({"method": "tools/list"}), Some("2025-11-25"));
        assert_eq!(legacy["mcp-protocol-version"], "2025-11-25");
        assert!(
            !super::headers(&json!({"method": "initialize"}), Some("x"))
                .contains_key("mcp-protocol-version")
        );
    }

    #[test]
    fn a_name_that_is_no_header_is_encoded() {
        assert_eq!(header_text("list_projects"), "list_projects");
        assert_eq!(header_text("bücher"), "=?base64?YsO8Y2hlcg==?=");
        assert_eq!(header_text(" x"), "=?base64?IHg=?=");
    }
}
