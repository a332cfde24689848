//! The control plane's door: requests to planes, and what is known of them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use curtain_tunnel::PlaneId;
use http::header::{CONNECTION, HOST, HeaderName, TE, TRAILER, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri, Version};
use http_body_util::{BodyExt, Either, Limited};
use hyper::body::Incoming;
use rustls_pki_types::CertificateDer;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::answer::{Body, Refusal, json_response};
use super::route::{Route, route};
use super::table::ObjectName;
use super::{Hub, planes, server};

/// How long a plane may take until its answer starts.
const PATIENCE: Duration = Duration::from_secs(60);
/// Header by which a request is found again in the logs of both ends.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The door for the control plane.
#[derive(Clone)]
pub(super) struct Door(pub(super) Arc<Hub>);

impl server::Door for Door {
    async fn answer(
        &self,
        _: Arc<Vec<CertificateDer<'static>>>,
        request: Request<Incoming>,
    ) -> Response<Body> {
        let hub = &*self.0;
        let answered = match route(request.method(), request.uri(), request.headers()) {
            Ok(Route::Proxy { plane, object, path_and_query }) => {
                proxy(hub, &plane, &object, &path_and_query, request).await
            }
            Ok(Route::Notify) => notify(hub, request).await,
            Ok(Route::Reconnect(plane)) => Ok(reconnect(hub, &plane)),
            Ok(Route::Status(plane, object)) => {
                Ok(json_response(StatusCode::OK, &status(hub, &plane, object.as_ref())))
            }
            Ok(Route::AllStatus) => {
                let ids: BTreeSet<PlaneId> =
                    hub.planes.all().into_iter().map(|(_, plane)| plane.id).collect();
                let planes: Vec<_> = ids.iter().map(|id| status(hub, id, None)).collect();
                Ok(json_response(StatusCode::OK, &json!({ "planes": planes })))
            }
            Err(refusal) => Err(refusal),
        };
        answered.unwrap_or_else(Refusal::into_response)
    }
}

/// Pass a request to an agent and its answer back, both as they come.
async fn proxy(
    hub: &Hub,
    plane: &PlaneId,
    object: &ObjectName,
    path_and_query: &str,
    mut request: Request<Incoming>,
) -> Result<Response<Body>, Refusal> {
    let connection = hub.table.pick(plane, object).ok_or_else(|| {
        let text = format!("no agent of plane {plane} is connected for {}", object.name);
        Refusal::new(StatusCode::FORBIDDEN, text)
    })?;
    let id = match request.headers().get(REQUEST_ID) {
        Some(id) => id.clone(),
        None => HeaderValue::from_str(&uuid::Uuid::new_v4().to_string())
            .unwrap_or(HeaderValue::from_static("unknown")),
    };
    let uri = Uri::builder().scheme("http").authority("plane").path_and_query(path_and_query);
    *request.uri_mut() =
        uri.build().map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, error.to_string()))?;
    *request.version_mut() = Version::HTTP_2;
    end_to_end(request.headers_mut());
    request.headers_mut().insert(REQUEST_ID, id.clone());

    let broken = |error: hyper::Error| {
        let text = format!("the tunnel to plane {plane} broke: {error}");
        Refusal::new(StatusCode::BAD_GATEWAY, text)
    };
    let mut requests = connection.requests.clone();
    let sent = async {
        requests.ready().await?;
        requests.send_request(request).await
    };
    let late = |_| {
        let text = format!("plane {plane} did not answer within {} s", PATIENCE.as_secs());
        Refusal::new(StatusCode::GATEWAY_TIMEOUT, text)
    };
    let mut response = timeout(PATIENCE, sent).await.map_err(late)?.map_err(broken)?;
    *response.version_mut() = Version::default();
    end_to_end(response.headers_mut());
    response.headers_mut().insert(REQUEST_ID, id);
    Ok(response.map(Either::Left))
}

/// Drop the headers that belong to one connection.
fn end_to_end(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    let fixed = [CONNECTION, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE];
    for name in named.iter().chain(&fixed) {
        headers.remove(name);
    }
    headers.remove("keep-alive");
    headers.remove("proxy-connection");
}

/// What a controller tells when a plane object changed.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Notice {
    plane_type: String,
    #[serde(rename = "planeID")]
    plane_id: String,
}

async fn notify(hub: &Hub, request: Request<Incoming>) -> Result<Response<Body>, Refusal> {
    let bad = |text: String| Refusal::new(StatusCode::BAD_REQUEST, text);
    let body = Limited::new(request.into_body(), 64 * 1024).collect().await;
    let body = body.map_err(|error| bad(error.to_string()))?.to_bytes();
    let notice: Notice = serde_json::from_slice(&body).map_err(|error| bad(error.to_string()))?;
    let plane = format!("{}/{}", notice.plane_type, notice.plane_id);
    let plane: PlaneId =
        plane.parse().map_err(|error: curtain_tunnel::UnknownPlane| bad(error.to_string()))?;
    planes::recheck(hub, Some(&plane)).await;
    Ok(json_response(StatusCode::OK, &status(hub, &plane, None)))
}

fn reconnect(hub: &Hub, plane: &PlaneId) -> Response<Body> {
    let connections = hub.table.of(Some(plane));
    connections.iter().for_each(|connection| connection.close.cancel());
    json_response(StatusCode::OK, &json!({ "disconnected": connections.len() }))
}

fn status(hub: &Hub, plane: &PlaneId, object: Option<&ObjectName>) -> Value {
    let seen = hub.table.seen(plane, object);
    json!({
        "planeType": plane.kind.as_str(),
        "planeID": plane.id,
        "connected": seen.agents > 0,
        "connectedAgents": seen.agents,
        "lastSeen": seen.last.map(|time| time.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_one_connection_stay_there() {
        let pairs =
            [("connection", "close, x-own"), ("x-own", "1"), ("host", "h"), ("accept", "a")];
        let mut headers: HeaderMap = pairs
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)))
            .collect::<Vec<(HeaderName, _)>>()
            .into_iter()
            .collect();
        end_to_end(&mut headers);
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["accept"]);
    }
}
