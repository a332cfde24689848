//! The agents' door: `/ws`.

use std::sync::Arc;

use curtain_tunnel::{PlaneId, accept, connect};
use http::{Request, Response, StatusCode};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use rustls_pki_types::CertificateDer;

use super::answer::{Body, Refusal, text_response};
use super::table::Connection;
use super::{Hub, planes, server};

/// The door for agents.
#[derive(Clone)]
pub(super) struct Door(pub(super) Arc<Hub>);

type Chain = Arc<Vec<CertificateDer<'static>>>;

impl server::Door for Door {
    async fn answer(&self, chain: Chain, request: Request<Incoming>) -> Response<Body> {
        match register(&self.0, chain, request).await {
            Ok(response) => response,
            Err(refusal) => text_response(refusal.status, refusal.message),
        }
    }
}

/// Check who is there and for which plane, then open the tunnel.
async fn register(
    hub: &Arc<Hub>,
    chain: Chain,
    mut request: Request<Incoming>,
) -> Result<Response<Body>, Refusal> {
    if request.uri().path() != "/ws" {
        return Err(Refusal::new(StatusCode::NOT_FOUND, "agents connect to /ws"));
    }
    let plane = plane(request.uri().query().unwrap_or_default())?;
    let unauthorized = |text| Refusal::new(StatusCode::UNAUTHORIZED, text);
    if chain.is_empty() {
        return Err(unauthorized("send a client certificate".to_owned()));
    }
    let objects = planes::trusted(hub, &plane, &chain).await.map_err(|reason| {
        tracing::info!(%plane, %reason, "an agent was refused");
        unauthorized(reason)
    })?;
    let (response, accepted) = accept::<Full<bytes::Bytes>>(&mut request)
        .map_err(|error| Refusal::new(error.status(), error.to_string()))?;
    let hub = hub.clone();
    tokio::spawn(async move {
        let opened = match accepted.stream().await {
            Ok(stream) => connect(stream).await,
            Err(error) => Err(error),
        };
        let (requests, driver) = match opened {
            Ok(opened) => opened,
            Err(error) => return tracing::info!(%plane, %error, "the tunnel did not open"),
        };
        let connection = Connection::new(plane.clone(), chain.to_vec(), requests, objects);
        let connection = Arc::new(connection);
        hub.table.insert(connection.clone());
        // A plane object may have changed between the check and now.
        planes::recheck(&hub, Some(&plane)).await;
        tracing::info!(%plane, "an agent connected");
        tokio::select! {
            ended = driver => if let Err(error) = ended {
                tracing::info!(%plane, %error, "an agent's connection broke");
            },
            () = connection.close.cancelled() => {}
        }
        hub.table.remove(&connection);
        hub.changed.notify_one();
        tracing::info!(%plane, "an agent disconnected");
    });
    Ok(response.map(Either::Right))
}

fn plane(query: &str) -> Result<PlaneId, Refusal> {
    let mut kind = None;
    let mut id = None;
    for (key, value) in form_urlencoded::parse(query.as_bytes()) {
        match &*key {
            "planeType" => kind = Some(value),
            "planeID" => id = Some(value),
            _ => {}
        }
    }
    let (Some(kind), Some(id)) = (kind, id) else {
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "planeType and planeID are required"));
    };
    let parsed: Result<PlaneId, _> = format!("{kind}/{id}").parse();
    parsed.map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, error.to_string()))
}
