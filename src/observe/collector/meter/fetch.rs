//! Asking nodes, through the API server, and pods, at their own address.

use std::time::Duration;

use bytes::Bytes;
use curtain_role::{HttpClient, http_client};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use kube::Client;
use kube::client::Body;

/// Bytes that a node's answer may have,
const MAX_NODE: usize = 16 << 20;
/// and a pod's.
const MAX_PAGE: usize = 1 << 20;
/// Time for one answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("there is no such page")]
    Missing,
    #[error("it answered {0}")]
    Refused(StatusCode),
    #[error("{0}")]
    Failed(String),
}

/// Asks.
pub(super) struct Fetch {
    cluster: Client,
    client: HttpClient,
}

impl Fetch {
    pub(super) fn new(cluster: Client) -> Fetch {
        Fetch { cluster, client: http_client() }
    }

    /// A page of a node.
    pub(super) async fn node(&self, name: &str, page: &str) -> Result<Bytes, FetchError> {
        let path = format!("/api/v1/nodes/{name}/proxy/{page}");
        let request = Request::get(path).body(Body::empty()).map_err(failed)?;
        let exchange = async {
            let response = self.cluster.send(request).await.map_err(failed)?;
            good(response.status())?;
            let body = Limited::new(response.into_body(), MAX_NODE).collect().await;
            body.map(|body| body.to_bytes()).map_err(failed)
        };
        tokio::time::timeout(PATIENCE, exchange).await.map_err(late)?
    }

    /// A page of a pod.
    pub(super) async fn page(&self, url: &str) -> Result<Bytes, FetchError> {
        let request = Request::get(url).body(Full::new(Bytes::new())).map_err(failed)?;
        let exchange = async {
            let response = self.client.request(request).await.map_err(failed)?;
            good(response.status())?;
            let body = Limited::new(response.into_body(), MAX_PAGE).collect().await;
            body.map(|body| body.to_bytes()).map_err(failed)
        };
        tokio::time::timeout(PATIENCE, exchange).await.map_err(late)?
    }
}

fn good(status: StatusCode) -> Result<(), FetchError> {
    match status {
        StatusCode::NOT_FOUND => Err(FetchError::Missing),
        status if status.is_success() => Ok(()),
        status => Err(FetchError::Refused(status)),
    }
}

fn failed(error: impl std::fmt::Display) -> FetchError {
    FetchError::Failed(error.to_string())
}

fn late(_: tokio::time::error::Elapsed) -> FetchError {
    FetchError::Failed(format!("no answer within {} s", PATIENCE.as_secs()))
}
