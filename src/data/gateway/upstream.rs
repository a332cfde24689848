//! Clients for backends: one for HTTP/1.1, one for HTTP/2 without TLS.

use std::time::Duration;

use curtain_role::dns::Resolver;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::{TokioExecutor, TokioTimer};

type Backends = Client<HttpConnector<Resolver>, Incoming>;

/// Connections to backends, kept for a moment after use.
pub(super) struct Upstream {
    http1: Backends,
    http2: Backends,
}

impl Upstream {
    pub(super) fn new() -> Self {
        let client = |http2| {
            let mut connector = HttpConnector::new_with_resolver(Resolver::default());
            connector.set_connect_timeout(Some(Duration::from_secs(5)));
            connector.set_nodelay(true);
            Client::builder(TokioExecutor::new())
                .timer(TokioTimer::new())
                .pool_timer(TokioTimer::new())
                .pool_idle_timeout(Duration::from_secs(20))
                .pool_max_idle_per_host(16)
                .http2_only(http2)
                .set_host(false)
                .build(connector)
        };
        Self { http1: client(false), http2: client(true) }
    }

    /// Send a request whose URI names the backend.
    pub(super) async fn send(
        &self,
        h2c: bool,
        request: Request<Incoming>,
    ) -> Result<Response<Incoming>, Error> {
        let client = if h2c { &self.http2 } else { &self.http1 };
        client.request(request).await
    }
}
