//! Sending one message to one server.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use curtain_role::{Backoff, HttpClient, Instance};
use http::{HeaderMap, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use serde_json::Value;
use tokio::{sync::mpsc, time::Instant};

use super::{TokenSource, Upstream};

/// The longest a server may take until it answers, and then until its next sign of life.
const LONGEST_CALL: Duration = Duration::from_secs(60);
/// The longest answer, in bytes.
const LONGEST_ANSWER: usize = 16 * 1024 * 1024;

/// Sends messages with a fresh token.
#[derive(Clone)]
pub(in crate::mcp) struct Sender {
    pub(in crate::mcp) http: HttpClient,
    pub(in crate::mcp) tokens: Arc<dyn TokenSource>,
    pub(in crate::mcp) instance: Instance,
}

impl Sender {
    /// Sends `body` to `upstream` and returns the message that answers it. Messages before that one (progress, logs)
    /// go to `aside`. A server that cannot be reached is tried again for `patience`. The error is a sentence for the
    /// client.
    pub(in crate::mcp) async fn ask(
        &self,
        upstream: &Upstream,
        body: &Value,
        headers: HeaderMap,
        patience: Duration,
        aside: &mpsc::Sender<String>,
    ) -> Result<Value, String> {
        let response = self.post(upstream, body, headers, patience).await?;
        let is_stream = response
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.starts_with("text/event-stream"));
        let status = response.status();
        if is_stream {
            return read_stream(upstream, response.into_body(), aside).await;
        }
        let body = http_body_util::Limited::new(response.into_body(), LONGEST_ANSWER).collect();
        let body = tokio::time::timeout(LONGEST_CALL, body).await.map_err(|_| late(upstream))?;
        let body = body.map_err(|error| broken(upstream, &error.to_string()))?.to_bytes();
        match serde_json::from_slice::<Value>(&body) {
            // Errors of the protocol come with status 400, and are for the client.
            Ok(answer) if answer["jsonrpc"].is_string() => Ok(answer),
            _ => {
                let text = String::from_utf8_lossy(&body[..body.len().min(300)]).trim().to_owned();
                Err(format!("the {} answered {status}: {text}", upstream.name))
            }
        }
    }

    /// Posts `body`; repeats it once with a new token when the token is refused, and for a while when the server
    /// cannot be reached, which is certain not to have done anything.
    async fn post(
        &self,
        upstream: &Upstream,
        body: &Value,
        headers: HeaderMap,
        patience: Duration,
    ) -> Result<Response<Incoming>, String> {
        let bytes = Bytes::from(body.to_string());
        let give_up = Instant::now() + patience;
        let mut backoff = Backoff::default();
        let mut refused = false;
        loop {
            let token = self.tokens.token().await?;
            let mut request = Request::post(upstream.url.clone())
                .header(header::CONTENT_TYPE, "application/json")
                .header(header::ACCEPT, "application/json, text/event-stream")
                .header(header::AUTHORIZATION, format!("Bearer {}", token.expose()))
                .body(Full::new(bytes.clone()))
                .map_err(|error| broken(upstream, &error.to_string()))?;
            request.headers_mut().extend(headers.clone());
            let sent = tokio::time::timeout(LONGEST_CALL, self.http.request(request)).await;
            let trouble = match sent {
                Err(_) => return Err(late(upstream)),
                Ok(Ok(response)) => match response.status() {
                    StatusCode::UNAUTHORIZED if !refused => {
                        refused = true;
                        self.tokens.forget().await;
                        continue;
                    }
                    StatusCode::SERVICE_UNAVAILABLE => "it is starting".to_owned(),
                    _ => return Ok(response),
                },
                Ok(Err(error)) if error.is_connect() => error.to_string(),
                Ok(Err(error)) => return Err(broken(upstream, &error.to_string())),
            };
            if Instant::now() >= give_up {
                let status = self.instance.command("status");
                return Err(format!(
                    "cannot reach the {} at {}: {trouble}; `{status}` says whether the instance is up",
                    upstream.name, upstream.url
                ));
            }
            tokio::time::sleep(backoff.next().unwrap_or(patience)).await;
        }
    }
}

fn late(upstream: &Upstream) -> String {
    format!("the {} did not answer within {} s", upstream.name, LONGEST_CALL.as_secs())
}

fn broken(upstream: &Upstream, reason: &str) -> String {
    format!("the connection to the {} broke: {reason}", upstream.name)
}

/// Reads Server-Sent Events until the message that is an answer.
async fn read_stream(
    upstream: &Upstream,
    mut body: Incoming,
    aside: &mpsc::Sender<String>,
) -> Result<Value, String> {
    let mut buffer = Vec::new();
    let mut next = async || tokio::time::timeout(LONGEST_CALL, body.frame()).await;
    while let Some(frame) = next().await.map_err(|_| late(upstream))? {
        let frame = frame.map_err(|error| format!("the answer broke off: {error}"))?;
        if let Ok(data) = frame.into_data() {
            buffer.extend_from_slice(&data);
        }
        if buffer.len() > LONGEST_ANSWER {
            return Err(format!("the answer is longer than {LONGEST_ANSWER} bytes"));
        }
        while let Some(event) = take_event(&mut buffer) {
            let Ok(message) = serde_json::from_str::<Value>(&event) else { continue };
            if message["method"].is_string() {
                // A client that does not read any more is noticed by the writer.
                let _ = aside.send(message.to_string()).await;
            } else {
                return Ok(message);
            }
        }
    }
    Err("the answer ended before its end".to_owned())
}

/// Takes the first whole event off `buffer`: its data.
fn take_event(buffer: &mut Vec<u8>) -> Option<String> {
    let ends = |end: &[u8]| {
        buffer.windows(end.len()).position(|window| window == end).map(|at| (at, end.len()))
    };
    let (at, length) = [ends(b"\n\n"), ends(b"\r\n\r\n")].into_iter().flatten().min()?;
    let event: Vec<u8> = buffer.drain(..at + length).collect();
    let text = String::from_utf8_lossy(&event[..at]);
    let data: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("data:"))
        .map(|data| data.strip_prefix(' ').unwrap_or(data))
        .collect();
    Some(data.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_taken_one_by_one() {
        let mut buffer =
            b": hi\n\nevent: message\ndata: {\"a\":\ndata: 1}\n\nid: 3\r\ndata:x\r\n\r\ndata: ha"
                .to_vec();
        assert_eq!(take_event(&mut buffer).as_deref(), Some(""));
        assert_eq!(take_event(&mut buffer).as_deref(), Some("{\"a\":\n1}"));
        assert_eq!(take_event(&mut buffer).as_deref(), Some("x"));
        assert_eq!((take_event(&mut buffer), buffer.as_slice()), (None, &b"data: ha"[..]));
    }
}
