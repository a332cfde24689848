//! The plain HTTP client for neighbours in the cluster.

use bytes::Bytes;
use http_body_util::Full;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use std::time::Duration;

use crate::dns::Resolver;

/// A pooled client over [`Resolver`].
pub type HttpClient = Client<HttpConnector<Resolver>, Full<Bytes>>;

/// A client for plain HTTP that gives up a connect after five seconds and keeps few idle connections.
pub fn http_client() -> HttpClient {
    let mut connector = HttpConnector::new_with_resolver(Resolver::default());
    connector.set_connect_timeout(Some(Duration::from_secs(5)));
    connector.set_nodelay(true);
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(Duration::from_secs(30))
        .pool_max_idle_per_host(4)
        .build(connector)
}
