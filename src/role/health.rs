//! `/healthz` and `/readyz` of a role.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    sync::{
        Arc, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::Shutdown;

/// What a role waits for before it calls itself ready: a handful of named checks.
///
/// A role without checks is ready as soon as it answers.
#[derive(Clone, Default)]
pub struct Health {
    checks: Arc<RwLock<Vec<Check>>>,
    metrics: Option<Arc<dyn Fn() -> String + Send + Sync>>,
}

impl std::fmt::Debug for Health {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Health").field("checks", &self.checks).finish_non_exhaustive()
    }
}

/// One named condition of readiness, unmet until [`Check::pass`].
#[derive(Debug, Clone)]
pub struct Check {
    name: &'static str,
    passed: Arc<AtomicBool>,
}

/// Why the health endpoint could not be served.
#[derive(Debug, thiserror::Error)]
pub enum HealthError {
    /// The address was taken or is not ours.
    #[error(
        "cannot listen on {addr} for health checks: {source}; choose another with --health-port"
    )]
    Bind {
        /// The address asked for.
        addr: SocketAddr,
        /// What the kernel said.
        source: io::Error,
    },
}

impl Check {
    /// Marks the condition as met.
    pub fn pass(&self) {
        self.passed.store(true, Ordering::Relaxed);
    }

    /// Marks the condition as unmet again, for example while a connection is away.
    pub fn fail(&self) {
        self.passed.store(false, Ordering::Relaxed);
    }
}

impl Health {
    /// Adds a condition that readiness waits for.
    pub fn check(&self, name: &'static str) -> Check {
        let check = Check { name, passed: Arc::default() };
        self.checks.write().unwrap_or_else(std::sync::PoisonError::into_inner).push(check.clone());
        check
    }

    /// Names of the conditions that are not met, in the order they were added.
    pub fn waiting_for(&self) -> Vec<&'static str> {
        let checks = self.checks.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        checks
            .iter()
            .filter(|check| !check.passed.load(Ordering::Relaxed))
            .map(|check| check.name)
            .collect()
    }

    /// The same with a page `/metrics`, in Prometheus' text format.
    pub fn metrics(mut self, text: impl Fn() -> String + Send + Sync + 'static) -> Self {
        self.metrics = Some(Arc::new(text));
        self
    }

    /// Serves `/healthz` (200 while the process answers) and `/readyz` (200, or 503 naming what is awaited).
    pub async fn serve(self, addr: SocketAddr, shutdown: Shutdown) -> Result<(), HealthError> {
        let listener =
            TcpListener::bind(addr).await.map_err(|source| HealthError::Bind { addr, source })?;
        self.serve_on(listener, shutdown).await;
        Ok(())
    }

    async fn serve_on(self, listener: TcpListener, shutdown: Shutdown) {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = shutdown.wait() => return,
            };
            let Ok((stream, _)) = accepted else {
                // Out of descriptors, most likely: let others give some back.
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            };
            let health = self.clone();
            tokio::spawn(async move {
                let service = service_fn(move |request| {
                    let answer = health.answer(&request);
                    async move { Ok::<_, Infallible>(answer) }
                });
                // A probe that hangs up early is no error of ours.
                let _ = http1::Builder::new()
                    .keep_alive(false)
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    }

    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let (status, text) = match (request.uri().path(), &self.metrics) {
            ("/metrics", Some(metrics)) => (StatusCode::OK, metrics()),
            ("/healthz", _) => (StatusCode::OK, "ok\n".to_owned()),
            ("/readyz", _) => match self.waiting_for() {
                waiting if waiting.is_empty() => (StatusCode::OK, "ok\n".to_owned()),
                waiting => (
                    StatusCode::SERVICE_UNAVAILABLE,
                    format!("waiting for {}\n", waiting.join(", ")),
                ),
            },
            _ => (StatusCode::NOT_FOUND, "only /healthz and /readyz are here\n".to_owned()),
        };
        let mut response = Response::new(Full::from(text));
        *response.status_mut() = status;
        response
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;
    use crate::http_client;

    async fn get(addr: SocketAddr, path: &str) -> (u16, String) {
        let uri = format!("http://{addr}{path}").parse().expect("uri");
        let response = http_client().get(uri).await.expect("answer");
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.expect("body").to_bytes();
        (status, String::from_utf8_lossy(&body).into_owned())
    }

    #[tokio::test]
    async fn readiness_names_what_it_waits_for() {
        let health = Health::default();
        let (watch, link) = (health.check("watches"), health.check("tunnel"));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let addr = listener.local_addr().expect("address");
        let shutdown = Shutdown::default();
        let served = health.clone().metrics(|| "requests 7\n".to_owned());
        let server = tokio::spawn(served.serve_on(listener, shutdown.clone()));

        assert_eq!(get(addr, "/healthz").await.0, 200);
        assert_eq!(get(addr, "/readyz").await, (503, "waiting for watches, tunnel\n".into()));
        watch.pass();
        link.pass();
        assert_eq!(get(addr, "/readyz").await.0, 200);
        link.fail();
        assert_eq!(get(addr, "/readyz").await, (503, "waiting for tunnel\n".into()));
        assert_eq!(get(addr, "/").await.0, 404);
        assert_eq!(get(addr, "/metrics").await, (200, "requests 7\n".into()));

        shutdown.trigger();
        server.await.expect("server ends on shutdown");
    }
}
