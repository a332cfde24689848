//! Posting JSON to the world outside.

use bytes::Bytes;
use curtain_role::Web;
use http::{HeaderName, HeaderValue, Request, Response, header};
use http_body_util::{BodyExt, Full, Limited};

use super::channel::Webhook;

/// Names the delivery, so that a receiver can tell when it is told twice.
const DELIVERY: HeaderName = HeaderName::from_static("curtain-delivery");
/// How much of a receiver's words is kept.
const LONGEST: usize = 4096;

/// Posts `body`, JSON. The error is a sentence, without the path of the URL: there it may be secret.
pub(super) async fn post(
    web: &Web,
    webhook: &Webhook,
    delivery: &str,
    body: Bytes,
) -> Result<(), String> {
    let host = webhook.url.host().unwrap_or_default();
    let mut request = Request::post(webhook.url.clone())
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::USER_AGENT, "curtain-observer");
    if let Ok(delivery) = HeaderValue::try_from(delivery) {
        request = request.header(DELIVERY, delivery);
    }
    let mut request =
        request.body(Full::new(body)).map_err(|_| format!("no request for {host}"))?;
    for (name, value) in &webhook.headers {
        request.headers_mut().insert(name, value.clone());
    }
    judge(host, web.request(request).await?).await
}

/// Only 2xx is success.
async fn judge(host: &str, answer: Response<hyper::body::Incoming>) -> Result<(), String> {
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    let words = Limited::new(answer.into_body(), LONGEST).collect().await;
    let words = words.map(|body| body.to_bytes()).unwrap_or_default();
    let words: String = String::from_utf8_lossy(&words).chars().take(200).collect();
    Err(format!("{host} answered {status}: {words}"))
}
