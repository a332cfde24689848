//! Clients for backends: one for HTTP/1.1, one for HTTP/2 without TLS.

use std::time::Duration;

use bytes::Bytes;
use curtain_role::dns::Resolver;
use http::header::UPGRADE;
use http::{Request, Response};
use http_body_util::{Either, Empty};
use hyper::body::{Body, Incoming};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::{TokioExecutor, TokioTimer};

type Sent = Either<Incoming, Empty<Bytes>>;
type Backends = Client<HttpConnector<Resolver>, Sent>;

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
    ///
    /// A backend may close a kept connection at the moment it is used again, most of all when its
    /// pod is being replaced. A request that may be repeated, and has nothing to send, is tried
    /// once more then.
    pub(super) async fn send(
        &self,
        h2c: bool,
        request: Request<Incoming>,
    ) -> Result<Response<Incoming>, Error> {
        let client = if h2c { &self.http2 } else { &self.http1 };
        let again = repeatable(&request).then(|| {
            let mut again = Request::new(Either::Right(Empty::new()));
            *again.method_mut() = request.method().clone();
            *again.uri_mut() = request.uri().clone();
            *again.version_mut() = request.version();
            *again.headers_mut() = request.headers().clone();
            again
        });
        match (client.request(request.map(Either::Left)).await, again) {
            (Err(error), Some(again)) if !error.is_connect() => client.request(again).await,
            (answered, _) => answered,
        }
    }
}

fn repeatable(request: &Request<Incoming>) -> bool {
    request.method().is_safe()
        && request.body().is_end_stream()
        && !request.headers().contains_key(UPGRADE)
}
