//! The bearer token of a signed-in person.

use base64::Engine as _;
use serde_json::Value;

/// A token; its `Debug` shows nothing of it.
#[derive(Clone)]
pub(crate) struct Token(String);

impl Token {
    pub(crate) fn new(token: String) -> Token {
        Token(token)
    }

    /// For the `Authorization` header only.
    pub(crate) fn header(&self) -> String {
        format!("Bearer {}", self.0)
    }

    /// What the token says of its owner. It came from the identity service a moment ago and is
    /// judged by the API on every call, so its signature is not checked here.
    pub(crate) fn claims(&self) -> Option<Value> {
        let payload = self.0.split('.').nth(1)?;
        let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).ok()?;
        serde_json::from_slice(&bytes).ok()
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}
