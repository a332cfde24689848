//! Taking spans by OTLP, over gRPC and over HTTP, from whoever is in the cluster.
//!
//! The pod that a span comes from is the one that has the sender's address: what a sender says of itself counts only
//! where no pod of a component has it. A request is taken when its spans have found room in a bounded queue; when there
//! is none it is told to come again, which is what exporters do. Behind the queue spans wait for the observer.

mod convert;
mod grpc;
mod http;
mod json;
mod take;

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use curtain_role::origin::AllowedHosts;
use curtain_role::{ServeError, Shutdown, serve_peers};
use tokio::net::TcpListener;

use super::door::Door;
use super::known::Pods;
use super::queue::{Inlet, Load, Queue};
use crate::traces::wire::{Batch, Part, SPANS_PATH};

/// Names of our Service, which exporters have from upstream's charts.
const NAMES: [&str; 2] =
    ["opentelemetry-collector", "opentelemetry-collector.openchoreo-observability-plane"];

/// Takes spans and posts them.
pub(super) struct Receiver {
    pods: Pods,
    door: Door,
}

/// What the handlers of both doors share.
#[derive(Clone)]
struct Shared {
    pods: Pods,
    inlet: Inlet<Spans>,
}

/// The spans of a request, which wait with the room that it took.
struct Spans(Vec<Part>);

impl Load for Spans {
    const PATH: &'static str = SPANS_PATH;
    const WHAT: &'static str = "spans";
    /// Of requests and of what they became.
    const WAITING: usize = 8 << 20;
    const AGE: Duration = Duration::from_millis(200);

    fn encode(batch: Vec<Self>) -> Bytes {
        let parts = batch.into_iter().flat_map(|spans| spans.0).collect();
        // Strings, numbers and JSON: it cannot fail.
        serde_json::to_vec(&Batch { parts }).unwrap_or_default().into()
    }
}

impl Receiver {
    pub(super) fn new(pods: Pods, door: Door) -> Receiver {
        Receiver { pods, door }
    }

    /// Serves gRPC and HTTP until `shutdown`. Nobody is answered before the pods are known.
    pub(super) async fn serve(
        self,
        (by_grpc, by_http): (TcpListener, TcpListener),
        shutdown: Shutdown,
    ) -> Result<(), ServeError> {
        tokio::select! {
            () = self.pods.listed() => {}
            () = shutdown.wait() => return Ok(()),
        }
        let (queue, inlet) = Queue::new(self.door);
        let shared = Shared { pods: self.pods, inlet };
        let grpc = guarded(grpc::router(shared.clone()));
        let http = guarded(http::router(shared));
        let shipping = tokio::spawn(queue.run(shutdown.clone()));
        tokio::try_join!(
            serve_peers(by_grpc, grpc, shutdown.clone()),
            serve_peers(by_http, http, shutdown.clone()),
        )?;
        let _ = shipping.await;
        Ok(())
    }
}

/// For programs in the cluster, not for pages in a browser.
fn guarded(router: Router) -> Router {
    router.layer(middleware::from_fn(no_pages)).layer(AllowedHosts::new(NAMES))
}

async fn no_pages(request: Request, next: Next) -> Response {
    if request.headers().contains_key(::http::header::ORIGIN) {
        tracing::warn!("a page of a browser sent spans; it was refused");
        let words = "spans are taken from programs, not from pages\n";
        return (::http::StatusCode::FORBIDDEN, words).into_response();
    }
    next.run(request).await
}

/// Who sent a request.
type Peer = axum::extract::ConnectInfo<SocketAddr>;

#[cfg(test)]
mod tests;
