//! Posting JSON to the world outside.

use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use curtain_role::dns::Resolver;
use curtain_role::{HttpClient, http_client};
use http::{HeaderName, HeaderValue, Request, Response, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::channel::Webhook;
use super::tls;

/// Names the delivery, so that a receiver can tell when it is told twice.
const DELIVERY: HeaderName = HeaderName::from_static("curtain-delivery");
/// How much of a receiver's words is kept.
const LONGEST: usize = 4096;

type HttpsClient = Client<HttpsConnector<HttpConnector<Resolver>>, Full<Bytes>>;

/// The clients; that for TLS is made when it is first needed, for the authorities take memory.
pub(super) struct Web {
    plain: HttpClient,
    secure: OnceLock<HttpsClient>,
}

impl Default for Web {
    fn default() -> Self {
        Web { plain: http_client(), secure: OnceLock::new() }
    }
}

impl Web {
    /// Posts `body`, JSON. The error is a sentence, without the path of the URL: there it may be secret.
    pub(super) async fn post(
        &self,
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
        let answer = if webhook.url.scheme_str() == Some("https") {
            self.secure()?.request(request).await
        } else {
            self.plain.request(request).await
        };
        let answer = answer.map_err(|error| {
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
            format!("{host} cannot be reached: {error}{}", cause.unwrap_or_default())
        })?;
        judge(host, answer).await
    }

    fn secure(&self) -> Result<&HttpsClient, String> {
        if let Some(client) = self.secure.get() {
            return Ok(client);
        }
        let mut tcp = HttpConnector::new_with_resolver(Resolver::default());
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(Duration::from_secs(5)));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls::config(false)?)
            .https_only()
            .enable_http1()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(30))
            .pool_max_idle_per_host(1)
            .build(connector);
        Ok(self.secure.get_or_init(|| client))
    }
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
