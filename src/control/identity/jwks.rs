//! Keys of the issuer, fetched and kept by another role.

use std::time::{Duration, Instant};

use curtain_role::{HttpClient, http_client};
use http_body_util::{BodyExt as _, Limited};
use jsonwebtoken::jwk::{Jwk, JwkSet};
use tokio::sync::Mutex;

use super::TokenError;

/// An unknown key id asks the issuer again, but not more often than this.
const PAUSE: Duration = Duration::from_secs(5);
/// The longest an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest answer read, in bytes.
const LONGEST: usize = 64 * 1024;

/// The key set behind a URL. Fetched when a key is first needed, and again for an unknown key id.
#[derive(Debug)]
pub struct JwksCache {
    url: http::Uri,
    http: HttpClient,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    keys: JwkSet,
    asked: Option<Instant>,
}

impl JwksCache {
    /// A cache of the key set at `url` (plain HTTP in the cluster). Nothing is fetched yet.
    pub fn new(url: http::Uri) -> Self {
        Self { url, http: http_client(), kept: Mutex::default() }
    }

    /// The key `kid`.
    ///
    /// # Errors
    /// [`TokenError::KeysUnavailable`] when the issuer cannot be asked, [`TokenError::UnknownKey`] when it does not
    /// know the key either.
    pub async fn key(&self, kid: &str) -> Result<Jwk, TokenError> {
        // Held across the fetch on purpose: callers that miss the same key share one request.
        let mut kept = self.kept.lock().await;
        if let Some(key) = kept.keys.find(kid) {
            return Ok(key.clone());
        }
        let now = Instant::now();
        if kept.asked.is_none_or(|asked| now.duration_since(asked) >= PAUSE) {
            kept.keys = self.fetch().await?;
            kept.asked = Some(now);
        }
        kept.keys.find(kid).cloned().ok_or(TokenError::UnknownKey)
    }

    async fn fetch(&self) -> Result<JwkSet, TokenError> {
        let unavailable =
            |reason: String| TokenError::KeysUnavailable { url: self.url.to_string(), reason };
        let ask = async {
            let response = self.http.get(self.url.clone()).await.map_err(|e| e.to_string())?;
            if !response.status().is_success() {
                return Err(format!("it answered {}", response.status()));
            }
            let body = Limited::new(response.into_body(), LONGEST).collect().await;
            let body = body.map_err(|error| error.to_string())?.to_bytes();
            serde_json::from_slice(&body).map_err(|error| error.to_string())
        };
        tokio::time::timeout(PATIENCE, ask)
            .await
            .map_err(|_| unavailable(format!("no answer within {} s", PATIENCE.as_secs())))?
            .map_err(unavailable)
    }
}
