//! Whether a service can do its work yet: it knows where those are that it asks, and they can do theirs.
//!
//! It is no probe, which would take all of the shop down with one of its services; it is for who comes at the beginning,
//! before the platform has told every service where the others are.

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use serde_json::{Value, json};

use super::{
    Failure, Frame, Reply, Upstream,
    upstream::{LONGEST, within},
};

/// Where services are asked, all of them over HTTP.
pub(super) const OPEN: &str = "/open";
/// The member of the answer: what is waited for, in words.
const WAITS: &str = "waitsFor";

impl Frame {
    /// The answer of a service that asks `upstreams`.
    pub(super) async fn open(&self, upstreams: &[&'static str]) -> Reply {
        let mut waits = Vec::new();
        for name in upstreams {
            match Upstream::new(&self.settings, name).waits_for(self).await {
                Ok(inner) => waits.extend(inner.iter().map(|one| format!("{name}: {one}"))),
                Err(failure) => waits.push(format!("{name}: {}", failure.message)),
            }
        }
        Reply::json(&json!({ WAITS: waits }))
    }
}

impl Upstream {
    /// What the service still waits for; nothing when it can do its work.
    pub(crate) async fn waits_for(&self, frame: &Frame) -> Result<Vec<String>, Failure> {
        self.known()?;
        // It is asked over HTTP at the address of its authority, which is another upstream.
        if self.name == "payment" {
            return Ok(Vec::new());
        }
        let exchange = async {
            let request = Request::get(format!("http://{}{OPEN}", self.address))
                .body(Full::<Bytes>::default())
                .map_err(|error| self.unreachable(&error))?;
            let answer =
                frame.client.request(request).await.map_err(|error| self.unreachable(&error))?;
            let body = Limited::new(answer.into_body(), LONGEST).collect().await;
            Ok(body.map_err(|error| self.unreachable(error.as_ref()))?.to_bytes())
        };
        let body = within(frame.limit()?, self, exchange).await?;
        let said: Value = serde_json::from_slice(&body).unwrap_or_default();
        let Some(waits) = said[WAITS].as_array() else {
            let why = format!("{} does not say whether it is open", self.name);
            return Err(Failure::new(StatusCode::BAD_GATEWAY, why));
        };
        Ok(waits.iter().filter_map(|one| one.as_str().map(str::to_owned)).collect())
    }
}
