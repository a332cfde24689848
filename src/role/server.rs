//! Serving HTTP until the role is asked to end.

use std::{future::IntoFuture, io, net::SocketAddr, time::Duration};

use axum::Router;
use tokio::net::TcpListener;

use crate::Shutdown;

/// How long requests in flight may go on when the role is asked to end: less than the pod's grace.
const AFTERMATH: Duration = Duration::from_secs(3);

/// Why a role's server could not start, or ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address is taken or not ours.
    #[error(
        "cannot listen on {addr}: {source}; choose another address with --bind or another port"
    )]
    Listen {
        /// The address asked for.
        addr: SocketAddr,
        /// What the kernel said.
        source: io::Error,
    },
    /// The server ended by itself.
    #[error("the server ended: {0}")]
    Ended(#[source] io::Error),
}

/// Takes an address. Clients that come before [`serve`] wait.
///
/// # Errors
/// [`ServeError::Listen`].
pub async fn listen(addr: SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(addr).await.map_err(|source| ServeError::Listen { addr, source })
}

/// Serves `router`; when asked to end, gives the requests in flight a moment to finish.
///
/// # Errors
/// [`ServeError::Ended`].
pub async fn serve(
    listener: TcpListener,
    router: Router,
    shutdown: Shutdown,
) -> Result<(), ServeError> {
    let asked = shutdown.clone();
    let served =
        axum::serve(listener, router).with_graceful_shutdown(async move { asked.wait().await });
    bounded(served.into_future(), shutdown).await
}

/// As [`serve`], for handlers that want to know who calls: they take `ConnectInfo<SocketAddr>`.
///
/// # Errors
/// [`ServeError::Ended`].
pub async fn serve_peers(
    listener: TcpListener,
    router: Router,
    shutdown: Shutdown,
) -> Result<(), ServeError> {
    let asked = shutdown.clone();
    let router = router.into_make_service_with_connect_info::<SocketAddr>();
    let served =
        axum::serve(listener, router).with_graceful_shutdown(async move { asked.wait().await });
    bounded(served.into_future(), shutdown).await
}

async fn bounded(
    served: impl Future<Output = io::Result<()>>,
    shutdown: Shutdown,
) -> Result<(), ServeError> {
    let too_long = async {
        shutdown.wait().await;
        tokio::time::sleep(AFTERMATH).await;
    };
    tokio::select! {
        served = served => served.map_err(ServeError::Ended),
        () = too_long => {
            tracing::warn!("requests were still in flight at the end");
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use http_body_util::BodyExt as _;

    use super::*;
    use crate::http_client;

    #[tokio::test]
    async fn a_request_in_flight_is_answered_before_the_end() {
        let shutdown = Shutdown::default();
        let (ask, answer) = (shutdown.clone(), || async { "done" });
        let router = Router::new().route(
            "/",
            get(move || async move {
                ask.trigger();
                tokio::task::yield_now().await;
                answer().await
            }),
        );
        let listener = listen(([127, 0, 0, 1], 0).into()).await.expect("listen");
        let url = format!("http://{}/", listener.local_addr().expect("address"));
        let server = tokio::spawn(serve(listener, router, shutdown));
        let response = http_client().get(url.parse().expect("url")).await.expect("answer");
        assert_eq!(response.into_body().collect().await.expect("body").to_bytes(), "done");
        server.await.expect("no panic").expect("ends when asked");
    }

    #[tokio::test]
    async fn a_taken_address_is_named() {
        let taken = listen(([127, 0, 0, 1], 0).into()).await.expect("listen");
        let addr = taken.local_addr().expect("address");
        let error = listen(addr).await.expect_err("taken").to_string();
        assert!(error.contains(&addr.to_string()) && error.contains("--bind"), "{error}");
    }
}
