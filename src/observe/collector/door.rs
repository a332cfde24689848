//! The observer's door for the collector, and how something gets through it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use curtain_role::{Backoff, HttpClient, Shutdown, http_client};
use http::{Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};

pub(super) const PATIENCE: Duration = Duration::from_secs(20);
const MAX_REPLY: usize = 16 << 20;

/// Posts to the observer with the pod's token. Cloning shares the connections.
#[derive(Clone, Debug)]
pub(super) struct Door {
    observer: Uri,
    token: PathBuf,
    client: HttpClient,
    /// Deliveries that failed and are tried again.
    retried: Arc<AtomicUsize>,
}

/// Why a request to the observer did not work.
#[derive(Debug, thiserror::Error)]
pub(super) enum DoorError {
    #[error("cannot read the token {path}: {source}")]
    Token { path: PathBuf, source: std::io::Error },
    #[error("the observer at {url} cannot be reached: {reason}")]
    Unreachable { url: String, reason: String },
    #[error("the observer at {url} answered {status}: {body}")]
    Refused { url: String, status: StatusCode, body: String },
}

impl DoorError {
    /// What was sent is wrong itself: sending it again cannot help.
    pub(super) fn is_final(&self) -> bool {
        let wrong = [StatusCode::BAD_REQUEST, StatusCode::PAYLOAD_TOO_LARGE];
        matches!(self, DoorError::Refused { status, .. } if wrong.contains(status))
    }
}

impl Door {
    pub(super) fn new(observer: Uri, token: PathBuf) -> Door {
        Door { observer, token, client: http_client(), retried: Arc::default() }
    }

    /// Whether the observer lacks something that was posted and did not arrive.
    pub(super) fn is_behind(&self) -> bool {
        self.retried.load(Ordering::Relaxed) > 0
    }

    /// Posts until the observer has it, or says that it never will. False when the end was asked for before. `what` it
    /// is, in the plural, is for the log.
    pub(super) async fn deliver(
        &self,
        path: &str,
        body: Bytes,
        what: &str,
        shutdown: &Shutdown,
    ) -> bool {
        let mut backoff = Backoff::default();
        let mut behind = None;
        loop {
            let error = match self.request(Method::POST, path, body.clone()).await {
                Ok(_) => return true,
                Err(error) if error.is_final() => {
                    tracing::error!(%error, "{what} are lost: the observer does not take them");
                    return true;
                }
                Err(error) => error,
            };
            behind.get_or_insert_with(|| Behind::new(&self.retried));
            let pause = backoff.next().unwrap_or(PATIENCE);
            tracing::warn!(%error, retry_in = ?pause, "{what} wait");
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = shutdown.wait() => return false,
            }
        }
    }

    /// One exchange; the body of the answer.
    pub(super) async fn request(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Bytes, DoorError> {
        let url = format!("{}{path}", self.observer.to_string().trim_end_matches('/'));
        // Read each time: the kubelet renews it.
        let token = tokio::fs::read_to_string(&self.token)
            .await
            .map_err(|source| DoorError::Token { path: self.token.clone(), source })?;
        let unreachable = |reason: String| DoorError::Unreachable { url: url.clone(), reason };
        let request = Request::builder()
            .method(method)
            .uri(&url)
            .header(header::AUTHORIZATION, format!("Bearer {}", token.trim()))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|error| unreachable(error.to_string()))?;
        let exchange = async {
            let response = self
                .client
                .request(request)
                .await
                .map_err(|error| unreachable(error.to_string()))?;
            let status = response.status();
            let body = Limited::new(response.into_body(), MAX_REPLY).collect().await;
            let body = body.map_err(|error| unreachable(error.to_string()))?.to_bytes();
            if status.is_success() {
                return Ok(body);
            }
            let body = String::from_utf8_lossy(&body).chars().take(500).collect();
            Err(DoorError::Refused { url: url.clone(), status, body })
        };
        let answer = tokio::time::timeout(PATIENCE, exchange).await;
        answer.unwrap_or_else(|_| {
            Err(unreachable(format!("no answer within {} s", PATIENCE.as_secs())))
        })
    }
}

/// One of the deliveries that are tried again, as long as it lives.
struct Behind(Arc<AtomicUsize>);

impl Behind {
    fn new(retried: &Arc<AtomicUsize>) -> Behind {
        retried.fetch_add(1, Ordering::Relaxed);
        Behind(retried.clone())
    }
}

impl Drop for Behind {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
