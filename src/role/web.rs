//! Asking the world outside, inside TLS where the URL says so.

use std::error::Error as _;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;
use rustls::crypto::ring;

use crate::dns::Resolver;
use crate::{HttpClient, http_client};

type HttpsClient = Client<HttpsConnector<HttpConnector<Resolver>>, Full<Bytes>>;

/// The clients; that for TLS is made when it is first needed, for the authorities take memory.
#[derive(Debug)]
pub struct Web {
    plain: HttpClient,
    secure: OnceLock<HttpsClient>,
}

impl Default for Web {
    fn default() -> Self {
        Web { plain: http_client(), secure: OnceLock::new() }
    }
}

impl Web {
    /// Sends a request; how long the answer may take is for the caller to bound.
    ///
    /// # Errors
    /// A sentence that names the host and not the rest of the URL: there it may be secret.
    pub async fn request(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, String> {
        let host = request.uri().host().unwrap_or_default().to_owned();
        let answer = if request.uri().scheme_str() == Some("https") {
            self.secure()?.request(request).await
        } else {
            self.plain.request(request).await
        };
        answer.map_err(|error| {
            let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
            format!("{host} cannot be reached: {error}{cause}")
        })
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
            .with_tls_config(authorities()?)
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

/// TLS that trusts the certificate authorities of the image.
///
/// # Errors
/// A sentence that says what cannot be read.
pub fn authorities() -> Result<ClientConfig, String> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS cannot be set up: {error}"))?
        .with_native_roots()
        .map_err(|error| format!("the certificate authorities cannot be read: {error}"))?;
    Ok(builder.with_no_client_auth())
}
